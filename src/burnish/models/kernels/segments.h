/* The segments of a packed row, as `attention.py` lays them out in tables. */
#ifndef SEGMENTS_H
#define SEGMENTS_H
#include "tiles.h"

enum { BLOCK = 48 };

typedef struct {
    int64_t prompt, prompted, begin, queries;
} segment;

static inline int64_t padded(int64_t keys) { return (keys + 4 * LANE - 1) / (4 * LANE) * (4 * LANE); }

/* Where a segment's k-th key lies. */
static inline int64_t place_of(segment s, int64_t k) { return k < s.prompted ? s.prompt + k : s.begin + k - s.prompted; }
#endif
