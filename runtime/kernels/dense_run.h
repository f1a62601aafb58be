/* What the instruction sets' dense convolutions share: the outputs in runs, with an address for
 * each tap of each. Included by kernels' files only. */
#pragma once

#include "runtime/kernels/functions.h"

enum { DENSE_RUN_MAX = 48, TAPS_MAX = SPACE_KERNEL_MAX * SPACE_KERNEL_MAX };

/* Outputs (r0 + up * i, q0 + up * j): those that the same taps reach when x has zeros between. */
struct phase {
    int r0, q0, rows, columns;
};

/* Some outputs of a phase and where their taps read and they are stored. */
struct run {
    int n, n_taps;
    int tap[TAPS_MAX];                       /* which of the kernel's */
    ptrdiff_t from[TAPS_MAX][DENSE_RUN_MAX]; /* floats from x; negative: zeros */
    ptrdiff_t to[DENSE_RUN_MAX];             /* floats from y */
};

static const float dense_zeros[8] __attribute__((aligned(32)));

/* Place of a tap's row or column for the first output of a phase, in pixels of x; false if the tap
 * falls between. */
static inline bool tap_start(const struct dense_args *a, int first, int tap, int *ret_start) {
    int place = first * a->stride + tap - a->kernel / 2;
    int start = (place + a->kernel * a->up) / a->up - a->kernel; /* floor */
    *ret_start = start;
    return start * a->up == place;
}

static inline void run_tap(const struct dense_args *a, const struct phase *phase, int p, int row0,
                           int column0, struct run *run) {
    ptrdiff_t *from = run->from[run->n_taps];
    int step = a->up > 1 ? 1 : a->stride, i = p / phase->columns, j = p % phase->columns;
    for (int m = 0; m < run->n; m++) {
        int row = row0 + i * step, column = column0 + j * step;
        bool inside = (unsigned)row < (unsigned)a->h_in && (unsigned)column < (unsigned)a->w_in;
        from[m] = inside ? ((ptrdiff_t)row * a->w_in + column) * 8 : -1;
        if (++j == phase->columns)
            i++, j = 0;
    }
}

/* The run of outputs [p, p + n) of a phase. */
static inline void run_init(const struct dense_args *a, const struct phase *phase, int p, int n,
                            struct run *run) {
    run->n = n;
    run->n_taps = 0;
    for (int m = 0; m < n; m++) {
        int r = phase->r0 + (p + m) / phase->columns * a->up;
        int q = phase->q0 + (p + m) % phase->columns * a->up;
        run->to[m] = ((ptrdiff_t)r * a->w_out + q) * 8;
    }
    for (int t = 0; t < a->kernel * a->kernel; t++) {
        int row0, column0;
        if (!tap_start(a, phase->r0, t / a->kernel, &row0) ||
            !tap_start(a, phase->q0, t % a->kernel, &column0))
            continue;
        run_tap(a, phase, p, row0, column0, run);
        run->tap[run->n_taps++] = t;
    }
}

/* Works out a run, all channels; first: the output that it begins with, in the order of rows (for
 * the residual; without meaning where up > 1). */
typedef void dense_run_fn(const struct dense_args *a, const struct run *run, int first);

static inline void dense_phase(const struct dense_args *a, const struct phase *phase, int first,
                               int end, int run_pixels, dense_run_fn *fn) {
    for (int p = first; p < end; p += run_pixels) {
        struct run run;
        run_init(a, phase, p, end - p < run_pixels ? end - p : run_pixels, &run);
        fn(a, &run, p);
    }
}

/* All outputs of the call, at most run_pixels at a time. */
static inline void dense_runs(const struct dense_args *a, int run_pixels, dense_run_fn *fn) {
    if (a->up == 1) {
        struct phase all = {0, 0, a->h_out, a->w_out};
        dense_phase(a, &all, a->first, a->first + a->pixels, run_pixels, fn);
        return;
    }
    for (int r0 = 0; r0 < a->up; r0++)
        for (int q0 = 0; q0 < a->up; q0++) {
            struct phase phase = {r0, q0, (a->h_out - r0 + a->up - 1) / a->up,
                                  (a->w_out - q0 + a->up - 1) / a->up};
            if (phase.rows > 0 && phase.columns > 0)
                dense_phase(a, &phase, 0, phase.rows * phase.columns, run_pixels, fn);
        }
}
