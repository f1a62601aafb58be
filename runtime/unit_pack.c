#include <string.h>

#include "runtime/unit.h"

struct packer {
    struct arena *memory;
    const struct graph_unit *unit;
    struct err *err;
    int code; /* sticks */
};

static float *take(struct packer *packer, size_t floats) {
    float *p = packer->code ? NULL : arena_alloc(packer->memory, floats * sizeof(float));
    if (!p && !packer->code)
        packer->code = err_set(packer->err, ESP_ENOMEM, "", "out of memory for packed weights");
    return p;
}

/* Room for packed weights; NULL (and the error) if there are none to pack. */
static float *begin(struct packer *packer, const float *weight, size_t floats) {
    if (!weight && !packer->code)
        packer->code = err_set(packer->err, ESP_EINVAL, "",
                               "the weights of unit \"%s\" are missing", packer->unit->signature);
    return take(packer, floats);
}

static const float *pack_bias(struct packer *packer, const float *bias, int channels) {
    if (!bias)
        return NULL;
    size_t rounded = ((size_t)channels + KERNEL_LANES - 1) / KERNEL_LANES * KERNEL_LANES;
    float *packed = take(packer, rounded);
    if (packed)
        memcpy(packed, bias, (size_t)channels * sizeof(float)); /* the arena is zeroed */
    return packed;
}

static struct packed pack_pw(struct packer *packer, const struct op_weights *from, int c_out,
                             int c_in) {
    float *weight = begin(packer, from->weight, pw_packed_floats(c_out, c_in));
    if (weight)
        pw_pack(&(struct pw_matrix){from->weight, c_in, 1}, c_out, c_in, weight);
    return (struct packed){weight, pack_bias(packer, from->bias, c_out)};
}

static struct packed pack_linear(struct packer *packer, const float *from, const float *bias,
                                 int c_out, int c_in) {
    float *weight = begin(packer, from, linear_packed_floats(c_out, c_in));
    if (weight)
        linear_pack(from, c_out, c_in, weight);
    return (struct packed){weight, pack_bias(packer, bias, c_out)};
}

static void pack_stem(struct packer *packer, const struct op_weights *op, struct unit *unit) {
    const struct unit_spec *spec = &unit->spec;
    float *weight =
        begin(packer, op->weight, conv_packed_floats(spec->c_out, spec->c_in, spec->kernel));
    if (weight)
        conv_pack(op->weight, spec->c_out, spec->c_in, spec->kernel, weight);
    unit->last = (struct packed){weight, pack_bias(packer, op->bias, spec->c_out)};
}

static void pack_block(struct packer *packer, const struct op_weights *op, struct unit *unit) {
    const struct unit_spec *spec = &unit->spec;
    int mid = spec->expand_channels ? spec->expand_channels : spec->c_in;
    if (spec->expand_channels)
        unit->expand = pack_pw(packer, op++, mid, spec->c_in);
    float *weight = begin(packer, op->weight, dw_packed_floats(mid, spec->kernel));
    if (weight)
        dw_pack(op->weight, mid, spec->kernel, false, weight);
    unit->depthwise = (struct packed){weight, pack_bias(packer, op->bias, mid)};
    op++;
    if (spec->se_channels) {
        unit->se_reduce =
            pack_linear(packer, op->se_reduce, op->se_reduce_bias, spec->se_channels, mid);
        unit->se_expand =
            pack_linear(packer, op->se_expand, op->se_expand_bias, mid, spec->se_channels);
        op++;
    }
    unit->last = pack_pw(packer, op, spec->c_out, mid);
}

static struct packed pack_dense(struct packer *packer, const struct op_weights *from, int c_out,
                                int c_in, int kernel) {
    float *weight = begin(packer, from->weight, dense_packed_floats(c_out, c_in, kernel));
    if (weight)
        dense_pack(&(struct dense_filters){.data = from->weight,
                                           .out_stride = (ptrdiff_t)c_in * kernel * kernel,
                                           .in_stride = (ptrdiff_t)kernel * kernel,
                                           .size = kernel},
                   c_out, c_in, kernel, weight);
    return (struct packed){weight, pack_bias(packer, from->bias, c_out)};
}

static void pack_bottleneck(struct packer *packer, const struct op_weights *op, struct unit *unit) {
    const struct unit_spec *spec = &unit->spec;
    int mid = spec->expand_channels;
    unit->expand = pack_pw(packer, op++, mid, spec->c_in);
    unit->dense = pack_dense(packer, op++, mid, mid, spec->kernel);
    if (!spec->residual)
        unit->shortcut = pack_dense(packer, op++, spec->c_out, spec->c_in, 1);
    unit->last = pack_pw(packer, op, spec->c_out, mid);
}

static void pack_tail(struct packer *packer, const struct op_weights *op, struct unit *unit) {
    const struct unit_spec *spec = &unit->spec;
    int features = spec->mix_channels ? spec->mix_channels : spec->c_in;
    op++; /* the mean has no weights */
    if (spec->mix_channels) {
        unit->mix = pack_linear(packer, op->weight, op->bias, features, spec->c_in);
        op++;
    }
    unit->last = pack_linear(packer, op->weight, op->bias, spec->c_out, features);
}

/* Inside a network channels come in whole blocks. */
static bool supported(const struct unit_spec *spec) {
    int whole = spec->expand_channels | spec->mix_channels;
    if (spec->kind != UNIT_STEM)
        whole |= spec->c_in;
    if (spec->kind != UNIT_HEAD_TAIL)
        whole |= spec->c_out;
    return whole % KERNEL_LANES == 0;
}

int unit_pack(const struct graph_unit *graph_unit, const struct op_weights *ops,
              struct arena *memory, struct err *err, struct unit *ret_unit) {
    struct packer packer = {memory, graph_unit, err, 0};
    struct unit unit = {.spec = graph_unit->spec};
    if (!supported(&unit.spec))
        return err_set(err, ESP_EUNSUPPORTED, "",
                       "unit \"%s\" has a number of channels that is no multiple of %d",
                       graph_unit->signature, KERNEL_LANES);
    switch (unit.spec.kind) {
    case UNIT_STEM:
        pack_stem(&packer, ops, &unit);
        break;
    case UNIT_BLOCK:
        pack_block(&packer, ops, &unit);
        break;
    case UNIT_CONV:
        unit.last = pack_dense(&packer, ops, unit.spec.c_out, unit.spec.c_in, unit.spec.kernel);
        break;
    case UNIT_BOTTLENECK:
        pack_bottleneck(&packer, ops, &unit);
        break;
    case UNIT_HEAD_CONV:
        unit.last = pack_pw(&packer, ops, unit.spec.c_out, unit.spec.c_in);
        break;
    case UNIT_HEAD_TAIL:
        pack_tail(&packer, ops, &unit);
        break;
    }
    if (packer.code)
        return packer.code;
    *ret_unit = unit;
    return 0;
}
