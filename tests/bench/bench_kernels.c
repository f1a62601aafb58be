/* Rates of the forward kernels, every row that this processor runs, on the shapes of the built-in
 * spaces at batch 1 (and of a training group where it says so). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cpu.h"
#include "base/memory.h"
#include "runtime/kernels/kernels.h"
#include "tests/bench/bench.h"

enum { FLOATS = 4 << 20 }; /* of each buffer; the largest shape fits */

static float *x, *y, *w;
static bool json;

struct task {
    const struct kernels *row;
    struct pw_args pw;
    struct dw_args dw;
    struct conv_args conv;
    struct dense_args dense;
};

static void print(const struct kernels *row, const char *shape, double flops, void (*fn)(void *),
                  struct task *task) {
    struct bench_time time = bench_measure(fn, task, 0.004, 15);
    printf(json ? "{\"row\":\"%s\",\"shape\":\"%s\",\"us\":%.3f,\"gflops\":%.2f,\"best\":%.2f}\n"
                : "%-8s %-36s %10.2f us %8.2f GFLOP/s (best %.2f)\n",
           row->name, shape, time.median_s * 1e6, flops / time.median_s * 1e-9,
           flops / time.best_s * 1e-9);
    fflush(stdout);
}

static void call_pw(void *context) {
    struct task *task = context;
    task->row->pw_f32(&task->pw);
}

static void call_dw(void *context) {
    struct task *task = context;
    task->row->dw_f32(&task->dw);
}

static void call_conv(void *context) {
    struct task *task = context;
    task->row->conv_f32(&task->conv);
}

static void call_dense(void *context) {
    struct task *task = context;
    task->row->dense_f32(&task->dense);
}

static void bench_pw(const struct kernels *row) {
    static const int shapes[][3] = {
        /* c_in, c_out, pixels */
        {16, 96, 1024}, {96, 16, 1024}, {24, 144, 256},  {144, 24, 256},
        {40, 240, 64},  {240, 40, 64},  {80, 480, 16},   {480, 80, 16},
        {96, 576, 16},  {576, 96, 16},  {24, 144, 3136}, {144, 24, 3136},
        {80, 480, 196}, {480, 80, 196}, {160, 960, 49},  {960, 160, 49}};
    for (size_t i = 0; i < sizeof(shapes) / sizeof(*shapes); i++) {
        const int *s = shapes[i];
        struct task task = {.row = row,
                            .pw = {.x = x,
                                   .w = w,
                                   .y = y,
                                   .x_block = s[2] * 8,
                                   .y_block = s[2] * 8,
                                   .pixels = s[2],
                                   .c_in = s[0],
                                   .c_out = s[1],
                                   .epi = {.kind = EPI_AFFINE, .act = ACT_RELU, .shift = w}}};
        char text[64];
        snprintf(text, sizeof(text), "pw %d->%d, %d pixels", s[0], s[1], s[2]);
        print(row, text, 2.0 * s[0] * s[1] * s[2], call_pw, &task);
    }
}

static void bench_dw(const struct kernels *row) {
    static const int shapes[][4] = {/* channels, side, kernel, stride */
                                    {24, 32, 3, 1}, {24, 32, 5, 1}, {24, 32, 7, 1}, {24, 32, 3, 2},
                                    {24, 32, 7, 2}, {24, 16, 3, 1}, {24, 16, 7, 1}, {24, 14, 5, 1},
                                    {24, 8, 3, 1},  {24, 8, 5, 1},  {24, 8, 7, 1},  {24, 7, 5, 1},
                                    {24, 4, 3, 1},  {24, 4, 5, 1},  {24, 4, 7, 1},  {24, 56, 3, 1},
                                    {24, 56, 7, 1}};
    for (size_t i = 0; i < sizeof(shapes) / sizeof(*shapes); i++) {
        const int *s = shapes[i];
        int out = (s[1] + s[3] - 1) / s[3];
        ptrdiff_t row_floats = dw_row_floats(s[1], s[2]);
        struct task task = {.row = row,
                            .dw = {.x = x,
                                   .w = w,
                                   .y = y,
                                   .x_row = row_floats,
                                   .x_block = row_floats * s[1],
                                   .y_row = out * 8,
                                   .y_block = out * out * 8,
                                   .blocks = s[0] / 8,
                                   .h_in = s[1],
                                   .w_in = s[1],
                                   .kernel = s[2],
                                   .stride = s[3],
                                   .epi = {.kind = EPI_AFFINE, .act = ACT_RELU, .shift = w}}};
        char text[64];
        snprintf(text, sizeof(text), "dw %d @%d k%d s%d (taps of padding counted)", s[0], s[1],
                 s[2], s[3]);
        print(row, text, 2.0 * s[0] * out * out * s[2] * s[2], call_dw, &task);
    }
}

