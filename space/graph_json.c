#include <stdio.h>
#include <stdlib.h>

#include "base/json.h"
#include "space/cost.h"
#include "space/lower.h"

static bool add_int(cJSON *obj, const char *key, int value) {
    return cJSON_AddNumberToObject(obj, key, value);
}

/* Members that only some units have are left out where they are 0. */
static bool add_nonzero(cJSON *obj, const char *key, int value) {
    return !value || add_int(obj, key, value);
}

static bool fill_unit(cJSON *obj, const struct graph_unit *unit) {
    const struct unit_spec *spec = &unit->spec;
    return cJSON_AddStringToObject(obj, "kind", unit_kind_names[spec->kind]) &&
           (unit->stage < 0 || add_int(obj, "stage", unit->stage)) &&
           (unit->block < 0 || add_int(obj, "block", unit->block)) &&
           (spec->act == ACT_NONE || cJSON_AddStringToObject(obj, "act", act_names[spec->act])) &&
           add_nonzero(obj, "expand_channels", spec->expand_channels) &&
           add_nonzero(obj, "kernel_size", spec->kernel) &&
           add_nonzero(obj, "stride", spec->stride) &&
           add_nonzero(obj, "se_channels", spec->se_channels) &&
           add_nonzero(obj, "mix_channels", spec->mix_channels) &&
           (!spec->mix_bias || cJSON_AddTrueToObject(obj, "mix_bias")) &&
           (!spec->residual || spec->kind == UNIT_BOTTLENECK ||
            cJSON_AddTrueToObject(obj, "residual")) &&
           add_int(obj, "c_out", spec->c_out);
}

static bool fill_graph(cJSON *doc, const struct graph *graph) {
    const struct tensor_shape *image = &graph->tensors[0];
    cJSON *input = cJSON_AddObjectToObject(doc, "input");
    if (!input || !add_int(input, "channels", image->channels) ||
        !add_int(input, "height", image->height) || !add_int(input, "width", image->width))
        return false;
    cJSON *units = cJSON_AddArrayToObject(doc, "units");
    for (int i = 0; units && i < graph->n_units; i++) {
        cJSON *obj = cJSON_CreateObject();
        if (!cJSON_AddItemToArray(units, obj) || !fill_unit(obj, &graph->units[i]))
            return false;
    }
    return units;
}

cJSON *graph_to_json(const struct graph *graph) {
    cJSON *doc = cJSON_CreateObject();
    if (doc && fill_graph(doc, graph))
        return doc;
    cJSON_Delete(doc);
    return NULL;
}

enum { WIDTH_MAX = 12 * SPACE_CHANNELS_MAX }; /* channels inside a block */

/* One unit's JSON and the pointer to it. */
struct source {
    const cJSON *obj;
    char at[128];
    struct err *err;
    int error; /* sticks: after the first, nothing is read */
};

static int fail(struct source *source, const char *key, const char *message) {
    char pointer[192];
    snprintf(pointer, sizeof(pointer), "%s/%s", source->at, key);
    return source->error = err_set(source->err, ESP_EINVAL, pointer, "%s %s", key, message);
}

static int take_int(struct source *source, const char *key, int min, int max) {
    int64_t value = 0;
    if (!source->error)
        source->error = json_int(source->obj, source->at, key, min, max, source->err, &value);
    return source->error ? 0 : (int)value;
}

/* Absent: 0. */
static int take_int_opt(struct source *source, const char *key, int min, int max) {
    return json_has(source->obj, key) ? take_int(source, key, min, max) : 0;
}

/* A multiple of 8: blocks of 8 channels are what kernels work on. */
static int take_channels(struct source *source, const char *key, int max, bool optional) {
    int value = optional ? take_int_opt(source, key, 0, max) : take_int(source, key, 8, max);
    if (!source->error && value % 8)
        fail(source, key, "must be a multiple of 8");
    return value;
}

static bool take_flag(struct source *source, const char *key) {
    bool flag = false;
    if (!source->error)
        source->error = json_bool_opt(source->obj, source->at, key, source->err, &flag);
    return flag;
}

static enum act take_act(struct source *source) {
    int index = 0;
    if (!source->error)
        source->error =
            json_enum(source->obj, source->at, "act", layer_act_names, source->err, &index);
    return layer_acts[index];
}

static void take_window(struct source *source, struct unit_spec *spec) {
    spec->kernel = take_int(source, "kernel_size", 3, SPACE_KERNEL_MAX);
    spec->stride = take_int(source, "stride", 1, 2);
    if (!source->error && spec->kernel % 2 == 0)
        fail(source, "kernel_size", "must be odd");
}

static void only(struct source *source, const char *const *keys) {
    if (!source->error)
        source->error = json_only(source->obj, source->at, keys, source->err);
}

