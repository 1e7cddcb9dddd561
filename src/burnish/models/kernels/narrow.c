/* Products of a few rows with weights that were laid out once for the processor's bfloat16 units, its tiles (AMX) or its
 * pairwise products (AVX-512): y = x W^T + bias, x and W in bfloat16, sums in float32, y in either. With few rows, reading
 * W from memory is what takes the time.
 *
 * W (outputs, inputs), both whole numbers of BLOCK, is laid out as blocks of BLOCK outputs, in them steps of BLOCK
 * inputs, in them two tiles of 16 outputs each, in them pairs of inputs: [outputs / 32][inputs / 32][2][16][16][2].
 */
#define _GNU_SOURCE
#include "amx.h"
#include "pairs.h"

enum { BLOCK = 32, ROWS_AT_ONCE = 128 };

/* From a weight as it is, (outputs, inputs) float32. */
void narrow_lay_out(const float *weight, bfloat16 *w, int64_t outputs, int64_t inputs, int threads) {
    _Pragma("omp parallel for schedule(static) num_threads(threads)") for (int64_t tiles = 0; tiles < outputs / TILE_SIDE;
                                                                           tiles++)
        for (int64_t step = 0; step < inputs / BLOCK; step++) {
            int64_t block = tiles / 2;
            bfloat16 *tile = w + block * BLOCK * inputs + step * BLOCK * BLOCK + (tiles % 2) * TILE_SIDE * BLOCK;
            for (int64_t pair = 0; pair < TILE_SIDE; pair++)
                for (int64_t o = 0; o < TILE_SIDE; o++) {
                    const float *from = weight + (tiles * TILE_SIDE + o) * inputs + step * BLOCK + 2 * pair;
                    tile[(pair * TILE_SIDE + o) * 2] = rounded(from[0]);
                    tile[(pair * TILE_SIDE + o) * 2 + 1] = rounded(from[1]);
                }
        }
}

int has_narrow(void) { return may_use_tiles() || HAS_PAIRS; }

/* Sums of up to 32 rows and 32 outputs, (BLOCK, BLOCK), of which `count` rows mean something. Where weights follow that
 * will be wanted next, they are fetched meanwhile. */
typedef void block_product(const bfloat16 *x, int64_t ld_x, const bfloat16 *w, int64_t steps, int64_t count, int more,
                           float *sums);

#ifdef HAS_AMX
static void by_tiles(const bfloat16 *x, int64_t ld_x, const bfloat16 *w, int64_t steps, int64_t count, int more,
                     float *sums) {
    (void)more; /* tiles are loaded past the caches, faster than they can be fetched ahead */
    empty_square(count);
    for (int64_t s = 0; s < steps; s++, w += BLOCK * BLOCK, x += BLOCK) {
        _tile_loadd(4, x, ld_x * 2);
        _tile_stream_loadd(6, w, 64);
        _tile_stream_loadd(7, w + BLOCK * TILE_SIDE, 64);
        _tile_dpbf16ps(0, 4, 6);
        _tile_dpbf16ps(1, 4, 7);
        if (count <= TILE_SIDE) continue;
        _tile_loadd(5, x + TILE_SIDE * ld_x, ld_x * 2);
        _tile_dpbf16ps(2, 5, 6);
        _tile_dpbf16ps(3, 5, 7);
    }
    store_square(sums, BLOCK, count);
}
#else
static inline void set_square(int64_t count, int64_t *set) { (void)count, (void)set; }
static block_product *const by_tiles = NULL;
#endif

