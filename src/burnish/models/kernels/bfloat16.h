/* bfloat16 to float and back. */
#ifndef BFLOAT16_H
#define BFLOAT16_H
#include <stdint.h>
#include <string.h>
#ifdef __AVX512BF16__
#include <immintrin.h>
#endif

/* Whether the processor multiplies pairs of bfloat16 numbers and adds them up in float32 (AVX512_BF16). */
#ifdef __AVX512BF16__
#define HAS_PAIRS 1
#else
#define HAS_PAIRS 0
#endif

/* Float's upper half. */
typedef uint16_t bfloat16;

static inline float widened(bfloat16 x) {
    uint32_t bits = (uint32_t)x << 16;
    float wide;
    memcpy(&wide, &bits, 4);
    return wide;
}

/* To the nearest, ties to even; what isn't a number stays so. */
static inline bfloat16 rounded(float x) {
    uint32_t bits;
    memcpy(&bits, &x, 4);
    uint32_t near = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
    return (bfloat16)((bits & 0x7fffffffu) > 0x7f800000u ? 0x7fc0u : near);
}

static inline void round_all(const float *from, bfloat16 *to, int64_t count) {
    for (int64_t i = 0; i < count; i++) to[i] = rounded(from[i]);
}
#endif