static void bench_conv(const struct kernels *row) {
    static const int shapes[][4] = {/* c_in, side, c_out, stride */
                                    {1, 28, 8, 1},
                                    {1, 28, 16, 1},
                                    {3, 32, 16, 1},
                                    {3, 224, 16, 2}};
    for (size_t i = 0; i < sizeof(shapes) / sizeof(*shapes); i++) {
        const int *s = shapes[i];
        int out = s[1] / s[3];
        struct task task = {.row = row,
                            .conv = {.x = x,
                                     .w = w,
                                     .y = y,
                                     .scratch = x + FLOATS / 2,
                                     .y_block = out * out * 8,
                                     .c_in = s[0],
                                     .h_in = s[1],
                                     .w_in = s[1],
                                     .c_out = s[2],
                                     .kernel = 3,
                                     .stride = s[3],
                                     .epi = {.kind = EPI_AFFINE, .act = ACT_HSWISH, .shift = w}}};
        char text[64];
        snprintf(text, sizeof(text), "conv3x3 %d->%d @%d s%d", s[0], s[2], s[1], s[3]);
        print(row, text, 2.0 * s[0] * s[2] * out * out * 9, call_conv, &task);
    }
}

static void bench_dense(const struct kernels *row) {
    static const int shapes[][6] = {
        /* c_in, side, c_out, kernel, stride, up */
        {16, 28, 16, 3, 1, 1}, {24, 32, 24, 3, 1, 1},   {32, 28, 64, 3, 2, 1},
        {64, 14, 64, 3, 1, 1}, {128, 7, 128, 3, 1, 1},  {128, 14, 128, 3, 1, 1},
        {64, 56, 64, 3, 1, 1}, {256, 14, 256, 3, 1, 1}, {512, 7, 512, 3, 1, 1},
        {32, 14, 32, 5, 1, 1}, {24, 14, 24, 7, 1, 1},   {64, 14, 64, 3, 1, 2}};
    for (size_t i = 0; i < sizeof(shapes) / sizeof(*shapes); i++) {
        const int *s = shapes[i];
        int out = s[5] > 1 ? s[1] * s[5] : s[1] / s[4];
        struct task task = {.row = row,
                            .dense = {.x = x,
                                      .w = w,
                                      .y = y,
                                      .x_block = s[1] * s[1] * 8,
                                      .y_block = out * out * 8,
                                      .c_in = s[0],
                                      .c_out = s[2],
                                      .h_in = s[1],
                                      .w_in = s[1],
                                      .h_out = out,
                                      .w_out = out,
                                      .kernel = s[3],
                                      .stride = s[4],
                                      .up = s[5],
                                      .pixels = out * out}};
        char text[64];
        snprintf(text, sizeof(text), "dense k%d %d->%d @%d s%d up%d", s[3], s[0], s[2], s[1], s[4],
                 s[5]);
        int pixels = s[5] > 1 ? s[1] * s[1] : out * out;
        print(row, text, 2.0 * s[0] * s[2] * pixels * s[3] * s[3], call_dense, &task);
    }
}

int main(int argc, char **argv) {
    json = argc > 1 && !strcmp(argv[1], "--json");
    x = mem_aligned(FLOATS, sizeof(float));
    y = mem_aligned(FLOATS, sizeof(float));
    w = mem_aligned(FLOATS, sizeof(float));
    if (!x || !y || !w)
        return 1;
    for (int i = 0; i < FLOATS; i++) {
        x[i] = (float)(i % 17) * 0.1f - 0.8f;
        w[i] = (float)(i % 23) * 0.05f - 0.5f;
    }
    for (int i = 0; kernels_rows[i]; i++)
        if (!(kernels_rows[i]->cpu_flags & ~cpu_flags())) {
            bench_pw(kernels_rows[i]);
            bench_dw(kernels_rows[i]);
            bench_conv(kernels_rows[i]);
            bench_dense(kernels_rows[i]);
        }
    free(x);
    free(y);
    free(w);
    return 0;
}
