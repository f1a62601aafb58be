#include "runtime/export_onnx.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "onnx.pb-c.h"

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "raw tensors of ONNX are little-endian"
#endif

enum {
    IR_VERSION = 8,
    OPSET = 14, /* the first with HardSwish */
    NODES_PER_OP = 6,
    INITIALIZERS_PER_OP = 4, /* SE: 4; a convolution: 2, and Clip's ends */
    NAME_MAX_BYTES = 64,
    INPUTS_MAX = 3,
    ATTRIBUTES_MAX = 5,
    DIMS_MAX = 4
};

/* Protobuf messages with the memory that they point to, so that nothing else is allocated. */
struct node {
    Onnx__NodeProto proto;
    char name[NAME_MAX_BYTES], output_name[NAME_MAX_BYTES], input_names[INPUTS_MAX][NAME_MAX_BYTES];
    char *output, *inputs[INPUTS_MAX];
    Onnx__AttributeProto attributes[ATTRIBUTES_MAX], *attribute_list[ATTRIBUTES_MAX];
    int64_t ints[ATTRIBUTES_MAX][DIMS_MAX];
};
struct initializer {
    Onnx__TensorProto proto;
    char name[NAME_MAX_BYTES];
    int64_t dims[DIMS_MAX];
};
struct value {
    Onnx__ValueInfoProto proto;
    Onnx__TypeProto type;
    Onnx__TypeProto__Tensor tensor;
    Onnx__TensorShapeProto shape;
    Onnx__TensorShapeProto__Dimension dims[DIMS_MAX], *dim_list[DIMS_MAX];
};

/* One export. */
struct exporter {
    const struct graph *graph;
    const struct op *op; /* the one that is written */
    int link;            /* of a chain; -1: the network is alone in the file */
    bool in_a_row;       /* a link reads what the one before it has written, not the image */
    int n_links;
    struct node *nodes;
    struct initializer *initializers;
    size_t n_nodes, n_initializers;
    bool missing; /* weights that an op needs */
    struct value input, output;
    char input_name[NAME_MAX_BYTES], output_name[NAME_MAX_BYTES];
};

/* ---- Pieces ---- */

/* "link2.", or nothing where there is no chain. */
static void link_name(int link, char name[16]) {
    name[0] = '\0';
    if (link >= 0)
        snprintf(name, 16, "link%d.", link);
}

/* "stage1.block3.expand", or just "stem". */
static void op_name(const struct exporter *e, char name[NAME_MAX_BYTES]) {
    const struct op *op = e->op;
    char link[16];
    link_name(e->link, link);
    if (op->block < 0)
        snprintf(name, NAME_MAX_BYTES, "%s%s", link, op_role_names[op->role]);
    else
        snprintf(name, NAME_MAX_BYTES, "%sstage%d.block%d.%s", link, op->stage, op->block,
                 op_role_names[op->role]);
}

/* Of a chain, the file's output is the last link's where they stand in a row, else the sum of
 * all. */
static void tensor_name(const struct exporter *e, int tensor, char name[NAME_MAX_BYTES]) {
    bool last = tensor == e->graph->n_tensors - 1;
    int link = e->link;
    char prefix[16];
    if (tensor == 0 && e->in_a_row && link > 0) {
        last = true;
        link--;
    } else if (tensor == 0) {
        snprintf(name, NAME_MAX_BYTES, "image");
        return;
    }
    link_name(link, prefix);
    if (last && (link < 0 || (e->in_a_row && link == e->n_links - 1)))
        snprintf(name, NAME_MAX_BYTES, "logits");
    else if (last)
        snprintf(name, NAME_MAX_BYTES, "%sout", prefix);
    else
        snprintf(name, NAME_MAX_BYTES, "%stensor%d", prefix, tensor);
}

static void set_input(struct node *node, size_t i, const char *name) {
    snprintf(node->input_names[i], NAME_MAX_BYTES, "%s", name);
    node->inputs[i] = node->input_names[i];
    node->proto.n_input = i + 1;
}

