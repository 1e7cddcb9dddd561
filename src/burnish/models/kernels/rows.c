/* Element-wise chains of a decoder layer, each in one pass over memory where torch takes three to seven.
 *
 * Everything is float32 and row-major; a row is worked on by one thread, so results do not depend on how many there are.
 * Each function has a plain torch twin in rows.py, which is what it is tested against.
 */
#include "tiles.h"

#define ROWS _Pragma("omp parallel for schedule(static) num_threads(threads)")

static inline float sigmoid(float x) { return 1.0f / (1.0f + exponential(-x)); }

/* sum[i] = x[i] + added[i] where `added` is given; y = sum / rms(sum) * weight, and rms's inverse per row. */
void rms_norm(const float *x, const float *added, const float *weight, float epsilon, float *sum, float *y,
              float *inverse, int64_t rows, int64_t width, int threads) {
    ROWS for (int64_t r = 0; r < rows; r++) {
        const float *in = x + r * width;
        if (added) {
            const float *more = added + r * width;
            float *kept = sum + r * width;
            for (int64_t i = 0; i < width; i++) kept[i] = in[i] + more[i];
            in = kept;
        }
        float total = 0.0f;
        for (int64_t i = 0; i < width; i++) total += in[i] * in[i];
        float scale = 1.0f / sqrtf(total / (float)width + epsilon);
        float *out = y + r * width;
        for (int64_t i = 0; i < width; i++) out[i] = in[i] * scale * weight[i];
        inverse[r] = scale;
    }
}

/* slope += d(rms_norm)/dx applied to dy. */
void rms_norm_backward(const float *x, const float *weight, const float *inverse, const float *dy, float *slope,
                       int64_t rows, int64_t width, int threads) {
    ROWS for (int64_t r = 0; r < rows; r++) {
        const float *in = x + r * width, *up = dy + r * width;
        float *out = slope + r * width, scale = inverse[r], along = 0.0f;
        for (int64_t i = 0; i < width; i++) along += up[i] * weight[i] * in[i];
        float back = along * scale * scale * scale / (float)width;
        for (int64_t i = 0; i < width; i++) out[i] += up[i] * weight[i] * scale - in[i] * back;
    }
}

/* Turns each head's halves by its position's angle, in place; `direction` -1 turns back. */
void rotate(float *x, const float *cosine, const float *sine, float direction, int64_t rows, int64_t heads,
            int64_t size, int threads) {
    int64_t half = size / 2;
    ROWS for (int64_t r = 0; r < rows; r++) {
        const float *c = cosine + r * size, *s = sine + r * size;
        for (int64_t h = 0; h < heads; h++) {
            float *a = x + (r * heads + h) * size, *b = a + half;
            for (int64_t i = 0; i < half; i++) {
                float first = a[i], second = b[i];
                a[i] = first * c[i] - direction * second * s[i];
                b[i] = second * c[half + i] + direction * first * s[half + i];
            }
        }
    }
}

/* y = silu(gate) * up. */
void gated(const float *gate, const float *up, float *y, int64_t rows, int64_t width, int threads) {
    ROWS for (int64_t r = 0; r < rows; r++) {
        const float *g = gate + r * width, *u = up + r * width;
        float *out = y + r * width;
        for (int64_t i = 0; i < width; i++) out[i] = g[i] * sigmoid(g[i]) * u[i];
    }
}

/* The slopes of `gated` with respect to both of its arguments, and its value again where `y` is given. */
void gated_backward(const float *gate, const float *up, const float *dy, float *dgate, float *dup, float *y,
                    int64_t rows, int64_t width, int threads) {
    ROWS for (int64_t r = 0; r < rows; r++) {
        const float *g = gate + r * width, *u = up + r * width, *d = dy + r * width;
        float *dg = dgate + r * width, *du = dup + r * width, *out = y ? y + r * width : NULL;
        if (out)
            for (int64_t i = 0; i < width; i++) out[i] = g[i] * sigmoid(g[i]) * u[i];
        for (int64_t i = 0; i < width; i++) {
            float share = sigmoid(g[i]), silu = g[i] * share;
            dg[i] = d[i] * u[i] * (share + silu * (1.0f - share));
            du[i] = d[i] * silu;
        }
    }
}

/* In place: each row of logits becomes the slope of its target's log-probability, (target ? 1 : 0) - softmax, or is
 * left as it is where `keep` is set; the log-probability goes to `logprobs`. */
void target_slopes(float *logits, const int64_t *targets, float *logprobs, int keep, int64_t rows, int64_t width,
                   int threads) {
    _Pragma("omp parallel for schedule(dynamic, 4) num_threads(threads)") for (int64_t r = 0; r < rows; r++) {
        float *row = logits + r * width, top = largest(row, width), total = 0.0f;
        float aimed = row[targets[r]];
        if (keep) {
            for (int64_t i = 0; i < width; i++) total += exponential(row[i] - top);
        } else {
            for (int64_t i = 0; i < width; i++) {
                float share = exponential(row[i] - top);
                row[i] = share;
                total += share;
            }
            float scale = -1.0f / total;
            for (int64_t i = 0; i < width; i++) row[i] *= scale;
            row[targets[r]] += 1.0f;
        }
        logprobs[r] = aimed - top - logf(total);
    }
}
