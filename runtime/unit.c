/* How units run. A block goes panel by panel (up to 24 expanded channels): expand into padded
 * scratch planes that stay in cache, depthwise from there into the middle; then SE in place and
 * project, with bias, activation and residual in the epilogues. */
#include "runtime/unit_job.h"

#include <string.h>

enum {
    CHANNELS_PER_CHUNK = 64,
    SPLIT_VALUES = 16384,   /* of a tensor that is read once, as SPLIT_MACS */
    STEM_ROWS_PER_CHUNK = 8 /* of the output */
};
_Static_assert((int)PW_PANEL_MAX <= (int)MEMORY_PANEL_CHANNELS,
               "a panel fits into its scratch planes");

/* ---- Expand and depthwise ---- */

/* Scratch planes of `channels` channels at y. */
static struct pad_args planes(const struct job *job, float *y, int channels) {
    const struct unit_spec *spec = &job->unit->spec;
    ptrdiff_t row = dw_row_floats(spec->w_in, spec->kernel);
    return (struct pad_args){.x_block = plane_floats(job->g.pixels_in),
                             .y = y,
                             .y_row = row,
                             .y_block = row * spec->h_in,
                             .blocks = channels / KERNEL_LANES,
                             .h = spec->h_in,
                             .w = spec->w_in,
                             .pad = spec->kernel / 2};
}

static void expand_panel(const struct job *job, const struct pad_args *to, int channel, int width) {
    const struct unit *unit = job->unit;
    job->run->kernels->pw_f32(
        &(struct pw_args){.x = job->input,
                          .w = unit->expand.weight + (ptrdiff_t)channel * unit->spec.c_in,
                          .y = to->y + to->pad * KERNEL_LANES,
                          .x_block = to->x_block,
                          .y_block = to->y_block,
                          .pixels = job->g.pixels_in,
                          .c_in = unit->spec.c_in,
                          .c_out = width,
                          .y_width = unit->spec.w_in,
                          .y_row = to->y_row,
                          .epi = job_affine(&unit->expand, channel, unit->spec.act)});
}

static void depthwise_panel(const struct job *job, const struct pad_args *from, int channel) {
    const struct unit_spec *spec = &job->unit->spec;
    ptrdiff_t block = plane_floats(job->g.pixels_out);
    job->run->kernels->dw_f32(&(struct dw_args){
        .x = from->y,
        .w = job->unit->depthwise.weight + (ptrdiff_t)channel * spec->kernel * spec->kernel,
        .y = job->middle + channel / KERNEL_LANES * block,
        .x_row = from->y_row,
        .x_block = from->y_block,
        .y_row = plane_floats(job->g.w_out),
        .y_block = block,
        .blocks = from->blocks,
        .h_in = spec->h_in,
        .w_in = spec->w_in,
        .kernel = spec->kernel,
        .stride = spec->stride,
        .epi = job_affine(&job->unit->depthwise, channel, spec->act)});
}

/* Without expansion nothing binds channels together, so that threads may share few of them. */
static int panel_width(const struct job *job, int left) {
    return job->unit->spec.expand_channels || job->alone ? pw_panel(left) : KERNEL_LANES;
}

static void run_panel(const struct job *job, float *scratch, int channel, int width) {
    struct pad_args to = planes(job, scratch, width);
    if (job->unit->spec.expand_channels) {
        expand_panel(job, &to, channel, width);
    } else {
        to.x = job->input + channel / KERNEL_LANES * to.x_block;
        job->run->kernels->pad_f32(&to);
    }
    depthwise_panel(job, &to, channel);
}

/* One chunk: some panels one after the other in one scratch. */
static void run_panels(void *context, int chunk, int thread) {
    const struct job *job = context;
    float *scratch = thread ? (float *)(void *)job->run->spare[thread] : job->scratch;
    int mid = job->g.mid, first = chunk * job->panels_per_chunk,
        last = first + job->panels_per_chunk;
    int widest = mid < MEMORY_PANEL_CHANNELS ? mid : MEMORY_PANEL_CHANNELS;
    struct pad_args zero = planes(job, scratch, widest);
    dw_zero_columns(&zero);
    int channel = 0;
    for (int panel = 0; channel < mid && panel < last; panel++) {
        int width = panel_width(job, mid - channel);
        if (panel >= first)
            run_panel(job, scratch, channel, width);
        channel += width;
    }
}

