#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "space/space_internal.h"

static const struct json_limits text_limits = {SPACE_TEXT_MAX, 8, 8192};

static int item_error(struct err *err, const char *at, const char *key, int index,
                      const char *message) {
    char pointer[256];
    snprintf(pointer, sizeof(pointer), "%s/%s/%d", at, key, index);
    return err_set(err, ESP_EINVAL, pointer, "%s", message);
}

struct list_rule {
    const char *key;
    double min, max;
    int max_items;
    double multiple_of, offset; /* (value - offset) must be a multiple */
    const char *form;           /* "odd", in the message */
};

static bool fits_rule(const struct list_rule *rule, double value) {
    double steps = (value - rule->offset) / rule->multiple_of;
    return fabs(steps - rint(steps)) < 1e-6;
}

static int check_item(const struct list_rule *rule, const cJSON *item, double before, char *message,
                      size_t size) {
    double value = item->valuedouble;
    if (!cJSON_IsNumber(item) || !isfinite(value))
        return snprintf(message, size, "%s must hold numbers", rule->key);
    if (value < rule->min || value > rule->max)
        return snprintf(message, size, "%s must be from %g to %g, not %g", rule->key, rule->min,
                        rule->max, value);
    if (!fits_rule(rule, value))
        return snprintf(message, size, "%s must be %s, which %g is not", rule->key, rule->form,
                        value);
    if (value == before)
        return snprintf(message, size, "%s holds %g twice", rule->key, value);
    if (value < before)
        return snprintf(message, size, "%s must ascend: %g follows %g", rule->key, value, before);
    return 0;
}

/* A non-empty, strictly ascending list of numbers under the rule. */
static int read_list(const cJSON *obj, const char *at, const struct list_rule *rule,
                     struct err *err, double *ret_values) {
    const cJSON *array, *item;
    int code = json_array(obj, at, rule->key, 1, rule->max_items, err, &array), n = 0;
    if (code)
        return code;
    cJSON_ArrayForEach(item, array) {
        char message[160];
        if (check_item(rule, item, n ? ret_values[n - 1] : -1, message, sizeof(message)))
            return item_error(err, at, rule->key, n, message);
        ret_values[n++] = item->valuedouble;
    }
    return n;
}

static int read_choices(const cJSON *obj, const char *at, const struct list_rule *rule,
                        struct err *err, struct space_choices *ret_choices) {
    double values[SPACE_CHOICES_MAX];
    int n = read_list(obj, at, rule, err, values);
    if (n < 0)
        return n;
    ret_choices->n = n;
    for (int i = 0; i < n; i++)
        ret_choices->value[i] = (int)values[i];
    return 0;
}

static int read_act(const cJSON *obj, const char *at, struct err *err, enum act *ret_act) {
    int index = 0, code = json_enum(obj, at, "act", layer_act_names, err, &index);
    if (!code)
        *ret_act = layer_acts[index];
    return code;
}

/* An integer member that must be a multiple of 8, or 0 where min is 0. */
static int read_channels(const cJSON *obj, const char *at, const char *key, int min,
                         struct err *err, int *ret_channels) {
    int64_t value = 0;
    int code = json_int(obj, at, key, min, SPACE_CHANNELS_MAX, err, &value);
    if (code)
        return code;
    if (value % 8) {
        char pointer[64];
        snprintf(pointer, sizeof(pointer), "%s/%s", at, key);
        return err_set(err, ESP_EINVAL, pointer, "%s must be a multiple of 8, which %d is not", key,
                       (int)value);
    }
    *ret_channels = (int)value;
    return 0;
}

static int read_int(const cJSON *obj, const char *at, const char *key, int min, int max,
                    struct err *err, int *ret) {
    int64_t value = 0;
    int code = json_int(obj, at, key, min, max, err, &value);
    if (!code)
        *ret = (int)value;
    return code;
}

static bool is_name(const char *text) {
    for (; *text; text++)
        if (!islower((unsigned char)*text) && !isdigit((unsigned char)*text) && *text != '_' &&
            *text != '-')
            return false;
    return true;
}

static int copy_name(const cJSON *obj, const char *at, size_t size, struct err *err,
                     char *ret_name) {
    const char *name = NULL;
    int code = json_string(obj, at, "name", 1, size - 1, err, &name);
    if (code)
        return code;
    if (!is_name(name)) {
        char pointer[64];
        snprintf(pointer, sizeof(pointer), "%s/name", at);
        return err_set(err, ESP_EINVAL, pointer,
                       "name must be made of lower-case letters, digits, '_' and '-'");
    }
    memcpy(ret_name, name, strlen(name) + 1);
    return 0;
}

