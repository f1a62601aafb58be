/* How units run. A block goes panel by panel (up to 24 expanded channels): expand into padded
 * scratch planes that stay in cache, depthwise from there into the middle; then SE in place and
 * project, with bias, activation and residual in the epilogues. */
#include "runtime/unit_job.h"

#include <string.h>

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
        int width = pw_panel(mid - channel);
        if (panel >= first)
            run_panel(job, scratch, channel, width);
        channel += width;
    }
}

static int count_panels(int channels) {
    int n = 0;
    for (; channels > 0; n++)
        channels -= pw_panel(channels);
    return n;
}

static void run_expand_depthwise(struct job *job, int threads) {
    const struct unit_spec *spec = &job->unit->spec;
    int64_t macs =
        (int64_t)job->g.mid * (spec->expand_channels ? spec->c_in : 0) * job->g.pixels_in +
        (int64_t)job->g.mid * spec->kernel * spec->kernel * job->g.pixels_out;
    int panels = count_panels(job->g.mid);
    bool alone = threads == 1 || macs < SPLIT_MACS;
    job->panels_per_chunk = alone ? panels : 1;
    job_split(job, macs, alone ? 1 : panels, run_panels);
}

/* ---- SE, project, the rest ---- */

/* mean[c] of a tensor of `channels` channels. */
static void global_mean(const struct kernels *kernels, const float *x, int pixels, int channels,
                        float *ret_mean) {
    memset(ret_mean, 0, (size_t)channels * sizeof(float));
    kernels->stats_f32(&(struct stats_args){.x = x,
                                            .x_block = plane_floats(pixels),
                                            .pixels = pixels,
                                            .channels = channels,
                                            .sum = ret_mean});
    for (int c = 0; c < channels; c++)
        ret_mean[c] /= (float)pixels;
}

static void vector_layer(const struct kernels *kernels, const struct packed *packed, const float *x,
                         int c_in, int c_out, enum act act, float *y) {
    kernels->linear_f32(&(struct linear_args){.x = x,
                                              .w = packed->weight,
                                              .bias = packed->bias,
                                              .y = y,
                                              .c_in = c_in,
                                              .c_out = c_out,
                                              .act = act});
}

static void squeeze_excite(const struct job *job) {
    const struct kernels *kernels = job->run->kernels;
    int mid = job->g.mid, se = job->unit->spec.se_channels;
    float *mean = job->vectors, *gate = mean + mid, *hidden = gate + mid;
    global_mean(kernels, job->middle, job->g.pixels_out, mid, mean);
    vector_layer(kernels, &job->unit->se_reduce, mean, mid, se, ACT_RELU, hidden);
    vector_layer(kernels, &job->unit->se_expand, hidden, se, mid, ACT_HSIGMOID, gate);
    kernels->affine_f32(&(struct affine_args){.x = job->middle,
                                              .y = job->middle,
                                              .x_block = plane_floats(job->g.pixels_out),
                                              .y_block = plane_floats(job->g.pixels_out),
                                              .pixels = job->g.pixels_out,
                                              .channels = mid,
                                              .scale = gate});
}

/* One chunk of pixels of the 1x1 convolution that ends a block (from the middle) or is a head (from
 * the input). */
static void run_last(void *context, int chunk, int thread) {
    const struct job *job = context;
    const struct unit_spec *spec = &job->unit->spec;
    bool block = spec->kind == UNIT_BLOCK;
    int first = chunk * PIXELS_PER_CHUNK, left = job->g.pixels_out - first;
    struct epilogue epi = job_affine(&job->unit->last, 0, block ? ACT_NONE : spec->act);
    if (spec->residual) {
        epi.residual = job->input + plane_floats(first);
        epi.residual_block = plane_floats(job->g.pixels_out);
    }
    job->run->kernels->pw_f32(
        &(struct pw_args){.x = (block ? job->middle : job->input) + plane_floats(first),
                          .w = job->unit->last.weight,
                          .y = job->output + plane_floats(first),
                          .x_block = plane_floats(job->g.pixels_out),
                          .y_block = plane_floats(job->g.pixels_out),
                          .pixels = left < PIXELS_PER_CHUNK ? left : PIXELS_PER_CHUNK,
                          .c_in = block ? job->g.mid : spec->c_in,
                          .c_out = spec->c_out,
                          .epi = epi});
}

static void run_pointwise(struct job *job) {
    const struct unit_spec *spec = &job->unit->spec;
    int c_in = spec->kind == UNIT_BLOCK ? job->g.mid : spec->c_in;
    job_split(job, (int64_t)c_in * spec->c_out * job->g.pixels_out,
              (job->g.pixels_out + PIXELS_PER_CHUNK - 1) / PIXELS_PER_CHUNK, run_last);
}

static void run_stem(const struct job *job) {
    const struct unit_spec *spec = &job->unit->spec;
    job->run->kernels->conv_f32(
        &(struct conv_args){.x = job->run->image,
                            .w = job->unit->last.weight,
                            .y = job->output,
                            .scratch = job->scratch,
                            .y_block = plane_floats(job->g.pixels_out),
                            .c_in = spec->c_in,
                            .h_in = spec->h_in,
                            .w_in = spec->w_in,
                            .c_out = spec->c_out,
                            .kernel = spec->kernel,
                            .stride = spec->stride,
                            .epi = job_affine(&job->unit->last, 0, spec->act)});
}

static void run_tail(const struct job *job) {
    const struct unit_spec *spec = &job->unit->spec;
    const struct kernels *kernels = job->run->kernels;
    float *features = job->vectors;
    int n = spec->c_in;
    global_mean(kernels, job->input, job->g.pixels_in, n, features);
    if (spec->mix_channels) {
        vector_layer(kernels, &job->unit->mix, features, n, spec->mix_channels, spec->act,
                     features + n);
        features += n;
        n = spec->mix_channels;
    }
    vector_layer(kernels, &job->unit->last, features, n, spec->c_out, ACT_NONE, job->output);
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
        run_pointwise(&job);
        break;
    case UNIT_HEAD_CONV:
        run_pointwise(&job);
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
