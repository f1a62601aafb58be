#include "supernet/train_config.h"

#include "base/json.h"
#include <stdio.h>
#include <string.h>

const struct train_config train_config_default = {
    .batch = 64,
    .learning_rate = 0.1,
    .learning_rate_floor = 0.0,
    .warmup = 0.05,
    .momentum = 0.9,
    .weight_decay = 1e-4,
    .label_smoothing = 0.1,
    .dropout = 0.1,
    .clip_norm = 5.0,
    .temperature = 1,
    .label_share = TRAIN_LABEL_SHARE_AUTO,
    .random_subnets = 2,
    .seed = 1,
    .augment = {.pad = TRAIN_PAD_AUTO, .flip = true, .cutout = 0},
    .validation_images = 1000,
    .recalibration_images = 600,
    .checkpoint_interval_s = 30,
};

#define SEED_MAX (INT64_C(1) << 53)

static const char *const fields[] = {"regime",
                                     "arch",
                                     "epochs",
                                     "time_budget_s",
                                     "batch",
                                     "learning_rate",
                                     "learning_rate_floor",
                                     "warmup",
                                     "momentum",
                                     "weight_decay",
                                     "label_smoothing",
                                     "dropout",
                                     "drop_connect",
                                     "clip_norm",
                                     "clip_value",
                                     "distillation",
                                     "temperature",
                                     "label_share",
                                     "ema_decay",
                                     "random_subnets",
                                     "seed",
                                     "augment",
                                     "validation_images",
                                     "recalibration_images",
                                     "checkpoint_steps",
                                     "checkpoint_interval_s",
                                     NULL};
static const char *const augment_fields[] = {
    "pad", "flip", "cutout", "random_resized_crop", "brightness", "contrast", "saturation", NULL};
static const char *const crop_fields[] = {"scale", "ratio", NULL};

struct int_field {
    const char *key;
    int min, max;
    int *value;
};

static int parse_ints(const cJSON *object, const char *at, const struct int_field *rows, int n,
                      struct err *err) {
    for (int i = 0; i < n; i++) {
        int64_t value = *rows[i].value;
        int rc = json_int_opt(object, at, rows[i].key, rows[i].min, rows[i].max, err, &value);
        if (rc != 0)
            return rc;
        *rows[i].value = (int)value;
    }
    return 0;
}

struct real_field {
    const char *key;
    double min, max, *value;
};

static int parse_reals(const cJSON *object, const char *at, const struct real_field *rows, int n,
                       struct err *err) {
    int rc = 0;
    for (int i = 0; rc == 0 && i < n; i++)
        rc = json_real_opt(object, at, rows[i].key, rows[i].min, rows[i].max, err, rows[i].value);
    return rc;
}

/* [low, high] within [min, max]; absent: left as it is. */
static int parse_range(const cJSON *object, const char *at, const char *key, double min, double max,
                       struct err *err, double range[2]) {
    const cJSON *list = NULL;
    char pointer[256];
    if (!json_has(object, key))
        return 0;
    int rc = json_array(object, at, key, 2, 2, err, &list);
    if (rc != 0)
        return rc;
    const cJSON *low = cJSON_GetArrayItem(list, 0), *high = cJSON_GetArrayItem(list, 1);
    snprintf(pointer, sizeof pointer, "%s/%s", at, key);
    if (!cJSON_IsNumber(low) || !cJSON_IsNumber(high) || !(low->valuedouble >= min) ||
        !(high->valuedouble <= max) || low->valuedouble > high->valuedouble)
        return err_set(err, ESP_EINVAL, pointer,
                       "must be two numbers from %g to %g, the smaller one first", min, max);
    range[0] = low->valuedouble;
    range[1] = high->valuedouble;
    return 0;
}

static int parse_crop(const cJSON *object, const char *at, struct err *err,
                      struct augment_options *augment) {
    const cJSON *inner = NULL;
    char inner_at[256], pointer[256];
    if (!json_has(object, "random_resized_crop"))
        return 0;
    snprintf(inner_at, sizeof inner_at, "%.200s/random_resized_crop", at);
    snprintf(pointer, sizeof pointer, "%.200s/pad", at);
    augment->crop = true;
    memcpy(augment->scale, augment_scale_default, sizeof augment->scale);
    memcpy(augment->ratio, augment_ratio_default, sizeof augment->ratio);
    int rc = json_object(object, at, "random_resized_crop", err, &inner);
    if (rc == 0)
        rc = json_only(inner, inner_at, crop_fields, err);
    if (rc == 0)
        rc = parse_range(inner, inner_at, "scale", 0.001, 1, err, augment->scale);
    if (rc == 0)
        rc = parse_range(inner, inner_at, "ratio", 0.01, 100, err, augment->ratio);
    if (rc == 0 && augment->pad > 0)
        rc = err_set(err, ESP_EINVAL, pointer,
                     "pad and random_resized_crop are two ways of the same: choose one");
    augment->pad = 0;
    return rc;
}

