/* Every row of the training kernels against the scalar row, on random shapes and values. */
#include "tests/kernels/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "supernet/kernels/train_kernels.h"

enum { ITERATIONS = 120, KEPT_MAX = 32 };

/* Inputs of the case at hand. */
static void *kept[KEPT_MAX];
static int n_kept;

static float *keep(float *data) {
    assert_true(n_kept < KEPT_MAX);
    kept[n_kept++] = data;
    return data;
}

static void free_kept(void) {
    while (n_kept)
        free(kept[--n_kept]);
}

/* The same output once for the scalar row and once for the row under test. */
struct pair {
    struct check_output want, got;
};

static struct pair pair_written(size_t n) {
    return (struct pair){check_output(n), check_output(n)};
}

/* An output that is added to. */
static struct pair pair_added(struct rng *rng, size_t n) {
    struct pair pair = pair_written(n);
    for (size_t i = 0; i < n; i++)
        pair.want.data[i] = pair.got.data[i] = (float)rng_normal(rng);
    return pair;
}

static void pair_check(struct pair *pair, double tolerance, const char *what) {
    check_same(&pair->got, &pair->want, tolerance, what);
    check_output_free(&pair->got);
    check_output_free(&pair->want);
}

static bool coin(struct rng *rng) {
    return rng_below(rng, 2) == 0;
}

/* A block stride for so many pixels, sometimes longer than needed. */
static ptrdiff_t stride_for(struct rng *rng, int pixels) {
    return (ptrdiff_t)pixels * 8 + (coin(rng) ? 0 : 8 * check_between(rng, 1, 9));
}

/* Blocked, channels that pad the last block zero. */
static float *blocked_input(struct rng *rng, int channels, int pixels, ptrdiff_t stride,
                            enum check_values values) {
    int blocks = (channels + 7) / 8;
    float *data = keep(check_blocked(rng, blocks, pixels, stride, values));
    for (int p = 0; p < pixels; p++)
        for (int c = channels; c < blocks * 8; c++)
            data[c / 8 * stride + p * 8 + c % 8] = 0;
    return data;
}

static float *vector(struct rng *rng, int n) {
    return keep(check_input(rng, (size_t)n, CHECK_NORMAL));
}

static struct bn_act random_bn_act(struct rng *rng, int channels) {
    static const enum act acts[] = {ACT_NONE, ACT_RELU, ACT_HSWISH, ACT_RELU6};
    struct bn_act f = {NULL, NULL, acts[rng_below(rng, 4)]};
    if (coin(rng)) {
        f.scale = vector(rng, channels);
        f.shift = vector(rng, channels);
    }
    return f;
}

static struct bn_grad_coef random_coef(struct rng *rng, int channels) {
    return (struct bn_grad_coef){vector(rng, channels), vector(rng, channels),
                                 vector(rng, channels)};
}

static const struct train_kernels *scalar(void) {
    return train_kernels_rows[0];
}

static void check_pw_grad_f32(const struct train_kernels *row, struct rng *rng,
                              enum check_values values) {
    struct pw_grad_args a = {.pixels = check_between(rng, 1, 300)};
    a.c_in = check_between(rng, 1, 60);
    a.c_out = check_between(rng, 1, 60);
    a.x_block = stride_for(rng, a.pixels);
    a.dy_block = stride_for(rng, a.pixels);
    a.x = blocked_input(rng, a.c_in, a.pixels, a.x_block, values);
    a.dy = blocked_input(rng, a.c_out, a.pixels, a.dy_block, values);
    struct pair dense = pair_added(rng, pw_grad_dense_floats(a.c_in, a.c_out));
    a.dense = dense.want.data;
    scalar()->pw_grad_f32(&a);
    a.dense = dense.got.data;
    row->pw_grad_f32(&a);
    char what[100];
    snprintf(what, sizeof what, "pw_grad %d pixels %d -> %d", a.pixels, a.c_in, a.c_out);
    pair_check(&dense, 2e-6, what);
}

static void dw_shape(struct rng *rng, struct dw_grad_args *a) {
    static const int kernels[] = {3, 5, 7};
    a->images = check_between(rng, 1, 3);
    a->h_in = check_between(rng, 1, 34);
    a->w_in = check_between(rng, 1, 34);
    a->kernel = kernels[rng_below(rng, 3)];
    a->stride = check_between(rng, 1, 2);
}

