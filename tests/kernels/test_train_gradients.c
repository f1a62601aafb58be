/* The scalar rows of the training kernels against finite differences of the plain formulas in
 * double precision. */
#include "tests/kernels/epilogue.h"

#include <stdlib.h>
#include <string.h>

#include "supernet/kernels/batch_norm.h"
#include "supernet/kernels/se_grad.h"
#include "supernet/kernels/train_kernels.h"

static const struct train_kernels *kernels(void) {
    return train_kernels_rows[0];
}

/* ---- Finite differences ---- */

/* A loss as a function of some values that it reaches through context. */
typedef double loss_function(void *context);

static double numeric(loss_function *loss, void *context, double *value) {
    const double h = 1e-5, old = *value;
    *value = old + h;
    double above = loss(context);
    *value = old - h;
    double below = loss(context);
    *value = old;
    return (above - below) / (2 * h);
}

/* Compares gradient with differences at every step-th of n values. */
static void check_gradient(loss_function *loss, void *context, double *values,
                           const float *gradient, int n, int step) {
    double largest = 0, worst = 0;
    for (int i = 0; i < n; i += step) {
        double want = numeric(loss, context, &values[i]);
        largest = fmax(largest, fabs(want));
        worst = fmax(worst, fabs(want - gradient[i]));
    }
    assert_true(largest > 0);
    if (!(worst <= 1e-5 * largest))
        fail_msg("off by %g of %g", worst, largest);
}

/* Random values that float holds exactly, so that kernel and formula see the same. */
static void fill(struct rng *rng, double *values, float *floats, int n) {
    for (int i = 0; i < n; i++)
        values[i] = floats[i] = (float)rng_normal(rng);
}

static float *floats(int n) {
    float *data = aligned_alloc(64, ((size_t)n * sizeof(float) + 63) / 64 * 64);
    assert_non_null(data);
    memset(data, 0, (size_t)n * sizeof(float));
    return data;
}

/* [n][C] values to blocks: pixel p, channel c. */
static void to_blocks(const double *rows, int pixels, int channels, float *blocks) {
    for (int p = 0; p < pixels; p++)
        for (int c = 0; c < channels; c++)
            blocks[(c / 8 * pixels + p) * 8 + c % 8] = (float)rows[p * channels + c];
}

static void from_blocks(const float *blocks, int pixels, int channels, float *rows) {
    for (int p = 0; p < pixels; p++)
        for (int c = 0; c < channels; c++)
            rows[p * channels + c] = blocks[(c / 8 * pixels + p) * 8 + c % 8];
}

/* ---- BN, activation, gate and mean: the chain behind a convolution ---- */

enum { PIXELS = 30, CHANNELS = 11, PADDED = 16, CHUNK = 12 };

struct chain {
    enum act act;
    bool gated; /* one image with gate and mean behind the activation */
    double a[PIXELS * CHANNELS], gamma[CHANNELS], beta[CHANNELS], gate[CHANNELS];
    double on_h[PIXELS * CHANNELS], on_mean[CHANNELS]; /* the loss's own weights */
};

static double chain_loss(void *context) {
    struct chain *s = context;
    double loss = 0;
    for (int c = 0; c < CHANNELS; c++) {
        double mean = 0, variance = 0, h_mean = 0;
        for (int p = 0; p < PIXELS; p++)
            mean += s->a[p * CHANNELS + c] / PIXELS;
        for (int p = 0; p < PIXELS; p++)
            variance += pow(s->a[p * CHANNELS + c] - mean, 2) / PIXELS;
        for (int p = 0; p < PIXELS; p++) {
            double z = s->gamma[c] * (s->a[p * CHANNELS + c] - mean) / sqrt(variance + 1e-5);
            double h = check_act(s->act, z + s->beta[c]);
            loss += s->on_h[p * CHANNELS + c] * h * (s->gated ? s->gate[c] : 1);
            h_mean += h / PIXELS;
        }
        if (s->gated)
            loss += s->on_mean[c] * h_mean;
    }
    return loss;
}

/* The chain's tensors as the kernels take them. */
struct chain_floats {
    float *a, *dy, *dz, *gate, *add, *d_gate, *h;
    float gamma[CHANNELS], beta[CHANNELS], d_gamma[CHANNELS], d_beta[CHANNELS];
    float sums[3][2][PADDED]; /* of three chunks */
    double totals[2][PADDED];
    struct bn_batch bn;
    float *bn_memory;
};