static int parse_augment(const cJSON *object, const char *at, struct err *err,
                         struct augment_options *augment) {
    const cJSON *inner = NULL;
    char inner_at[256];
    if (!json_has(object, "augment"))
        return 0;
    snprintf(inner_at, sizeof inner_at, "%s/augment", at);
    const struct int_field rows[] = {{"pad", 0, AUGMENT_PAD_MAX, &augment->pad},
                                     {"cutout", 0, DATASET_SIDE_MAX, &augment->cutout}};
    const struct real_field reals[] = {{"brightness", 0, 1, &augment->brightness},
                                       {"contrast", 0, 1, &augment->contrast},
                                       {"saturation", 0, 1, &augment->saturation}};
    int rc = json_object(object, at, "augment", err, &inner);
    if (rc == 0)
        rc = json_only(inner, inner_at, augment_fields, err);
    if (rc == 0)
        rc = parse_ints(inner, inner_at, rows, 2, err);
    if (rc == 0)
        rc = parse_reals(inner, inner_at, reals, 3, err);
    if (rc == 0)
        rc = json_bool_opt(inner, inner_at, "flip", err, &augment->flip);
    return rc == 0 ? parse_crop(inner, inner_at, err, augment) : rc;
}

static int parse_numbers(const cJSON *object, const char *at, struct err *err,
                         struct train_config *config) {
    const struct real_field reals[] = {
        {"epochs", 0.001, 100000, &config->epochs},
        {"time_budget_s", 1, 1e7, &config->time_budget_s},
        {"learning_rate", 1e-6, 10, &config->learning_rate},
        {"learning_rate_floor", 0, 1, &config->learning_rate_floor},
        {"warmup", 0, 0.9, &config->warmup},
        {"momentum", 0, 0.999, &config->momentum},
        {"weight_decay", 0, 0.1, &config->weight_decay},
        {"label_smoothing", 0, 0.5, &config->label_smoothing},
        {"dropout", 0, 0.9, &config->dropout},
        {"drop_connect", 0, 0.9, &config->drop_connect},
        {"clip_norm", 0, 1e6, &config->clip_norm},
        {"clip_value", 0, 1e6, &config->clip_value},
        {"temperature", 0.1, 100, &config->temperature},
        {"label_share", 0, 1, &config->label_share},
        {"ema_decay", 0, 0.99999, &config->ema_decay},
        {"checkpoint_interval_s", 1, 86400, &config->checkpoint_interval_s}};
    const struct int_field ints[] = {
        {"batch", 2, 4096, &config->batch},
        {"random_subnets", 0, 16, &config->random_subnets},
        {"validation_images", 0, DATASET_IMAGES_MAX, &config->validation_images},
        {"recalibration_images", 2, DATASET_IMAGES_MAX, &config->recalibration_images}};
    int64_t seed = (int64_t)config->seed;
    int rc = parse_reals(object, at, reals, (int)(sizeof reals / sizeof *reals), err);
    if (rc == 0)
        rc = parse_ints(object, at, ints, (int)(sizeof ints / sizeof *ints), err);
    if (rc == 0)
        rc = json_int_opt(object, at, "seed", 0, SEED_MAX, err, &seed);
    if (rc == 0)
        rc = json_int_opt(object, at, "checkpoint_steps", 0, INT64_C(1) << 40, err,
                          &config->checkpoint_steps);
    config->seed = (uint64_t)seed;
    return rc;
}

static int parse_name(const cJSON *object, const char *at, const char *key,
                      const char *const *names, struct err *err, int *value) {
    return json_has(object, key) ? json_enum(object, at, key, names, err, value) : 0;
}

/* An arch makes the regime single. */
static int parse_regime(const cJSON *object, const char *at, struct err *err,
                        struct train_config *config) {
    const char *arch = NULL;
    int regime = (int)config->regime, distillation = (int)config->distillation;
    char pointer[256];
    int rc = json_string_opt(object, at, "arch", 1, ARCH_TEXT_MAX - 1, err, &arch);
    if (rc == 0 && arch) {
        snprintf(config->arch, sizeof config->arch, "%s", arch);
        regime = REGIME_SINGLE;
    }
    if (rc == 0)
        rc = parse_name(object, at, "regime", regime_names, err, &regime);
    if (rc == 0)
        rc = parse_name(object, at, "distillation", distillation_names, err, &distillation);
    if (rc != 0)
        return rc;
    config->regime = (enum regime)regime;
    config->distillation = (enum distillation)distillation;
    snprintf(pointer, sizeof pointer, "%s/arch", at);
    if (arch && config->regime != REGIME_SINGLE)
        return err_set(err, ESP_EINVAL, pointer,
                       "only the regime single trains one arch, not the regime %s",
                       regime_names[regime]);
    return 0;
}

