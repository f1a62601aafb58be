/* Blocks of dense convolutions: plain ones and bottlenecks. Each convolution is one pass with bias,
 * activation and residual in its epilogue; threads share a pass by runs of pixels. */
#include "runtime/unit_job.h"

enum { DENSE_PIXELS_PER_CHUNK = 24 /* a multiple of all tiles; few, for images of few pixels */ };

/* One convolution of a unit on its way. */
struct pass {
    const struct job *job;
    struct dense_args dense;
};

static void run_dense_chunk(void *context, int chunk, int thread) {
    const struct pass *pass = context;
    struct dense_args args = pass->dense;
    int left = args.pixels - chunk * DENSE_PIXELS_PER_CHUNK;
    args.first = chunk * DENSE_PIXELS_PER_CHUNK;
    args.pixels = left < DENSE_PIXELS_PER_CHUNK ? left : DENSE_PIXELS_PER_CHUNK;
    pass->job->run->kernels->dense_f32(&args);
}

static void run_dense(const struct pass *pass) {
    const struct dense_args *a = &pass->dense;
    int64_t macs = (int64_t)a->c_in * a->c_out * a->kernel * a->kernel * a->pixels;
    int chunks = (a->pixels + DENSE_PIXELS_PER_CHUNK - 1) / DENSE_PIXELS_PER_CHUNK;
    struct pass copy = *pass;
    parallel_for(macs >= SPLIT_MACS ? pass->job->run->pool : NULL, chunks, run_dense_chunk, &copy);
}

/* A dense convolution from the unit's input resolution to its output resolution. */
static struct dense_args dense(const struct job *job, const struct packed *packed, int kernel) {
    const struct unit_spec *spec = &job->unit->spec;
    return (struct dense_args){.w = packed->weight,
                               .x_block = plane_floats(job->g.pixels_in),
                               .y_block = plane_floats(job->g.pixels_out),
                               .h_in = spec->h_in,
                               .w_in = spec->w_in,
                               .h_out = job->g.h_out,
                               .w_out = job->g.w_out,
                               .kernel = kernel,
                               .stride = spec->stride,
                               .up = 1,
                               .pixels = job->g.pixels_out};
}

void unit_run_conv(struct job *job) {
    const struct unit_spec *spec = &job->unit->spec;
    struct pass pass = {.job = job, .dense = dense(job, &job->unit->last, spec->kernel)};
    pass.dense.x = job->input;
    pass.dense.y = job->output;
    pass.dense.c_in = spec->c_in;
    pass.dense.c_out = spec->c_out;
    pass.dense.epi = job_affine(&job->unit->last, 0, spec->act);
    if (spec->residual) {
        pass.dense.epi.residual = job->input;
        pass.dense.epi.residual_block = plane_floats(job->g.pixels_in);
    }
    run_dense(&pass);
}

/* ---- Bottleneck ---- */

static void reduce(const struct job *job) {
    const struct unit_spec *spec = &job->unit->spec;
    unit_run_pointwise(job->run,
                       &(struct pw_args){.x = job->input,
                                         .w = job->unit->expand.weight,
                                         .y = job->scratch,
                                         .x_block = plane_floats(job->g.pixels_in),
                                         .y_block = plane_floats(job->g.pixels_in),
                                         .pixels = job->g.pixels_in,
                                         .c_in = spec->c_in,
                                         .c_out = job->g.mid,
                                         .epi = job_affine(&job->unit->expand, 0, spec->act)},
                       ACT_NONE);
}

static void filter(const struct job *job) {
    const struct unit_spec *spec = &job->unit->spec;
    struct pass pass = {.job = job, .dense = dense(job, &job->unit->dense, spec->kernel)};
    pass.dense.x = job->scratch;
    pass.dense.y = job->middle;
    pass.dense.c_in = pass.dense.c_out = job->g.mid;
    pass.dense.epi = job_affine(&job->unit->dense, 0, spec->act);
    run_dense(&pass);
}

/* The strided 1x1 of the input, into the output. */
static void shortcut(const struct job *job) {
    const struct unit_spec *spec = &job->unit->spec;
    struct pass pass = {.job = job, .dense = dense(job, &job->unit->shortcut, 1)};
    pass.dense.x = job->input;
    pass.dense.y = job->output;
    pass.dense.c_in = spec->c_in;
    pass.dense.c_out = spec->c_out;
    pass.dense.epi = job_affine(&job->unit->shortcut, 0, ACT_NONE);
    run_dense(&pass);
}

/* From the middle; what the shortcut is, is added and the sum activated. */
static void project(const struct job *job) {
    const struct unit_spec *spec = &job->unit->spec;
    ptrdiff_t block = plane_floats(job->g.pixels_out);
    struct pw_args args = {.x = job->middle,
                           .w = job->unit->last.weight,
                           .y = job->output,
                           .x_block = block,
                           .y_block = block,
                           .pixels = job->g.pixels_out,
                           .c_in = job->g.mid,
                           .c_out = spec->c_out,
                           .epi = job_affine(&job->unit->last, 0, ACT_NONE)};
    args.epi.residual = spec->residual ? job->input : job->output;
    args.epi.residual_block = block;
    unit_run_pointwise(job->run, &args, spec->act);
}

void unit_run_bottleneck(struct job *job) {
    reduce(job);
    filter(job);
    if (!job->unit->spec.residual)
        shortcut(job);
    project(job);
}
