/* The chains whose products' side is held in one of two types: included once for each, with E the type, NAME(f) the name
 * of its version of f, and GET and PUT from and to float.
 *
 * What goes into a product or comes out of one may lie in a wider matrix: its rows are `ld` numbers apart.
 */

/* sum = x + added where `added` is given; y = sum / rms(sum) * weight, and rms's inverse per row. The sum goes to `kept`
 * as well, where that is given. */
void NAME(rms_norm)(const float *x, const E *added, const float *weight, float *sum, E *y, E *kept, float *inverse,
                    float epsilon, int64_t rows, int64_t width, int64_t ld_added, int64_t ld_y, int threads) {
    ROWS for (int64_t r = 0; r < rows; r++) {
        const float *in = x + r * width;
        if (added) {
            const E *more = added + r * ld_added;
            float *both = sum + r * width;
            for (int64_t i = 0; i < width; i++) both[i] = in[i] + GET(more[i]);
            in = both;
        }
        float total = 0.0f;
        for (int64_t i = 0; i < width; i++) total += in[i] * in[i];
        float scale = 1.0f / sqrtf(total / (float)width + epsilon);
        E *out = y + r * ld_y;
        for (int64_t i = 0; i < width; i++) out[i] = PUT(in[i] * scale * weight[i]);
        if (kept)
            for (int64_t i = 0; i < width; i++) kept[r * width + i] = PUT(in[i]);
        inverse[r] = scale;
    }
}

/* The same y again, from the inverse. */
void NAME(rms_norm_again)(const E *x, const float *weight, const float *inverse, E *y, int64_t rows, int64_t width,
                          int64_t ld_y, int threads) {
    ROWS for (int64_t r = 0; r < rows; r++)
        for (int64_t i = 0; i < width; i++) y[r * ld_y + i] = PUT(GET(x[r * width + i]) * inverse[r] * weight[i]);
}

/* slope += d(rms_norm)/dx applied to dy. */
void NAME(rms_norm_backward)(const E *x, const float *weight, const float *inverse, const E *dy, float *slope,
                             int64_t rows, int64_t width, int64_t ld_dy, int threads) {
    ROWS for (int64_t r = 0; r < rows; r++) {
        const E *in = x + r * width, *up = dy + r * ld_dy;
        float *out = slope + r * width, scale = inverse[r], along = 0.0f;
        for (int64_t i = 0; i < width; i++) along += GET(up[i]) * weight[i] * GET(in[i]);
        float back = along * scale * scale * scale / (float)width;
        for (int64_t i = 0; i < width; i++) out[i] += GET(up[i]) * weight[i] * scale - GET(in[i]) * back;
    }
}

/* A row's heads out of a product's result, (rows, heads, size), each turned by its position's angle where those are
 * given. */
void NAME(take_heads)(const E *y, const float *cosine, const float *sine, float *heads_of, int64_t rows, int64_t heads,
                      int64_t size, int64_t ld_y, int threads) {
    int64_t half = size / 2;
    ROWS for (int64_t r = 0; r < rows; r++)
        for (int64_t h = 0; h < heads; h++) {
            const E *in = y + r * ld_y + h * size;
            float *out = heads_of + (r * heads + h) * size;
            if (!cosine) {
                for (int64_t i = 0; i < size; i++) out[i] = GET(in[i]);
                continue;
            }
            const float *c = cosine + r * size, *s = sine + r * size;
            for (int64_t i = 0; i < half; i++) {
                float first = GET(in[i]), second = GET(in[half + i]);
                out[i] = first * c[i] - second * s[i];
                out[half + i] = second * c[half + i] + first * s[half + i];
            }
        }
}

/* The way back of `take_heads`. */
void NAME(put_heads)(const float *heads_of, const float *cosine, const float *sine, E *y, int64_t rows, int64_t heads,
                     int64_t size, int64_t ld_y, int threads) {
    int64_t half = size / 2;
    ROWS for (int64_t r = 0; r < rows; r++)
        for (int64_t h = 0; h < heads; h++) {
            const float *in = heads_of + (r * heads + h) * size;
            E *out = y + r * ld_y + h * size;
            if (!cosine) {
                for (int64_t i = 0; i < size; i++) out[i] = PUT(in[i]);
                continue;
            }
            const float *c = cosine + r * size, *s = sine + r * size;
            for (int64_t i = 0; i < half; i++) {
                out[i] = PUT(in[i] * c[i] + in[half + i] * s[half + i]);
                out[half + i] = PUT(in[half + i] * c[half + i] - in[i] * s[i]);
            }
        }
}

/* y = silu(gate) * up; a row of `both` is gate, then up. */
void NAME(gated)(const E *both, E *y, int64_t rows, int64_t width, int64_t ld_y, int threads) {
    ROWS for (int64_t r = 0; r < rows; r++) {
        const E *g = both + 2 * r * width, *u = g + width;
        E *out = y + r * ld_y;
        for (int64_t i = 0; i < width; i++) out[i] = PUT(GET(g[i]) * sigmoid(GET(g[i])) * GET(u[i]));
    }
}

/* The slopes of `gated` with respect to gate and up, side by side, and its value again where `y` is given. */
void NAME(gated_backward)(const E *both, const E *dy, E *slopes, E *y, int64_t rows, int64_t width, int64_t ld_dy,
                          int64_t ld_slopes, int64_t ld_y, int threads) {
    ROWS for (int64_t r = 0; r < rows; r++) {
        const E *g = both + 2 * r * width, *u = g + width, *d = dy + r * ld_dy;
        E *dg = slopes + r * ld_slopes, *du = dg + width, *out = y ? y + r * ld_y : NULL;
        if (out)
            for (int64_t i = 0; i < width; i++) out[i] = PUT(GET(g[i]) * sigmoid(GET(g[i])) * GET(u[i]));
        for (int64_t i = 0; i < width; i++) {
            float gate = GET(g[i]), slope = GET(d[i]), share = sigmoid(gate), silu = gate * share;
            dg[i] = PUT(slope * GET(u[i]) * (share + silu * (1.0f - share)));
            du[i] = PUT(slope * silu);
        }
    }
}

/* Log-probability of each row's target. Where `slopes` is given it gets the slope of that in the row's logits,
 * (target ? 1 : 0) - softmax; for float it may be the logits themselves. */
void NAME(target_slopes)(float *logits, const int64_t *targets, float *logprobs, E *slopes, int64_t rows, int64_t width,
                         int threads) {
    _Pragma("omp parallel for schedule(dynamic, 4) num_threads(threads)") for (int64_t r = 0; r < rows; r++) {
        float *row = logits + r * width, top = largest(row, width), total = 0.0f;
        float aimed = row[targets[r]];
        if (!slopes) {
            for (int64_t i = 0; i < width; i++) total += exponential(row[i] - top);
        } else {
            for (int64_t i = 0; i < width; i++) {
                float share = exponential(row[i] - top);
                row[i] = share;
                total += share;
            }
            E *out = slopes + r * width;
            float scale = -1.0f / total, own = 1.0f + row[targets[r]] * scale;
            for (int64_t i = 0; i < width; i++) out[i] = PUT(row[i] * scale);
            out[targets[r]] = PUT(own);
        }
        logprobs[r] = aimed - top - logf(total);
    }
}