#if HAS_PAIRS
/* `tall` rows, a constant, whose sums stay in registers; of each step's lines `ahead`, `lines` are fetched. */
static inline __attribute__((always_inline)) void few_rows(const bfloat16 *x, int64_t ld_x, const bfloat16 *w,
                                                           int64_t steps, const bfloat16 *ahead, int64_t lines,
                                                           float *sums, int tall) {
    __m512 total[MOST_ROWS][2];
    UNROLL_ROWS for (int r = 0; r < tall; r++) total[r][0] = total[r][1] = _mm512_setzero_ps();
    for (int64_t s = 0; s < steps; s++, w += BLOCK * BLOCK, ahead += BLOCK * BLOCK, x += BLOCK) {
        for (int64_t line = 0; line < lines; line++) _mm_prefetch((const char *)(ahead + line * BLOCK), _MM_HINT_T1);
        add_pairs(total, x, ld_x, w, w + BLOCK * TILE_SIDE, BLOCK, TILE_SIDE, tall);
    }
    UNROLL_ROWS for (int r = 0; r < tall; r++) {
        _mm512_storeu_ps(sums + r * BLOCK, total[r][0]);
        _mm512_storeu_ps(sums + r * BLOCK + TILE_SIDE, total[r][1]);
    }
}

static void by_pairs(const bfloat16 *x, int64_t ld_x, const bfloat16 *w, int64_t steps, int64_t count, int more,
                     float *sums) {
    int64_t pieces = (count + MOST_ROWS - 1) / MOST_ROWS, lines = more ? BLOCK / pieces : 0;
    const bfloat16 *ahead = w + BLOCK * BLOCK * steps;
    for (int64_t tall; count > 0; count -= tall, x += tall * ld_x, sums += tall * BLOCK, ahead += lines * BLOCK) {
        tall = piece_of(count);
#define CALL(n) few_rows(x, ld_x, w, steps, ahead, lines, sums, n)
        BY_ROWS(tall, CALL)
#undef CALL
    }
}
#else
static block_product *const by_pairs = NULL;
#endif

static void multiply_rows(const bfloat16 *x, const bfloat16 *w, const float *bias, float *wide, bfloat16 *narrow,
                          int64_t rows, int64_t inputs, int64_t outputs, int64_t ld_x, int threads) {
    int tiles = may_use_tiles();
    block_product *multiply_block = tiles ? by_tiles : by_pairs;
    _Pragma("omp parallel num_threads(threads)") {
        float sums[BLOCK * BLOCK] __attribute__((aligned(64)));
        int64_t set = -1;
        for (int64_t from = 0; from < rows; from += ROWS_AT_ONCE) /* so many rows of x stay in the second cache */
            _Pragma("omp for schedule(static) nowait") for (int64_t block = 0; block < outputs / BLOCK; block++) for (
                int64_t row = from; row < least(rows, from + ROWS_AT_ONCE); row += BLOCK) {
                int64_t count = least(BLOCK, rows - row);
                if (tiles) set_square(count, &set);
                multiply_block(x + row * ld_x, ld_x, w + block * BLOCK * inputs, inputs / BLOCK, count,
                               row + BLOCK >= rows && block + 1 < outputs / BLOCK, sums);
                for (int64_t r = 0; r < count; r++) {
                    float *own = sums + r * BLOCK;
                    int64_t place = (row + r) * outputs + block * BLOCK;
                    if (bias)
                        for (int64_t i = 0; i < BLOCK; i++) own[i] += bias[block * BLOCK + i];
                    if (wide)
                        memcpy(wide + place, own, BLOCK * sizeof(float));
                    else
                        round_all(own, narrow + place, BLOCK);
                }
            }
        if (tiles) release_tiles();
    }
}

/* Rows of x are `ld_x` apart, those of y lie close. */
void narrow_float32(const bfloat16 *x, const bfloat16 *w, const float *bias, float *y, int64_t rows, int64_t inputs,
                    int64_t outputs, int64_t ld_x, int threads) {
    multiply_rows(x, w, bias, y, NULL, rows, inputs, outputs, ld_x, threads);
}

void narrow_bfloat16(const bfloat16 *x, const bfloat16 *w, const float *bias, bfloat16 *y, int64_t rows, int64_t inputs,
                     int64_t outputs, int64_t ld_x, int threads) {
    multiply_rows(x, w, bias, NULL, y, rows, inputs, outputs, ld_x, threads);
}
