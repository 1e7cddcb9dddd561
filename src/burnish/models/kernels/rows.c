/* Element-wise chains of a decoder layer, each in one pass over memory where torch takes three to seven.
 *
 * Everything is row-major; a row is worked on by one thread, so results do not depend on how many there are. Each
 * function has a plain torch twin in rows.py, which is what it is tested against.
 */
#include "bfloat16.h"
#include "tiles.h"

#define ROWS _Pragma("omp parallel for schedule(static) num_threads(threads)")

static inline float sigmoid(float x) { return 1.0f / (1.0f + exponential(-x)); }

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

/* The first place of each row's largest number; 0 where nothing is larger than what isn't a number. */
void likeliest(const float *logits, int64_t *ids, int64_t rows, int64_t width, int threads) {
    ROWS for (int64_t r = 0; r < rows; r++) {
        const float *row = logits + r * width;
        float top = largest(row, width);
        int64_t at = 0;
        while (at < width && row[at] != top) at++;
        ids[r] = at < width ? at : 0;
    }
}
