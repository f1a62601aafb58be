#include "tests/bench/step_work.h"

#include <stddef.h>

/* One unit on all images: channels, pixels of all images before and behind. */
struct size {
    double c_in, mid, c_out, taps, in, out;
};

static void add(struct work *work, double macs, double floats) {
    work->flops += 2 * macs;
    work->bytes += (double)sizeof(float) * floats;
}

static struct size size_of(const struct unit_spec *s, int images) {
    int stride = s->stride ? s->stride : 1;
    int h = (s->h_in + stride - 1) / stride, w = (s->w_in + stride - 1) / stride;
    int mid = s->expand_channels ? s->expand_channels : s->c_in;
    return (struct size){.c_in = s->c_in,
                         .mid = mid,
                         .c_out = s->c_out,
                         .taps = s->kernel * s->kernel,
                         .in = (double)images * s->h_in * s->w_in,
                         .out = (double)images * h * w};
}

/* Its input is completed by its first pass: what the unit before projected is read, the input
 * written. */
static double finish_floats(const struct size *n) {
    return 2 * n->c_in * n->in;
}

static void add_filter(const struct size *n, bool merged, struct work work[ENGINE_PHASES]) {
    double filter = n->taps * n->mid * n->out, expand = n->c_in * n->mid * n->in;
    double wide_in = n->mid * n->in, wide_out = n->mid * n->out, narrow = n->c_in * n->in;
    if (merged) {
        add(&work[PHASE_EXPAND], n->c_in * n->c_in * n->in, finish_floats(n));
        add(&work[PHASE_FILTER], expand + filter, narrow + wide_out);
        add(&work[PHASE_FILTER_GRAD], 3 * expand + 2 * filter, 2 * wide_out + 2 * narrow);
        add(&work[PHASE_EXPAND_GRAD], n->c_in * n->c_in * n->in, 3 * narrow);
    } else {
        add(&work[PHASE_EXPAND], expand, finish_floats(n) + wide_in);
        add(&work[PHASE_FILTER], filter, wide_in + wide_out);
        add(&work[PHASE_FILTER_GRAD], 2 * filter, 2 * wide_out + 2 * wide_in);
        add(&work[PHASE_EXPAND_GRAD], 2 * expand, 2 * wide_in + 3 * narrow);
    }
}

static void add_block(const struct unit_spec *s, const struct size *n, int merge_channels,
                      struct work work[ENGINE_PHASES]) {
    double project = n->mid * n->c_out * n->out, wide = n->mid * n->out, narrow = n->c_out * n->out;
    double again = s->se_channels ? wide : 0; /* a plane is read again behind its mean */
    add_filter(n, s->expand_channels && s->c_in <= merge_channels, work);
    add(&work[PHASE_PROJECT], project, wide + again + narrow);
    add(&work[PHASE_PROJECT_GRAD], 2 * project, 2 * wide + 2 * again + 2 * narrow);
}

void step_work_add(const struct graph *graph, int images, int merge_channels,
                   struct work work[ENGINE_PHASES]) {
    for (int i = 0; i < graph->n_units; i++) {
        const struct unit_spec *s = &graph->units[i].spec;
        struct size n = size_of(s, images);
        if (s->kind == UNIT_BLOCK)
            add_block(s, &n, merge_channels, work);
    }
}