static void chain_floats_init(const struct chain *s, struct chain_floats *f) {
    memset(f, 0, sizeof *f);
    float **tensors[] = {&f->a, &f->dy, &f->dz, &f->gate, &f->add, &f->d_gate, &f->h};
    for (int i = 0; i < 7; i++)
        *tensors[i] = floats(PIXELS * PADDED);
    f->bn_memory = floats((int)bn_batch_floats(CHANNELS));
    bn_batch_init(&f->bn, CHANNELS, f->bn_memory);
    to_blocks(s->a, PIXELS, CHANNELS, f->a);
    to_blocks(s->on_h, PIXELS, CHANNELS, f->dy);
    for (int c = 0; c < CHANNELS; c++) {
        f->gamma[c] = (float)s->gamma[c];
        f->beta[c] = (float)s->beta[c];
        f->gate[c] = (float)s->gate[c];
        f->add[c] = (float)(s->on_mean[c] / PIXELS);
    }
}

static void chain_floats_free(struct chain_floats *f) {
    float *tensors[] = {f->a, f->dy, f->dz, f->gate, f->add, f->d_gate, f->h, f->bn_memory};
    for (int i = 0; i < 8; i++)
        free(tensors[i]);
}

static struct bn_totals chain_totals(struct chain_floats *f) {
    for (int i = 0; i < 2 * PADDED; i++)
        f->totals[i / PADDED][i % PADDED] = (double)f->sums[0][i / PADDED][i % PADDED] +
                                            f->sums[1][i / PADDED][i % PADDED] +
                                            f->sums[2][i / PADDED][i % PADDED];
    return (struct bn_totals){f->totals[0], f->totals[1], PIXELS};
}

static void chain_forward(struct chain_floats *f, const struct bn_parameters *parameters) {
    for (int chunk = 0; chunk < 3; chunk++) {
        int first = chunk * CHUNK, n = PIXELS - first < CHUNK ? PIXELS - first : CHUNK;
        kernels_rows[0]->stats_f32(&(struct stats_args){.x = f->a + first * 8,
                                                        .x_block = PIXELS * 8,
                                                        .pixels = n,
                                                        .channels = PADDED,
                                                        .sum = f->sums[chunk][0],
                                                        .sum_sq = f->sums[chunk][1]});
    }
    struct bn_totals totals = chain_totals(f);
    bn_batch_finalise(&f->bn, &totals, parameters);
}

/* Leaves the gradient of a in dz. */
static void chain_backward(const struct chain *s, struct chain_floats *f,
                           const struct bn_parameters *parameters) {
    memset(f->sums, 0, sizeof f->sums);
    struct act_grad_args act = {
        .a_block = PIXELS * 8, .dy_block = PIXELS * 8, .dz_block = PIXELS * 8, .channels = PADDED};
    act.bn_act = (struct bn_act){f->bn.scale, f->bn.shift, s->act};
    if (s->gated)
        act.gate = f->gate, act.add = f->add;
    for (int chunk = 0; chunk < 3; chunk++) {
        int first = chunk * CHUNK;
        act.pixels = PIXELS - first < CHUNK ? PIXELS - first : CHUNK;
        act.a = f->a + first * 8, act.dy = f->dy + first * 8, act.dz = f->dz + first * 8;
        act.sum = f->sums[chunk][0], act.sum_a = f->sums[chunk][1];
        kernels()->act_grad_f32(&act);
    }
    struct bn_totals totals = chain_totals(f);
    bn_batch_grad(&f->bn, &totals, parameters, f->d_gamma, f->d_beta);
    struct bn_grad_args bn = {.a = f->a,
                              .dz = f->dz,
                              .da = f->dz,
                              .a_block = PIXELS * 8,
                              .dz_block = PIXELS * 8,
                              .da_block = PIXELS * 8,
                              .pixels = PIXELS,
                              .channels = PADDED};
    bn.coef = (struct bn_grad_coef){f->bn.on_dz, f->bn.on_a, f->bn.offset};
    kernels()->bn_grad_f32(&bn);
}

static void check_padding_is_zero(const float *blocks) {
    for (int p = 0; p < PIXELS; p++)
        for (int c = CHANNELS; c < PADDED; c++)
            assert_true(blocks[(c / 8 * PIXELS + p) * 8 + c % 8] == 0);
}