static int read_stem(const cJSON *doc, struct err *err, struct space *space) {
    static const char *const keys[] = {"channels", "kernel_size", "stride", "act", NULL};
    const cJSON *stem;
    int code = json_object(doc, "", "stem", err, &stem);
    if (!code)
        code = json_only(stem, "/stem", keys, err);
    if (!code)
        code = read_channels(stem, "/stem", "channels", 8, err, &space->stem.channels);
    if (!code)
        code =
            read_int(stem, "/stem", "kernel_size", 3, SPACE_KERNEL_MAX, err, &space->stem.kernel);
    if (!code && space->stem.kernel % 2 == 0)
        code = err_set(err, ESP_EINVAL, "/stem/kernel_size",
                       "kernel_size must be odd, which %d is not", space->stem.kernel);
    if (!code)
        code = read_int(stem, "/stem", "stride", 1, 2, err, &space->stem.stride);
    return code ? code : read_act(stem, "/stem", err, &space->stem.act);
}

static int read_head(const cJSON *doc, struct err *err, struct space *space) {
    static const char *const keys[] = {"expand_channels", "mix_channels", "mix_bias", "act", NULL};
    const cJSON *head;
    int code = json_object(doc, "", "head", err, &head);
    if (!code)
        code = json_only(head, "/head", keys, err);
    if (!code)
        code =
            read_channels(head, "/head", "expand_channels", 0, err, &space->head.expand_channels);
    if (!code)
        code = read_channels(head, "/head", "mix_channels", 0, err, &space->head.mix_channels);
    if (!code)
        code = json_bool_opt(head, "/head", "mix_bias", err, &space->head.mix_bias);
    if (!code && space->head.mix_bias && !space->head.mix_channels)
        code = err_set(err, ESP_EINVAL, "/head/mix_bias", "mix_bias needs mix_channels above 0");
    return code ? code : read_act(head, "/head", err, &space->head.act);
}

static int read_stage_lists(const cJSON *obj, const char *at, struct err *err,
                            struct space_stage *stage) {
    static const struct list_rule
        depths = {"depths", 1, SPACE_DEPTH_MAX, SPACE_CHOICES_MAX, 1, 0, "whole"},
        channels = {"channels", 8, SPACE_CHANNELS_MAX, SPACE_CHOICES_MAX, 8, 0, "multiples of 8"},
        kernels = {"kernel_sizes", 3, SPACE_KERNEL_MAX, SPACE_CHOICES_MAX, 2, 1, "odd"};
    int code = read_choices(obj, at, &depths, err, &stage->depths);
    if (!code)
        code = read_choices(obj, at, &channels, err, &stage->channels);
    if (!code)
        code = read_choices(obj, at, &kernels, err, &stage->kernel_sizes);
    return code;
}

static int read_ratios(const cJSON *obj, const char *at, struct err *err,
                       struct space_stage *stage) {
    static const struct list_rule rules[] = {
        [BLOCK_INVERTED_RESIDUAL] = {"expand_ratios", 1, 12, SPACE_CHOICES_MAX, 0.001, 0,
                                     "whole thousandths"},
        [BLOCK_BOTTLENECK] = {"expand_ratios", 0.05, 4, SPACE_CHOICES_MAX, 0.001, 0,
                              "whole thousandths"}};
    if (stage->block == BLOCK_CONV) {
        stage->expand_ratios[0] = 1;
        stage->n_expand_ratios = 1;
        return 0;
    }
    int n = read_list(obj, at, &rules[stage->block], err, stage->expand_ratios);
    if (n < 0)
        return n;
    stage->n_expand_ratios = n;
    return 0;
}

static int read_block_kind(const cJSON *obj, const char *at, struct err *err,
                           enum block_kind *ret_kind) {
    int kind = BLOCK_INVERTED_RESIDUAL, code = 0;
    if (json_has(obj, "block"))
        code = json_enum(obj, at, "block", block_kind_names, err, &kind);
    if (!code)
        *ret_kind = (enum block_kind)kind;
    return code;
}

