/* Layers that are one matrix: 1x1 convolutions, shared by runs of pixels and, where there are few
 * of those, by panels of outputs; vectors, by outputs. */
#include "runtime/unit_job.h"

enum {
    PIECES_PER_THREAD = 4, /* so that threads end at about the same time */
    PIXELS_STEP = 24,      /* a multiple of all tiles */
    OUTPUTS_PER_CHUNK = 64 /* what linear_f32 does at once: other runs would sum in another order */
};

struct pieces {
    const struct kernels *kernels;
    struct pw_args args;
    enum act act_behind;
    int pixels, runs; /* pixels of a piece, how many runs of them */
    bool by_panel;
};

/* Pieces of about the same size. */
static int divide(struct pieces *pieces, int threads) {
    int panels = 0, runs = (pieces->args.pixels + PIXELS_PER_CHUNK - 1) / PIXELS_PER_CHUNK;
    int pixels = (pieces->args.pixels + runs - 1) / runs;
    pieces->pixels = (pixels + PIXELS_STEP - 1) / PIXELS_STEP * PIXELS_STEP;
    pieces->runs = (pieces->args.pixels + pieces->pixels - 1) / pieces->pixels;
    pieces->by_panel = pieces->runs < PIECES_PER_THREAD * threads;
    for (int c = 0; c < pieces->args.c_out; panels++)
        c += pw_panel(pieces->args.c_out - c);
    return pieces->runs * (pieces->by_panel ? panels : 1);
}

static int panel_start(int c_out, int panel) {
    int c = 0;
    for (; panel > 0; panel--)
        c += pw_panel(c_out - c);
    return c;
}

static void take_panel(struct pw_args *args, int c) {
    struct epilogue *epi = &args->epi;
    args->w += (ptrdiff_t)c * args->c_in;
    args->y += c / KERNEL_LANES * args->y_block;
    args->c_out = pw_panel(args->c_out - c);
    epi->scale = epi->scale ? epi->scale + c : NULL;
    epi->shift = epi->shift ? epi->shift + c : NULL;
    if (epi->residual)
        epi->residual += c / KERNEL_LANES * epi->residual_block;
}

static void take_pixels(struct pw_args *args, int first, int most) {
    int left = args->pixels - first;
    args->x += plane_floats(first);
    args->y += plane_floats(first);
    args->pixels = left < most ? left : most;
    if (args->epi.residual)
        args->epi.residual += plane_floats(first);
}

static void compute(const struct kernels *kernels, const struct pw_args *args,
                    enum act act_behind) {
    kernels->pw_f32(args);
    if (act_behind == ACT_NONE)
        return;
    kernels->affine_f32(&(struct affine_args){.x = args->y,
                                              .y = args->y,
                                              .x_block = args->y_block,
                                              .y_block = args->y_block,
                                              .pixels = args->pixels,
                                              .channels = args->c_out,
                                              .act = act_behind});
}

static void run_piece(void *context, int piece, int thread) {
    const struct pieces *pieces = context;
    struct pw_args args = pieces->args;
    take_pixels(&args, piece % pieces->runs * pieces->pixels, pieces->pixels);
    if (pieces->by_panel)
        take_panel(&args, panel_start(args.c_out, piece / pieces->runs));
    compute(pieces->kernels, &args, pieces->act_behind);
}

void unit_run_pointwise(const struct unit_run *run, const struct pw_args *args,
                        enum act act_behind) {
    struct pieces pieces = {.kernels = run->kernels, .args = *args, .act_behind = act_behind};
    int threads = parallel_threads(run->pool);
    if (threads == 1 || (int64_t)args->c_in * args->c_out * args->pixels < SPLIT_MACS) {
        compute(run->kernels, args, act_behind);
        return;
    }
    parallel_for(run->pool, divide(&pieces, threads), run_piece, &pieces);
}

struct outputs {
    const struct kernels *kernels;
    const struct linear_args *args;
};

static void run_outputs(void *context, int chunk, int thread) {
    const struct outputs *outputs = context;
    struct linear_args args = *outputs->args;
    int first = chunk * OUTPUTS_PER_CHUNK, left = args.c_out - first;
    args.w += (ptrdiff_t)first * args.c_in;
    args.bias = args.bias ? args.bias + first : NULL;
    args.y += first;
    args.c_out = left < OUTPUTS_PER_CHUNK ? left : OUTPUTS_PER_CHUNK;
    outputs->kernels->linear_f32(&args);
}

void unit_run_linear(const struct unit_run *run, const struct linear_args *args) {
    struct outputs outputs = {run->kernels, args};
    if ((int64_t)args->c_in * args->c_out < SPLIT_MACS)
        run->kernels->linear_f32(args);
    else
        parallel_for(run->pool, (args->c_out + OUTPUTS_PER_CHUNK - 1) / OUTPUTS_PER_CHUNK,
                     run_outputs, &outputs);
}
