/* The processor's products of pairs of bfloat16 numbers, added up in float32 (AVX512_BF16). */
#ifndef PAIRS_H
#define PAIRS_H
#include "bfloat16.h"
#include "tiles.h"

#ifdef __AVX512BF16__
#define HAS_PAIRS 1
#include <immintrin.h>

enum { PANEL = 2 * LANE, MOST_ROWS = 12 };

#define UNROLL_ROWS _Pragma("GCC unroll 12")

#define UNROLL_SQUARE _Pragma("GCC unroll 16")

/* Sixteen rows of sixteen 32-bit numbers, turned. */
static inline void turn_square(const bfloat16 *from, int64_t ld, bfloat16 *to, int64_t step) {
    __m512i a[LANE], b[LANE];
    UNROLL_SQUARE for (int i = 0; i < LANE; i++) a[i] = _mm512_loadu_si512(from + i * ld);
    UNROLL_SQUARE for (int i = 0; i < LANE; i += 2) {
        b[i] = _mm512_unpacklo_epi32(a[i], a[i + 1]);
        b[i + 1] = _mm512_unpackhi_epi32(a[i], a[i + 1]);
    }
    UNROLL_SQUARE for (int i = 0; i < LANE; i += 4) {
        a[i] = _mm512_unpacklo_epi64(b[i], b[i + 2]);
        a[i + 1] = _mm512_unpackhi_epi64(b[i], b[i + 2]);
        a[i + 2] = _mm512_unpacklo_epi64(b[i + 1], b[i + 3]);
        a[i + 3] = _mm512_unpackhi_epi64(b[i + 1], b[i + 3]);
    }
    UNROLL_SQUARE for (int i = 0; i < 4; i++) {
        __m512i low = _mm512_shuffle_i32x4(a[i], a[i + 4], 0x88), high = _mm512_shuffle_i32x4(a[i], a[i + 4], 0xdd);
        __m512i more = _mm512_shuffle_i32x4(a[i + 8], a[i + 12], 0x88);
        __m512i most = _mm512_shuffle_i32x4(a[i + 8], a[i + 12], 0xdd);
        _mm512_storeu_si512(to + i * step, _mm512_shuffle_i32x4(low, more, 0x88));
        _mm512_storeu_si512(to + (i + 4) * step, _mm512_shuffle_i32x4(high, most, 0x88));
        _mm512_storeu_si512(to + (i + 8) * step, _mm512_shuffle_i32x4(low, more, 0xdd));
        _mm512_storeu_si512(to + (i + 12) * step, _mm512_shuffle_i32x4(high, most, 0xdd));
    }
}

/* Add to `tall` rows of sums, a constant, of 32 outputs each, what `pairs` pairs of inputs give. A row of x is `ld_x` from
 * the next. The weights of a pair are 16 outputs' at `one` and the others' at `two`, `step` numbers from the next pair's. */
static inline __attribute__((always_inline)) void add_pairs(__m512 sums[MOST_ROWS][2], const bfloat16 *x, int64_t ld_x,
                                                            const bfloat16 *one, const bfloat16 *two, int64_t step,
                                                            int64_t pairs, int tall) {
    for (int64_t pair = 0; pair < pairs; pair++) {
        __m512bh first = (__m512bh)_mm512_loadu_si512(one + pair * step);
        __m512bh second = (__m512bh)_mm512_loadu_si512(two + pair * step);
        UNROLL_ROWS for (int r = 0; r < tall; r++) {
            int32_t both;
            memcpy(&both, x + r * ld_x + 2 * pair, 4);
            __m512bh factor = (__m512bh)_mm512_set1_epi32(both);
            sums[r][0] = _mm512_dpbf16_ps(sums[r][0], factor, first);
            sums[r][1] = _mm512_dpbf16_ps(sums[r][1], factor, second);
        }
    }
}

/* How many of `rows` rows to take at once, so that the pieces are of like size: few sums leave the units idle. */
static inline int64_t piece_of(int64_t rows) {
    int64_t pieces = (rows + MOST_ROWS - 1) / MOST_ROWS;
    return (rows + pieces - 1) / pieces;
}

/* `CALL(n)` with n the constant that `tall` is. */
#define BY_ROWS(tall, CALL)       \
    switch (tall) {               \
        case 12: CALL(12); break; \
        case 11: CALL(11); break; \
        case 10: CALL(10); break; \
        case 9: CALL(9); break;   \
        case 8: CALL(8); break;   \
        case 7: CALL(7); break;   \
        case 6: CALL(6); break;   \
        case 5: CALL(5); break;   \
        case 4: CALL(4); break;   \
        case 3: CALL(3); break;   \
        case 2: CALL(2); break;   \
        default: CALL(1);         \
    }
#else
#define HAS_PAIRS 0
#endif
#endif
