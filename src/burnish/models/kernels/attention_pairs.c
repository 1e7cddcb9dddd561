/* The attention of attention.c, and its backward pass, with sides of products rounded to bfloat16 and sums in float32, by
 * the processor's products of pairs. Query, key and value are bfloat16; what else goes in or comes out is float32. Pairs
 * are 32-bit words: of two neighbouring numbers of a row, or of two rows' numbers of one column.
 */
#include "pairs.h"
#include "segments.h"

int has_attention_pairs(void) { return HAS_PAIRS; }

#if HAS_PAIRS
static int64_t pairs_room(int64_t keys, int64_t size) {
    return padded(keys) * (7 * BLOCK / 2 + 7 * size / 2) + 3 * BLOCK * size / 2;
}

/* A tile of TALL rows and WIDE lanes of y (+)= a b, where a's pair of row j and step i is a[j * row + i * step]. */
#define PAIR_TILE(NAME, TALL, WIDE)                                                                                      \
    static inline void NAME(const uint32_t *a, int64_t row, int64_t step, const uint32_t *b, int64_t ldb, float *y,      \
                            int64_t ldy, int64_t steps, int add) {                                                       \
        __m512 sums[TALL][WIDE];                                                                                         \
        UNROLL for (int j = 0; j < TALL; j++) UNROLL for (int w = 0; w < WIDE; w++) sums[j][w] =                         \
            add ? _mm512_loadu_ps(y + j * ldy + w * LANE) : _mm512_setzero_ps();                                         \
        for (int64_t i = 0; i < steps; i++) {                                                                            \
            __m512bh factors[WIDE];                                                                                      \
            UNROLL for (int w = 0; w < WIDE; w++) factors[w] = (__m512bh)_mm512_loadu_si512(b + i * ldb + w * LANE);     \
            UNROLL for (int j = 0; j < TALL; j++) {                                                                      \
                __m512bh x = (__m512bh)_mm512_set1_epi32((int)a[j * row + i * step]);                                    \
                UNROLL for (int w = 0; w < WIDE; w++) sums[j][w] = _mm512_dpbf16_ps(sums[j][w], x, factors[w]);          \
            }                                                                                                            \
        }                                                                                                                \
        UNROLL for (int j = 0; j < TALL; j++) UNROLL for (int w = 0; w < WIDE; w++)                                      \
            _mm512_storeu_ps(y + j * ldy + w * LANE, sums[j][w]);                                                        \
    }

PAIR_TILE(pairs_6x4, 6, 4)
PAIR_TILE(pairs_1x4, 1, 4)
PAIR_TILE(pairs_8x1, 8, 1)
PAIR_TILE(pairs_1x1, 1, 1)

/* y (rows, columns) = a (rows, steps) times b (steps, columns), or added to what y holds. */
static void multiply_pairs(const uint32_t *a, int64_t row, int64_t step, const uint32_t *b, int64_t ldb, float *y,
                           int64_t ldy, int64_t rows, int64_t steps, int64_t columns, int add) {
    int64_t at = 0;
    for (; at + 4 * LANE <= columns; at += 4 * LANE) {
        int64_t r = 0;
        for (; r + 6 <= rows; r += 6) pairs_6x4(a + r * row, row, step, b + at, ldb, y + r * ldy + at, ldy, steps, add);
        for (; r < rows; r++) pairs_1x4(a + r * row, row, step, b + at, ldb, y + r * ldy + at, ldy, steps, add);
    }
    for (; at < columns; at += LANE) {
        int64_t r = 0;
        for (; r + 8 <= rows; r += 8) pairs_8x1(a + r * row, row, step, b + at, ldb, y + r * ldy + at, ldy, steps, add);
        for (; r < rows; r++) pairs_1x1(a + r * row, row, step, b + at, ldb, y + r * ldy + at, ldy, steps, add);
    }
}

/* A segment's keys or values of one group: pairs of columns of each key where `columns` is given (size / 2, padded keys),
 * and pairs of keys where `rows` is (padded keys / 2, size), with zeros beyond the last. */