static void check_gate(struct chain *s, struct chain_floats *f) {
    struct se_gate_grad_args a = {.a = f->a,
                                  .dy = f->dy,
                                  .a_block = PIXELS * 8,
                                  .dy_block = PIXELS * 8,
                                  .h_block = PIXELS * 8,
                                  .pixels = PIXELS,
                                  .channels = PADDED};
    a.bn_act = (struct bn_act){f->bn.scale, f->bn.shift, s->act};
    a.d_gate = f->d_gate, a.gate = f->gate, a.h = f->h;
    kernels()->se_gate_grad_f32(&a);
    check_gradient(chain_loss, s, s->gate, f->d_gate, CHANNELS, 1);
    struct act_sums_args sums = {
        .a = f->a, .a_block = PIXELS * 8, .pixels = PIXELS, .channels = PADDED, .bn_act = a.bn_act};
    float sum[PADDED] = {0};
    sums.sum = sum;
    kernels()->act_sums_f32(&sums);
    for (int c = 0; c < CHANNELS; c++) { /* h holds act(z) * gate */
        double gated = 0;
        for (int p = 0; p < PIXELS; p++)
            gated += f->h[(c / 8 * PIXELS + p) * 8 + c % 8];
        check_close(gated, sum[c] * s->gate[c], fabs(sum[c]) + 1, 1e-5, "h");
    }
}

static void check_chain(enum act act, bool gated, int test) {
    struct rng rng = check_rng(900, test);
    struct chain *s = calloc(1, sizeof *s);
    struct chain_floats f;
    float scratch[PIXELS * CHANNELS];
    s->act = act;
    s->gated = gated;
    fill(&rng, s->a, scratch, PIXELS * CHANNELS);
    fill(&rng, s->gamma, scratch, CHANNELS);
    fill(&rng, s->beta, scratch, CHANNELS);
    fill(&rng, s->gate, scratch, CHANNELS);
    fill(&rng, s->on_h, scratch, PIXELS * CHANNELS);
    fill(&rng, s->on_mean, scratch, CHANNELS);
    chain_floats_init(s, &f);
    struct bn_parameters parameters = {f.gamma, f.beta, 1e-5f};
    chain_forward(&f, &parameters);
    if (gated)
        check_gate(s, &f);
    chain_backward(s, &f, &parameters);
    check_padding_is_zero(f.dz);
    from_blocks(f.dz, PIXELS, CHANNELS, scratch);
    check_gradient(chain_loss, s, s->a, scratch, PIXELS * CHANNELS, 3);
    check_gradient(chain_loss, s, s->gamma, f.d_gamma, CHANNELS, 1);
    check_gradient(chain_loss, s, s->beta, f.d_beta, CHANNELS, 1);
    chain_floats_free(&f);
    free(s);
}

static void test_bn_chain(void **state) {
    (void)state;
    static const enum act acts[] = {ACT_NONE, ACT_RELU, ACT_HSWISH, ACT_RELU6};
    for (int i = 0; i < 4; i++) {
        check_chain(acts[i], false, i);
        check_chain(acts[i], true, 10 + i);
    }
}

/* A constant channel has variance 0 and the gradient of its inputs is finite. */
static void test_bn_constant_channel(void **state) {
    (void)state;
    float memory[7 * 16], gamma[1] = {2}, beta[1] = {1}, d_gamma[1] = {0}, d_beta[1] = {0};
    double sums[2] = {3.0 * 7, 3.0 * 3 * 7};
    struct bn_batch bn;
    assert_true(bn_batch_floats(1) <= 7 * 16);
    bn_batch_init(&bn, 1, memory);
    struct bn_totals forward = {sums, sums + 1, 7};
    struct bn_parameters parameters = {gamma, beta, 1e-5f};
    bn_batch_finalise(&bn, &forward, &parameters);
    check_close(bn.mean[0], 3, 1, 1e-6, "mean");
    check_close(bn.variance[0], 0, 1, 1e-6, "variance");
    check_close(bn.scale[0] * 3 + bn.shift[0], 1, 1000, 1e-6, "z");
    double d_sums[2] = {5, 15};
    struct bn_totals backward = {d_sums, d_sums + 1, 7};
    bn_batch_grad(&bn, &backward, &parameters, d_gamma, d_beta);
    check_close(d_beta[0], 5, 1, 1e-6, "d_beta");
    assert_true(isfinite(bn.on_dz[0]) && isfinite(bn.on_a[0]) && isfinite(bn.offset[0]));
    struct bn_batch fixed;
    float other[7 * 16];
    bn_batch_init(&fixed, 1, other);
    bn_batch_fixed(&fixed, bn.mean, bn.variance, &parameters);
    assert_memory_equal(fixed.scale, bn.scale, 8 * sizeof(float));
    assert_memory_equal(fixed.shift, bn.shift, 8 * sizeof(float));
}

