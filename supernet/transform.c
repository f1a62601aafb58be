/* A step of the chain is a dense layer over the channels: y = x M^T. So both directions run on the
 * kernel of dense layers' gradients, a strip of channels at a time. */
#include "supernet/transform.h"

#include <assert.h>
#include <string.h>

#include "base/cpu.h"
#include "supernet/kernels/train_kernels.h"

enum {
    STRIP = 32, /* channels */
    TAPS_MAX = KERNEL_SIZE_MAX * KERNEL_SIZE_MAX,
    CENTRE_TAPS_MAX = (KERNEL_SIZE_MAX - 2) * (KERNEL_SIZE_MAX - 2),
    STEPS_MAX = KERNEL_SIZES_MAX - 1
};

/* The strip's filters at every size of the chain, and the centres between: rows of taps. */
struct strip {
    int channels;
    float filter[KERNEL_SIZES_MAX][STRIP * TAPS_MAX];
    float centre[KERNEL_SIZES_MAX][STRIP * CENTRE_TAPS_MAX]; /* [i]: of filter[i - 1] */
};

struct transposed {
    float matrix[STEPS_MAX][CENTRE_TAPS_MAX * CENTRE_TAPS_MAX];
};

static int taps_of(const struct kernel_chain *chain, int step) {
    return chain->sizes[step] * chain->sizes[step];
}

static void transpose_all(const struct kernel_chain *chain, int step, struct transposed *ret) {
    for (int i = 0; i < step; i++) {
        int taps = taps_of(chain, i + 1);
        for (int r = 0; chain->matrix[i] && r < taps; r++)
            for (int c = 0; c < taps; c++)
                ret->matrix[i][c * taps + r] = chain->matrix[i][r * taps + c];
    }
}

/* Where tap t of a centre stands in the filter around it. */
static int outer_tap(int t, int to_size, int size) {
    int edge = (size - to_size) / 2;
    return (t / to_size + edge) * size + edge + t % to_size;
}

static void crop(const float *from, int size, int to_size, int channels, float *ret_centre) {
    for (int t = 0; t < to_size * to_size; t++) {
        int outer = outer_tap(t, to_size, size);
        for (int c = 0; c < channels; c++)
            ret_centre[c * to_size * to_size + t] = from[c * size * size + outer];
    }
}

/* The gradient of the filter that a centre was cropped from. */
static void crop_grad(const float *d_centre, int to_size, int size, int channels, float *ret_d) {
    memset(ret_d, 0, (size_t)(channels * size * size) * sizeof(float));
    for (int t = 0; t < to_size * to_size; t++) {
        int outer = outer_tap(t, to_size, size);
        for (int c = 0; c < channels; c++)
            ret_d[c * size * size + outer] = d_centre[c * to_size * to_size + t];
    }
}

/* Rows of taps: y = x * m, m taps x taps. */
static struct linear_grad_args product(int channels, int taps, const float *x, const float *m,
                                       float *y) {
    struct linear_grad_args args = {channels, taps, taps};
    args.dy = x, args.dy_ld = taps;
    args.w = m, args.w_ld = taps;
    args.dx = y, args.dx_ld = taps;
    return args;
}

static void run(const struct linear_grad_args *args) {
    train_kernels_select(cpu_flags())->linear_grad_f32(args);
}

static void apply(int channels, int taps, const float *x, const float *transposed, float *ret_y) {
    struct linear_grad_args args = product(channels, taps, x, transposed, ret_y);
    run(&args);
}

/* Gradients of apply: dx = dy * m; d_m += dy^T x. */
struct apply_grad {
    const float *x, *m, *dy;
    float *dx, *d_m;
};

static void apply_grad(int channels, int taps, const struct apply_grad *g) {
    struct linear_grad_args args = product(channels, taps, g->dy, g->m, g->dx);
    args.x = g->x, args.x_ld = taps;
    args.d_weight = g->d_m;
    run(&args);
}

/* Fills s up to filter[step]. */
static void forward(const struct kernel_chain *chain, const struct transposed *transposed,
                    const float *master, int step, struct strip *s) {
    memcpy(s->filter[0], master, (size_t)(s->channels * taps_of(chain, 0)) * sizeof(float));
    for (int i = 0; i < step; i++) {
        int taps = taps_of(chain, i + 1);
        crop(s->filter[i], chain->sizes[i], chain->sizes[i + 1], s->channels, s->centre[i + 1]);
        if (chain->matrix[i])
            apply(s->channels, taps, s->centre[i + 1], transposed->matrix[i], s->filter[i + 1]);
        else
            memcpy(s->filter[i + 1], s->centre[i + 1],
                   (size_t)(s->channels * taps) * sizeof(float));
    }
}

/* Carries the gradient of filter[step] back to the matrices and to d_master. */
static void backward(const struct kernel_chain *chain, const struct strip *s, int step,
                     const float *d_weight, const struct kernel_chain_grad *grad, float *d_master) {
    float d_filter[STRIP * TAPS_MAX], d_centre[STRIP * CENTRE_TAPS_MAX];
    memcpy(d_filter, d_weight, (size_t)(s->channels * taps_of(chain, step)) * sizeof(float));
    for (int i = step; i > 0; i--) {
        int taps = taps_of(chain, i);
        if (chain->matrix[i - 1])
            apply_grad(s->channels, taps,
                       &(struct apply_grad){s->centre[i], chain->matrix[i - 1], d_filter, d_centre,
                                            grad->matrix[i - 1]});
        else
            memcpy(d_centre, d_filter, (size_t)(s->channels * taps) * sizeof(float));
        crop_grad(d_centre, chain->sizes[i], chain->sizes[i - 1], s->channels, d_filter);
    }
    for (int i = 0; i < s->channels * taps_of(chain, 0); i++)
        d_master[i] += d_filter[i];
}

static void check(const struct kernel_chain *chain, int step) {
    assert(chain->n_sizes >= 1 && chain->n_sizes <= KERNEL_SIZES_MAX);
    assert(step >= 0 && step < chain->n_sizes && chain->sizes[0] <= KERNEL_SIZE_MAX);
}

static int strip_at(int channel, int channels) {
    return channels - channel < STRIP ? channels - channel : STRIP;
}

void kernel_transform(const struct kernel_chain *chain, const float *master, int channels, int step,
                      float *ret_weight) {
    check(chain, step);
    struct transposed transposed;
    transpose_all(chain, step, &transposed);
    int outer = taps_of(chain, 0), taps = taps_of(chain, step);
    for (int c = 0; c < channels; c += STRIP) {
        struct strip strip;
        strip.channels = strip_at(c, channels);
        forward(chain, &transposed, master + c * outer, step, &strip);
        memcpy(ret_weight + c * taps, strip.filter[step],
               (size_t)(strip.channels * taps) * sizeof(float));
    }
}

void kernel_transform_grad(const struct kernel_chain *chain, const float *master, int channels,
                           int step, const float *d_weight, const struct kernel_chain_grad *grad) {
    check(chain, step);
    struct transposed transposed;
    transpose_all(chain, step, &transposed);
    int outer = taps_of(chain, 0), taps = taps_of(chain, step);
    for (int c = 0; c < channels; c += STRIP) {
        struct strip strip;
        strip.channels = strip_at(c, channels);
        forward(chain, &transposed, master + c * outer, step, &strip);
        backward(chain, &strip, step, d_weight + c * taps, grad, grad->master + c * outer);
    }
}