static void gather_pairs(const bfloat16 *from, int64_t stride, segment s, int64_t size, uint32_t *rows,
                         uint32_t *columns) {
    int64_t keys = s.prompted + s.queries, wide = padded(keys), half = size / 2;
    if (columns) {
        memset(columns, 0, (size_t)(half * wide) * sizeof(uint32_t));
        for (int64_t k = 0; k < keys; k++) {
            const bfloat16 *one = from + place_of(s, k) * stride;
            for (int64_t i = 0; i < half; i++) memcpy(columns + i * wide + k, one + 2 * i, 4);
        }
    }
    if (!rows) return;
    for (int64_t k = 0; k < keys; k += 2) {
        const bfloat16 *one = from + place_of(s, k) * stride;
        const bfloat16 *two = k + 1 < keys ? from + place_of(s, k + 1) * stride : NULL;
        for (int64_t i = 0; i < size; i++) rows[k / 2 * size + i] = one[i] | (two ? (uint32_t)two[i] << 16 : 0u);
    }
    memset(rows + (keys + 1) / 2 * size, 0, (size_t)((wide / 2 - (keys + 1) / 2) * size) * sizeof(uint32_t));
}

static inline __m512i rounded_lane(const float *from) {
    return _mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh(_mm512_loadu_ps(from)));
}

/* Pairs of neighbours: `count` numbers, a whole number of lanes, rounded. */
static inline void pair_neighbours(const float *from, uint32_t *to, int64_t count) {
    for (int64_t i = 0; i < count; i += LANE)
        _mm256_storeu_si256((__m256i *)((uint16_t *)to + i), (__m256i)_mm512_cvtneps_pbh(_mm512_loadu_ps(from + i)));
}

/* Pairs of two rows' numbers, the second row being zero where there is none. */
static inline void pair_rows(const float *one, const float *two, uint32_t *to, int64_t count) {
    for (int64_t i = 0; i < count; i += LANE) {
        __m512i low = rounded_lane(one + i), high = two ? rounded_lane(two + i) : _mm512_setzero_si512();
        _mm512_storeu_si512(to + i, _mm512_or_si512(low, _mm512_slli_epi32(high, 16)));
    }
}

void attend_pairs(const bfloat16 *query, const bfloat16 *key, const bfloat16 *value, float *out, float *sizes, float *work,
                  const int64_t *table, const int64_t *firsts, float scale, int64_t families, int64_t tokens,
                  int64_t longest, int64_t heads, int64_t groups, int64_t size, int64_t window, int threads) {
    int64_t shared = heads / groups, room = pairs_room(longest, size);
    _Pragma("omp parallel for schedule(dynamic, 1) num_threads(threads)") for (int64_t unit = 0; unit < families * groups;
                                                                               unit++) {
#ifdef _OPENMP
        float *own = work + omp_get_thread_num() * room;
#else
        float *own = work;
#endif
        int64_t g = unit % groups;
        for (int64_t number = firsts[unit / groups]; number < firsts[unit / groups + 1]; number++) {
            segment s = ((const segment *)table)[number];
            int64_t keys = s.prompted + s.queries, wide = padded(keys);
            float *scores = own;
            uint32_t *shares = (uint32_t *)(scores + BLOCK * wide), *columns = shares + BLOCK * wide / 2;
            uint32_t *rows = columns + size / 2 * wide;
            gather_pairs(key + g * size, groups * size, s, size, NULL, columns);
            gather_pairs(value + g * size, groups * size, s, size, rows, NULL);
            for (int64_t h = g * shared; h < (g + 1) * shared; h++)
                for (int64_t from = 0; from < s.queries; from += BLOCK) {
                    int64_t count = least(BLOCK, s.queries - from), end = s.prompted + from + count;
                    int64_t start = s.prompted + from + 1 > window ? (s.prompted + from + 1 - window) / LANE * LANE : 0;
                    int64_t stop = least(wide, (end + 4 * LANE - 1) / (4 * LANE) * (4 * LANE));
                    const bfloat16 *q = query + ((s.begin + from) * heads + h) * size;
                    multiply_pairs((const uint32_t *)q, heads * size / 2, 1, columns + start, wide, scores + start, wide,
                                   count, size / 2, stop - start, 0);
                    for (int64_t r = 0; r < count; r++) {
                        int64_t last = s.prompted + from + r, first = last >= window ? last - window + 1 : 0;
                        sizes[h * tokens + s.begin + from + r] =
                            shares_of(scores + r * wide, start, first, last, stop, scale);
                        pair_neighbours(scores + r * wide + start, shares + (r * wide + start) / 2, stop - start);
                    }
                    multiply_pairs(shares + start / 2, wide / 2, 1, rows + start / 2 * size, size,
                                   out + ((s.begin + from) * heads + h) * size, heads * size, count, (end - start + 1) / 2,
                                   size, 0);
                }
        }
    }
}