/* ---- Depthwise ---- */

enum { SIDE = 9, TAPS = 49 };

/* Two images of one channel of the 8: w and a are [..][8] as the kernel has them. */
struct depthwise {
    int h, w_in, kernel, stride;
    bool bn; /* the loss sees the output through a per-channel affine and square: y_coef */
    double w[TAPS * 8], a[2 * SIDE * SIDE * 8], r[2 * SIDE * SIDE * 8];
    double scale[8], shift[8];
    double on_dz[8], on_a[8], offset[8];
};

static double depthwise_input(const struct depthwise *s, int image, int row, int col, int c) {
    if (row < 0 || col < 0 || row >= s->h || col >= s->w_in)
        return 0;
    double a = s->a[((image * s->h + row) * s->w_in + col) * 8 + c];
    return check_act(ACT_HSWISH, s->scale[c] * a + s->shift[c]);
}

static double depthwise_output(const struct depthwise *s, int image, int row, int col, int c) {
    double y = 0;
    for (int t = 0; t < s->kernel * s->kernel; t++)
        y += s->w[t * 8 + c] * depthwise_input(s, image,
                                               row * s->stride + t / s->kernel - s->kernel / 2,
                                               col * s->stride + t % s->kernel - s->kernel / 2, c);
    return y;
}

static int depthwise_out(int side, int stride) {
    return (side - 1) / stride + 1;
}

/* With bn, dL/dy = on_dz r + on_a y + offset, as a BN's backward would make it of r. */
static double depthwise_loss(void *context) {
    struct depthwise *s = context;
    int h_out = depthwise_out(s->h, s->stride), w_out = depthwise_out(s->w_in, s->stride);
    double loss = 0;
    for (int i = 0; i < 2 * h_out * w_out * 8; i++) {
        int c = i % 8, p = i / 8;
        double y = depthwise_output(s, p / (h_out * w_out), p / w_out % h_out, p % w_out, c);
        if (s->bn)
            loss += s->on_dz[c] * s->r[i] * y + s->on_a[c] * y * y / 2 + s->offset[c] * y;
        else
            loss += s->r[i] * y;
    }
    return loss;
}

static void depthwise_values(struct depthwise *s, struct rng *rng, float *w, float *a, float *r,
                             float vectors[5][8]) {
    fill(rng, s->w, w, TAPS * 8);
    fill(rng, s->a, a, 2 * SIDE * SIDE * 8);
    fill(rng, s->r, r, 2 * SIDE * SIDE * 8);
    double *doubles[] = {s->scale, s->shift, s->on_dz, s->on_a, s->offset};
    for (int i = 0; i < 5; i++)
        fill(rng, doubles[i], vectors[i], 8);
}

static void check_depthwise(struct depthwise *s, struct rng *rng) {
    float *w = floats(TAPS * 8), *a = floats(2 * SIDE * SIDE * 8), *r = floats(2 * SIDE * SIDE * 8);
    float *d_weight = floats(TAPS * 8), *dx = floats(2 * SIDE * SIDE * 8),
          *y = floats(2 * SIDE * SIDE * 8), vectors[5][8];
    depthwise_values(s, rng, w, a, r, vectors);
    int h_out = depthwise_out(s->h, s->stride), w_out = depthwise_out(s->w_in, s->stride);
    for (int i = 0; i < 2 * h_out * w_out * 8; i++)
        y[i] = (float)depthwise_output(s, i / 8 / (h_out * w_out), i / 8 / w_out % h_out,
                                       i / 8 % w_out, i % 8);
    struct bn_act f = {vectors[0], vectors[1], ACT_HSWISH};
    struct bn_grad_coef coef = {vectors[2], vectors[3], vectors[4]};
    struct dw_grad_args args = {2, s->h, s->w_in, s->kernel, s->stride};
    args.x = a, args.x_image = s->h * s->w_in * 8, args.x_bn_act = &f;
    args.dy = r, args.dy_image = h_out * w_out * 8;
    args.y = s->bn ? y : NULL, args.y_image = args.dy_image, args.y_coef = &coef;
    args.w = w, args.d_weight = d_weight;
    args.dx = dx, args.dx_image = args.x_image;
    args.scratch = floats((int)dw_grad_scratch_floats(s->h, s->w_in, s->kernel, s->stride));
    kernels()->dw_grad_f32(&args);
    check_gradient(depthwise_loss, s, s->w, d_weight, s->kernel * s->kernel * 8, 5);
    /* dx stops before the activation: carry it through by hand */
    for (int i = 0; i < 2 * s->h * s->w_in * 8; i++) {
        double z = s->scale[i % 8] * s->a[i] + s->shift[i % 8];
        double slope = z <= -3 ? 0 : z >= 3 ? 1 : z / 3 + 0.5;
        dx[i] = (float)(dx[i] * slope * s->scale[i % 8]);
    }
    check_gradient(depthwise_loss, s, s->a, dx, 2 * s->h * s->w_in * 8, 13);
    float *all[] = {w, a, r, d_weight, dx, y, args.scratch};
    for (int i = 0; i < 7; i++)
        free(all[i]);
}

