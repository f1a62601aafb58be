/* Rates of the training kernels, one thread: bench_train_kernels [--json] [operation]. One line for
 * each shape and row: the median and the best of REPEATS timings, GFLOP/s (2 x multiply-adds,
 * padding taps counted) or GB/s read and written. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/cpu.h"
#include "base/memory.h"
#include "base/stats.h"
#include "supernet/kernels/train_kernels.h"

enum { REPEATS = 11, TIMING_NS = 10000000 };

/* Shapes: those of a 32x32 supernet's largest subnet, 8 images, one by
 * one where they are large as the engine takes them, and odd ones of 28x28. */
struct shape {
    const char *kernel_name;
    int c_in, c_out, side, kernel, stride;
};
static const struct shape shapes[] = {
    {"pw_grad_f32", 16, 96, 32, 1, 1},      {"pw_grad_f32", 96, 16, 32, 1, 1},
    {"pw_grad_f32", 24, 144, 16, 1, 1},     {"pw_grad_f32", 144, 24, 16, 1, 1},
    {"pw_grad_f32", 40, 240, 8, 1, 1},      {"pw_grad_f32", 240, 40, 8, 1, 1},
    {"pw_grad_f32", 80, 480, 4, 1, 1},      {"pw_grad_f32", 480, 80, 4, 1, 1},
    {"pw_grad_f32", 96, 576, 4, 1, 1},      {"pw_grad_f32", 16, 48, 28, 1, 1},
    {"dw_grad_f32", 8, 8, 32, 3, 1},        {"dw_grad_f32", 8, 8, 32, 5, 1},
    {"dw_grad_f32", 8, 8, 32, 7, 1},        {"dw_grad_f32", 8, 8, 16, 3, 1},
    {"dw_grad_f32", 8, 8, 16, 5, 1},        {"dw_grad_f32", 8, 8, 16, 7, 1},
    {"dw_grad_f32", 8, 8, 8, 3, 1},         {"dw_grad_f32", 8, 8, 8, 5, 1},
    {"dw_grad_f32", 8, 8, 8, 7, 1},         {"dw_grad_f32", 8, 8, 4, 3, 1},
    {"dw_grad_f32", 8, 8, 4, 5, 1},         {"dw_grad_f32", 8, 8, 4, 7, 1},
    {"dw_grad_f32", 8, 8, 14, 5, 1},        {"dw_grad_f32", 8, 8, 7, 5, 1},
    {"dw_grad_f32", 8, 8, 32, 3, 2},        {"dw_grad_f32", 8, 8, 32, 5, 2},
    {"dw_grad_f32", 8, 8, 32, 7, 2},        {"dw_grad_f32", 8, 8, 16, 7, 2},
    {"dw_grad_f32", 8, 8, 8, 7, 2},         {"stem_grad_f32", 1, 16, 28, 3, 1},
    {"dense_grad_f32", 16, 16, 28, 3, 1},   {"dense_grad_f32", 32, 64, 28, 3, 2},
    {"dense_grad_f32", 64, 64, 14, 3, 1},   {"dense_grad_f32", 128, 128, 7, 3, 1},
    {"dense_grad_f32", 64, 64, 4, 3, 1},    {"dense_grad_f32", 24, 24, 14, 7, 1},
    {"stem_grad_f32", 3, 16, 32, 3, 1},     {"linear_grad_f32", 576, 10, 0, 1, 1},
    {"linear_grad_f32", 480, 120, 0, 1, 1}, {"linear_grad_f32", 120, 480, 0, 1, 1},
    {"act_sums_f32", 96, 96, 32, 1, 1},     {"act_grad_f32", 96, 96, 32, 1, 1},
    {"act_grad_f32", 96, 96, 4, 1, 1},      {"se_gate_grad_f32", 96, 96, 32, 1, 1},
    {"bn_grad_f32", 96, 96, 32, 1, 1},      {"bn_grad_f32", 96, 96, 4, 1, 1},
};
enum { IMAGES = 8, N_SHAPES = sizeof shapes / sizeof *shapes };