/* `dkey` and `dvalue` are zero before. */
void attend_pairs_backward(const bfloat16 *query, const bfloat16 *key, const bfloat16 *value, const float *sizes,
                           const float *dout, float *dquery, float *dkey, float *dvalue, float *work,
                           const int64_t *table, const int64_t *firsts, float scale, int64_t families, int64_t tokens,
                           int64_t longest, int64_t heads, int64_t groups, int64_t size, int64_t window, int threads) {
    int64_t shared = heads / groups, room = pairs_room(longest, size);
    _Pragma("omp parallel for schedule(dynamic, 1) num_threads(threads)") for (int64_t unit = 0; unit < families * groups;
                                                                               unit++) {
#ifdef _OPENMP
        float *own = work + omp_get_thread_num() * room;
#else
        float *own = work;
#endif
        int64_t g = unit % groups;
        for (int64_t number = firsts[unit / groups]; number < firsts[unit / groups + 1]; number++) {
            segment s = ((const segment *)table)[number];
            int64_t keys = s.prompted + s.queries, wide = padded(keys);
            float *shares = own, *slopes = shares + BLOCK * wide, *key_slopes = slopes + BLOCK * wide;
            float *value_slopes = key_slopes + size * wide;
            uint32_t *slope_rows = (uint32_t *)(value_slopes + size * wide), *slope_pairs = slope_rows + BLOCK * wide / 2;
            uint32_t *share_pairs = slope_pairs + BLOCK / 2 * wide, *key_columns = share_pairs + BLOCK / 2 * wide;
            uint32_t *value_columns = key_columns + size / 2 * wide, *key_rows = value_columns + size / 2 * wide;
            uint32_t *dout_rows = key_rows + size / 2 * wide, *dout_pairs = dout_rows + BLOCK * size / 2;
            uint32_t *query_pairs = dout_pairs + BLOCK / 2 * size;
            gather_pairs(key + g * size, groups * size, s, size, key_rows, key_columns);
            gather_pairs(value + g * size, groups * size, s, size, NULL, value_columns);
            memset(key_slopes, 0, (size_t)(2 * size * wide) * sizeof(float));
            for (int64_t h = g * shared; h < (g + 1) * shared; h++)
                for (int64_t from = 0; from < s.queries; from += BLOCK) {
                    int64_t count = least(BLOCK, s.queries - from), end = s.prompted + from + count;
                    int64_t start = s.prompted + from + 1 > window ? (s.prompted + from + 1 - window) / LANE * LANE : 0;
                    int64_t stop = least(wide, (end + 4 * LANE - 1) / (4 * LANE) * (4 * LANE)), seen = end - start;
                    int64_t place = ((s.begin + from) * heads + h) * size, stride = heads * size;
                    const bfloat16 *q = query + place;
                    const float *d = dout + place;
                    for (int64_t r = 0; r < count; r++) pair_neighbours(d + r * stride, dout_rows + r * size / 2, size);
                    for (int64_t r = 0; r < count; r += 2) {
                        const bfloat16 *one = q + r * stride, *two = r + 1 < count ? one + stride : NULL;
                        uint32_t *both = query_pairs + r / 2 * size;
                        for (int64_t i = 0; i < size; i++) both[i] = one[i] | (two ? (uint32_t)two[i] << 16 : 0u);
                        pair_rows(d + r * stride, two ? d + (r + 1) * stride : NULL, dout_pairs + r / 2 * size, size);
                    }
                    multiply_pairs((const uint32_t *)q, stride / 2, 1, key_columns + start, wide, shares + start, wide,
                                   count, size / 2, stop - start, 0);
                    multiply_pairs(dout_rows, size / 2, 1, value_columns + start, wide, slopes + start, wide, count,
                                   size / 2, stop - start, 0);
                    for (int64_t r = 0; r < count; r++) {
                        int64_t last = s.prompted + from + r, first = last >= window ? last - window + 1 : 0;
                        slopes_of(shares + r * wide, slopes + r * wide, start, first, last, stop, scale,
                                  sizes[h * tokens + s.begin + from + r]);
                        pair_neighbours(slopes + r * wide + start, slope_rows + (r * wide + start) / 2, stop - start);
                    }
                    for (int64_t r = 0; r < count; r += 2) {
                        int64_t at = r * wide + start, next = r + 1 < count ? wide : 0, to = r / 2 * wide + start;
                        pair_rows(slopes + at, next ? slopes + at + next : NULL, slope_pairs + to, stop - start);
                        pair_rows(shares + at, next ? shares + at + next : NULL, share_pairs + to, stop - start);
                    }
                    multiply_pairs(slope_rows + start / 2, wide / 2, 1, key_rows + start / 2 * size, size, dquery + place,
                                   stride, count, (seen + 1) / 2, size, 0);
                    multiply_pairs(slope_pairs + start, 1, wide, query_pairs, size, key_slopes + start * size, size, seen,
                                   (count + 1) / 2, size, 1);
                    multiply_pairs(share_pairs + start, 1, wide, dout_pairs, size, value_slopes + start * size, size, seen,
                                   (count + 1) / 2, size, 1);
                }
            for (int64_t k = 0; k < keys; k++) {
                float *dk = dkey + (place_of(s, k) * groups + g) * size, *dv = dvalue + (place_of(s, k) * groups + g) * size;
                for (int64_t i = 0; i < size; i++) dk[i] += key_slopes[k * size + i];
                for (int64_t i = 0; i < size; i++) dv[i] += value_slopes[k * size + i];
            }
        }
    }
}
#else
void attend_pairs(const bfloat16 *query, const bfloat16 *key, const bfloat16 *value, float *out, float *sizes, float *work,
                  const int64_t *table, const int64_t *firsts, float scale, int64_t families, int64_t tokens,
                  int64_t longest, int64_t heads, int64_t groups, int64_t size, int64_t window, int threads) {
    (void)query, (void)key, (void)value, (void)out, (void)sizes, (void)work, (void)table, (void)firsts, (void)scale;
    (void)families, (void)tokens, (void)longest, (void)heads, (void)groups, (void)size, (void)window, (void)threads;
}

void attend_pairs_backward(const bfloat16 *query, const bfloat16 *key, const bfloat16 *value, const float *sizes,
                           const float *dout, float *dquery, float *dkey, float *dvalue, float *work,
                           const int64_t *table, const int64_t *firsts, float scale, int64_t families, int64_t tokens,
                           int64_t longest, int64_t heads, int64_t groups, int64_t size, int64_t window, int threads) {
    (void)query, (void)key, (void)value, (void)sizes, (void)dout, (void)dquery, (void)dkey, (void)dvalue, (void)work;
    (void)table, (void)firsts, (void)scale, (void)families, (void)tokens, (void)longest, (void)heads, (void)groups;
    (void)size, (void)window, (void)threads;
}
#endif