static void take_stem(struct source *source, struct unit_spec *spec) {
    static const char *const keys[] = {"kind", "act", "kernel_size", "stride", "c_out", NULL};
    only(source, keys);
    spec->act = take_act(source);
    take_window(source, spec);
    spec->c_out = take_channels(source, "c_out", SPACE_CHANNELS_MAX, false);
    if (!source->error && spec->c_in > SPACE_INPUT_CHANNELS_MAX)
        fail(source, "kind", "cannot be stem: the input has too many channels");
}

static void take_residual(struct source *source, struct unit_spec *spec) {
    spec->residual = take_flag(source, "residual");
    if (!source->error && spec->residual && (spec->stride != 1 || spec->c_out != spec->c_in))
        fail(source, "residual", "needs stride 1 and as many channels out as in");
}

static void take_conv(struct source *source, struct unit_spec *spec) {
    static const char *const keys[] = {"kind",   "stage",    "block", "act", "kernel_size",
                                       "stride", "residual", "c_out", NULL};
    only(source, keys);
    spec->act = take_act(source);
    take_window(source, spec);
    spec->c_out = take_channels(source, "c_out", SPACE_CHANNELS_MAX, false);
    take_residual(source, spec);
}

/* Its shortcut follows from its shapes. */
static void take_bottleneck(struct source *source, struct unit_spec *spec) {
    static const char *const keys[] = {"kind",   "stage",           "block", "act", "kernel_size",
                                       "stride", "expand_channels", "c_out", NULL};
    only(source, keys);
    spec->act = take_act(source);
    take_window(source, spec);
    spec->expand_channels = take_channels(source, "expand_channels", WIDTH_MAX, false);
    spec->c_out = take_channels(source, "c_out", SPACE_CHANNELS_MAX, false);
    spec->residual = spec->stride == 1 && spec->c_out == spec->c_in;
}

static void take_block(struct source *source, struct unit_spec *spec) {
    static const char *const keys[] = {
        "kind",        "stage",    "block", "act", "kernel_size", "stride", "expand_channels",
        "se_channels", "residual", "c_out", NULL};
    only(source, keys);
    spec->act = take_act(source);
    take_window(source, spec);
    spec->expand_channels = take_channels(source, "expand_channels", WIDTH_MAX, true);
    spec->se_channels = take_channels(source, "se_channels", WIDTH_MAX, true);
    spec->c_out = take_channels(source, "c_out", SPACE_CHANNELS_MAX, false);
    take_residual(source, spec);
}

static void take_head_conv(struct source *source, struct unit_spec *spec) {
    static const char *const keys[] = {"kind", "act", "c_out", NULL};
    only(source, keys);
    spec->act = take_act(source);
    spec->c_out = take_channels(source, "c_out", SPACE_CHANNELS_MAX, false);
}

static void take_head_tail(struct source *source, struct unit_spec *spec) {
    static const char *const keys[] = {"kind", "act", "mix_channels", "mix_bias", "c_out", NULL};
    only(source, keys);
    spec->mix_channels = take_channels(source, "mix_channels", SPACE_CHANNELS_MAX, true);
    spec->mix_bias = take_flag(source, "mix_bias");
    if (spec->mix_channels)
        spec->act = take_act(source);
    spec->c_out = take_int(source, "c_out", 2, SPACE_CLASSES_MAX);
    if (!source->error && spec->mix_bias && !spec->mix_channels)
        fail(source, "mix_bias", "needs mix_channels");
    if (!source->error && json_has(source->obj, "act") && !spec->mix_channels)
        fail(source, "act", "needs mix_channels");
}

/* Where a kind may stand; units of one rank may follow each other if they are blocks. */
static int rank(enum unit_kind kind) {
    return unit_kind_is_block(kind) ? UNIT_BLOCK : (int)kind;
}

static bool in_order(int before, enum unit_kind kind) {
    int from = before < 0 ? -1 : rank((enum unit_kind)before);
    return rank(kind) > from || (rank(kind) == from && unit_kind_is_block(kind));
}

/* Where a block stands, for people. */
static void take_place(struct source *source, struct placed_unit *unit) {
    if (json_has(source->obj, "stage"))
        unit->stage = take_int(source, "stage", 0, SPACE_STAGES_MAX - 1);
    if (json_has(source->obj, "block"))
        unit->block = take_int(source, "block", 0, SPACE_BLOCKS_MAX - 1);
}

