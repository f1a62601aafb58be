#include "runtime/export_c.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/hash.h"

/* One export. An error sticks, so that a chain of pieces is checked once at its end. */
struct writer {
    const struct graph *graph;
    struct file_writer *file;
    struct err *err;
    int error;
    char id[13]; /* in all names of this network, so that a file can include several */
};

static void put(struct writer *w, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void put(struct writer *w, const char *format, ...) {
    char text[2048];
    va_list args;
    va_start(args, format);
    int len = vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    if (w->error == 0 && (len < 0 || (size_t)len >= sizeof(text)))
        w->error = err_set(w->err, ESP_EINVAL, NULL, "a line of the file would be too long");
    if (w->error == 0)
        w->error = file_writer_put(w->file, text, (size_t)len, w->err);
}

/* As it is, but for each @, which becomes the network's id. */
static void put_named(struct writer *w, const char *text) {
    while (*text != '\0' && w->error == 0) {
        size_t len = strcspn(text, "@");
        w->error = file_writer_put(w->file, text, len, w->err);
        text += len;
        if (*text == '@') {
            put(w, "%s", w->id);
            text++;
        }
    }
}

static size_t elements(const struct tensor_shape *shape) {
    return (size_t)shape->channels * (size_t)shape->height * (size_t)shape->width;
}

static size_t scratch_floats(const struct graph *graph) {
    size_t n = 0;
    for (int i = 1; i < graph->n_tensors; i++)
        n += elements(&graph->tensors[i]);
    return n;
}

/* A note's text ends no comment. */
static void put_note(struct writer *w, const struct onnx_note *note) {
    char text[1024];
    size_t len = 0;
    for (const char *p = note->value; *p != '\0' && len < sizeof(text) - 1; p++)
        text[len++] = *p == '*' || (unsigned char)*p < 0x20 ? '_' : *p;
    text[len] = '\0';
    put(w, " * %.80s: %s\n", note->key, text);
}

static void put_head(struct writer *w, const struct onnx_notes *notes) {
    put(w, "/* A network, written by Espalier as C99. Include it in one file, others beside it.\n"
           " *\n");
    for (int i = 0; notes != NULL && i < notes->n; i++)
        put_note(w, &notes->items[i]);
    put(w,
        " *\n"
        " * Input: [channels][height][width], pixels / 255 less the mean, over the deviation, of\n"
        " * each channel. BN is folded into weights and biases. Layout of the weights, the last\n"
        " * index fastest: a convolution [c_out][c_in][kernel][kernel], a depthwise one\n"
        " * [channels][kernel][kernel], the classifier [classes][c_in], of SE [reduced][channels]\n"
        " * and [channels][reduced]. Op i reads tensor .input and writes tensor i + 1; tensor 0 "
        "is\n"
        " * the image; .residual (-1: none) is added, behind the activation unless .act_last. */\n"
        "#ifndef ESPALIER_OPS_H\n#define ESPALIER_OPS_H\n\n#include <stddef.h>\n\n");
    put(w, "enum espalier_kind { ESPALIER_CONV, ESPALIER_DEPTHWISE, ESPALIER_SE, ESPALIER_POOL, "
           "ESPALIER_LINEAR };\n"
           "enum espalier_act { ESPALIER_NONE, ESPALIER_RELU, ESPALIER_HSWISH, ESPALIER_HSIGMOID, "
           "ESPALIER_RELU6 };\n"
           "struct espalier_op {\n"
           "    enum espalier_kind kind;\n    enum espalier_act act;\n"
           "    int act_last, input, residual;\n"
           "    int c_in, h_in, w_in, c_out, h_out, w_out, kernel, stride, pad, se_channels;\n"
           "    size_t output; /* place of its tensor in the scratch memory */\n"
           "    const float *weight, *bias; /* 0: none */\n"
           "    const float *se_reduce, *se_reduce_bias, *se_expand, *se_expand_bias;\n"
           "};\n\n");
}

/* Sizes, by their own names. */
static void put_sizes(struct writer *w) {
    const struct tensor_shape *in = &w->graph->tensors[0];
    const struct tensor_shape *out = &w->graph->tensors[w->graph->n_tensors - 1];
    put(w,
        "#ifndef ESPALIER_NET_%s_H\n#define ESPALIER_NET_%s_H\n\n"
        "#define ESPALIER_NET_%s_CHANNELS %d\n#define ESPALIER_NET_%s_HEIGHT %d\n"
        "#define ESPALIER_NET_%s_WIDTH %d\n#define ESPALIER_NET_%s_OUTPUTS %zu\n"
        "#define ESPALIER_NET_%s_OPS %d\n"
        "/* Floats that the run wants as scratch: every tensor has a place of its own. */\n"
        "#define ESPALIER_NET_%s_SCRATCH ((size_t)%zu)\n\n",
        w->id, w->id, w->id, in->channels, w->id, in->height, w->id, in->width, w->id,
        elements(out), w->id, w->graph->n_ops, w->id, scratch_floats(w->graph));
}

/* Arrays of an op. */
enum { ARRAYS_MAX = 6 };
struct array {
    const char *name;
    const float *values; /* NULL: it has none */
    size_t n;
    char shape[64];
};

static void name_array(struct array *array, const char *name, const float *values, size_t n) {
    *array = (struct array){.name = name, .values = values, .n = n};
    snprintf(array->shape, sizeof(array->shape), "[%zu]", n);
}

static void arrays_of(const struct op *op, const struct op_weights *own,
                      struct array ret[ARRAYS_MAX]) {
    size_t kernel = op->kind == OP_LINEAR ? 1 : (size_t)op->kernel, c_out = (size_t)op->c_out;
    size_t c_in = op->kind == OP_DEPTHWISE ? 1 : (size_t)op->c_in;
    size_t se = (size_t)op->se_channels, channels = (size_t)op->c_in;
    name_array(&ret[0], "weight", own->weight, c_out * c_in * kernel * kernel);
    name_array(&ret[1], "bias", own->bias, c_out);
    name_array(&ret[2], "se_reduce", own->se_reduce, se * channels);
    name_array(&ret[3], "se_reduce_bias", own->se_reduce_bias, se);
    name_array(&ret[4], "se_expand", own->se_expand, channels * se);
    name_array(&ret[5], "se_expand_bias", own->se_expand_bias, channels);
    int len = snprintf(ret[0].shape, sizeof(ret[0].shape), "[%zu][%zu]", c_out, c_in);
    if (op->kind != OP_LINEAR)
        snprintf(ret[0].shape + len, sizeof(ret[0].shape) - (size_t)len, "[%zu][%zu]", kernel,
                 kernel);
    snprintf(ret[2].shape, sizeof(ret[2].shape), "[%zu][%zu]", se, channels);
    snprintf(ret[4].shape, sizeof(ret[4].shape), "[%zu][%zu]", channels, se);
}

enum { PER_LINE = 8 };
static void put_array(struct writer *w, int op, const struct array *array) {
    const float *values = array->values;
    size_t n = array->n;
    if (values == NULL)
        return;
    put(w, "static const float espalier_net_%s_op%d_%s[%zu] = { /* %s */\n", w->id, op, array->name,
        n, array->shape);
    for (size_t i = 0; i < n && w->error == 0; i += PER_LINE) {
        char line[PER_LINE * 24];
        int len = 0;
        for (size_t k = i; k < n && k < i + PER_LINE; k++) {
            char number[24];
            snprintf(number, sizeof(number), "%.9g", (double)values[k]);
            bool whole = strpbrk(number, ".e") == NULL; /* 3f is no number of C */
            len += snprintf(line + len, sizeof(line) - (size_t)len, "%s%sf,", number,
                            whole ? ".0" : "");
        }
        put(w, "%s\n", line);
    }
    put(w, "};\n");
}

static void put_weights(struct writer *w, int i, const struct op_weights *weights) {
    const struct op *op = &w->graph->ops[i];
    struct array arrays[ARRAYS_MAX];
    put(w, "/* op %d: %s, %s, %d x %d x %d to %d x %d x %d, stride %d, %s */\n", i,
        op_kind_names[op->kind], op_role_names[op->role], op->c_in, op->h_in, op->w_in, op->c_out,
        op->h_out, op->w_out, op->stride, act_names[op->act]);
    arrays_of(op, weights, arrays);
    for (int k = 0; k < ARRAYS_MAX; k++)
        put_array(w, i, &arrays[k]);
}

static void put_pointer(struct writer *w, int op, const char *name, const float *values) {
    if (values == NULL)
        put(w, ", 0");
    else
        put(w, ", espalier_net_%s_op%d_%s", w->id, op, name);
}

static void put_ops(struct writer *w, const struct plan_weights *weights) {
    static const char *const kinds[] = {"CONV", "DEPTHWISE", "SE", "POOL", "LINEAR"};
    static const char *const acts[] = {"NONE", "RELU", "HSWISH", "HSIGMOID", "RELU6"};
    size_t place = 0;
    put(w, "\nstatic const struct espalier_op espalier_net_%s_ops[ESPALIER_NET_%s_OPS] = {\n",
        w->id, w->id);
    for (int i = 0; i < w->graph->n_ops; i++) {
        const struct op *op = &w->graph->ops[i];
        const struct op_weights *own = &weights->ops[i];
        put(w,
            "    {ESPALIER_%s, ESPALIER_%s, %d, %d, %d, %d, %d, %d, %d, %d, %d, %d, %d, %d, %d, "
            "%zu",
            kinds[op->kind], acts[op->act], op->act_last, op->input, op->residual, op->c_in,
            op->h_in, op->w_in, op->c_out, op->h_out, op->w_out, op->kernel, op->stride, op->pad,
            op->se_channels, place);
        put_pointer(w, i, "weight", own->weight);
        put_pointer(w, i, "bias", own->bias);
        put_pointer(w, i, "se_reduce", own->se_reduce);
        put_pointer(w, i, "se_reduce_bias", own->se_reduce_bias);
        put_pointer(w, i, "se_expand", own->se_expand);
        put_pointer(w, i, "se_expand_bias", own->se_expand_bias);
        put(w, "},\n");
        place += elements(&w->graph->tensors[i + 1]);
    }
    put(w, "};\n\n");
}

/* What all networks share: loops as they are written down, nothing else. */
static const char kernels[] =
    "static inline float espalier_activate(enum espalier_act act, float x) {\n"
    "    float gate = x < -3 ? 0 : x > 3 ? 1 : (x + 3) / 6;\n"
    "    switch (act) {\n"
    "    case ESPALIER_RELU: return x > 0 ? x : 0;\n"
    "    case ESPALIER_RELU6: return x < 0 ? 0 : x > 6 ? 6 : x;\n"
    "    case ESPALIER_HSWISH: return x * gate;\n"
    "    case ESPALIER_HSIGMOID: return gate;\n"
    "    case ESPALIER_NONE: break;\n"
    "    }\n"
    "    return x;\n"
    "}\n\n"
    "/* Dense, depthwise and 1 x 1 convolutions, and the classifier. */\n"
    "static inline void espalier_convolve(const struct espalier_op *op, const float *in,\n"
    "                                     const float *residual, float *out) {\n"
    "    int depthwise = op->kind == ESPALIER_DEPTHWISE, k = op->kernel > 0 ? op->kernel : 1;\n"
    "    int stride = op->stride > 0 ? op->stride : 1, n = depthwise ? 1 : op->c_in;\n"
    "    for (int o = 0; o < op->c_out; o++)\n"
    "        for (int y = 0; y < op->h_out; y++)\n"
    "            for (int x = 0; x < op->w_out; x++) {\n"
    "                float sum = op->bias ? op->bias[o] : 0;\n"
    "                for (int c = 0; c < n; c++) {\n"
    "                    const float *w = op->weight + ((size_t)o * n + c) * k * k;\n"
    "                    const float *plane = in + (size_t)(depthwise ? o : c) * op->h_in * "
    "op->w_in;\n"
    "                    for (int i = 0; i < k; i++)\n"
    "                        for (int j = 0; j < k; j++) {\n"
    "                            int row = y * stride + i - op->pad, col = x * stride + j - "
    "op->pad;\n"
    "                            if (row >= 0 && row < op->h_in && col >= 0 && col < op->w_in)\n"
    "                                sum += w[i * k + j] * plane[(size_t)row * op->w_in + col];\n"
    "                        }\n"
    "                }\n"
    "                size_t at = ((size_t)o * op->h_out + y) * op->w_out + x;\n"
    "                float added = residual ? residual[at] : 0;\n"
    "                out[at] = op->act_last ? espalier_activate(op->act, sum + added)\n"
    "                                       : espalier_activate(op->act, sum) + added;\n"
    "            }\n"
    "}\n\n"
    "static inline float espalier_mean(const float *plane, int n) {\n"
    "    float sum = 0;\n"
    "    for (int i = 0; i < n; i++)\n"
    "        sum += plane[i];\n"
    "    return sum / (float)n;\n"
    "}\n\n"
    "/* Squeeze and excitation; the means stand where its output comes, at the planes' beginnings. "
    "*/\n"
    "static inline void espalier_se(const struct espalier_op *op, const float *in, float *out) {\n"
    "    int area = op->h_in * op->w_in;\n"
    "    for (int c = 0; c < op->c_in; c++)\n"
    "        out[(size_t)c * area] = op->se_expand_bias ? op->se_expand_bias[c] : 0;\n"
    "    for (int r = 0; r < op->se_channels; r++) {\n"
    "        float sum = op->se_reduce_bias ? op->se_reduce_bias[r] : 0;\n"
    "        for (int c = 0; c < op->c_in; c++)\n"
    "            sum += op->se_reduce[(size_t)r * op->c_in + c] *\n"
    "                   espalier_mean(in + (size_t)c * area, area);\n"
    "        for (int c = 0; c < op->c_in && sum > 0; c++)\n"
    "            out[(size_t)c * area] += op->se_expand[(size_t)c * op->se_channels + r] * sum;\n"
    "    }\n"
    "    for (int c = 0; c < op->c_in; c++) {\n"
    "        float gate = espalier_activate(ESPALIER_HSIGMOID, out[(size_t)c * area]);\n"
    "        for (int i = 0; i < area; i++)\n"
    "            out[(size_t)c * area + i] = in[(size_t)c * area + i] * gate;\n"
    "    }\n"
    "}\n\n"
    "#endif\n\n";

/* The forward pass. The names without an id are those of the network that was included first. */
static const char run[] =
    "/* One image [channels][height][width] to ESPALIER_NET_@_OUTPUTS logits. scratch:\n"
    " * ESPALIER_NET_@_SCRATCH floats of the caller's. */\n"
    "static inline void espalier_net_@_run(const float *image, float *scratch, float *logits) {\n"
    "    const float *in, *residual;\n"
    "    for (int i = 0; i < ESPALIER_NET_@_OPS; i++) {\n"
    "        const struct espalier_op *op = &espalier_net_@_ops[i];\n"
    "        float *out = scratch + op->output;\n"
    "        in = op->input == 0 ? image : scratch + espalier_net_@_ops[op->input - 1].output;\n"
    "        residual = op->residual < 0    ? 0\n"
    "                   : op->residual == 0 ? image\n"
    "                                       : scratch + espalier_net_@_ops[op->residual - "
    "1].output;\n"
    "        if (op->kind == ESPALIER_SE)\n"
    "            espalier_se(op, in, out);\n"
    "        else if (op->kind == ESPALIER_POOL)\n"
    "            for (int c = 0; c < op->c_in; c++)\n"
    "                out[c] = espalier_mean(in + (size_t)c * op->h_in * op->w_in, op->h_in * "
    "op->w_in);\n"
    "        else\n"
    "            espalier_convolve(op, in, residual, out);\n"
    "    }\n"
    "    for (int i = 0; i < ESPALIER_NET_@_OUTPUTS; i++)\n"
    "        logits[i] = scratch[espalier_net_@_ops[ESPALIER_NET_@_OPS - 1].output + (size_t)i];\n"
    "}\n\n"
    "#ifndef ESPALIER_NET_OPS\n"
    "#define ESPALIER_NET_CHANNELS ESPALIER_NET_@_CHANNELS\n"
    "#define ESPALIER_NET_HEIGHT ESPALIER_NET_@_HEIGHT\n"
    "#define ESPALIER_NET_WIDTH ESPALIER_NET_@_WIDTH\n"
    "#define ESPALIER_NET_OUTPUTS ESPALIER_NET_@_OUTPUTS\n"
    "#define ESPALIER_NET_OPS ESPALIER_NET_@_OPS\n"
    "#define ESPALIER_NET_SCRATCH ESPALIER_NET_@_SCRATCH\n"
    "#define espalier_net_run espalier_net_@_run\n"
    "#endif\n\n"
    "#endif\n";

static bool is_whole(const struct graph *graph, const struct plan_weights *weights) {
    bool whole = weights->n_ops == graph->n_ops;
    for (int i = 0; whole && i < graph->n_ops; i++) {
        const struct op_weights *own = &weights->ops[i];
        enum op_kind kind = graph->ops[i].kind;
        whole = kind == OP_POOL || (kind == OP_SE ? own->se_reduce != NULL && own->se_expand != NULL
                                                  : own->weight != NULL);
    }
    return whole;
}

static int check_finite(const struct array *array, int op, struct err *err) {
    for (size_t i = 0; array->values != NULL && i < array->n; i++)
        if (!isfinite(array->values[i]))
            return err_set(err, ESP_EINVAL, NULL, "%s %zu of op %d is %f, which C cannot read",
                           array->name, i, op, (double)array->values[i]);
    return 0;
}

static void hash_op(const struct op *op, struct hash *hash) {
    const int facts[] = {(int)op->kind, (int)op->act, op->act_last, op->input, op->residual,
                         op->c_in,      op->h_in,     op->w_in,     op->c_out, op->h_out,
                         op->w_out,     op->kernel,   op->stride,   op->pad,   op->se_channels};
    hash_update(hash, facts, sizeof(facts));
}

/* The id is of the ops and the weights: equal networks alone have the same. */
static int find_id(struct writer *w, const struct plan_weights *weights) {
    struct array arrays[ARRAYS_MAX];
    struct hash hash;
    char text[HASH_TEXT_LONG];
    int r = 0;
    hash_init(&hash);
    for (int i = 0; r == 0 && i < w->graph->n_ops; i++) {
        hash_op(&w->graph->ops[i], &hash);
        arrays_of(&w->graph->ops[i], &weights->ops[i], arrays);
        for (int k = 0; r == 0 && k < ARRAYS_MAX; k++) {
            r = check_finite(&arrays[k], i, w->err);
            if (arrays[k].values != NULL)
                hash_update(&hash, arrays[k].values, arrays[k].n * sizeof(float));
        }
    }
    hash_final(&hash, text);
    snprintf(w->id, sizeof(w->id), "%.12s", text);
    return r;
}

int export_c(const struct graph *graph, const struct plan_weights *weights,
             const struct onnx_notes *notes, const char *path, struct err *err) {
    struct writer w = {.graph = graph, .err = err};
    if (!is_whole(graph, weights))
        return err_set(err, ESP_EINVAL, NULL, "the weights are not those of this network");
    int r = find_id(&w, weights);
    if (r == 0)
        r = file_writer_open(path, err, &w.file);
    if (r != 0)
        return r;
    put_head(&w, notes);
    put_named(&w, kernels);
    put_sizes(&w);
    for (int i = 0; i < graph->n_ops; i++)
        put_weights(&w, i, &weights->ops[i]);
    put_ops(&w, weights);
    put_named(&w, run);
    if (w.error == 0)
        return file_writer_commit(w.file, err);
    file_writer_abort(w.file);
    return w.error;
}