static void test_depthwise(void **state) {
    (void)state;
    struct depthwise *s = malloc(sizeof *s);
    for (int i = 0; i < 12; i++) {
        struct rng rng = check_rng(901, i);
        memset(s, 0, sizeof *s);
        s->kernel = 3 + 2 * (i % 3);
        s->stride = 1 + i / 3 % 2;
        s->bn = i >= 6;
        s->h = check_between(&rng, 1, 6);
        s->w_in = check_between(&rng, 2, 7);
        check_depthwise(s, &rng);
    }
    free(s);
}

/* ---- Dense convolution: the centre of leading slices of larger filters ---- */

enum {
    DENSE_IN = 8,
    DENSE_OUT = 16,
    DENSE_LD = 16, /* input channels of the stored filters */
    DENSE_SIZE = 5,
    DENSE_H = 6,
    DENSE_W = 5,
    DENSE_FILTERS = DENSE_OUT * DENSE_LD * DENSE_SIZE * DENSE_SIZE,
    DENSE_X = DENSE_H * DENSE_W * DENSE_IN,
    DENSE_Y = DENSE_H * DENSE_W * DENSE_OUT
};

struct conv {
    int kernel, stride, h_out, w_out;
    double w[DENSE_FILTERS], x[DENSE_X], r[DENSE_Y]; /* x, r: [pixels][channels] */
};

static double conv_tap(const struct conv *s, int row, int col, int o, int t) {
    int border = (DENSE_SIZE - s->kernel) / 2, i = t / s->kernel, j = t % s->kernel;
    double y = 0;
    row += i - s->kernel / 2;
    col += j - s->kernel / 2;
    if (row < 0 || col < 0 || row >= DENSE_H || col >= DENSE_W)
        return 0;
    for (int c = 0; c < DENSE_IN; c++)
        y += s->x[(row * DENSE_W + col) * DENSE_IN + c] *
             s->w[((o * DENSE_LD + c) * DENSE_SIZE + i + border) * DENSE_SIZE + j + border];
    return y;
}

static double conv_loss(void *context) {
    struct conv *s = context;
    double loss = 0;
    for (int p = 0; p < s->h_out * s->w_out; p++)
        for (int o = 0; o < DENSE_OUT; o++)
            for (int t = 0; t < s->kernel * s->kernel; t++)
                loss += s->r[p * DENSE_OUT + o] *
                        conv_tap(s, p / s->w_out * s->stride, p % s->w_out * s->stride, o, t);
    return loss;
}

static void check_conv_weights(struct conv *s, const float *x, const float *r) {
    float *dense = floats((int)dense_grad_floats(DENSE_IN, DENSE_OUT, s->kernel));
    float *gradient = floats(DENSE_FILTERS);
    struct dense_grad_args args = {.x = x,
                                   .dy = r,
                                   .x_block = DENSE_H * DENSE_W * 8,
                                   .dy_block = s->h_out * s->w_out * 8,
                                   .images = 1,
                                   .c_in = DENSE_IN,
                                   .c_out = DENSE_OUT,
                                   .h_in = DENSE_H,
                                   .w_in = DENSE_W,
                                   .kernel = s->kernel,
                                   .stride = s->stride,
                                   .dense = dense};
    kernels()->dense_grad_f32(&args);
    dense_grad_unpack_add(dense, DENSE_IN, DENSE_OUT, s->kernel, gradient, DENSE_LD, DENSE_SIZE);
    check_gradient(conv_loss, s, s->w, gradient, DENSE_FILTERS, 7);
    free(dense);
    free(gradient);
}

