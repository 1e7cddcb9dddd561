/* Attention of one new token for each of several sequences, over the places of its cache slot: the heart of writing.
 *
 * Each sequence reads its own places alone, once for all query heads that share them, so that the time is that of
 * reading the cache. Versions for caches and products in float32 and in bfloat16; sums are float32.
 */
#include "bfloat16.h"
#include "tiles.h"

/* How many places of a slot are fetched ahead; those of one slot's end are the next one's beginning. */
enum { AHEAD = 16 };

typedef float half_lane __attribute__((vector_size(LANE / 2 * sizeof(float)), aligned(4)));
typedef uint16_t short_lane __attribute__((vector_size(LANE * sizeof(uint16_t)), aligned(2)));
typedef uint32_t whole_lane __attribute__((vector_size(LANE * sizeof(uint32_t)), aligned(4)));

static inline lane lane_of_float32(const float *from) { return *(const lane *)from; }

static inline lane lane_of_bfloat16(const bfloat16 *from) {
    whole_lane bits = __builtin_convertvector(*(const short_lane *)from, whole_lane) << 16;
    return (lane)bits;
}

static inline float sum_of(lane x) {
    half_lane halves[2];
    memcpy(halves, &x, sizeof x);
    half_lane both = halves[0] + halves[1];
    float total = 0.0f;
    UNROLL for (int i = 0; i < LANE / 2; i++) total += both[i];
    return total;
}

/* Shares from scores, in place. */
static inline void softmax(float *row, int64_t seen) {
    float top = largest(row, seen), total = 0.0f;
    for (int64_t p = 0; p < seen; p++) {
        row[p] = exponential(row[p] - top);
        total += row[p];
    }
    for (int64_t p = 0; p < seen; p++) row[p] /= total;
}

/* One head, its norm taken where there is one, and turned by its position's angle where that is given. */
static inline void turn_head(float *in, const float *norm, float epsilon, const float *cosine, const float *sine,
                             int64_t size) {
    int64_t half = size / 2;
    if (norm) {
        float total = 0.0f;
        for (int64_t i = 0; i < size; i++) total += in[i] * in[i];
        float scale = 1.0f / sqrtf(total / (float)size + epsilon);
        for (int64_t i = 0; i < size; i++) in[i] *= scale * norm[i];
    }
    if (!cosine) return;
    for (int64_t i = 0; i < half; i++) {
        float first = in[i], second = in[half + i];
        in[i] = first * cosine[i] - second * sine[i];
        in[half + i] = second * cosine[half + i] + first * sine[half + i];
    }
}

#define E float
#define NAME(f) f##_float32
#define GET(x) (x)
#define PUT(x) (x)
#include "newest.h"
#undef E
#undef NAME
#undef GET
#undef PUT
#define E bfloat16
#define NAME(f) f##_bfloat16
#define GET(x) widened(x)
#define PUT(x) rounded(x)
#include "newest.h"
