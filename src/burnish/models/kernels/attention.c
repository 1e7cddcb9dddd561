/* Attention over the segments of a packed row, and its backward pass, each segment's scores staying in cache.
 *
 * Query (tokens, heads, size); key and value (tokens, groups, size); size a whole number of lanes. A segment's queries
 * see its prompt's keys, where it has one before it, and then its own up to themselves, `window` at most. Segments are
 * rows of four numbers: where the prompt begins, its length (0: none), where the queries begin, how many they are; those
 * that share a prompt follow one another, and `firsts` says where each family of them begins. A family and a group of
 * heads are worked on by one thread, so results do not depend on how many there are.
 * Source: Dao et al., "FlashAttention", 2022, appendix B, for the formulas.
 */
#include "segments.h"

/* What one thread needs for segments of up to `keys` keys, in floats. */
int64_t attention_room(int64_t keys, int64_t size) { return padded(keys) * (2 * BLOCK + 4 * size); }

/* A segment's keys or values of one group: as they are (keys, size), where `rows` is given, and transposed, where
 * `columns` is (size, padded keys), with zeros beyond the last. */
static void gather(const float *from, int64_t stride, segment s, int64_t size, float *rows, float *columns) {
    int64_t keys = s.prompted + s.queries, wide = padded(keys);
    if (columns) memset(columns, 0, (size_t)(size * wide) * sizeof(float));
    for (int64_t k = 0; k < keys; k++) {
        const float *one = from + place_of(s, k) * stride;
        if (rows) memcpy(rows + k * size, one, (size_t)size * sizeof(float));
        if (columns)
            for (int64_t i = 0; i < size; i++) columns[i * wide + k] = one[i];
    }
}

static void scatter(float *to, int64_t stride, segment s, int64_t size, const float *rows) {
    for (int64_t k = 0; k < s.prompted + s.queries; k++) {
        float *one = to + place_of(s, k) * stride;
        for (int64_t i = 0; i < size; i++) one[i] += rows[k * size + i];
    }
}

/* `sizes` (heads, tokens) gets the logarithm of each query's sum of exponentials. */
void attend(const float *query, const float *key, const float *value, float *out, float *sizes, float *work,
            const int64_t *table, const int64_t *firsts, float scale, int64_t families, int64_t tokens, int64_t longest,
            int64_t heads, int64_t groups, int64_t size, int64_t window, int threads) {
    int64_t shared = heads / groups, room = attention_room(longest, size);
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
            float *scores = own, *columns = scores + BLOCK * wide, *rows = columns + size * wide;
            gather(key + g * size, groups * size, s, size, NULL, columns);
            gather(value + g * size, groups * size, s, size, rows, NULL);
            for (int64_t h = g * shared; h < (g + 1) * shared; h++)
                for (int64_t from = 0; from < s.queries; from += BLOCK) {
                    int64_t count = least(BLOCK, s.queries - from), end = s.prompted + from + count;
                    int64_t start = s.prompted + from + 1 > window ? (s.prompted + from + 1 - window) / LANE * LANE : 0;
                    int64_t stop = least(wide, (end + 4 * LANE - 1) / (4 * LANE) * (4 * LANE));
                    const float *q = query + ((s.begin + from) * heads + h) * size;
                    multiply(q, heads * size, 1, columns + start, wide, scores + start, wide, count, size, stop - start, 0);
                    for (int64_t r = 0; r < count; r++) {
                        int64_t last = s.prompted + from + r, first = last >= window ? last - window + 1 : 0;
                        sizes[h * tokens + s.begin + from + r] =
                            shares_of(scores + r * wide, start, first, last, end, scale);
                    }
                    multiply(scores + start, wide, 1, rows + start * size, size,
                             out + ((s.begin + from) * heads + h) * size, heads * size, count, end - start, size, 0);
                }
        }
    }
}

/* `dkey` and `dvalue` are zero before. */
void attend_backward(const float *query, const float *key, const float *value, const float *sizes, const float *dout,
                     float *dquery, float *dkey, float *dvalue, float *work, const int64_t *table,
                     const int64_t *firsts, float scale, int64_t families, int64_t tokens, int64_t longest, int64_t heads,
                     int64_t groups, int64_t size, int64_t window, int threads) {
    int64_t shared = heads / groups, room = attention_room(longest, size) + padded(longest) * size;
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
            float *shares = own, *slopes = shares + BLOCK * wide, *key_columns = slopes + BLOCK * wide;
            float *value_columns = key_columns + size * wide, *key_rows = value_columns + size * wide;
            float *key_slopes = key_rows + size * wide, *value_slopes = key_slopes + size * wide;
            gather(key + g * size, groups * size, s, size, key_rows, key_columns);
            gather(value + g * size, groups * size, s, size, NULL, value_columns);
            memset(key_slopes, 0, (size_t)(2 * size * wide) * sizeof(float));
            for (int64_t h = g * shared; h < (g + 1) * shared; h++)
                for (int64_t from = 0; from < s.queries; from += BLOCK) {
                    int64_t count = least(BLOCK, s.queries - from), end = s.prompted + from + count;
                    int64_t start = s.prompted + from + 1 > window ? (s.prompted + from + 1 - window) / LANE * LANE : 0;
                    int64_t stop = least(wide, (end + 4 * LANE - 1) / (4 * LANE) * (4 * LANE)), seen = end - start;
                    int64_t place = ((s.begin + from) * heads + h) * size, stride = heads * size;
                    multiply(query + place, stride, 1, key_columns + start, wide, shares + start, wide, count, size,
                             stop - start, 0);
                    multiply(dout + place, stride, 1, value_columns + start, wide, slopes + start, wide, count, size,
                             stop - start, 0);
                    for (int64_t r = 0; r < count; r++) {
                        int64_t last = s.prompted + from + r, first = last >= window ? last - window + 1 : 0;
                        slopes_of(shares + r * wide, slopes + r * wide, start, first, last, end, scale,
                                  sizes[h * tokens + s.begin + from + r]);
                    }
                    multiply(slopes + start, wide, 1, key_rows + start * size, size, dquery + place, stride, count, seen,
                             size, 0);
                    multiply(slopes + start, 1, wide, query + place, stride, key_slopes + start * size, size, seen, count,
                             size, 1);
                    multiply(shares + start, 1, wide, dout + place, stride, value_slopes + start * size, size, seen,
                             count, size, 1);
                }
            scatter(dkey + g * size, groups * size, s, size, key_slopes);
            scatter(dvalue + g * size, groups * size, s, size, value_slopes);
        }
    }
}
