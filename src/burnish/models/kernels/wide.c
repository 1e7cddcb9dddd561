/* Products of many rows with weights as they are, in bfloat16 with float32 sums: y = x B + bias, where B is a matrix'
 * transpose (the way forward of a layer) or the matrix (its way back). For processors with pairwise products and no matrix
 * unit.
 *
 * Weights are laid out a panel of 32 columns of B at a time, [pairs of inner][32][2], in a thread's own `work`, for as many
 * rows of x as stay in the second cache beside it; so y is written a stretch of rows at a time, and each of its pages is
 * looked up once, which is what a product into fresh memory spends much of its time on otherwise.
 */
#define _GNU_SOURCE
#include "amx.h"
#include "pairs.h"

int has_wide(void) { return HAS_PAIRS && !may_use_tiles(); }

#if HAS_PAIRS
enum { CACHED = 256 * 1024 }; /* numbers of x */

/* The panel of a transpose: columns are rows of W, (32, inner). */
static void lay_out_turned(const bfloat16 *w, int64_t ld_w, int64_t inner, bfloat16 *panel) {
    for (int64_t half = 0; half < PANEL; half += LANE) {
        const bfloat16 *rows = w + half * ld_w;
        int64_t pair = 0;
        for (; pair + LANE <= inner / 2; pair += LANE)
            turn_square(rows + 2 * pair, ld_w, panel + pair * 2 * PANEL + 2 * half, 2 * PANEL);
        for (; pair < inner / 2; pair++)
            for (int64_t o = 0; o < LANE; o++)
                memcpy(panel + pair * 2 * PANEL + 2 * (half + o), rows + o * ld_w + 2 * pair, 4);
    }
}

/* The panel of W itself, (inner, 32 columns). */
static void lay_out_straight(const bfloat16 *w, int64_t ld_w, int64_t inner, bfloat16 *panel) {
    uint16_t low[PANEL], high[PANEL];
    for (int i = 0; i < LANE; i++) {
        low[2 * i] = (uint16_t)i, low[2 * i + 1] = (uint16_t)(PANEL + i);
        high[2 * i] = (uint16_t)(LANE + i), high[2 * i + 1] = (uint16_t)(PANEL + LANE + i);
    }
    __m512i first = _mm512_loadu_si512(low), second = _mm512_loadu_si512(high);
    for (int64_t pair = 0; pair < inner / 2; pair++, panel += 2 * PANEL) {
        __m512i even = _mm512_loadu_si512(w + 2 * pair * ld_w), odd = _mm512_loadu_si512(w + (2 * pair + 1) * ld_w);
        _mm512_storeu_si512(panel, _mm512_permutex2var_epi16(even, first, odd));
        _mm512_storeu_si512(panel + PANEL, _mm512_permutex2var_epi16(even, second, odd));
    }
}

static inline __attribute__((always_inline)) void few_rows(const bfloat16 *x, int64_t ld_x, const bfloat16 *panel,
                                                           int64_t pairs, const float *bias, bfloat16 *y, int64_t ld_y,
                                                           int tall) {
    __m512 sums[MOST_ROWS][2];
    UNROLL_ROWS for (int r = 0; r < tall; r++) {
        sums[r][0] = bias ? _mm512_loadu_ps(bias) : _mm512_setzero_ps();
        sums[r][1] = bias ? _mm512_loadu_ps(bias + LANE) : _mm512_setzero_ps();
    }
    add_pairs(sums, x, ld_x, panel, panel + PANEL, 2 * PANEL, pairs, tall);
    UNROLL_ROWS for (int r = 0; r < tall; r++)
        _mm512_storeu_si512(y + r * ld_y, (__m512i)_mm512_cvtne2ps_pbh(sums[r][1], sums[r][0]));
}

/* Rows are `ld` numbers apart; `turned`: B is the transpose of w. `work` holds threads * inner * 32 numbers. */
void wide(const bfloat16 *x, const bfloat16 *w, const float *bias, bfloat16 *y, bfloat16 *work, int64_t rows,
          int64_t inner, int64_t outputs, int64_t ld_x, int64_t ld_w, int64_t ld_y, int64_t turned, int threads) {
    int64_t stretch = CACHED / inner / MOST_ROWS * MOST_ROWS;
    if (stretch < 8 * MOST_ROWS) stretch = 8 * MOST_ROWS;
    _Pragma("omp parallel num_threads(threads)") {
        bfloat16 *panel = work;
#ifdef _OPENMP
        panel += omp_get_thread_num() * inner * PANEL;
#endif
        for (int64_t from = 0; from < rows; from += stretch) {
            int64_t end = least(rows, from + stretch);
            _Pragma("omp for schedule(dynamic, 1) nowait") for (int64_t column = 0; column < outputs; column += PANEL) {
                if (turned)
                    lay_out_turned(w + column * ld_w, ld_w, inner, panel);
                else
                    lay_out_straight(w + column, ld_w, inner, panel);
                const float *own = bias ? bias + column : NULL;
                for (int64_t row = from, tall; row < end; row += tall) {
                    tall = piece_of(end - row);
                    const bfloat16 *in = x + row * ld_x;
                    bfloat16 *out = y + row * ld_y + column;
#define CALL(n) few_rows(in, ld_x, panel, inner / 2, own, out, ld_y, n)
                    BY_ROWS(tall, CALL)
#undef CALL
                }
            }
        }
    }
}
#else
void wide(const bfloat16 *x, const bfloat16 *w, const float *bias, bfloat16 *y, bfloat16 *work, int64_t rows,
          int64_t inner, int64_t outputs, int64_t ld_x, int64_t ld_w, int64_t ld_y, int64_t turned, int threads) {
    (void)x, (void)w, (void)bias, (void)y, (void)work, (void)rows, (void)inner, (void)outputs, (void)ld_x, (void)ld_w;
    (void)ld_y, (void)turned, (void)threads;
}
#endif
