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

/* Scores of one query, of which those of keys `first` to `last` are seen, to shares, in place; 0 elsewhere from `start` to
 * `end`. Returns the logarithm of the sum of exponentials. */
static inline float shares_of(float *row, int64_t start, int64_t first, int64_t last, int64_t end, float scale) {
    float total = 0.0f, top = largest(row + first, last + 1 - first) * scale;
    for (int64_t k = start; k < first; k++) row[k] = 0.0f;
    for (int64_t k = first; k <= last; k++) {
        row[k] = exponential(row[k] * scale - top);
        total += row[k];
    }
    float share = 1.0f / total;
    for (int64_t k = first; k <= last; k++) row[k] *= share;
    for (int64_t k = last + 1; k < end; k++) row[k] = 0.0f;
    return top + logf(total);
}

/* The same scores to shares again, from that logarithm; and slopes in the shares to slopes in the scores, in place. */
static inline void slopes_of(float *share, float *slope, int64_t start, int64_t first, int64_t last, int64_t end,
                             float scale, float total) {
    float along = 0.0f;
    for (int64_t k = start; k < first; k++) share[k] = slope[k] = 0.0f;
    for (int64_t k = first; k <= last; k++) {
        share[k] = exponential(share[k] * scale - total);
        along += share[k] * slope[k];
    }
    for (int64_t k = first; k <= last; k++) slope[k] = share[k] * (slope[k] - along) * scale;
    for (int64_t k = last + 1; k < end; k++) share[k] = slope[k] = 0.0f;
}
#endif
