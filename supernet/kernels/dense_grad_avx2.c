/* Weight gradient of a dense convolution: for each tap the tiles of the 1x1 one (input channels
 * broadcast, output channels the vector) over the outputs whose tap lies inside the image. Some
 * rows or some small images at a time, so that they stay in cache for all taps. */
#include "supernet/kernels/train_avx2.h"

enum { STRIP = 128 /* outputs */ };

/* Outputs that one tap of a strip takes: rows of `columns` in each of some images. */
struct window {
    int images, rows, columns;
    const float *x, *dy; /* of the first output, without channels */
    ptrdiff_t x_step, x_row, dy_row;
};

/* dense[m][v] += sum over a window of x[m] * dy[v], M channels of one block, V blocks. */
INLINE void tile(const int M, const int V, const struct dense_grad_args *a, const struct window *w,
                 const float *x, const float *dy, float *dense) {
    __m256 acc[8][3];
    UNROLL
    for (int i = 0; i < M * V; i++)
        acc[i / V][i % V] = load(dense + i / V * (ptrdiff_t)a->c_out + i % V * 8);
    for (int image = 0; image < w->images; image++)
        for (int r = 0; r < w->rows; r++) {
            const float *narrow = x + image * a->x_image + r * w->x_row;
            const float *wide = dy + image * a->dy_image + r * w->dy_row;
            for (int q = 0; q < w->columns; q++, narrow += w->x_step, wide += 8) {
                __m256 d[3];
                UNROLL
                for (int v = 0; v < V; v++)
                    d[v] = load(wide + v * a->dy_block);
                UNROLL
                for (int m = 0; m < M; m++) {
                    __m256 b = _mm256_broadcast_ss(narrow + m);
                    UNROLL
                    for (int v = 0; v < V; v++)
                        FMA(acc[m][v], b, d[v]);
                }
            }
        }
    UNROLL
    for (int i = 0; i < M * V; i++)
        _mm256_store_ps(dense + i / V * (ptrdiff_t)a->c_out + i % V * 8, acc[i / V][i % V]);
}

/* All input channels against V blocks of output channels, M input channels at a time. */
INLINE void panel(const int M, const int V, const struct dense_grad_args *a, const struct window *w,
                  int c, float *dense) {
    const float *dy = w->dy + c / 8 * a->dy_block;
    for (int i = 0; i < a->c_in; i += M)
        tile(M, V, a, w, w->x + i / 8 * a->x_block + i % 8, dy,
             dense + (ptrdiff_t)i * a->c_out + c);
}

static void tap_grad(const struct dense_grad_args *a, const struct window *w, float *dense) {
    for (int c = 0, width; c < a->c_out; c += width) {
        width = pw_panel(a->c_out - c);
        if (width == 24)
            panel(4, 3, a, w, c, dense);
        else if (width == 16)
            panel(4, 2, a, w, c, dense);
        else
            panel(8, 1, a, w, c, dense);
    }
}

/* First and last + 1 of outputs [first, end) whose tap, `offset` off, lies in [0, size). */
static void clip(int offset, int stride, int size, int *first, int *end) {
    while (*first < *end && *first * stride + offset < 0)
        ++*first;
    while (*first < *end && (*end - 1) * stride + offset >= size)
        --*end;
}

/* All taps of output rows [first, end) of images [image, image + images). */
static void strip(const struct dense_grad_args *a, int image, int images, int first, int end) {
    int k = a->kernel, pad = k / 2, w_out = conv_out(a->w_in, a->stride);
    for (int tap = 0; tap < k * k; tap++) {
        int r0 = first, r1 = end, q0 = 0, q1 = w_out;
        int down = tap / k - pad, right = tap % k - pad;
        clip(down, a->stride, a->h_in, &r0, &r1);
        clip(right, a->stride, a->w_in, &q0, &q1);
        if (r0 >= r1 || q0 >= q1)
            continue;
        ptrdiff_t place =
            ((ptrdiff_t)r0 * a->stride + down) * a->w_in + (ptrdiff_t)q0 * a->stride + right;
        struct window w = {.images = images,
                           .rows = r1 - r0,
                           .columns = q1 - q0,
                           .x = a->x + image * a->x_image + place * 8,
                           .dy = a->dy + image * a->dy_image + ((ptrdiff_t)r0 * w_out + q0) * 8,
                           .x_step = a->stride * 8L,
                           .x_row = (ptrdiff_t)a->stride * a->w_in * 8,
                           .dy_row = w_out * 8L};
        tap_grad(a, &w, a->dense + (ptrdiff_t)tap * a->c_in * a->c_out);
    }
}

void dense_grad_f32_avx2(const struct dense_grad_args *a) {
    int h_out = conv_out(a->h_in, a->stride), w_out = conv_out(a->w_in, a->stride);
    int together = STRIP / (h_out * w_out), rows = STRIP / w_out;
    if (together > 1) {
        for (int image = 0; image < a->images; image += together)
            strip(a, image, a->images - image < together ? a->images - image : together, 0, h_out);
        return;
    }
    rows = rows < 1 ? 1 : rows;
    for (int image = 0; image < a->images; image++)
        for (int r = 0; r < h_out; r += rows)
            strip(a, image, 1, r, h_out - r < rows ? h_out : r + rows);
}
