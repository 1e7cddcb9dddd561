/* The attention of attention.c, and its backward pass, with sides of products rounded to bfloat16 and sums in float32, by
 * the processor's matrix unit, or its products of pairs. Query, key and value are bfloat16; what else goes in or comes out
 * is float32. Pairs are 32-bit words: of two neighbouring numbers of a row, or of two rows' numbers of one column. What
 * lies beyond the last key of a segment, up to whole squares of the matrix unit, is zero.
 */
#define _GNU_SOURCE
#include "amx.h"
#include "pairs.h"
#include "segments.h"

int has_attention_pairs(void) { return HAS_PAIRS; }

#if HAS_PAIRS
enum { ROW_PAIRS = 32 }; /* pairs of a block's queries, in whole tiles */

static int64_t pairs_room(int64_t keys, int64_t size) {
    return padded(keys) * (5 * BLOCK / 2 + 3 * ROW_PAIRS + 7 * size / 2) + (BLOCK / 2 + 2 * ROW_PAIRS) * size;
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

#ifdef HAS_AMX
/* The same by the matrix unit, for whole squares of columns and of steps; a's rows are words side by side. */
static void multiply_squares(const uint32_t *a, int64_t row, const uint32_t *b, int64_t ldb, float *y, int64_t ldy,
                             int64_t rows, int64_t steps, int64_t columns, int add, int64_t *set) {
    for (int64_t r = 0; r < rows; r += SQUARE) {
        int64_t count = least(SQUARE, rows - r);
        set_square(count, set);
        for (int64_t at = 0; at < columns; at += SQUARE) {
            float *sums = y + r * ldy + at;
            if (add)
                load_square(sums, ldy, count);
            else
                empty_square(count);
            add_square((const uint16_t *)(a + r * row), 2 * row, b + at, ldb, steps / TILE_SIDE, count);
            store_square(sums, ldy, count);
        }
    }
}
#else
static inline void multiply_squares(const uint32_t *a, int64_t row, const uint32_t *b, int64_t ldb, float *y, int64_t ldy,
                                    int64_t rows, int64_t steps, int64_t columns, int add, int64_t *set) {
    (void)a, (void)row, (void)b, (void)ldb, (void)y, (void)ldy, (void)rows, (void)steps, (void)columns, (void)add;
    (void)set;
}
#endif

/* A thread's way of multiplying: `tiles` where the matrix unit fits, what it is set for, and room to turn words in. */
typedef struct {
    int tiles;
    int64_t set;
    uint32_t *room;
} unit;

/* The first key that is looked at by a block whose first query stands there, in whole strides of `padded`. */
static inline int64_t start_of(int64_t query, int64_t window) {
    return query + 1 > window ? (query + 1 - window) / (4 * LANE) * (4 * LANE) : 0;
}

/* y = a b with a's words side by side. There is room, and there are zeros, up to whole tiles of steps. */
static inline void multiply_words(unit *by, const uint32_t *a, int64_t row, const uint32_t *b, int64_t ldb, float *y,
                                  int64_t ldy, int64_t rows, int64_t steps, int64_t columns) {
    if (by->tiles)
        multiply_squares(a, row, b, ldb, y, ldy, rows, (steps + TILE_SIDE - 1) / TILE_SIDE * TILE_SIDE, columns, 0,
                         &by->set);
    else
        multiply_pairs(a, row, 1, b, ldb, y, ldy, rows, steps, columns, 0);
}

/* y += a b with a given turned: (steps, rows), `lda` words apart. */
static inline void multiply_turned(unit *by, const uint32_t *a, int64_t lda, const uint32_t *b, int64_t ldb, float *y,
                                   int64_t rows, int64_t steps, int64_t columns) {
    if (!by->tiles) {
        multiply_pairs(a, 1, lda, b, ldb, y, columns, rows, steps, columns, 1);
        return;
    }
    rows = (rows + TILE_SIDE - 1) / TILE_SIDE * TILE_SIDE, steps = (steps + TILE_SIDE - 1) / TILE_SIDE * TILE_SIDE;
    for (int64_t s = 0; s < steps; s += TILE_SIDE)
        for (int64_t r = 0; r < rows; r += TILE_SIDE)
            turn_square((const bfloat16 *)(a + s * lda + r), 2 * lda, (bfloat16 *)(by->room + r * ROW_PAIRS + s),
                        2 * ROW_PAIRS);
    multiply_squares(by->room, ROW_PAIRS, b, ldb, y, columns, rows, steps, columns, 1, &by->set);
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
static inline void pair_halves(const bfloat16 *one, const bfloat16 *two, uint32_t *to, int64_t count) {
    for (int64_t i = 0; i < count; i += LANE) {
        __m512i low = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)(one + i)));
        __m512i high = two ? _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)(two + i))) : _mm512_setzero_si512();
        _mm512_storeu_si512(to + i, _mm512_or_si512(low, _mm512_slli_epi32(high, 16)));
    }
}