/* What is timed; part names a half of a kernel that has two. */
struct work {
    void (*run)(const struct train_kernels *row, const void *args);
    const char *part;
    double amount; /* floating point operations or bytes of one run */
    bool bytes;
    union {
        struct pw_grad_args pw;
        struct dw_grad_args dw;
        struct dense_grad_args dense;
        struct stem_grad_args stem;
        struct linear_grad_args linear;
        struct act_sums_args sums;
        struct act_grad_args act;
        struct se_gate_grad_args gate;
        struct bn_grad_args bn;
    } args;
};

#define OP_RUN(op, type, isa)                                                                      \
    static void run_##op(const struct train_kernels *row, const void *args) {                      \
        row->op(args);                                                                             \
    }
TRAIN_KERNEL_OPS(OP_RUN, )

/* ---- Buffers: one pool, handed out anew for each shape ---- */

static float *pool;
static size_t pool_used;
enum { POOL_FLOATS = 1 << 24 };

static float *take(size_t n) {
    float *data = pool + pool_used;
    pool_used += (n + 15) / 16 * 16;
    if (pool_used > POOL_FLOATS) {
        fprintf(stderr, "bench_train_kernels: a shape does not fit the pool\n");
        exit(1);
    }
    for (size_t i = 0; i < n; i++)
        data[i] = (float)((i * 2654435761u >> 7 & 1023) / 512.0 - 1);
    return data;
}

static int pixels_of(const struct shape *s) {
    return IMAGES * s->side * s->side;
}

/* Images that the engine hands to a depthwise kernel at once. */
static int group_of(const struct shape *s) {
    int group = 128 / (s->side * s->side);
    return group < 1 ? 1 : group > IMAGES ? IMAGES : group;
}

/* ---- One set-up for each operation; part 0, 1, ... until false ---- */

static bool make_pw_grad_f32(const struct shape *s, int part, struct work *w) {
    int pixels = pixels_of(s);
    w->args.pw = (struct pw_grad_args){take((size_t)pixels * s->c_in),
                                       take((size_t)pixels * s->c_out),
                                       pixels * 8L,
                                       pixels * 8L,
                                       pixels,
                                       s->c_in,
                                       s->c_out,
                                       take(pw_grad_dense_floats(s->c_in, s->c_out))};
    w->amount = 2.0 * pixels * s->c_in * s->c_out;
    return part == 0;
}

static bool make_dw_grad_f32(const struct shape *s, int part, struct work *w) {
    static const char *const parts[] = {" weight", " data"};
    int out = (s->side - 1) / s->stride + 1, images = group_of(s);
    struct dw_grad_args *a = &w->args.dw;
    *a = (struct dw_grad_args){images, s->side, s->side, s->kernel, s->stride};
    a->x_image = a->dx_image = s->side * s->side * 8L;
    a->dy_image = out * out * 8L;
    a->x = take((size_t)(images * a->x_image));
    a->dy = take((size_t)(images * a->dy_image));
    a->w = take((size_t)s->kernel * s->kernel * 8);
    a->d_weight = part == 0 ? take((size_t)s->kernel * s->kernel * 8) : NULL;
    a->dx = part == 1 ? take((size_t)(images * a->dx_image)) : NULL;
    a->scratch = take(dw_grad_scratch_floats(s->side, s->side, s->kernel, s->stride));
    w->part = part < 2 ? parts[part] : "";
    w->amount = 2.0 * images * out * out * 8 * s->kernel * s->kernel;
    return part < 2;
}

static bool make_dense_grad_f32(const struct shape *s, int part, struct work *w) {
    int out = (s->side - 1) / s->stride + 1;
    struct dense_grad_args *a = &w->args.dense;
    *a = (struct dense_grad_args){.images = IMAGES,
                                  .c_in = s->c_in,
                                  .c_out = s->c_out,
                                  .h_in = s->side,
                                  .w_in = s->side,
                                  .kernel = s->kernel,
                                  .stride = s->stride};
    a->x_image = s->side * s->side * 8L;
    a->dy_image = out * out * 8L;
    a->x_block = IMAGES * a->x_image;
    a->dy_block = IMAGES * a->dy_image;
    a->x = take((size_t)(s->c_in / 8 * a->x_block));
    a->dy = take((size_t)(s->c_out / 8 * a->dy_block));
    a->dense = take(dense_grad_floats(s->c_in, s->c_out, s->kernel));
    w->amount = 2.0 * IMAGES * out * out * s->c_in * s->c_out * s->kernel * s->kernel;
    return part == 0;
}