/* By the forward kernel on flipped and transposed filters. */
static void check_conv_data(struct conv *s, const float *w, const float *r) {
    int taps = DENSE_SIZE * DENSE_SIZE;
    struct dense_filters filters = {w, taps, DENSE_LD * taps, DENSE_SIZE, true};
    float *packed = floats((int)dense_packed_floats(DENSE_IN, DENSE_OUT, s->kernel));
    float *dx = floats(DENSE_X), *rows = floats(DENSE_X);
    dense_pack(&filters, DENSE_IN, DENSE_OUT, s->kernel, packed);
    struct dense_args args = {.x = r,
                              .w = packed,
                              .y = dx,
                              .x_block = s->h_out * s->w_out * 8,
                              .y_block = DENSE_H * DENSE_W * 8,
                              .c_in = DENSE_OUT,
                              .c_out = DENSE_IN,
                              .h_in = s->h_out,
                              .w_in = s->w_out,
                              .h_out = DENSE_H,
                              .w_out = DENSE_W,
                              .kernel = s->kernel,
                              .stride = 1,
                              .up = s->stride,
                              .pixels = DENSE_H * DENSE_W};
    kernels_rows[0]->dense_f32(&args);
    from_blocks(dx, DENSE_H * DENSE_W, DENSE_IN, rows);
    check_gradient(conv_loss, s, s->x, rows, DENSE_X, 1);
    free(packed);
    free(dx);
    free(rows);
}

static void test_conv(void **state) {
    (void)state;
    struct conv *s = calloc(1, sizeof *s);
    float *w = floats(DENSE_FILTERS), *x = floats(DENSE_X), *r = floats(DENSE_Y);
    for (int i = 0; i < 6; i++) {
        struct rng rng = check_rng(70, i);
        s->kernel = 1 + i / 2 * 2;
        s->stride = 1 + i % 2;
        s->h_out = (DENSE_H - 1) / s->stride + 1;
        s->w_out = (DENSE_W - 1) / s->stride + 1;
        fill(&rng, s->w, w, DENSE_FILTERS);
        fill(&rng, s->x, x, DENSE_X);
        fill(&rng, s->r, r, DENSE_Y);
        to_blocks(s->x, DENSE_H * DENSE_W, DENSE_IN, x);
        to_blocks(s->r, s->h_out * s->w_out, DENSE_OUT, r);
        check_conv_weights(s, x, r);
        check_conv_data(s, w, r);
    }
    free(w);
    free(x);
    free(r);
    free(s);
}

/* ---- 1x1, stem, dense layers ---- */

struct dense {
    int n, c_in, c_out;
    double x[400], w[400], b[40], r[400];
};

static double dense_loss(void *context) {
    struct dense *s = context;
    double loss = 0;
    for (int p = 0; p < s->n; p++)
        for (int o = 0; o < s->c_out; o++) {
            double y = s->b[o];
            for (int i = 0; i < s->c_in; i++)
                y += s->w[o * s->c_in + i] * s->x[p * s->c_in + i];
            loss += s->r[p * s->c_out + o] * y;
        }
    return loss;
}

static void check_pointwise(int c_in, int c_out, int test) {
    struct rng rng = check_rng(902, test);
    struct dense *s = calloc(1, sizeof *s);
    float scratch[400], gradient[400] = {0};
    s->n = 13, s->c_in = c_in, s->c_out = c_out;
    fill(&rng, s->x, scratch, 400);
    fill(&rng, s->r, scratch, 400);
    fill(&rng, s->w, scratch, 400);
    float *x = floats(13 * 32), *dy = floats(13 * 32),
          *dense = floats((int)pw_grad_dense_floats(c_in, c_out));
    to_blocks(s->x, s->n, c_in, x);
    to_blocks(s->r, s->n, c_out, dy);
    kernels()->pw_grad_f32(
        &(struct pw_grad_args){x, dy, s->n * 8, s->n * 8, s->n, c_in, c_out, dense});
    pw_grad_unpack_add(dense, c_in, c_out, gradient, c_in);
    check_gradient(dense_loss, s, s->w, gradient, c_in * c_out, 1);
    free(x);
    free(dy);
    free(dense);
    free(s);
}

