/* Small dense products whose operands lie in cache, and e^x: what the other kernels are built of.
 *
 * Row-major float32; `ld` are the distances between rows. The side called rank is a whole number of lanes.
 */
#ifndef TILES_H
#define TILES_H
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#ifdef _OPENMP
#include <omp.h>
#endif

enum { LANE = 16 };
typedef float lane __attribute__((vector_size(LANE * sizeof(float)), aligned(4)));

#define UNROLL _Pragma("GCC unroll 8")

static inline int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

/* e^x, within 2 units in the last place; below -87 it is 0. Cephes' polynomial on [-ln2/2, ln2/2]. */
static inline float exponential(float x) {
    float bounded = x > 88.0f ? 88.0f : (x < -87.0f ? -87.0f : x);
    float whole = rintf(bounded * 1.44269504088896341f);
    float rest = bounded - whole * 0.693359375f + whole * 2.12194440e-4f;
    float p = 1.9875691500e-4f;
    p = p * rest + 1.3981999507e-3f;
    p = p * rest + 8.3334519073e-3f;
    p = p * rest + 4.1665795894e-2f;
    p = p * rest + 1.6666665459e-1f;
    p = p * rest + 5.0000001201e-1f;
    p = p * rest * rest + rest + 1.0f;
    int32_t bits = ((int32_t)whole + 127) << 23;
    float power;
    memcpy(&power, &bits, 4);
    return x < -87.0f ? 0.0f : p * power;
}

/* Sixteen running maxima side by side, since a single one can't be vectorised without giving up NaN. */
static inline float largest(const float *row, int64_t width) {
    float tops[LANE], top = row[0];
    for (int j = 0; j < LANE; j++) tops[j] = top;
    int64_t i = 0;
    for (; i + LANE <= width; i += LANE)
        for (int j = 0; j < LANE; j++) tops[j] = row[i + j] > tops[j] ? row[i + j] : tops[j];
    for (; i < width; i++) top = row[i] > top ? row[i] : top;
    for (int j = 0; j < LANE; j++) top = tops[j] > top ? tops[j] : top;
    return top;
}

/* A tile of TALL rows and WIDE lanes of y (+)= a b, where a's element of row j and step i is a[j * row + i * step]. */
#define TILE(NAME, TALL, WIDE)                                                                                         \
    static inline void NAME(const float *a, int64_t row, int64_t step, const float *b, int64_t ldb, float *y,          \
                            int64_t ldy, int64_t steps, int add) {                                                     \
        lane sums[TALL][WIDE];                                                                                         \
        UNROLL for (int j = 0; j < TALL; j++) UNROLL for (int w = 0; w < WIDE; w++) sums[j][w] =                       \
            add ? *(const lane *)(y + j * ldy + w * LANE) : (lane){0};                                                 \
        for (int64_t i = 0; i < steps; i++) {                                                                          \
            lane factors[WIDE];                                                                                        \
            UNROLL for (int w = 0; w < WIDE; w++) factors[w] = *(const lane *)(b + i * ldb + w * LANE);                \
            UNROLL for (int j = 0; j < TALL; j++) {                                                                    \
                float x = a[j * row + i * step];                                                                       \
                UNROLL for (int w = 0; w < WIDE; w++) sums[j][w] += x * factors[w];                                    \
            }                                                                                                          \
        }                                                                                                              \
        UNROLL for (int j = 0; j < TALL; j++) UNROLL for (int w = 0; w < WIDE; w++) *(lane *)(y + j * ldy + w * LANE) = \
            sums[j][w];                                                                                                \
    }

TILE(tile_6x4, 6, 4)
TILE(tile_1x4, 1, 4)
TILE(tile_8x1, 8, 1)
TILE(tile_1x1, 1, 1)

/* y (rows, rank) = a (rows, steps) times b (steps, rank), or added to what y holds. a's element of row r and step i is
 * a[r * row + i * step], so that a may be read transposed. */
static inline void multiply(const float *a, int64_t row, int64_t step, const float *b, int64_t ldb, float *y, int64_t ldy,
                     int64_t rows, int64_t steps, int64_t rank, int add) {
    int64_t at = 0;
    for (; at + 4 * LANE <= rank; at += 4 * LANE) {
        int64_t r = 0;
        for (; r + 6 <= rows; r += 6) tile_6x4(a + r * row, row, step, b + at, ldb, y + r * ldy + at, ldy, steps, add);
        for (; r < rows; r++) tile_1x4(a + r * row, row, step, b + at, ldb, y + r * ldy + at, ldy, steps, add);
    }
    for (; at < rank; at += LANE) {
        int64_t r = 0;
        for (; r + 8 <= rows; r += 8) tile_8x1(a + r * row, row, step, b + at, ldb, y + r * ldy + at, ldy, steps, add);
        for (; r < rows; r++) tile_1x1(a + r * row, row, step, b + at, ldb, y + r * ldy + at, ldy, steps, add);
    }
}
#endif