/* before: the kind of the unit before, or -1. */
static void take_unit(struct source *source, int before, const struct tensor_shape *input,
                      struct placed_unit *ret_unit) {
    int kind = 0;
    if (!cJSON_IsObject(source->obj))
        source->error = err_set(source->err, ESP_EINVAL, source->at, "a unit must be an object");
    if (!source->error)
        source->error =
            json_enum(source->obj, source->at, "kind", unit_kind_names, source->err, &kind);
    if (!source->error && !in_order(before, (enum unit_kind)kind))
        fail(source, "kind", "is out of order: stem, blocks, head_conv, head_tail");
    if (!source->error && kind != UNIT_STEM && input->channels % 8)
        fail(source, "kind", "needs an input whose channels are a multiple of 8");
    ret_unit->stage = ret_unit->block = -1;
    ret_unit->spec = (struct unit_spec){.kind = (enum unit_kind)kind,
                                        .c_in = input->channels,
                                        .h_in = input->height,
                                        .w_in = input->width};
    switch ((enum unit_kind)kind) {
    case UNIT_STEM:
        take_stem(source, &ret_unit->spec);
        break;
    case UNIT_BLOCK:
        take_block(source, &ret_unit->spec);
        take_place(source, ret_unit);
        break;
    case UNIT_CONV:
        take_conv(source, &ret_unit->spec);
        take_place(source, ret_unit);
        break;
    case UNIT_BOTTLENECK:
        take_bottleneck(source, &ret_unit->spec);
        take_place(source, ret_unit);
        break;
    case UNIT_HEAD_CONV:
        take_head_conv(source, &ret_unit->spec);
        break;
    case UNIT_HEAD_TAIL:
        take_head_tail(source, &ret_unit->spec);
        break;
    }
}

static int read_units(const cJSON *array, const char *at, struct err *err,
                      struct tensor_shape shape, struct placed_unit *ret_units) {
    int n = 0, before = -1;
    const cJSON *obj;
    cJSON_ArrayForEach(obj, array) {
        struct source source = {.obj = obj, .err = err};
        snprintf(source.at, sizeof(source.at), "%s/units/%d", at, n);
        take_unit(&source, before, &shape, &ret_units[n]);
        if (source.error)
            return source.error;
        const struct unit_spec *spec = &ret_units[n++].spec;
        struct op ops[UNIT_OPS_MAX];
        const struct op *last = &ops[unit_ops(spec, ops) - 1];
        shape = (struct tensor_shape){last->c_out, last->h_out, last->w_out};
        before = (int)spec->kind;
    }
    return n;
}

static int read_input(const cJSON *doc, const char *at, struct err *err, struct tensor_shape *ret) {
    static const char *const keys[] = {"channels", "height", "width", NULL};
    struct source source = {.err = err};
    snprintf(source.at, sizeof(source.at), "%s/input", at);
    source.error = json_object(doc, at, "input", err, &source.obj);
    only(&source, keys);
    ret->channels = take_int(&source, "channels", 1, SPACE_CHANNELS_MAX);
    ret->height = take_int(&source, "height", 1, SPACE_INPUT_MAX);
    ret->width = take_int(&source, "width", 1, SPACE_INPUT_MAX);
    return source.error;
}

static int check_size(const struct graph *graph, const char *at, struct err *err) {
    struct cost cost;
    int code = graph_cost(graph, 4, err, &cost);
    if (code)
        return code;
    if ((double)cost.macs > SPACE_MACS_MAX)
        return err_set(err, ESP_ELIMIT, at, "the graph has %.3g MACs, the limit is %.3g",
                       (double)cost.macs, SPACE_MACS_MAX);
    if ((double)cost.peak_activation_bytes > SPACE_BYTES_MAX ||
        (double)cost.model_bytes > SPACE_BYTES_MAX)
        return err_set(err, ESP_ELIMIT, at,
                       "the graph needs %.3g bytes of activations and %.3g of weights, the limit "
                       "of each is %.3g",
                       (double)cost.peak_activation_bytes, (double)cost.model_bytes,
                       SPACE_BYTES_MAX);
    return 0;
}

int graph_from_json(const cJSON *doc, const char *at, struct err *err, struct graph **ret_graph) {
    static const char *const keys[] = {"input", "units", NULL};
    struct placed_unit units[GRAPH_UNITS_MAX];
    struct tensor_shape input = {0};
    const cJSON *array = NULL;
    struct graph *graph = NULL;
    int code = json_only(doc, at, keys, err);
    if (!code)
        code = read_input(doc, at, err, &input);
    if (!code)
        code = json_array(doc, at, "units", 1, GRAPH_UNITS_MAX, err, &array);
    if (code)
        return code;
    int n = read_units(array, at, err, input, units);
    if (n < 0)
        return n;
    code = graph_from_units(units, n, err, &graph);
    if (!code)
        code = check_size(graph, at, err);
    if (code) {
        free(graph);
        return code;
    }
    *ret_graph = graph;
    return 0;
}
