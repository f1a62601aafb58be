/* Weight gradient of the stem: one input plane is copied with its zero border; then, for each block
 * of 8 output channels, the 9 taps of the plane stay in registers over an image. */
#include <string.h>

#include "supernet/kernels/train_avx2.h"

static void pad_plane(const float *x, int h, int w, float *scratch) {
    int width = w + 2;
    memset(scratch, 0, width * sizeof(float));
    memset(scratch + (ptrdiff_t)(h + 1) * width, 0, width * sizeof(float));
    for (int r = 0; r < h; r++) {
        float *row = scratch + (ptrdiff_t)(r + 1) * width;
        row[0] = row[w + 1] = 0;
        memcpy(row + 1, x + (ptrdiff_t)r * w, w * sizeof(float));
    }
}

/* taps[9][8] += sum over output pixels of dy * (padded input below the tap). */
static void plane_taps(const struct stem_grad_args *a, const float *padded, const float *dy,
                       float *taps) {
    __m256 acc[9];
    UNROLL
    for (int t = 0; t < 9; t++)
        acc[t] = load(taps + t * 8);
    ptrdiff_t width = a->w_in + 2;
    for (int r = 0; r < conv_out(a->h_in, a->stride); r++) {
        const float *x = padded + r * a->stride * width;
        for (int q = 0; q < conv_out(a->w_in, a->stride); q++, x += a->stride, dy += 8) {
            __m256 d = load(dy);
            UNROLL
            for (int t = 0; t < 9; t++)
                FMA(acc[t], d, _mm256_broadcast_ss(x + t / 3 * width + t % 3));
        }
    }
    UNROLL
    for (int t = 0; t < 9; t++)
        _mm256_store_ps(taps + t * 8, acc[t]);
}

void stem_grad_f32_avx2(const struct stem_grad_args *a) {
    ptrdiff_t plane = (ptrdiff_t)a->h_in * a->w_in;
    for (int image = 0; image < a->images; image++)
        for (int i = 0; i < a->c_in; i++) {
            pad_plane(a->x + (image * a->c_in + i) * plane, a->h_in, a->w_in, a->scratch);
            for (int o = 0; o < a->c_out; o += 8)
                plane_taps(a, a->scratch, a->dy + o / 8 * a->dy_block + image * a->dy_image,
                           a->dense + ((ptrdiff_t)o / 8 * a->c_in + i) * 72);
        }
}