static void check_dw_grad_f32(const struct train_kernels *row, struct rng *rng,
                              enum check_values values) {
    struct dw_grad_args a = {0};
    dw_shape(rng, &a);
    int h_out = (a.h_in - 1) / a.stride + 1, w_out = (a.w_in - 1) / a.stride + 1;
    struct bn_act x_bn_act = random_bn_act(rng, 8);
    struct bn_grad_coef y_coef = random_coef(rng, 8);
    bool through_bn = coin(rng), want_weight = rng_below(rng, 4) > 0,
         want_dx = !want_weight || rng_below(rng, 4) > 0;
    a.x_image = stride_for(rng, a.h_in * a.w_in);
    a.dy_image = stride_for(rng, h_out * w_out);
    a.y_image = stride_for(rng, h_out * w_out);
    a.dx_image = stride_for(rng, a.h_in * a.w_in);
    /* images stand where blocks do in other tensors */
    a.x = want_weight ? blocked_input(rng, a.images * 8, a.h_in * a.w_in, a.x_image, values) : NULL;
    a.x_bn_act = coin(rng) ? &x_bn_act : NULL;
    a.dy = blocked_input(rng, a.images * 8, h_out * w_out, a.dy_image, values);
    if (through_bn) {
        a.y = blocked_input(rng, a.images * 8, h_out * w_out, a.y_image, values);
        a.y_coef = &y_coef;
    }
    a.w = vector(rng, a.kernel * a.kernel * 8);
    struct pair weight = pair_added(rng, (size_t)(a.kernel * a.kernel * 8));
    struct pair dx = pair_written((size_t)(a.images * a.dx_image));
    struct pair scratch = pair_written(dw_grad_scratch_floats(a.h_in, a.w_in, a.kernel, a.stride));
    a.d_weight = want_weight ? weight.want.data : NULL;
    a.dx = want_dx ? dx.want.data : NULL;
    a.scratch = scratch.want.data;
    scalar()->dw_grad_f32(&a);
    a.d_weight = want_weight ? weight.got.data : NULL;
    a.dx = want_dx ? dx.got.data : NULL;
    row->dw_grad_f32(&a);
    char what[100];
    snprintf(what, sizeof what, "dw_grad %d x %dx%d k%d s%d%s%s", a.images, a.h_in, a.w_in,
             a.kernel, a.stride, a.x_bn_act ? " act" : "", a.y ? " bn" : "");
    pair_check(&weight, 2e-5, what);
    pair_check(&dx, 2e-6, what);
    size_t floats = scratch.want.n;
    memcpy(scratch.got.data, scratch.want.data, floats * sizeof(float));
    pair_check(&scratch, 1, what); /* guards only */
}

static void check_dense_grad_f32(const struct train_kernels *row, struct rng *rng,
                                 enum check_values values) {
    struct dense_grad_args a = {.images = check_between(rng, 1, 6)};
    a.c_in = 8 * check_between(rng, 1, 5);
    a.c_out = 8 * check_between(rng, 1, 7);
    a.h_in = check_between(rng, 1, coin(rng) ? 6 : 20);
    a.w_in = check_between(rng, 1, coin(rng) ? 6 : 20);
    a.kernel = 1 + 2 * check_between(rng, 0, 3);
    a.stride = check_between(rng, 1, 2);
    int pixels = ((a.h_in - 1) / a.stride + 1) * ((a.w_in - 1) / a.stride + 1);
    a.x_image = a.h_in * a.w_in * 8;
    a.dy_image = pixels * 8;
    a.x_block = stride_for(rng, a.h_in * a.w_in * a.images);
    a.dy_block = stride_for(rng, pixels * a.images);
    a.x = blocked_input(rng, a.c_in, a.h_in * a.w_in * a.images, a.x_block, values);
    a.dy = blocked_input(rng, a.c_out, pixels * a.images, a.dy_block, values);
    struct pair dense = pair_added(rng, dense_grad_floats(a.c_in, a.c_out, a.kernel));
    a.dense = dense.want.data;
    scalar()->dense_grad_f32(&a);
    a.dense = dense.got.data;
    row->dense_grad_f32(&a);
    char what[100];
    snprintf(what, sizeof what, "dense_grad %d x %dx%dx%d -> %d k%d s%d", a.images, a.c_in, a.h_in,
             a.w_in, a.c_out, a.kernel, a.stride);
    pair_check(&dense, 2e-5, what);
}

