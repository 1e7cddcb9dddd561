/* Element-wise chains of a decoder layer, each in one pass over memory where torch takes three to seven.
 *
 * Everything is row-major; a row is worked on by one thread, so results do not depend on how many there are. Each
 * function has a plain torch twin in rows.py, which is what it is tested against.
 */
#include "tiles.h"

#define ROWS _Pragma("omp parallel for schedule(static) num_threads(threads)")

static inline float sigmoid(float x) { return 1.0f / (1.0f + exponential(-x)); }

/* bfloat16 is float's upper half. */
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

#define E float
#define NAME(f) f##_float32
#define GET(x) (x)
#define PUT(x) (x)
#include "chains.h"
#undef E
#undef NAME
#undef GET
#undef PUT
#define E bfloat16
#define NAME(f) f##_bfloat16
#define GET(x) widened(x)
#define PUT(x) rounded(x)
#include "chains.h"