/* The same, rounded. */
static inline void pair_rows(const float *one, const float *two, uint32_t *to, int64_t count) {
    for (int64_t i = 0; i < count; i += LANE) {
        __m512i low = rounded_lane(one + i), high = two ? rounded_lane(two + i) : _mm512_setzero_si512();
        _mm512_storeu_si512(to + i, _mm512_or_si512(low, _mm512_slli_epi32(high, 16)));
    }
}

/* A segment's keys or values of one group: pairs of columns of each key where `columns` is given (size / 2, padded keys),
 * and pairs of keys where `rows` is (padded keys / 2, size), with zeros beyond the last. */
static void gather_pairs(const bfloat16 *from, int64_t stride, segment s, int64_t size, uint32_t *rows,
                         uint32_t *columns) {
    int64_t keys = s.prompted + s.queries, wide = padded(keys), half = size / 2;
    if (columns) {
        for (int64_t i = 0; i < half; i++) memset(columns + i * wide + keys, 0, (size_t)(wide - keys) * sizeof(uint32_t));
        for (int64_t k = 0; k < keys; k += LANE) {
            int in_one_piece = k + LANE <= keys && (k >= s.prompted || k + LANE <= s.prompted);
            if (in_one_piece && half % LANE == 0)
                for (int64_t i = 0; i < half; i += LANE)
                    turn_square(from + place_of(s, k) * stride + 2 * i, stride, (bfloat16 *)(columns + i * wide + k),
                                2 * wide);
            else
                for (int64_t one = k; one < least(keys, k + LANE); one++)
                    for (int64_t i = 0; i < half; i++)
                        memcpy(columns + i * wide + one, from + place_of(s, one) * stride + 2 * i, 4);
        }
    }
    if (!rows) return;
    for (int64_t k = 0; k < keys; k += 2) {
        const bfloat16 *one = from + place_of(s, k) * stride;
        const bfloat16 *two = k + 1 < keys ? from + place_of(s, k + 1) * stride : NULL;
        pair_halves(one, two, rows + k / 2 * size, size);
    }
    memset(rows + (keys + 1) / 2 * size, 0, (size_t)((wide / 2 - (keys + 1) / 2) * size) * sizeof(uint32_t));
}

void attend_pairs(const bfloat16 *query, const bfloat16 *key, const bfloat16 *value, float *out, float *sizes, float *work,
                  const int64_t *table, const int64_t *firsts, float scale, int64_t families, int64_t tokens,
                  int64_t longest, int64_t heads, int64_t groups, int64_t size, int64_t window, int threads) {
    int64_t shared = heads / groups, room = pairs_room(longest, size);
    int tiles = may_use_tiles() && size % SQUARE == 0;
    _Pragma("omp parallel for schedule(dynamic, 1) num_threads(threads)") for (int64_t one = 0; one < families * groups;
                                                                               one++) {
#ifdef _OPENMP
        float *own = work + omp_get_thread_num() * room;
#else
        float *own = work;
#endif
        unit by = {tiles, -1, (uint32_t *)own + room - padded(longest) * ROW_PAIRS};
        int64_t g = one % groups;
        for (int64_t number = firsts[one / groups]; number < firsts[one / groups + 1]; number++) {
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
                    int64_t start = start_of(s.prompted + from, window);
                    int64_t stop = padded(end);
                    const bfloat16 *q = query + ((s.begin + from) * heads + h) * size;
                    multiply_words(&by, (const uint32_t *)q, heads * size / 2, columns + start, wide, scores + start, wide,
                                   count, size / 2, stop - start);
                    for (int64_t r = 0; r < count; r++) {
                        int64_t last = s.prompted + from + r, first = last >= window ? last - window + 1 : 0;
                        sizes[h * tokens + s.begin + from + r] =
                            shares_of(scores + r * wide, start, first, last, stop, scale);
                        pair_neighbours(scores + r * wide + start, shares + (r * wide + start) / 2, stop - start);
                    }
                    multiply_words(&by, shares + start / 2, wide / 2, rows + start / 2 * size, size,
                                   out + ((s.begin + from) * heads + h) * size, heads * size, count, (end - start + 1) / 2,
                                   size);
                }
        }
        if (tiles) release_tiles();
    }
}