static void check_stem_grad_f32(const struct train_kernels *row, struct rng *rng,
                                enum check_values values) {
    struct stem_grad_args a = {.images = check_between(rng, 1, 3)};
    a.c_in = check_between(rng, 1, 4);
    a.h_in = check_between(rng, 1, 33);
    a.w_in = check_between(rng, 1, 33);
    a.stride = check_between(rng, 1, 2);
    a.c_out = check_between(rng, 1, 34);
    int pixels = ((a.h_in - 1) / a.stride + 1) * ((a.w_in - 1) / a.stride + 1);
    a.x = keep(check_input(rng, (size_t)(a.images * a.c_in * a.h_in * a.w_in), values));
    a.dy_image = pixels * 8;
    a.dy_block = stride_for(rng, pixels * a.images);
    a.dy = blocked_input(rng, a.c_out, pixels * a.images, a.dy_block, values);
    struct pair dense = pair_added(rng, (size_t)((a.c_out + 7) / 8 * 8 * a.c_in * 9));
    a.scratch = keep(check_input(rng, stem_grad_scratch_floats(a.h_in, a.w_in), CHECK_NORMAL));
    a.dense = dense.want.data;
    scalar()->stem_grad_f32(&a);
    a.dense = dense.got.data;
    row->stem_grad_f32(&a);
    char what[100];
    snprintf(what, sizeof what, "stem_grad %d x %dx%dx%d -> %d s%d", a.images, a.c_in, a.h_in,
             a.w_in, a.c_out, a.stride);
    pair_check(&dense, 2e-5, what);
}

static void check_linear_grad_f32(const struct train_kernels *row, struct rng *rng,
                                  enum check_values values) {
    struct linear_grad_args a = {check_between(rng, 1, 20), check_between(rng, 1, 70),
                                 check_between(rng, 1, 40)};
    a.x_ld = a.c_in + check_between(rng, 0, 5);
    a.dy_ld = a.c_out + check_between(rng, 0, 5);
    a.w_ld = a.c_in + check_between(rng, 0, 5);
    a.dx_ld = a.c_in + check_between(rng, 0, 5);
    /* the last row ends where its values end */
    a.x = keep(check_input(rng, (size_t)((a.n - 1) * a.x_ld + a.c_in), values));
    a.dy = keep(check_input(rng, (size_t)((a.n - 1) * a.dy_ld + a.c_out), values));
    a.w = keep(check_input(rng, (size_t)((a.c_out - 1) * a.w_ld + a.c_in), values));
    struct pair weight = pair_added(rng, (size_t)((a.c_out - 1) * a.w_ld + a.c_in));
    struct pair bias = pair_added(rng, (size_t)a.c_out);
    struct pair dx = pair_written((size_t)((a.n - 1) * a.dx_ld + a.c_in));
    bool want_weight = coin(rng), want_bias = coin(rng), want_dx = coin(rng);
    a.d_weight = want_weight ? weight.want.data : NULL;
    a.d_bias = want_bias ? bias.want.data : NULL;
    a.dx = want_dx ? dx.want.data : NULL;
    scalar()->linear_grad_f32(&a);
    a.d_weight = want_weight ? weight.got.data : NULL;
    a.d_bias = want_bias ? bias.got.data : NULL;
    a.dx = want_dx ? dx.got.data : NULL;
    row->linear_grad_f32(&a);
    char what[100];
    snprintf(what, sizeof what, "linear_grad %d x %d -> %d", a.n, a.c_in, a.c_out);
    pair_check(&weight, 2e-6, what);
    pair_check(&bias, 2e-6, what);
    pair_check(&dx, 2e-6, what);
}

static void check_act_sums_f32(const struct train_kernels *row, struct rng *rng,
                               enum check_values values) {
    struct act_sums_args a = {.pixels = check_between(rng, 1, 1200)};
    a.channels = 8 * check_between(rng, 1, 4);
    a.a_block = stride_for(rng, a.pixels);
    a.a = blocked_input(rng, a.channels, a.pixels, a.a_block, values);
    a.bn_act = random_bn_act(rng, a.channels);
    struct pair sum = pair_added(rng, (size_t)a.channels);
    a.sum = sum.want.data;
    scalar()->act_sums_f32(&a);
    a.sum = sum.got.data;
    row->act_sums_f32(&a);
    pair_check(&sum, 2e-5, "act_sums");
}

static void check_act_grad_f32(const struct train_kernels *row, struct rng *rng,
                               enum check_values values) {
    struct act_grad_args a = {.pixels = check_between(rng, 1, 1200)};
    a.channels = 8 * check_between(rng, 1, 4);
    a.a_block = stride_for(rng, a.pixels);
    a.dy_block = stride_for(rng, a.pixels);
    a.dz_block = stride_for(rng, a.pixels);
    a.h_block = stride_for(rng, a.pixels);
    a.a = blocked_input(rng, a.channels, a.pixels, a.a_block, values);
    a.dy = coin(rng) ? blocked_input(rng, a.channels, a.pixels, a.dy_block, values) : NULL;
    a.bn_act = random_bn_act(rng, a.channels);
    a.gate = coin(rng) ? vector(rng, a.channels) : NULL;
    a.add = coin(rng) || !a.dy ? vector(rng, a.channels) : NULL;
    bool want_dz = rng_below(rng, 4) > 0, want_h = coin(rng), want_sums = coin(rng);
    struct pair dz = pair_written((size_t)(a.channels / 8 * a.dz_block));
    struct pair h = pair_written((size_t)(a.channels / 8 * a.h_block));
    struct pair sum = pair_added(rng, (size_t)a.channels);
    struct pair sum_a = pair_added(rng, (size_t)a.channels);
    a.dz = want_dz ? dz.want.data : NULL;
    a.h = want_h ? h.want.data : NULL;
    a.sum = want_sums ? sum.want.data : NULL;
    a.sum_a = want_sums ? sum_a.want.data : NULL;
    scalar()->act_grad_f32(&a);
    a.dz = want_dz ? dz.got.data : NULL;
    a.h = want_h ? h.got.data : NULL;
    a.sum = want_sums ? sum.got.data : NULL;
    a.sum_a = want_sums ? sum_a.got.data : NULL;
    row->act_grad_f32(&a);
    pair_check(&dz, 1e-6, "act_grad dz");
    pair_check(&h, 1e-6, "act_grad h");
    pair_check(&sum, 2e-5, "act_grad sum");
    pair_check(&sum_a, 2e-5, "act_grad sum_a");
}

