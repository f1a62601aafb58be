#include "supernet/layers_dense.h"

static struct dense_filters filters(const struct dense_layer *layer, bool transposed) {
    const struct tensor *w = layer->weight;
    ptrdiff_t taps = (ptrdiff_t)w->dims[2] * w->dims[3], row = w->dims[1] * taps;
    return (struct dense_filters){.data = w->data,
                                  .out_stride = transposed ? taps : row,
                                  .in_stride = transposed ? row : taps,
                                  .size = w->dims[2],
                                  .flip = transposed};
}

void dense_prepare(struct engine *engine, const struct dense_layer *layer) {
    struct dense_filters f = filters(layer, false);
    dense_pack(&f, layer->out.channels, layer->in.channels, layer->kernel, engine->packed[0]);
}

void dense_prepare_transposed(struct engine *engine, const struct dense_layer *layer) {
    struct dense_filters f = filters(layer, true);
    dense_pack(&f, layer->in.channels, layer->out.channels, layer->kernel, engine->packed[0]);
}

void dense_forward(const struct chunk *chunk, const struct dense_layer *layer, int image,
                   const float *x, ptrdiff_t x_block) {
    const struct plane *in = &layer->in, *out = &layer->out;
    float *sums = engine_sums(chunk->engine, out, image / out->group);
    struct dense_args args = {
        .x = x,
        .w = chunk->engine->packed[0],
        .y = plane_image(out, image),
        .x_block = x_block,
        .y_block = plane_block(out),
        .c_in = in->channels,
        .c_out = out->channels,
        .h_in = in->height,
        .w_in = in->width,
        .h_out = out->height,
        .w_out = out->width,
        .kernel = layer->kernel,
        .stride = layer->stride,
        .up = 1,
        .pixels = plane_pixels(out),
        .epi = {.kind = EPI_STATS, .sum = sums, .sum_sq = sums + out->channels}};
    chunk->engine->forward->dense_f32(&args);
}

int dense_run(const struct dense_layer *layer) {
    return layer->in.group < layer->out.group ? layer->in.group : layer->out.group;
}

void dense_bn_grad(const struct chunk *chunk, const struct bn_layer *bn, const struct plane *a,
                   const struct plane *dz, int first, int n) {
    struct bn_grad_args args = {.a = plane_image(a, first),
                                .dz = plane_image(dz, first),
                                .a_block = plane_block(a),
                                .dz_block = plane_block(dz),
                                .pixels = n * plane_pixels(a),
                                .channels = a->channels,
                                .coef = bn_layer_grad(bn),
                                .da = plane_image(dz, first),
                                .da_block = plane_block(dz)};
    chunk->engine->backward->bn_grad_f32(&args);
}

void dense_weight_grad(const struct chunk *chunk, const struct dense_layer *layer,
                       const struct plane *d_out, int first, int n, const float *x,
                       ptrdiff_t x_block) {
    struct dense_grad_args args = {.x = x,
                                   .dy = plane_image(d_out, first),
                                   .x_block = x_block,
                                   .x_image = (ptrdiff_t)plane_pixels(&layer->in) * KERNEL_LANES,
                                   .dy_block = plane_block(d_out),
                                   .dy_image = (ptrdiff_t)plane_pixels(d_out) * KERNEL_LANES,
                                   .images = n,
                                   .c_in = layer->in.channels,
                                   .c_out = layer->out.channels,
                                   .h_in = layer->in.height,
                                   .w_in = layer->in.width,
                                   .kernel = layer->kernel,
                                   .stride = layer->stride,
                                   .dense = chunk->slot};
    chunk->engine->backward->dense_grad_f32(&args);
}

void dense_data_grad(const struct chunk *chunk, const struct dense_layer *layer,
                     const struct plane *d_out, const struct plane *d_in, int image,
                     const struct epilogue *epi) {
    struct dense_args args = {.x = plane_image(d_out, image),
                              .w = chunk->engine->packed[0],
                              .y = plane_image(d_in, image),
                              .x_block = plane_block(d_out),
                              .y_block = plane_block(d_in),
                              .c_in = layer->out.channels,
                              .c_out = layer->in.channels,
                              .h_in = d_out->height,
                              .w_in = d_out->width,
                              .h_out = d_in->height,
                              .w_out = d_in->width,
                              .kernel = layer->kernel,
                              .stride = 1,
                              .up = layer->stride,
                              .pixels = plane_pixels(d_in),
                              .epi = *epi};
    chunk->engine->forward->dense_f32(&args);
}

size_t dense_slot_floats(const struct dense_layer *layer) {
    return dense_grad_floats(layer->in.channels, layer->out.channels, layer->kernel);
}

void dense_add_grad(struct engine *engine, const struct dense_layer *layer) {
    engine_sum_slots(engine, dense_slot_floats(layer));
    dense_grad_unpack_add(engine->slots, layer->in.channels, layer->out.channels, layer->kernel,
                          layer->weight->grad, layer->weight->dims[1], layer->weight->dims[2]);
}