/* A node "op's name.suffix" that reads `input` and writes a tensor of its own name. */
static struct node *add_node(struct exporter *e, const char *type, const char *suffix,
                             const char *input) {
    struct node *node = &e->nodes[e->n_nodes++];
    onnx__node_proto__init(&node->proto);
    char base[NAME_MAX_BYTES];
    op_name(e, base);
    snprintf(node->name, NAME_MAX_BYTES, "%.48s.%.12s", base, suffix);
    snprintf(node->output_name, NAME_MAX_BYTES, "%s", node->name);
    node->output = node->output_name;
    node->proto.op_type = (char *)(uintptr_t)type;
    node->proto.name = node->name;
    node->proto.n_output = 1;
    node->proto.output = &node->output;
    node->proto.input = node->inputs;
    node->proto.attribute = node->attribute_list;
    set_input(node, 0, input);
    return node;
}

static Onnx__AttributeProto *add_attribute(struct node *node, const char *name,
                                           Onnx__AttributeProto__AttributeType type) {
    Onnx__AttributeProto *attribute = &node->attributes[node->proto.n_attribute];
    onnx__attribute_proto__init(attribute);
    attribute->name = (char *)(uintptr_t)name;
    attribute->has_type = 1;
    attribute->type = type;
    node->attribute_list[node->proto.n_attribute++] = attribute;
    return attribute;
}

static void set_int(struct node *node, const char *name, int value) {
    Onnx__AttributeProto *attribute =
        add_attribute(node, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT);
    attribute->has_i = 1;
    attribute->i = value;
}

static void set_float(struct node *node, const char *name, float value) {
    Onnx__AttributeProto *attribute =
        add_attribute(node, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT);
    attribute->has_f = 1;
    attribute->f = value;
}

/* `count` times the same number. */
static void set_ints(struct node *node, const char *name, int value, size_t count) {
    Onnx__AttributeProto *attribute =
        add_attribute(node, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS);
    attribute->ints = node->ints[node->proto.n_attribute - 1];
    attribute->n_ints = count;
    for (size_t i = 0; i < count; i++)
        attribute->ints[i] = value;
}

/* Gives the node weights, which stay where they are, as its next input. */
static void add_weights(struct exporter *e, struct node *node, const char *suffix,
                        const float *data, const int dims[DIMS_MAX]) {
    struct initializer *initializer = &e->initializers[e->n_initializers++];
    onnx__tensor_proto__init(&initializer->proto);
    snprintf(initializer->name, NAME_MAX_BYTES, "%.52s.%.8s", node->name, suffix);
    size_t count = 1, n = 0;
    for (; n < DIMS_MAX && dims[n] > 0; n++) {
        initializer->dims[n] = dims[n];
        count *= (size_t)dims[n];
    }
    initializer->proto.name = initializer->name;
    initializer->proto.n_dims = n;
    initializer->proto.dims = initializer->dims;
    initializer->proto.has_data_type = 1;
    initializer->proto.data_type = ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT;
    initializer->proto.has_raw_data = 1;
    initializer->proto.raw_data =
        (ProtobufCBinaryData){count * sizeof(float), (uint8_t *)(uintptr_t)data};
    e->missing |= !data;
    set_input(node, node->proto.n_input, initializer->name);
}

/* ---- Operations ---- */

static const char *add_act(struct exporter *e, enum act act, const char *input) {
    switch (act) {
    case ACT_NONE:
        return input;
    case ACT_RELU:
        return add_node(e, "Relu", "act", input)->output_name;
    case ACT_RELU6: {
        static const float zero = 0, six = 6;
        struct node *node = add_node(e, "Clip", "act", input);
        add_weights(e, node, "min", &zero, (int[DIMS_MAX]){0});
        add_weights(e, node, "max", &six, (int[DIMS_MAX]){0});
        return node->output_name;
    }
    case ACT_HSWISH:
        return add_node(e, "HardSwish", "act", input)->output_name;
    case ACT_HSIGMOID: {
        struct node *node = add_node(e, "HardSigmoid", "gate", input);
        set_float(node, "alpha", 1.0f / 6);
        set_float(node, "beta", 0.5f);
        return node->output_name;
    }
    }
    return input;
}