int train_config_parse(const cJSON *object, const char *at, struct err *err,
                       struct train_config *ret_config) {
    struct train_config config = train_config_default;
    char pointer[256];
    int rc = json_only(object, at, fields, err);
    if (rc == 0)
        rc = parse_numbers(object, at, err, &config);
    if (rc == 0)
        rc = parse_augment(object, at, err, &config.augment);
    if (rc == 0)
        rc = parse_regime(object, at, err, &config);
    if (rc != 0)
        return rc;
    snprintf(pointer, sizeof pointer, "%s/epochs", at);
    if ((config.epochs > 0) == (config.time_budget_s > 0))
        return err_set(err, ESP_EINVAL, pointer,
                       "exactly one of epochs and time_budget_s must be given");
    *ret_config = config;
    return 0;
}

static void print_crop(const struct augment_options *augment, cJSON *object) {
    cJSON *crop = cJSON_AddObjectToObject(object, "random_resized_crop");
    cJSON_AddItemToObject(crop, "scale", cJSON_CreateDoubleArray(augment->scale, 2));
    cJSON_AddItemToObject(crop, "ratio", cJSON_CreateDoubleArray(augment->ratio, 2));
}

/* What is not used is left out: a configuration of an older checkpoint reads the same. */
static cJSON *print_augment(const struct augment_options *augment) {
    cJSON *object = cJSON_CreateObject();
    const struct {
        const char *key;
        double value;
    } rows[] = {{"brightness", augment->brightness},
                {"contrast", augment->contrast},
                {"saturation", augment->saturation}};
    if (augment->pad != TRAIN_PAD_AUTO && !augment->crop)
        cJSON_AddNumberToObject(object, "pad", augment->pad);
    cJSON_AddBoolToObject(object, "flip", augment->flip);
    if (augment->crop)
        print_crop(augment, object);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rows[i].value > 0)
            cJSON_AddNumberToObject(object, rows[i].key, rows[i].value);
    if (!cJSON_AddNumberToObject(object, "cutout", augment->cutout)) {
        cJSON_Delete(object);
        return NULL;
    }
    return object;
}

cJSON *train_config_print(const struct train_config *config) {
    const struct {
        const char *key;
        double value;
    } rows[] = {{"batch", config->batch},
                {"learning_rate", config->learning_rate},
                {"learning_rate_floor", config->learning_rate_floor},
                {"warmup", config->warmup},
                {"momentum", config->momentum},
                {"weight_decay", config->weight_decay},
                {"label_smoothing", config->label_smoothing},
                {"dropout", config->dropout},
                {"clip_norm", config->clip_norm},
                {"clip_value", config->clip_value},
                {"temperature", config->temperature},
                {"ema_decay", config->ema_decay},
                {"random_subnets", config->random_subnets},
                {"seed", (double)config->seed},
                {"validation_images", config->validation_images},
                {"recalibration_images", config->recalibration_images},
                {"checkpoint_steps", (double)config->checkpoint_steps},
                {"checkpoint_interval_s", config->checkpoint_interval_s}};
    cJSON *object = cJSON_CreateObject(), *augment = print_augment(&config->augment);
    bool by_epochs = config->epochs > 0;
    bool whole =
        cJSON_AddNumberToObject(object, by_epochs ? "epochs" : "time_budget_s",
                                by_epochs ? config->epochs : config->time_budget_s) &&
        cJSON_AddStringToObject(object, "regime", regime_names[config->regime]) &&
        cJSON_AddStringToObject(object, "distillation", distillation_names[config->distillation]);
    if (config->arch[0])
        whole = whole && cJSON_AddStringToObject(object, "arch", config->arch);
    if (config->label_share != TRAIN_LABEL_SHARE_AUTO)
        whole = whole && cJSON_AddNumberToObject(object, "label_share", config->label_share);
    if (config->drop_connect > 0) /* a configuration of an older checkpoint reads the same */
        whole = whole && cJSON_AddNumberToObject(object, "drop_connect", config->drop_connect);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        whole = whole && cJSON_AddNumberToObject(object, rows[i].key, rows[i].value);
    if (!whole || !cJSON_AddItemToObject(object, "augment", augment)) {
        cJSON_Delete(augment);
        cJSON_Delete(object);
        return NULL;
    }
    return object;
}
