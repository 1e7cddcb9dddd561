/* Included once for each type E of the cache and of what goes into a product or comes out of one; NAME(f) is the name of
 * its version of f, GET and PUT are from and to float.
 */

/* Have these numbers brought near, since they will be wanted soon. */
static inline void NAME(fetch)(const E *from, int64_t count) {
    for (const char *line = (const char *)from; line < (const char *)(from + count); line += 64) __builtin_prefetch(line);
}

/* Scores of `count` heads, a constant, over the places seen; those of a head are `apart` numbers from the next one's. */
static inline __attribute__((always_inline)) void NAME(score)(const float *q, const E *k, const E *v, float *scores,
                                                              int64_t seen, int64_t size, int64_t apart, float scale,
                                                              int count) {
    int64_t p = 0;
    for (; p + 2 <= seen; p += 2) {
        lane sums[2][4] = {{{0}}};
        NAME(fetch)(k + (p + AHEAD) * size, 2 * size);
        NAME(fetch)(v + p * size, 2 * size);
        const E *one = k + p * size, *two = one + size;
        for (int64_t i = 0; i < size; i += LANE) {
            lane first = NAME(lane_of)(one + i), second = NAME(lane_of)(two + i);
            UNROLL for (int h = 0; h < count; h++) {
                lane query = *(const lane *)(q + h * size + i);
                sums[0][h] += query * first;
                sums[1][h] += query * second;
            }
        }
        UNROLL for (int h = 0; h < count; h++) {
            scores[h * apart + p] = sum_of(sums[0][h]) * scale;
            scores[h * apart + p + 1] = sum_of(sums[1][h]) * scale;
        }
    }
    if (p < seen)
        for (int h = 0; h < count; h++) {
            lane sum = {0};
            for (int64_t i = 0; i < size; i += LANE) sum += *(const lane *)(q + h * size + i) * NAME(lane_of)(k + p * size + i);
            scores[h * apart + p] = sum_of(sum) * scale;
        }
}

/* What `count` heads see: sums of values by their shares, `wide` lanes of them, both constants. */
static inline __attribute__((always_inline)) void NAME(gather_seen)(const float *shares, const E *v, float *o,
                                                                    int64_t seen, int64_t size, int64_t apart, int count,
                                                                    int wide) {
    lane sums[4][4] = {{{0}}};
    for (int64_t p = 0; p < seen; p++) {
        lane value[4];
        UNROLL for (int w = 0; w < wide; w++) value[w] = NAME(lane_of)(v + p * size + w * LANE);
        UNROLL for (int h = 0; h < count; h++) UNROLL for (int w = 0; w < wide; w++) sums[h][w] +=
            shares[h * apart + p] * value[w];
    }
    UNROLL for (int h = 0; h < count; h++) UNROLL for (int w = 0; w < wide; w++) *(lane *)(o + h * size + w * LANE) =
        sums[h][w];
}

static inline __attribute__((always_inline)) void NAME(see)(const float *q, const E *k, const E *v, float *o,
                                                            float *scores, int64_t seen, int64_t size, int64_t apart,
                                                            float scale, int count) {
    NAME(score)(q, k, v, scores, seen, size, apart, scale, count);
    for (int h = 0; h < count; h++) softmax(scores + h * apart, seen);
    int64_t i = 0;
    for (; i + 4 * LANE <= size; i += 4 * LANE) NAME(gather_seen)(scores, v + i, o + i, seen, size, apart, count, 4);
    for (; i < size; i += LANE) NAME(gather_seen)(scores, v + i, o + i, seen, size, apart, count, 1);
}

/* The heads that share one slot's keys and values, which begin at the first place seen. */
static void NAME(see_all)(const float *q, const E *k, const E *v, float *o, float *scores, int64_t seen, int64_t shared,
                          int64_t size, int64_t apart, float scale) {
    for (int64_t h = 0; h < shared; h += 4, q += 4 * size, o += 4 * size) switch (least(4, shared - h)) {
            case 4: NAME(see)(q, k, v, o, scores, seen, size, apart, scale, 4); break;
            case 3: NAME(see)(q, k, v, o, scores, seen, size, apart, scale, 3); break;
            case 2: NAME(see)(q, k, v, o, scores, seen, size, apart, scale, 2); break;
            default: NAME(see)(q, k, v, o, scores, seen, size, apart, scale, 1);
        }
}

/* A row of `heads_of` is the new token's query, key and value heads, as the products give them: norms of queries and
 * keys are taken where `norms` has them (2, size), positions turn both, and key and value are written to the last place
 * of the sequence's slot. Caches (slots, groups, places, size), slot r being sequence r's; `lengths` says how many places
 * each sees, the newest included, of which those before length - window are out of sight. `out` (rows, heads * size), its
 * rows `ld_out` apart. `work` has room for threads * (4 * places + (2 * heads / groups + 1) * size). Without `cosine`,
 * heads are taken as they are. */
void NAME(attend_newest)(const E *heads_of, const float *cosine, const float *sine, const float *query_norm,
                         const float *key_norm, E *keys, E *values, const int64_t *lengths, E *out, float *work,
                         float scale, float query_epsilon, float key_epsilon, int64_t rows, int64_t heads, int64_t groups,
                         int64_t size, int64_t places, int64_t window, int64_t ld_heads, int64_t ld_out, int threads) {
    int64_t shared = heads / groups, room = 4 * places + (2 * shared + 1) * size;
    _Pragma("omp parallel for schedule(dynamic, 6) num_threads(threads)") for (int64_t unit = 0; unit < rows * groups;
                                                                               unit++) {
        int64_t r = unit / groups, g = unit % groups, length = lengths[r];
        int64_t first = length > window ? length - window : 0, seen = length - first;
#ifdef _OPENMP
        float *own = work + (int64_t)omp_get_thread_num() * room;
#else
        float *own = work;
#endif
        float *scores = own, *q = own + 4 * places, *o = q + shared * size, *key = o + shared * size;
        const E *asked = heads_of + r * ld_heads + g * shared * size;
        const E *new_key = heads_of + r * ld_heads + (heads + g) * size, *new_value = new_key + groups * size;
        const float *c = cosine ? cosine + r * size : NULL, *s = cosine ? sine + r * size : NULL;
        E *k = keys + unit * places * size, *v = values + unit * places * size;
        for (int64_t i = 0; i < shared * size; i++) q[i] = GET(asked[i]);
        for (int64_t i = 0; i < size; i++) key[i] = GET(new_key[i]);
        for (int64_t h = 0; h < shared; h++) turn_head(q + h * size, query_norm, query_epsilon, c, s, size);
        turn_head(key, key_norm, key_epsilon, c, s, size);
        for (int64_t i = 0; i < size; i++) k[(length - 1) * size + i] = PUT(key[i]);
        memcpy(v + (length - 1) * size, new_value, (size_t)size * sizeof(E));
        if (unit + 1 < rows * groups) NAME(fetch)(k + places * size, AHEAD * size);
        NAME(see_all)(q, k + first * size, v + first * size, o, scores, seen, shared, size, places, scale);
        E *to = out + r * ld_out + g * shared * size;
        for (int64_t i = 0; i < shared * size; i++) to[i] = PUT(o[i]);
    }
}