/* Members that only some kinds of blocks have; another kind's are refused as unknown. */
static int check_members(const cJSON *obj, const char *at, enum block_kind kind, struct err *err) {
    static const char *const keys[][10] = {
        [BLOCK_INVERTED_RESIDUAL] = {"name", "block", "depths", "channels", "kernel_sizes",
                                     "stride", "act", "expand_ratios", "se", NULL},
        [BLOCK_CONV] = {"name", "block", "depths", "channels", "kernel_sizes", "stride", "act",
                        "residual", NULL},
        [BLOCK_BOTTLENECK] = {"name", "block", "depths", "channels", "kernel_sizes", "stride",
                              "act", "expand_ratios", NULL}};
    return json_only(obj, at, keys[kind], err);
}

static int read_stage(const cJSON *obj, int index, struct err *err, struct space_stage *stage) {
    char at[32];
    snprintf(at, sizeof(at), "/stages/%d", index);
    snprintf(stage->name, sizeof(stage->name), "stage%d", index + 1);
    int code = cJSON_IsObject(obj) ? read_block_kind(obj, at, err, &stage->block) : 0;
    if (!code)
        code = check_members(obj, at, stage->block, err);
    if (!code && json_has(obj, "name"))
        code = copy_name(obj, at, sizeof(stage->name), err, stage->name);
    if (!code)
        code = read_stage_lists(obj, at, err, stage);
    if (!code)
        code = read_ratios(obj, at, err, stage);
    if (!code)
        code = read_int(obj, at, "stride", 1, 2, err, &stage->stride);
    if (!code)
        code = read_act(obj, at, err, &stage->act);
    if (!code && stage->block == BLOCK_INVERTED_RESIDUAL)
        code = json_bool(obj, at, "se", err, &stage->se);
    if (!code && stage->block == BLOCK_CONV)
        code = json_bool_opt(obj, at, "residual", err, &stage->residual);
    return code;
}

static int read_stages(const cJSON *doc, struct err *err, struct space *space) {
    const cJSON *array, *item;
    int code = json_array(doc, "", "stages", 1, SPACE_STAGES_MAX, err, &array);
    if (code)
        return code;
    cJSON_ArrayForEach(item, array) {
        code = read_stage(item, space->n_stages, err, &space->stages[space->n_stages]);
        if (code)
            return code;
        space->n_stages++;
    }
    return 0;
}

static int read_resolutions(const cJSON *doc, struct err *err, struct space *space) {
    static const struct list_rule rule = {
        "resolutions", 4, SPACE_INPUT_MAX, SPACE_RESOLUTIONS_MAX, 1, 0, "whole"};
    double values[SPACE_RESOLUTIONS_MAX];
    int n = read_list(doc, "", &rule, err, values);
    if (n < 0)
        return n;
    space->n_resolutions = n;
    for (int i = 0; i < n; i++)
        space->resolutions[i] = (int)values[i];
    return 0;
}

static int read_labels(const cJSON *doc, struct err *err, struct space *space) {
    const char *description = "";
    int code = copy_name(doc, "", sizeof(space->name), err, space->name);
    if (!code)
        code = json_string_opt(doc, "", "description", 0, sizeof(space->description) - 1, err,
                               &description);
    if (!code)
        memcpy(space->description, description, strlen(description) + 1);
    return code;
}

static int read_space(const cJSON *doc, struct err *err, struct space *space) {
    static const char *const keys[] = {"name",      "description", "input_channels",
                                       "n_classes", "resolutions", "stem",
                                       "stages",    "head",        NULL};
    int code = json_only(doc, "", keys, err);
    if (!code)
        code = read_labels(doc, err, space);
    if (!code)
        code = read_int(doc, "", "input_channels", 1, SPACE_INPUT_CHANNELS_MAX, err,
                        &space->input_channels);
    if (!code)
        code = read_int(doc, "", "n_classes", 2, SPACE_CLASSES_MAX, err, &space->n_classes);
    if (!code)
        code = read_resolutions(doc, err, space);
    if (!code)
        code = read_stem(doc, err, space);
    if (!code)
        code = read_stages(doc, err, space);
    if (!code)
        code = read_head(doc, err, space);
    return code ? code : space_finish(space, err);
}

int space_parse(const char *text, size_t len, struct err *err, struct space **ret_space) {
    cJSON *doc = NULL;
    int code = json_parse(text, len, &text_limits, err, &doc);
    if (code)
        return code;
    struct space *space = calloc(1, sizeof(*space));
    code = space ? read_space(doc, err, space) : err_set(err, ESP_ENOMEM, "", "out of memory");
    cJSON_Delete(doc);
    if (code) {
        space_destroy(space);
        return code;
    }
    *ret_space = space;
    return 0;
}