static int count_panels(const struct job *job) {
    int n = 0;
    for (int left = job->g.mid; left > 0; n++)
        left -= panel_width(job, left);
    return n;
}

static void run_expand_depthwise(struct job *job, int threads) {
    const struct unit_spec *spec = &job->unit->spec;
    int64_t macs =
        (int64_t)job->g.mid * (spec->expand_channels ? spec->c_in : 0) * job->g.pixels_in +
        (int64_t)job->g.mid * spec->kernel * spec->kernel * job->g.pixels_out;
    job->alone = threads == 1 || macs < SPLIT_MACS;
    int panels = count_panels(job);
    job->panels_per_chunk = job->alone ? panels : 1;
    job_split(job, macs, job->alone ? 1 : panels, run_panels);
}

/* ---- SE, project, the rest ---- */

static void vector_layer(const struct unit_run *run, const struct packed *packed, const float *x,
                         int c_in, int c_out, enum act act, float *y) {
    unit_run_linear(run, &(struct linear_args){.x = x,
                                               .w = packed->weight,
                                               .bias = packed->bias,
                                               .y = y,
                                               .c_in = c_in,
                                               .c_out = c_out,
                                               .act = act});
}

/* mean[c] of a tensor. */
struct means {
    const struct kernels *kernels;
    const float *x;
    int pixels, channels;
    float *mean;
};

static void run_means(void *context, int chunk, int thread) {
    const struct means *means = context;
    int first = chunk * CHANNELS_PER_CHUNK, left = means->channels - first;
    int channels = left < CHANNELS_PER_CHUNK ? left : CHANNELS_PER_CHUNK;
    float *mean = means->mean + first;
    memset(mean, 0, (size_t)channels * sizeof(float));
    means->kernels->stats_f32(
        &(struct stats_args){.x = means->x + first / KERNEL_LANES * plane_floats(means->pixels),
                             .x_block = plane_floats(means->pixels),
                             .pixels = means->pixels,
                             .channels = channels,
                             .sum = mean});
    for (int c = 0; c < channels; c++)
        mean[c] /= (float)means->pixels;
}

static void global_mean(const struct unit_run *run, const float *x, int pixels, int channels,
                        float *ret_mean) {
    struct means means = {run->kernels, x, pixels, channels, ret_mean};
    parallel_for((int64_t)channels * pixels < SPLIT_VALUES ? NULL : run->pool,
                 (channels + CHANNELS_PER_CHUNK - 1) / CHANNELS_PER_CHUNK, run_means, &means);
}

/* One chunk of channels times their gates. */
static void run_gate(void *context, int chunk, int thread) {
    const struct job *job = context;
    int first = chunk * CHANNELS_PER_CHUNK, left = job->g.mid - first;
    float *x = job->middle + first / KERNEL_LANES * plane_floats(job->g.pixels_out);
    job->run->kernels->affine_f32(
        &(struct affine_args){.x = x,
                              .y = x,
                              .x_block = plane_floats(job->g.pixels_out),
                              .y_block = plane_floats(job->g.pixels_out),
                              .pixels = job->g.pixels_out,
                              .channels = left < CHANNELS_PER_CHUNK ? left : CHANNELS_PER_CHUNK,
                              .scale = job->vectors + job->g.mid + first});
}

static void squeeze_excite(struct job *job) {
    int mid = job->g.mid, se = job->unit->spec.se_channels;
    float *mean = job->vectors, *gate = mean + mid, *hidden = gate + mid;
    global_mean(job->run, job->middle, job->g.pixels_out, mid, mean);
    vector_layer(job->run, &job->unit->se_reduce, mean, mid, se, ACT_RELU, hidden);
    vector_layer(job->run, &job->unit->se_expand, hidden, se, mid, ACT_HSIGMOID, gate);
    parallel_for((int64_t)mid * job->g.pixels_out < SPLIT_VALUES ? NULL : job->run->pool,
                 (mid + CHANNELS_PER_CHUNK - 1) / CHANNELS_PER_CHUNK, run_gate, job);
}

