/* Products with one narrow side, of low-rank adapters: bound by memory, which general products read more than once here.
 *
 * Float32, row-major. The narrow side is a whole number of 16-wide lanes; callers pad it with zeros. Rows are dealt to
 * threads in whole chunks, so results depend on the number of threads only in the order in which their sums are added.
 */
#include "tiles.h"

enum { CHUNK = 64 };

/* The gradients of y = (x down) up^T in down (inputs, rank) and up (outputs, rank), given the slope in y, `dy`, whose rows
 * are `ld` apart; the slope in x down goes to `dh`. `work` holds threads * ((inputs + outputs + CHUNK) * rank) floats; its first part is where the
 * gradients are found, those of down first. */
void low_rank_gradients(const float *x, const float *dy, const float *down, const float *up, float *dh, float *work,
                        int64_t rows, int64_t inputs, int64_t outputs, int64_t rank, int64_t ld, int threads) {
    int64_t chunks = (rows + CHUNK - 1) / CHUNK, sums = (inputs + outputs) * rank, room = sums + CHUNK * rank;
    _Pragma("omp parallel num_threads(threads)") {
        int64_t thread = 0, team = 1;
#ifdef _OPENMP
        thread = omp_get_thread_num();
        team = omp_get_num_threads();
#endif
        float *own = work + thread * room, *h = own + sums;
        memset(own, 0, (size_t)sums * sizeof(float));
        for (int64_t c = chunks * thread / team; c < chunks * (thread + 1) / team; c++) {
            int64_t first = c * CHUNK, count = least(rows, first + CHUNK) - first;
            const float *in = x + first * inputs, *slope = dy + first * ld;
            multiply(in, inputs, 1, down, rank, h, rank, count, inputs, rank, 0);
            multiply(slope, ld, 1, up, rank, dh + first * rank, rank, count, outputs, rank, 0);
            multiply(slope, 1, ld, h, rank, own + inputs * rank, rank, outputs, count, rank, 1);
            multiply(in, 1, inputs, dh + first * rank, rank, own, rank, inputs, count, rank, 1);
        }
        _Pragma("omp barrier") int64_t from = sums * thread / team, to = sums * (thread + 1) / team;
        for (int64_t other = 1; other < team; other++)
            for (int64_t i = from; i < to; i++) work[i] += work[other * room + i];
    }
}