static void add_conv(struct exporter *e, const struct op_weights *weights, const char *input) {
    const struct op *op = e->op;
    bool depthwise = op->kind == OP_DEPTHWISE;
    struct node *node = add_node(e, "Conv", "conv", input);
    set_ints(node, "kernel_shape", op->kernel, 2);
    set_ints(node, "strides", op->stride, 2);
    set_ints(node, "pads", op->pad, 4);
    set_int(node, "group", depthwise ? op->c_in : 1);
    const int dims[DIMS_MAX] = {op->c_out, depthwise ? 1 : op->c_in, op->kernel, op->kernel};
    add_weights(e, node, "weight", weights->weight, dims);
    if (weights->bias)
        add_weights(e, node, "bias", weights->bias, (int[DIMS_MAX]){op->c_out});
    bool behind = op->residual >= 0 && op->act_last;
    const char *output = behind ? node->output_name : add_act(e, op->act, node->output_name);
    if (op->residual < 0)
        return;
    char residual[NAME_MAX_BYTES];
    tensor_name(e, op->residual, residual);
    struct node *sum = add_node(e, "Add", "add", output);
    set_input(sum, 1, residual);
    if (behind)
        add_act(e, op->act, sum->output_name);
}

/* A layer of SE: a 1x1 convolution on the mean. */
static const char *add_se_layer(struct exporter *e, const char *suffix, const char *input,
                                const float *weight, const float *bias, const int dims[DIMS_MAX]) {
    struct node *node = add_node(e, "Conv", suffix, input);
    set_ints(node, "kernel_shape", 1, 2);
    add_weights(e, node, "weight", weight, dims);
    if (bias)
        add_weights(e, node, "bias", bias, (int[DIMS_MAX]){dims[0]});
    return node->output_name;
}

static void add_se(struct exporter *e, const struct op_weights *weights, const char *input) {
    int c = e->op->c_in, se = e->op->se_channels;
    const char *x = add_node(e, "GlobalAveragePool", "mean", input)->output_name;
    x = add_se_layer(e, "reduce", x, weights->se_reduce, weights->se_reduce_bias,
                     (int[DIMS_MAX]){se, c, 1, 1});
    x = add_act(e, ACT_RELU, x);
    x = add_se_layer(e, "expand", x, weights->se_expand, weights->se_expand_bias,
                     (int[DIMS_MAX]){c, se, 1, 1});
    x = add_act(e, ACT_HSIGMOID, x);
    /* The gate first: OpenCV 4.6 takes Mul(a, HardSigmoid(b)) for HardSwish(a) whatever b is. */
    set_input(add_node(e, "Mul", "scale", x), 1, input);
}

static void add_linear(struct exporter *e, const struct op_weights *weights, const char *input) {
    const char *flat = add_node(e, "Flatten", "flatten", input)->output_name;
    struct node *node = add_node(e, "Gemm", "gemm", flat);
    set_int(node, "transB", 1);
    add_weights(e, node, "weight", weights->weight, (int[DIMS_MAX]){e->op->c_out, e->op->c_in});
    if (weights->bias)
        add_weights(e, node, "bias", weights->bias, (int[DIMS_MAX]){e->op->c_out});
}

static void add_op(struct exporter *e, const struct op_weights *weights) {
    char input[NAME_MAX_BYTES];
    tensor_name(e, e->op->input, input);
    switch (e->op->kind) {
    case OP_CONV:
    case OP_DEPTHWISE:
        add_conv(e, weights, input);
        break;
    case OP_SE:
        add_se(e, weights, input);
        break;
    case OP_POOL:
        add_node(e, "GlobalAveragePool", "mean", input);
        break;
    case OP_LINEAR:
        add_linear(e, weights, input);
        break;
    }
    /* The op's last node writes its tensor. */
    tensor_name(e, e->op->output, e->nodes[e->n_nodes - 1].output_name);
}

/* ---- The file ---- */

static char batch_dimension[] = "N";

static void fill_value(struct value *value, const char *name, const int *dims, size_t n_dims) {
    onnx__value_info_proto__init(&value->proto);
    onnx__type_proto__init(&value->type);
    onnx__type_proto__tensor__init(&value->tensor);
    onnx__tensor_shape_proto__init(&value->shape);
    for (size_t i = 0; i < n_dims; i++) {
        Onnx__TensorShapeProto__Dimension *dim = value->dim_list[i] = &value->dims[i];
        onnx__tensor_shape_proto__dimension__init(dim);
        dim->value_case = i ? ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE
                            : ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM;
        if (i)
            dim->dim_value = dims[i];
        else
            dim->dim_param = batch_dimension;
    }
    value->shape.n_dim = n_dims;
    value->shape.dim = value->dim_list;
    value->tensor.has_elem_type = 1;
    value->tensor.elem_type = ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT;
    value->tensor.shape = &value->shape;
    value->type.value_case = ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE;
    value->type.tensor_type = &value->tensor;
    value->proto.name = (char *)(uintptr_t)name;
    value->proto.type = &value->type;
}

