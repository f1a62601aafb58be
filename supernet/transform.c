#include "supernet/transform.h"

#include <assert.h>
#include <string.h>

enum { TAPS_MAX = KERNEL_SIZE_MAX * KERNEL_SIZE_MAX };

/* One channel's filters at every size of the chain, before and behind the matrices. */
struct stages {
    float centre[KERNEL_SIZES_MAX][TAPS_MAX]; /* [i]: crop of filter[i - 1] to sizes[i] */
    float filter[KERNEL_SIZES_MAX][TAPS_MAX];
};

/* Transposed matrices, so that both directions run along rows. */
struct transposed {
    float matrix[KERNEL_SIZES_MAX - 1][TAPS_MAX * TAPS_MAX];
};

static void transpose_all(const struct kernel_chain *chain, int step, struct transposed *ret) {
    for (int i = 0; i < step; i++) {
        int taps = chain->sizes[i + 1] * chain->sizes[i + 1];
        for (int r = 0; chain->matrix[i] && r < taps; r++)
            for (int c = 0; c < taps; c++)
                ret->matrix[i][c * taps + r] = chain->matrix[i][r * taps + c];
    }
}

static void crop(const float *from, int size, int to_size, float *ret_centre) {
    int edge = (size - to_size) / 2;
    for (int r = 0; r < to_size; r++)
        memcpy(ret_centre + r * to_size, from + (r + edge) * size + edge, to_size * sizeof(float));
}

/* Adds a centre's gradient to the filter that it was cropped from. */
static void crop_grad(const float *d_centre, int to_size, int size, float *d_from) {
    int edge = (size - to_size) / 2;
    for (int r = 0; r < to_size; r++)
        for (int c = 0; c < to_size; c++)
            d_from[(r + edge) * size + edge + c] += d_centre[r * to_size + c];
}

/* y = sum_i x[i] * rows[i]. */
static void combine_rows(const float *x, const float *rows, int taps, float *ret_y) {
    memset(ret_y, 0, taps * sizeof(float));
    for (int i = 0; i < taps; i++)
        for (int j = 0; j < taps; j++)
            ret_y[j] += x[i] * rows[i * taps + j];
}

static void add_outer_product(const float *rows, const float *columns, int taps, float *matrix) {
    for (int i = 0; i < taps; i++)
        for (int j = 0; j < taps; j++)
            matrix[i * taps + j] += rows[i] * columns[j];
}

/* Fills s up to filter[step] from one channel of the master. */
static void forward(const struct kernel_chain *chain, const struct transposed *transposed,
                    const float *master, int step, struct stages *s) {
    memcpy(s->filter[0], master, chain->sizes[0] * chain->sizes[0] * sizeof(float));
    for (int i = 0; i < step; i++) {
        int size = chain->sizes[i + 1], taps = size * size;
        crop(s->filter[i], chain->sizes[i], size, s->centre[i + 1]);
        if (chain->matrix[i])
            combine_rows(s->centre[i + 1], transposed->matrix[i], taps, s->filter[i + 1]);
        else
            memcpy(s->filter[i + 1], s->centre[i + 1], taps * sizeof(float));
    }
}

/* Carries one channel's gradient of filter[step] back to the master and the matrices. */
static void backward(const struct kernel_chain *chain, const struct stages *s, int step,
                     const float *d_weight, const struct kernel_chain_grad *grad, float *d_master) {
    float d_filter[TAPS_MAX], d_centre[TAPS_MAX];
    int taps = chain->sizes[step] * chain->sizes[step];
    memcpy(d_filter, d_weight, taps * sizeof(float));
    for (int i = step; i > 0; i--) {
        int size = chain->sizes[i], larger = chain->sizes[i - 1];
        memcpy(d_centre, d_filter, size * size * sizeof(float));
        if (chain->matrix[i - 1]) {
            add_outer_product(d_filter, s->centre[i], size * size, grad->matrix[i - 1]);
            combine_rows(d_filter, chain->matrix[i - 1], size * size, d_centre);
        }
        memset(d_filter, 0, larger * larger * sizeof(float));
        crop_grad(d_centre, size, larger, d_filter);
    }
    for (int t = 0; t < chain->sizes[0] * chain->sizes[0]; t++)
        d_master[t] += d_filter[t];
}

static void check(const struct kernel_chain *chain, int step) {
    assert(chain->n_sizes >= 1 && chain->n_sizes <= KERNEL_SIZES_MAX);
    assert(step >= 0 && step < chain->n_sizes && chain->sizes[0] <= KERNEL_SIZE_MAX);
}

void kernel_transform(const struct kernel_chain *chain, const float *master, int channels, int step,
                      float *ret_weight) {
    check(chain, step);
    struct transposed transposed;
    transpose_all(chain, step, &transposed);
    int master_taps = chain->sizes[0] * chain->sizes[0];
    int taps = chain->sizes[step] * chain->sizes[step];
    for (int c = 0; c < channels; c++) {
        struct stages stages;
        forward(chain, &transposed, master + c * master_taps, step, &stages);
        memcpy(ret_weight + c * taps, stages.filter[step], taps * sizeof(float));
    }
}

void kernel_transform_grad(const struct kernel_chain *chain, const float *master, int channels,
                           int step, const float *d_weight, const struct kernel_chain_grad *grad) {
    check(chain, step);
    struct transposed transposed;
    transpose_all(chain, step, &transposed);
    int master_taps = chain->sizes[0] * chain->sizes[0];
    int taps = chain->sizes[step] * chain->sizes[step];
    for (int c = 0; c < channels; c++) {
        struct stages stages;
        forward(chain, &transposed, master + c * master_taps, step, &stages);
        backward(chain, &stages, step, d_weight + c * taps, grad, grad->master + c * master_taps);
    }
}