/* `dkey` and `dvalue` are zero before. */
void attend_pairs_backward(const bfloat16 *query, const bfloat16 *key, const bfloat16 *value, const float *sizes,
                           const float *dout, float *dquery, float *dkey, float *dvalue, float *work,
                           const int64_t *table, const int64_t *firsts, float scale, int64_t families, int64_t tokens,
                           int64_t longest, int64_t heads, int64_t groups, int64_t size, int64_t window, int threads) {
    int64_t shared = heads / groups, room = pairs_room(longest, size);
    int tiles = may_use_tiles() && size % SQUARE == 0;
    _Pragma("omp parallel for schedule(dynamic, 1) num_threads(threads)") for (int64_t one = 0; one < families * groups;
                                                                               one++) {
#ifdef _OPENMP
        float *own = work + omp_get_thread_num() * room;
#else
        float *own = work;
#endif
        unit by = {tiles, -1, (uint32_t *)own + room - padded(longest) * ROW_PAIRS};
        int64_t g = one % groups;
        for (int64_t number = firsts[one / groups]; number < firsts[one / groups + 1]; number++) {
            segment s = ((const segment *)table)[number];
            int64_t keys = s.prompted + s.queries, wide = padded(keys);
            float *shares = own, *slopes = shares + BLOCK * wide, *key_slopes = slopes + BLOCK * wide;
            float *value_slopes = key_slopes + size * wide;
            uint32_t *slope_rows = (uint32_t *)(value_slopes + size * wide), *slope_pairs = slope_rows + BLOCK * wide / 2;
            uint32_t *share_pairs = slope_pairs + ROW_PAIRS * wide, *key_columns = share_pairs + ROW_PAIRS * wide;
            uint32_t *value_columns = key_columns + size / 2 * wide, *key_rows = value_columns + size / 2 * wide;
            uint32_t *dout_rows = key_rows + size / 2 * wide, *dout_pairs = dout_rows + BLOCK * size / 2;
            uint32_t *query_pairs = dout_pairs + ROW_PAIRS * size;
            gather_pairs(key + g * size, groups * size, s, size, key_rows, key_columns);
            gather_pairs(value + g * size, groups * size, s, size, NULL, value_columns);
            memset(key_slopes, 0, (size_t)(2 * size * wide) * sizeof(float));
            for (int64_t h = g * shared; h < (g + 1) * shared; h++)
                for (int64_t from = 0; from < s.queries; from += BLOCK) {
                    int64_t count = least(BLOCK, s.queries - from), end = s.prompted + from + count;
                    int64_t start = start_of(s.prompted + from, window);
                    int64_t stop = padded(end), seen = end - start, pairs = (count + 1) / 2;
                    int64_t place = ((s.begin + from) * heads + h) * size, stride = heads * size;
                    const bfloat16 *q = query + place;
                    const float *d = dout + place;
                    for (int64_t r = 0; r < count; r++) pair_neighbours(d + r * stride, dout_rows + r * size / 2, size);
                    for (int64_t r = 0; r < count; r += 2) {
                        const bfloat16 *even = q + r * stride, *odd = r + 1 < count ? even + stride : NULL;
                        pair_halves(even, odd, query_pairs + r / 2 * size, size);
                        pair_rows(d + r * stride, odd ? d + (r + 1) * stride : NULL, dout_pairs + r / 2 * size, size);
                    }
                    multiply_words(&by, (const uint32_t *)q, stride / 2, key_columns + start, wide, shares + start, wide,
                                   count, size / 2, stop - start);
                    multiply_words(&by, dout_rows, size / 2, value_columns + start, wide, slopes + start, wide, count,
                                   size / 2, stop - start);
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
                    for (int64_t p = pairs; p % TILE_SIDE; p++) {
                        memset(slope_pairs + p * wide + start, 0, (size_t)(stop - start) * sizeof(uint32_t));
                        memset(share_pairs + p * wide + start, 0, (size_t)(stop - start) * sizeof(uint32_t));
                        memset(query_pairs + p * size, 0, (size_t)size * sizeof(uint32_t));
                        memset(dout_pairs + p * size, 0, (size_t)size * sizeof(uint32_t));
                    }
                    multiply_words(&by, slope_rows + start / 2, wide / 2, key_rows + start / 2 * size, size, dquery + place,
                                   stride, count, (seen + 1) / 2, size);
                    multiply_turned(&by, slope_pairs + start, wide, query_pairs, size, key_slopes + start * size, seen,
                                    pairs, size);
                    multiply_turned(&by, share_pairs + start, wide, dout_pairs, size, value_slopes + start * size, seen,
                                    pairs, size);
                }
            for (int64_t k = 0; k < keys; k++) {
                float *dk = dkey + (place_of(s, k) * groups + g) * size, *dv = dvalue + (place_of(s, k) * groups + g) * size;
                for (int64_t i = 0; i < size; i++) dk[i] += key_slopes[k * size + i];
                for (int64_t i = 0; i < size; i++) dv[i] += value_slopes[k * size + i];
            }
        }
        if (tiles) release_tiles();
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
