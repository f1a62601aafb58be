/* Blocks of dense convolutions: plain ones and bottlenecks. Each convolution is one pass with bias,
 * activation and residual in its epilogue; threads share a pass by runs of pixels. */
#include "runtime/unit_job.h"

enum { DENSE_PIXELS_PER_CHUNK = 24 /* a multiple of all tiles; few, for images of few pixels */ };

/* One convolution of a unit on its way. */
struct pass {
    const struct job *job;
    struct dense_args dense;  /* kernel > 1 or strided; else pointwise */
    struct pw_args pointwise; /* of all pixels */
    enum act act_behind;      /* applied to what the epilogue leaves */
};

static void run_dense_chunk(void *context, int chunk, int thread) {
    const struct pass *pass = context;
    struct dense_args args = pass->dense;
    int left = args.pixels - chunk * DENSE_PIXELS_PER_CHUNK;
    args.first = chunk * DENSE_PIXELS_PER_CHUNK;
    args.pixels = left < DENSE_PIXELS_PER_CHUNK ? left : DENSE_PIXELS_PER_CHUNK;
    pass->job->run->kernels->dense_f32(&args);
}

static void run_pass(const struct pass *pass, int64_t macs, int pixels, int pixels_per_chunk,
                     void (*fn)(void *, int, int)) {
    int chunks = (pixels + pixels_per_chunk - 1) / pixels_per_chunk;
    struct pass copy = *pass;
    parallel_for(macs >= SPLIT_MACS ? pass->job->run->pool : NULL, chunks, fn, &copy);
}

static void run_dense(const struct pass *pass) {
    const struct dense_args *a = &pass->dense;
    int64_t macs = (int64_t)a->c_in * a->c_out * a->kernel * a->kernel * a->pixels;
    run_pass(pass, macs, a->pixels, DENSE_PIXELS_PER_CHUNK, run_dense_chunk);
}

static void run_pointwise_chunk(void *context, int chunk, int thread) {
    const struct pass *pass = context;
    const struct kernels *kernels = pass->job->run->kernels;
    struct pw_args args = pass->pointwise;
    int first = chunk * PIXELS_PER_CHUNK, left = args.pixels - first;
    args.x += plane_floats(first);
    args.y += plane_floats(first);
    args.pixels = left < PIXELS_PER_CHUNK ? left : PIXELS_PER_CHUNK;
    if (args.epi.residual)
        args.epi.residual += plane_floats(first);
    kernels->pw_f32(&args);
    if (pass->act_behind == ACT_NONE)
        return;
    kernels->affine_f32(&(struct affine_args){.x = args.y,
                                              .y = args.y,
                                              .x_block = args.y_block,
                                              .y_block = args.y_block,
                                              .pixels = args.pixels,
                                              .channels = args.c_out,
                                              .act = pass->act_behind});
}

static void run_pointwise(const struct pass *pass) {
    const struct pw_args *a = &pass->pointwise;
    run_pass(pass, (int64_t)a->c_in * a->c_out * a->pixels, a->pixels, PIXELS_PER_CHUNK,
             run_pointwise_chunk);
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
    struct pass pass = {.job = job,
                        .pointwise = {.x = job->input,
                                      .w = job->unit->expand.weight,
                                      .y = job->scratch,
                                      .x_block = plane_floats(job->g.pixels_in),
                                      .y_block = plane_floats(job->g.pixels_in),
                                      .pixels = job->g.pixels_in,
                                      .c_in = spec->c_in,
                                      .c_out = job->g.mid,
                                      .epi = job_affine(&job->unit->expand, 0, spec->act)}};
    run_pointwise(&pass);
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
    struct pass pass = {.job = job,
                        .pointwise = {.x = job->middle,
                                      .w = job->unit->last.weight,
                                      .y = job->output,
                                      .x_block = block,
                                      .y_block = block,
                                      .pixels = job->g.pixels_out,
                                      .c_in = job->g.mid,
                                      .c_out = spec->c_out,
                                      .epi = job_affine(&job->unit->last, 0, ACT_NONE)},
                        .act_behind = spec->act};
    pass.pointwise.epi.residual = spec->residual ? job->input : job->output;
    pass.pointwise.epi.residual_block = block;
    run_pointwise(&pass);
}

void unit_run_bottleneck(struct job *job) {
    reduce(job);
    filter(job);
    if (!job->unit->spec.residual)
        shortcut(job);
    project(job);
}