/* The 1x1 convolution that ends a block (from the middle) or is a head (from the input). */
static void run_last(const struct job *job) {
    const struct unit_spec *spec = &job->unit->spec;
    bool block = spec->kind == UNIT_BLOCK;
    struct pw_args args = {.x = block ? job->middle : job->input,
                           .w = job->unit->last.weight,
                           .y = job->output,
                           .x_block = plane_floats(job->g.pixels_out),
                           .y_block = plane_floats(job->g.pixels_out),
                           .pixels = job->g.pixels_out,
                           .c_in = block ? job->g.mid : spec->c_in,
                           .c_out = spec->c_out,
                           .epi = job_affine(&job->unit->last, 0, block ? ACT_NONE : spec->act)};
    if (spec->residual) {
        args.epi.residual = job->input;
        args.epi.residual_block = plane_floats(job->g.pixels_out);
    }
    unit_run_pointwise(job->run, &args, ACT_NONE);
}

/* One chunk of rows. */
static void run_stem_rows(void *context, int chunk, int thread) {
    const struct job *job = context;
    const struct unit_spec *spec = &job->unit->spec;
    int first = chunk * STEM_ROWS_PER_CHUNK, left = job->g.h_out - first;
    job->run->kernels->conv_f32(&(struct conv_args){
        .x = job->run->image,
        .w = job->unit->last.weight,
        .y = job->output,
        .scratch = thread ? (float *)(void *)job->run->spare[thread] : job->scratch,
        .y_block = plane_floats(job->g.pixels_out),
        .c_in = spec->c_in,
        .h_in = spec->h_in,
        .w_in = spec->w_in,
        .c_out = spec->c_out,
        .kernel = spec->kernel,
        .stride = spec->stride,
        .first_row = first,
        .rows = left < STEM_ROWS_PER_CHUNK ? left : STEM_ROWS_PER_CHUNK,
        .epi = job_affine(&job->unit->last, 0, spec->act)});
}

static void run_stem(struct job *job) {
    const struct unit_spec *spec = &job->unit->spec;
    int64_t macs =
        (int64_t)spec->c_in * spec->c_out * spec->kernel * spec->kernel * job->g.pixels_out;
    job_split(job, macs, (job->g.h_out + STEM_ROWS_PER_CHUNK - 1) / STEM_ROWS_PER_CHUNK,
              run_stem_rows);
}

static void run_tail(const struct job *job) {
    const struct unit_spec *spec = &job->unit->spec;
    float *features = job->vectors;
    int n = spec->c_in;
    global_mean(job->run, job->input, job->g.pixels_in, n, features);
    if (spec->mix_channels) {
        vector_layer(job->run, &job->unit->mix, features, n, spec->mix_channels, spec->act,
                     features + n);
        features += n;
        n = spec->mix_channels;
    }
    vector_layer(job->run, &job->unit->last, features, n, spec->c_out, ACT_NONE, job->output);
}

void unit_run(const struct unit *unit, const struct unit_run *run) {
    struct job job = job_begin(unit, run);
    switch (unit->spec.kind) {
    case UNIT_STEM:
        run_stem(&job);
        break;
    case UNIT_BLOCK:
        run_expand_depthwise(&job, parallel_threads(run->pool));
        if (unit->spec.se_channels)
            squeeze_excite(&job);
        run_last(&job);
        break;
    case UNIT_HEAD_CONV:
        run_last(&job);
        break;
    case UNIT_CONV:
        unit_run_conv(&job);
        break;
    case UNIT_BOTTLENECK:
        unit_run_bottleneck(&job);
        break;
    case UNIT_HEAD_TAIL:
        run_tail(&job);
        break;
    }
}