static bool make_stem_grad_f32(const struct shape *s, int part, struct work *w) {
    int pixels = pixels_of(s);
    struct stem_grad_args *a = &w->args.stem;
    *a = (struct stem_grad_args){
        take((size_t)pixels * s->c_in), IMAGES, s->c_in, s->side, s->side, s->stride, s->c_out};
    a->dy = take((size_t)pixels * s->c_out);
    a->dy_block = pixels * 8L;
    a->dy_image = s->side * s->side * 8L;
    a->dense = take((size_t)s->c_out * s->c_in * 9);
    a->scratch = take(stem_grad_scratch_floats(s->side, s->side));
    w->amount = 2.0 * pixels * s->c_in * 9 * s->c_out;
    return part == 0;
}

static bool make_linear_grad_f32(const struct shape *s, int part, struct work *w) {
    enum { BATCH = 64 };
    struct linear_grad_args *a = &w->args.linear;
    *a = (struct linear_grad_args){BATCH, s->c_in, s->c_out};
    a->x_ld = a->w_ld = a->dx_ld = s->c_in;
    a->dy_ld = s->c_out;
    a->x = take((size_t)BATCH * s->c_in);
    a->dy = take((size_t)BATCH * s->c_out);
    a->w = take((size_t)s->c_in * s->c_out);
    a->d_weight = take((size_t)s->c_in * s->c_out);
    a->d_bias = take((size_t)s->c_out);
    a->dx = take((size_t)BATCH * s->c_in);
    w->amount = 4.0 * BATCH * s->c_in * s->c_out;
    return part == 0;
}

static struct bn_act bn_act_of(int channels) {
    return (struct bn_act){take((size_t)channels), take((size_t)channels), ACT_HSWISH};
}

static bool make_act_sums_f32(const struct shape *s, int part, struct work *w) {
    int pixels = pixels_of(s);
    size_t n = (size_t)pixels * s->c_in;
    w->args.sums = (struct act_sums_args){.a = take(n), .a_block = pixels * 8L, .pixels = pixels};
    w->args.sums.channels = s->c_in;
    w->args.sums.bn_act = bn_act_of(s->c_in);
    w->args.sums.sum = take((size_t)s->c_in);
    w->amount = (double)n * sizeof(float);
    w->bytes = true;
    return part == 0;
}

static bool make_act_grad_f32(const struct shape *s, int part, struct work *w) {
    static const char *const parts[] = {" relu in place", " h_swish with h"};
    int pixels = pixels_of(s);
    size_t n = (size_t)pixels * s->c_in;
    struct act_grad_args *a = &w->args.act;
    *a = (struct act_grad_args){.a = take(n), .pixels = pixels, .channels = s->c_in};
    a->a_block = a->dy_block = a->dz_block = a->h_block = pixels * 8L;
    a->bn_act = bn_act_of(s->c_in);
    a->bn_act.act = part ? ACT_HSWISH : ACT_RELU;
    a->dy = take(n);
    a->dz =
        part ? take(n) : (float *)a->dy; /* again and again in place: only relu does not decay */
    a->h = part ? take(n) : NULL;
    a->sum = take((size_t)s->c_in);
    a->sum_a = take((size_t)s->c_in);
    w->part = part < 2 ? parts[part] : "";
    w->amount = (double)n * sizeof(float) * (part ? 4 : 3);
    w->bytes = true;
    return part < 2;
}