static void test_pointwise(void **state) {
    (void)state;
    check_pointwise(5, 19, 0);
    check_pointwise(19, 5, 1);
    check_pointwise(8, 8, 2);
}

static void test_linear(void **state) {
    (void)state;
    struct rng rng = check_rng(903, 0);
    struct dense *s = calloc(1, sizeof *s);
    float x[400], w[400], b[40], r[400], d_weight[400] = {0}, d_bias[40] = {0}, dx[400];
    s->n = 9, s->c_in = 12, s->c_out = 7;
    fill(&rng, s->x, x, 400);
    fill(&rng, s->w, w, 400);
    fill(&rng, s->b, b, 40);
    fill(&rng, s->r, r, 400);
    struct linear_grad_args args = {9, 12, 7};
    args.x = x, args.dy = r, args.w = w;
    args.x_ld = args.w_ld = args.dx_ld = 12, args.dy_ld = 7;
    args.d_weight = d_weight, args.d_bias = d_bias, args.dx = dx;
    kernels()->linear_grad_f32(&args);
    check_gradient(dense_loss, s, s->w, d_weight, 12 * 7, 1);
    check_gradient(dense_loss, s, s->b, d_bias, 7, 1);
    check_gradient(dense_loss, s, s->x, dx, 9 * 12, 1);
    free(s);
}

enum { STEM_IN = 3, STEM_OUT = 10 };

struct stem {
    int h, w_in, stride;
    double x[2 * STEM_IN * 49], w[STEM_OUT * STEM_IN * 9], r[2 * 49 * STEM_OUT];
};

static double stem_loss(void *context) {
    struct stem *s = context;
    int h_out = depthwise_out(s->h, s->stride), w_out = depthwise_out(s->w_in, s->stride);
    double loss = 0;
    for (int p = 0; p < 2 * h_out * w_out; p++)
        for (int i = 0; i < STEM_OUT * STEM_IN * 9; i++) {
            int o = i / (STEM_IN * 9), c = i / 9 % STEM_IN, image = p / (h_out * w_out);
            int row = p / w_out % h_out * s->stride + i % 9 / 3 - 1;
            int col = p % w_out * s->stride + i % 3 - 1;
            if (row >= 0 && row < s->h && col >= 0 && col < s->w_in)
                loss += s->r[p * STEM_OUT + o] * s->w[i] *
                        s->x[((image * STEM_IN + c) * s->h + row) * s->w_in + col];
        }
    return loss;
}

static void test_stem(void **state) {
    (void)state;
    struct stem *s = calloc(1, sizeof *s);
    for (int stride = 1; stride <= 2; stride++) {
        struct rng rng = check_rng(904, stride);
        float x[2 * STEM_IN * 49], scratch[2 * 49 * STEM_OUT],
            gradient[STEM_OUT * STEM_IN * 9] = {0};
        s->h = 7, s->w_in = 6, s->stride = stride;
        fill(&rng, s->x, x, 2 * STEM_IN * 49);
        fill(&rng, s->w, scratch, STEM_OUT * STEM_IN * 9);
        fill(&rng, s->r, scratch, 2 * 49 * STEM_OUT);
        int pixels = depthwise_out(7, stride) * depthwise_out(6, stride);
        float *dy = floats(2 * pixels * 16), *dense = floats(16 * STEM_IN * 9);
        to_blocks(s->r, 2 * pixels, STEM_OUT, dy);
        struct stem_grad_args args = {x, 2, STEM_IN, 7, 6, stride, STEM_OUT};
        args.dy = dy, args.dy_block = 2 * pixels * 8, args.dy_image = pixels * 8;
        args.dense = dense;
        args.scratch = floats((int)stem_grad_scratch_floats(7, 6));
        kernels()->stem_grad_f32(&args);
        taps_grad_unpack_add(dense, STEM_OUT, STEM_IN * 9, gradient, STEM_IN * 9);
        check_gradient(stem_loss, s, s->w, gradient, STEM_OUT * STEM_IN * 9, 3);
        free(dy);
        free(dense);
        free(args.scratch);
    }
    free(s);
}

/* ---- Squeeze and excitation ---- */

enum { SE_N = 3, SE_C = 10, SE_HIDDEN = 6 };

