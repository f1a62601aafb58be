/* A unit on its way through one image: what the files that run units share. For runtime/unit*.c
 * only.
 */
#pragma once

#include "runtime/unit.h"

enum {
    /* Multiply-adds below which a second thread costs more than it brings. */
    SPLIT_MACS = 150000,
    PIXELS_PER_CHUNK = 96
};

struct geometry {
    int mid, h_out, w_out, pixels_in, pixels_out;
};

static inline struct geometry job_geometry(const struct unit_spec *spec) {
    int stride = spec->stride ? spec->stride : 1;
    struct geometry g = {.mid = spec->expand_channels ? spec->expand_channels : spec->c_in,
                         .h_out = (spec->h_in + stride - 1) / stride,
                         .w_out = (spec->w_in + stride - 1) / stride,
                         .pixels_in = spec->h_in * spec->w_in};
    g.pixels_out = g.h_out * g.w_out;
    return g;
}

/* Floats of a block of 8 channels. */
static inline ptrdiff_t plane_floats(int pixels) {
    return (ptrdiff_t)pixels * KERNEL_LANES;
}

/* A unit on its way through one image. */
struct job {
    const struct unit *unit;
    const struct unit_run *run;
    struct geometry g;
    float *input, *scratch, *middle, *vectors, *output;
    bool alone; /* one thread does all panels */
    int panels_per_chunk;
};

static inline float *job_place(const struct unit_run *run, int64_t offset) {
    return (float *)(void *)(run->arena + offset);
}

static inline struct job job_begin(const struct unit *unit, const struct unit_run *run) {
    return (struct job){.unit = unit,
                        .run = run,
                        .g = job_geometry(&unit->spec),
                        .input = job_place(run, unit->at.input),
                        .scratch = job_place(run, unit->at.scratch),
                        .middle = job_place(run, unit->at.middle),
                        .vectors = job_place(run, unit->at.vectors),
                        .output = job_place(run, unit->at.output)};
}

/* Bias and activation; `channel` is the first of packed that is computed. */
static inline struct epilogue job_affine(const struct packed *packed, int channel, enum act act) {
    return (struct epilogue){
        .kind = EPI_AFFINE, .act = act, .shift = packed->bias ? packed->bias + channel : NULL};
}

/* fn over chunks, on all threads if the work is worth it. Chunks compute the same wherever they
 * run. */
static inline void job_split(struct job *job, int64_t macs, int chunks,
                             void (*fn)(void *, int, int)) {
    parallel_for(macs >= SPLIT_MACS ? job->run->pool : NULL, chunks, fn, job);
}

/* A 1x1 convolution of all pixels that the arguments name, on all threads if it is worth it
 * (unit_pointwise.c). act_behind is applied to what the epilogue leaves. */
void unit_run_pointwise(const struct unit_run *run, const struct pw_args *args,
                        enum act act_behind);
/* y = act(bias + W x) of one vector, likewise. */
void unit_run_linear(const struct unit_run *run, const struct linear_args *args);

/* Dense kinds of blocks (unit_dense.c). */
void unit_run_conv(struct job *job);
void unit_run_bottleneck(struct job *job);