static void fill_values(struct exporter *e) {
    const struct graph *graph = e->graph;
    const struct tensor_shape *in = &graph->tensors[0];
    const struct tensor_shape *out = &graph->tensors[graph->n_tensors - 1];
    bool vector = graph->ops[graph->n_ops - 1].kind == OP_LINEAR;
    snprintf(e->input_name, NAME_MAX_BYTES, "image");
    snprintf(e->output_name, NAME_MAX_BYTES, "logits");
    fill_value(&e->input, e->input_name, (int[]){0, in->channels, in->height, in->width}, 4);
    fill_value(&e->output, e->output_name, (int[]){0, out->channels, out->height, out->width},
               vector ? 2 : 4);
}

/* What a protobuf message is written to: a file, with the first error kept. */
struct sink {
    ProtobufCBuffer base;
    struct file_writer *writer;
    struct err *err;
    int code;
};

static void sink_append(ProtobufCBuffer *base, size_t len, const uint8_t *data) {
    struct sink *sink = (struct sink *)base;
    if (!sink->code)
        sink->code = file_writer_put(sink->writer, data, len, sink->err);
}

static int write_message(const ProtobufCMessage *message, const char *path, struct err *err) {
    size_t bytes = protobuf_c_message_get_packed_size(message);
    if (bytes > INT32_MAX)
        return err_set(err, ESP_ETOOLARGE, "", "an ONNX file holds at most 2 GiB, not %zu bytes",
                       bytes);
    struct sink sink = {.base.append = sink_append, .err = err};
    int code = file_writer_open(path, err, &sink.writer);
    if (code)
        return code;
    protobuf_c_message_pack_to_buffer(message, &sink.base);
    if (sink.code) {
        file_writer_abort(sink.writer);
        return sink.code;
    }
    return file_writer_commit(sink.writer, err);
}

static int write_model(struct exporter *e, Onnx__NodeProto **nodes,
                       Onnx__TensorProto **initializers, const struct onnx_notes *notes,
                       const char *path, struct err *err) {
    Onnx__StringStringEntryProto entries[ONNX_NOTES_MAX], *entry[ONNX_NOTES_MAX];
    Onnx__GraphProto graph = ONNX__GRAPH_PROTO__INIT;
    Onnx__ModelProto model = ONNX__MODEL_PROTO__INIT;
    Onnx__OperatorSetIdProto opset = ONNX__OPERATOR_SET_ID_PROTO__INIT, *opsets[] = {&opset};
    Onnx__ValueInfoProto *inputs[] = {&e->input.proto}, *outputs[] = {&e->output.proto};
    static char graph_name[] = "subnet", producer[] = "espalier", version[] = ESP_VERSION,
                domain[] = "";
    for (size_t i = 0; i < e->n_nodes; i++)
        nodes[i] = &e->nodes[i].proto;
    for (size_t i = 0; i < e->n_initializers; i++)
        initializers[i] = &e->initializers[i].proto;
    fill_values(e);
    graph.name = graph_name;
    graph.n_node = e->n_nodes;
    graph.node = nodes;
    graph.n_initializer = e->n_initializers;
    graph.initializer = initializers;
    graph.n_input = graph.n_output = 1;
    graph.input = inputs;
    graph.output = outputs;
    opset.domain = domain;
    opset.has_version = 1;
    opset.version = OPSET;
    model.has_ir_version = 1;
    model.ir_version = IR_VERSION;
    model.n_opset_import = 1;
    model.opset_import = opsets;
    model.producer_name = producer;
    model.producer_version = version;
    model.graph = &graph;
    for (int i = 0; notes && i < notes->n && i < ONNX_NOTES_MAX; i++) {
        onnx__string_string_entry_proto__init(&entries[i]);
        entries[i].key = (char *)(uintptr_t)notes->items[i].key;
        entries[i].value = (char *)(uintptr_t)notes->items[i].value;
        entry[model.n_metadata_props++] = &entries[i];
    }
    model.metadata_props = entry;
    return write_message(&model.base, path, err);
}

/* ---- What is written ---- */

static void exporter_destroy(struct exporter *e) {
    if (!e)
        return;
    free(e->nodes);
    free(e->initializers);
    free(e);
}