struct se {
    double mean[SE_N * SE_C], reduce[SE_HIDDEN * SE_C], reduce_bias[SE_HIDDEN];
    double expand[SE_C * SE_HIDDEN], expand_bias[SE_C], r[SE_N * SE_C];
    double hidden[SE_N * SE_HIDDEN], gate[SE_N * SE_C]; /* by the latest loss */
};

static double se_loss(void *context) {
    struct se *s = context;
    double loss = 0;
    for (int n = 0; n < SE_N; n++) {
        for (int j = 0; j < SE_HIDDEN; j++) {
            double u = s->reduce_bias[j];
            for (int c = 0; c < SE_C; c++)
                u += s->reduce[j * SE_C + c] * s->mean[n * SE_C + c];
            s->hidden[n * SE_HIDDEN + j] = check_act(ACT_RELU, u);
        }
        for (int c = 0; c < SE_C; c++) {
            double u = s->expand_bias[c];
            for (int j = 0; j < SE_HIDDEN; j++)
                u += s->expand[c * SE_HIDDEN + j] * s->hidden[n * SE_HIDDEN + j];
            s->gate[n * SE_C + c] = check_act(ACT_HSIGMOID, u);
            loss += s->r[n * SE_C + c] * s->gate[n * SE_C + c];
        }
    }
    return loss;
}

static void narrow(const double *from, int n, float *to) {
    for (int i = 0; i < n; i++)
        to[i] = (float)from[i];
}

static void test_se(void **state) {
    (void)state;
    struct rng rng = check_rng(905, 0);
    struct se s;
    float mean[SE_N * SE_C], reduce[SE_HIDDEN * SE_C], expand[SE_C * SE_HIDDEN], bias[SE_C];
    float d_gate[SE_N * SE_C], hidden[SE_N * SE_HIDDEN], gate[SE_N * SE_C];
    fill(&rng, s.mean, mean, SE_N * SE_C);
    fill(&rng, s.reduce, reduce, SE_HIDDEN * SE_C);
    fill(&rng, s.reduce_bias, bias, SE_HIDDEN);
    fill(&rng, s.expand, expand, SE_C * SE_HIDDEN);
    fill(&rng, s.expand_bias, bias, SE_C);
    fill(&rng, s.r, d_gate, SE_N * SE_C);
    se_loss(&s);
    narrow(s.hidden, SE_N * SE_HIDDEN, hidden);
    narrow(s.gate, SE_N * SE_C, gate);
    float d_hidden[SE_N * SE_HIDDEN], d_mean[SE_N * SE_C],
        d_reduce[SE_HIDDEN * SE_C] = {0}, d_reduce_bias[SE_HIDDEN] = {0},
                             d_expand[SE_C * SE_HIDDEN] = {0}, d_expand_bias[SE_C] = {0};
    struct se_grad_args args = {SE_N, SE_C, SE_HIDDEN, SE_C, SE_HIDDEN};
    args.mean = mean, args.hidden = hidden, args.gate = gate;
    args.d_gate = d_gate, args.d_hidden = d_hidden, args.d_mean = d_mean;
    args.reduce = reduce, args.reduce_ld = SE_C, args.expand = expand, args.expand_ld = SE_HIDDEN;
    se_grad_data(kernels(), &args);
    for (int part = 0; part < 3; part++) {
        int row = se_grad_row(SE_HIDDEN, part, 3), channel = se_grad_row(SE_C, part, 3);
        args.d_reduce = d_reduce + row * SE_C, args.d_reduce_bias = d_reduce_bias + row;
        args.d_expand = d_expand + channel * SE_HIDDEN;
        args.d_expand_bias = d_expand_bias + channel;
        se_grad_weights(kernels(), &args, part, 3);
    }
    check_gradient(se_loss, &s, s.mean, d_mean, SE_N * SE_C, 1);
    check_gradient(se_loss, &s, s.reduce, d_reduce, SE_HIDDEN * SE_C, 1);
    check_gradient(se_loss, &s, s.reduce_bias, d_reduce_bias, SE_HIDDEN, 1);
    check_gradient(se_loss, &s, s.expand, d_expand, SE_C * SE_HIDDEN, 1);
    check_gradient(se_loss, &s, s.expand_bias, d_expand_bias, SE_C, 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bn_chain),  cmocka_unit_test(test_bn_constant_channel),
        cmocka_unit_test(test_depthwise), cmocka_unit_test(test_pointwise),
        cmocka_unit_test(test_linear),    cmocka_unit_test(test_stem),
        cmocka_unit_test(test_conv),      cmocka_unit_test(test_se)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