static void check_se_gate_grad_f32(const struct train_kernels *row, struct rng *rng,
                                   enum check_values values) {
    struct se_gate_grad_args a = {.pixels = check_between(rng, 1, 1200)};
    a.channels = 8 * check_between(rng, 1, 4);
    a.a_block = stride_for(rng, a.pixels);
    a.dy_block = stride_for(rng, a.pixels);
    a.h_block = stride_for(rng, a.pixels);
    a.a = blocked_input(rng, a.channels, a.pixels, a.a_block, values);
    a.dy = blocked_input(rng, a.channels, a.pixels, a.dy_block, values);
    a.bn_act = random_bn_act(rng, a.channels);
    bool want_h = coin(rng);
    a.gate = want_h ? vector(rng, a.channels) : NULL;
    struct pair d_gate = pair_added(rng, (size_t)a.channels);
    struct pair h = pair_written((size_t)(a.channels / 8 * a.h_block));
    a.d_gate = d_gate.want.data;
    a.h = want_h ? h.want.data : NULL;
    scalar()->se_gate_grad_f32(&a);
    a.d_gate = d_gate.got.data;
    a.h = want_h ? h.got.data : NULL;
    row->se_gate_grad_f32(&a);
    pair_check(&d_gate, 2e-5, "se_gate_grad");
    pair_check(&h, 1e-6, "se_gate_grad h");
}

static void check_bn_grad_f32(const struct train_kernels *row, struct rng *rng,
                              enum check_values values) {
    struct bn_grad_args a = {.pixels = check_between(rng, 1, 300)};
    a.channels = 8 * check_between(rng, 1, 4);
    a.a_block = stride_for(rng, a.pixels);
    a.dz_block = stride_for(rng, a.pixels);
    a.da_block = stride_for(rng, a.pixels);
    a.a = blocked_input(rng, a.channels, a.pixels, a.a_block, values);
    a.dz = blocked_input(rng, a.channels, a.pixels, a.dz_block, values);
    a.coef = random_coef(rng, a.channels);
    struct pair da = pair_written((size_t)(a.channels / 8 * a.da_block));
    a.da = da.want.data;
    scalar()->bn_grad_f32(&a);
    a.da = da.got.data;
    row->bn_grad_f32(&a);
    pair_check(&da, 1e-6, "bn_grad");
}

/* One test an operation, from the list: a new operation does not compile without its check. */
#define OP_TEST(op, args, isa)                                                                     \
    static void test_##op(void **state) {                                                          \
        (void)state;                                                                               \
        for (int r = 1; train_kernels_rows[r]; r++) {                                              \
            const struct train_kernels *row = train_kernels_rows[r];                               \
            if (row->cpu_flags & ~cpu_flags())                                                     \
                continue;                                                                          \
            for (int i = 0; i < ITERATIONS; i++) {                                                 \
                struct rng rng = check_rng((int)offsetof(struct train_kernels, op), i);            \
                check_##op(row, &rng, i % 3 == 2 ? CHECK_EXTREME : CHECK_NORMAL);                  \
                free_kept();                                                                       \
            }                                                                                      \
        }                                                                                          \
    }
TRAIN_KERNEL_OPS(OP_TEST, )

static void test_select(void **state) {
    (void)state;
    assert_string_equal(train_kernels_select(0)->name, "scalar");
    for (int r = 0; train_kernels_rows[r]; r++)
        assert_ptr_equal(train_kernels_select(train_kernels_rows[r]->cpu_flags),
                         train_kernels_rows[r]);
}

#define OP_UNIT(op, args, isa) cmocka_unit_test(test_##op),

int main(void) {
    const struct CMUnitTest tests[] = {TRAIN_KERNEL_OPS(OP_UNIT, ) cmocka_unit_test(test_select)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