static bool make_se_gate_grad_f32(const struct shape *s, int part, struct work *w) {
    int pixels = pixels_of(s);
    size_t n = (size_t)pixels * s->c_in;
    struct se_gate_grad_args *a = &w->args.gate;
    *a = (struct se_gate_grad_args){.a = take(n), .dy = take(n), .pixels = pixels};
    a->channels = s->c_in;
    a->a_block = a->dy_block = pixels * 8L;
    a->bn_act = bn_act_of(s->c_in);
    a->d_gate = take((size_t)s->c_in);
    w->amount = 2.0 * (double)n * sizeof(float);
    w->bytes = true;
    return part == 0;
}

static bool make_bn_grad_f32(const struct shape *s, int part, struct work *w) {
    int pixels = pixels_of(s);
    size_t n = (size_t)pixels * s->c_in;
    struct bn_grad_args *a = &w->args.bn;
    *a = (struct bn_grad_args){.a = take(n), .dz = take(n), .pixels = pixels, .channels = s->c_in};
    a->a_block = a->dz_block = a->da_block = pixels * 8L;
    a->coef =
        (struct bn_grad_coef){take((size_t)s->c_in), take((size_t)s->c_in), take((size_t)s->c_in)};
    a->da = (float *)a->dz;
    w->amount = 3.0 * (double)n * sizeof(float);
    w->bytes = true;
    return part == 0;
}

/* ---- Timing ---- */

static bool make_work(const struct shape *s, int part, struct work *w) {
    pool_used = 0;
    *w = (struct work){.part = ""};
#define OP_MAKE(op, type, isa)                                                                     \
    if (strcmp(s->kernel_name, #op) == 0) {                                                        \
        w->run = run_##op;                                                                         \
        return make_##op(s, part, w);                                                              \
    }
    TRAIN_KERNEL_OPS(OP_MAKE, )
    return false;
}

/* Giga-units a second of each repeat. */
static void measure(const struct train_kernels *row, const struct work *w, double *ret_rates) {
    int64_t start = clock_mono_ns();
    w->run(row, &w->args);
    int64_t once = clock_mono_ns() - start;
    int runs = (int)(TIMING_NS / (once > 0 ? once : 1)) + 1;
    for (int r = 0; r < REPEATS; r++) {
        start = clock_mono_ns();
        for (int i = 0; i < runs; i++)
            w->run(row, &w->args);
        ret_rates[r] = w->amount * runs / (double)(clock_mono_ns() - start);
    }
}

static void report(const struct train_kernels *row, const struct shape *s, const struct work *w,
                   bool json) {
    double rates[REPEATS];
    measure(row, w, rates);
    double median = stats_median(rates, REPEATS), best = stats_quantile(rates, REPEATS, 1);
    const char *unit = w->bytes ? "GB/s" : "GFLOP/s";
    if (json)
        printf("{\"op\":\"%s\",\"part\":\"%s\",\"row\":\"%s\",\"c_in\":%d,\"c_out\":%d,"
               "\"side\":%d,\"kernel\":%d,\"stride\":%d,\"unit\":\"%s\",\"median\":%.2f,"
               "\"best\":%.2f}\n",
               s->kernel_name, *w->part ? w->part + 1 : "", row->name, s->c_in, s->c_out, s->side,
               s->kernel, s->stride, unit, median, best);
    else
        printf("%-18s%-18s %4d ->%4d @%-3d k%d s%d  %-7s %8.2f (best %.2f) %s\n", s->kernel_name,
               w->part, s->c_in, s->c_out, s->side, s->kernel, s->stride, row->name, median, best,
               unit);
    fflush(stdout);
}

int main(int argc, char **argv) {
    bool json = argc > 1 && strcmp(argv[1], "--json") == 0;
    const char *only = argc > 1 + json ? argv[1 + json] : "";
    pool = mem_aligned(POOL_FLOATS, sizeof *pool);
    if (!pool)
        return 1;
    for (int i = 0; i < N_SHAPES; i++) {
        struct work work;
        if (!strstr(shapes[i].kernel_name, only))
            continue;
        for (int part = 0; make_work(&shapes[i], part, &work); part++)
            for (int r = 0; train_kernels_rows[r]; r++)
                if ((train_kernels_rows[r]->cpu_flags & ~cpu_flags()) == 0)
                    report(train_kernels_rows[r], &shapes[i], &work, json);
    }
    free(pool);
    return 0;
}