/* n_links: 0 for a network that is alone in the file. */
static int exporter_create(const struct graph *graph, int n_links, struct err *err,
                           struct exporter **ret_exporter) {
    size_t n_ops = (size_t)graph->n_ops * (size_t)(n_links > 0 ? n_links : 1);
    struct exporter *e = mem_array(1, sizeof(*e));
    if (e) {
        e->graph = graph;
        e->n_links = n_links;
        e->link = -1;
        e->nodes = mem_array(n_ops * NODES_PER_OP + (size_t)n_links, sizeof(*e->nodes));
        e->initializers = mem_array(n_ops * INITIALIZERS_PER_OP, sizeof(*e->initializers));
    }
    if (!e || !e->nodes || !e->initializers) {
        exporter_destroy(e);
        return err_set(err, ESP_ENOMEM, "", "out of memory for an ONNX file");
    }
    *ret_exporter = e;
    return 0;
}

static int add_graph(struct exporter *e, const struct plan_weights *weights, struct err *err) {
    if (weights->n_ops != e->graph->n_ops)
        return err_set(err, ESP_EINVAL, "", "weights of %d operations for a network of %d",
                       weights->n_ops, e->graph->n_ops);
    for (int i = 0; i < e->graph->n_ops && !e->missing; i++) {
        e->op = &e->graph->ops[i];
        add_op(e, &weights->ops[i]);
    }
    if (e->missing)
        return err_set(err, ESP_EINVAL, "", "the weights of operation %s are missing",
                       e->nodes[e->n_nodes - 1].name);
    return 0;
}

static int write_file(struct exporter *e, const struct onnx_notes *notes, const char *path,
                      struct err *err) {
    Onnx__NodeProto **nodes = mem_array(e->n_nodes, sizeof(*nodes));
    Onnx__TensorProto **initializers = mem_array(e->n_initializers + 1, sizeof(*initializers));
    int code = nodes && initializers
                   ? write_model(e, nodes, initializers, notes, path, err)
                   : err_set(err, ESP_ENOMEM, "", "out of memory for an ONNX file");
    free(nodes);
    free(initializers);
    return code;
}

int export_onnx(const struct graph *graph, const struct plan_weights *weights,
                const struct onnx_notes *notes, const char *path, struct err *err) {
    struct exporter *e = NULL;
    int code = exporter_create(graph, 0, err, &e);
    if (!code)
        code = add_graph(e, weights, err);
    if (!code)
        code = write_file(e, notes, path, err);
    exporter_destroy(e);
    return code;
}

/* ---- A unit several times ---- */

bool export_onnx_in_a_row(const struct graph *unit) {
    const struct tensor_shape *in = &unit->tensors[0], *out = &unit->tensors[unit->n_tensors - 1];
    return in->channels == out->channels && in->height == out->height && in->width == out->width &&
           unit->ops[unit->n_ops - 1].kind != OP_LINEAR;
}

/* The sum of all links up to this one; the first is its own. */
static void add_sum(struct exporter *e) {
    char out[NAME_MAX_BYTES], before[NAME_MAX_BYTES];
    if (e->link == 0)
        return;
    snprintf(out, sizeof(out), "link%d.out", e->link);
    snprintf(before, sizeof(before), e->link == 1 ? "link0.out" : "link%d.sum", e->link - 1);
    struct node *sum = add_node(e, "Add", "sum", before);
    set_input(sum, 1, out);
    snprintf(sum->output_name, NAME_MAX_BYTES, "link%d.sum", e->link);
    if (e->link == e->n_links - 1)
        snprintf(sum->output_name, NAME_MAX_BYTES, "logits");
}

int export_onnx_chain(const struct graph *unit, struct plan_weights *const *weights, int n,
                      const char *path, struct err *err) {
    struct exporter *e = NULL;
    if (n < 2 || n > ONNX_LINKS_MAX)
        return err_set(err, ESP_EINVAL, "", "a chain has 2 to %d links", ONNX_LINKS_MAX);
    int code = exporter_create(unit, n, err, &e);
    if (code)
        return code;
    e->in_a_row = export_onnx_in_a_row(unit);
    for (e->link = 0; e->link < n && !code; e->link++) {
        code = add_graph(e, weights[e->link], err);
        if (!code && !e->in_a_row)
            add_sum(e);
    }
    if (!code)
        code = write_file(e, NULL, path, err);
    exporter_destroy(e);
    return code;
}