static bool add_ints(cJSON *obj, const char *key, const int *values, int n) {
    return cJSON_AddItemToObject(obj, key, cJSON_CreateIntArray(values, n));
}

static bool add_choices(cJSON *obj, const char *key, const struct space_choices *choices) {
    return add_ints(obj, key, choices->value, choices->n);
}

static bool add_int(cJSON *obj, const char *key, int value) {
    return cJSON_AddNumberToObject(obj, key, value);
}

static bool add_stem(cJSON *doc, const struct space *space) {
    cJSON *stem = cJSON_AddObjectToObject(doc, "stem");
    return stem && add_int(stem, "channels", space->stem.channels) &&
           add_int(stem, "kernel_size", space->stem.kernel) &&
           add_int(stem, "stride", space->stem.stride) &&
           cJSON_AddStringToObject(stem, "act", act_names[space->stem.act]);
}

static bool add_head(cJSON *doc, const struct space *space) {
    cJSON *head = cJSON_AddObjectToObject(doc, "head");
    return head && add_int(head, "expand_channels", space->head.expand_channels) &&
           add_int(head, "mix_channels", space->head.mix_channels) &&
           cJSON_AddBoolToObject(head, "mix_bias", space->head.mix_bias) &&
           cJSON_AddStringToObject(head, "act", act_names[space->head.act]);
}

static bool add_ratios(cJSON *obj, const struct space_stage *stage) {
    return cJSON_AddItemToObject(
        obj, "expand_ratios",
        cJSON_CreateDoubleArray(stage->expand_ratios, stage->n_expand_ratios));
}

/* What the kinds of blocks differ in. The default kind is not named: fingerprints of spaces from
 * before there were others stay what they were. */
static bool fill_block(cJSON *obj, const struct space_stage *stage) {
    if (stage->block == BLOCK_INVERTED_RESIDUAL)
        return add_ratios(obj, stage) && cJSON_AddBoolToObject(obj, "se", stage->se);
    return cJSON_AddStringToObject(obj, "block", block_kind_names[stage->block]) &&
           (stage->block == BLOCK_CONV
                ? cJSON_AddBoolToObject(obj, "residual", stage->residual) != NULL
                : add_ratios(obj, stage));
}

static bool fill_stage(cJSON *obj, const struct space_stage *stage, bool with_names) {
    return (!with_names || cJSON_AddStringToObject(obj, "name", stage->name)) &&
           add_choices(obj, "depths", &stage->depths) &&
           add_choices(obj, "channels", &stage->channels) &&
           add_choices(obj, "kernel_sizes", &stage->kernel_sizes) &&
           add_int(obj, "stride", stage->stride) &&
           cJSON_AddStringToObject(obj, "act", act_names[stage->act]) && fill_block(obj, stage);
}

static bool add_stages(cJSON *doc, const struct space *space, bool with_names) {
    cJSON *array = cJSON_AddArrayToObject(doc, "stages");
    for (int i = 0; array && i < space->n_stages; i++) {
        cJSON *obj = cJSON_CreateObject();
        if (!cJSON_AddItemToArray(array, obj) || !fill_stage(obj, &space->stages[i], with_names))
            return false;
    }
    return array;
}

static bool add_labels(cJSON *doc, const struct space *space) {
    return cJSON_AddStringToObject(doc, "name", space->name) &&
           cJSON_AddStringToObject(doc, "description", space->description);
}

/* NULL on memory exhaustion. */
static cJSON *space_to_json(const struct space *space, bool with_names) {
    cJSON *doc = cJSON_CreateObject();
    if (doc && (!with_names || add_labels(doc, space)) &&
        add_int(doc, "input_channels", space->input_channels) &&
        add_int(doc, "n_classes", space->n_classes) &&
        add_ints(doc, "resolutions", space->resolutions, space->n_resolutions) &&
        add_stem(doc, space) && add_stages(doc, space, with_names) && add_head(doc, space))
        return doc;
    cJSON_Delete(doc);
    return NULL;
}

char *space_print(const struct space *space) {
    cJSON *doc = space_to_json(space, true);
    char *text = doc ? json_print(doc) : NULL;
    cJSON_Delete(doc);
    return text;
}

int space_fingerprint(const struct space *space, char ret_fingerprint[HASH_TEXT]) {
    cJSON *doc = space_to_json(space, false);
    char *text = doc ? json_print_canonical(doc) : NULL;
    cJSON_Delete(doc);
    if (!text)
        return ESP_ENOMEM;
    hash_text(text, strlen(text), ret_fingerprint);
    free(text);
    return 0;
}
