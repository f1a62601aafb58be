#include "base/json.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/json_tree.h"
#include "base/nearest.h"
#include "base/range.h"
#include "base/utf8.h"

void json_pointer_add(char *text, size_t size, const char *key) {
    size_t len = strlen(text);
    if (len + 1 < size)
        text[len++] = '/';
    for (; *key && len + 2 < size; key++) {
        if (*key == '~' || *key == '/') {
            text[len++] = '~';
            text[len++] = *key == '~' ? '0' : '1';
        } else {
            text[len++] = *key;
        }
    }
    text[utf8_trim(text, len)] = '\0'; /* a long key is cut at a character's edge */
}

/* Fills err for the member key of the object at `at`; the message reads "key must be …". */
__attribute__((format(printf, 4, 5))) static int refuse(struct err *err, const char *at,
                                                        const char *key, const char *format, ...) {
    if (!err)
        return ESP_EINVAL;
    char pointer[sizeof(err->pointer)], text[sizeof(err->message)];
    snprintf(pointer, sizeof(pointer), "%s", at ? at : "");
    json_pointer_add(pointer, sizeof(pointer), key);
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    return err_set(err, ESP_EINVAL, pointer, "%.80s %s", key, text);
}

static int refuse_range(struct err *err, const char *at, const char *key, double min, double max,
                        double value) {
    char text[RANGE_TEXT];
    range_refusal(min, max, value, text);
    return refuse(err, at, key, "%s", text);
}

static const cJSON *member(const cJSON *obj, const char *key) {
    return cJSON_GetObjectItemCaseSensitive(obj, key);
}

bool json_has(const cJSON *obj, const char *key) {
    const cJSON *item = member(obj, key);
    return item && !cJSON_IsNull(item);
}

void json_set_text(cJSON *obj, const char *key, const char *text) {
    cJSON *value = text != NULL ? cJSON_CreateString(text) : cJSON_CreateNull();
    cJSON_DeleteItemFromObjectCaseSensitive(obj, key);
    cJSON_AddItemToObject(obj, key, value);
}

/* The member, or NULL with err filled when it is absent. */
static const cJSON *require(const cJSON *obj, const char *at, const char *key, struct err *err) {
    const cJSON *item = member(obj, key);
    if (!item)
        refuse(err, at, key, "is missing");
    return item;
}

int json_int(const cJSON *obj, const char *at, const char *key, int64_t min, int64_t max,
             struct err *err, int64_t *ret) {
    const cJSON *item = require(obj, at, key, err);
    if (!item)
        return ESP_EINVAL;
    double value = item->valuedouble;
    if (!cJSON_IsNumber(item) || value != floor(value) || fabs(value) > JSON_INTEGER_MAX)
        return refuse(err, at, key, "must be an integer");
    if ((int64_t)value < min || (int64_t)value > max)
        return refuse_range(err, at, key, (double)min, (double)max, value);
    *ret = (int64_t)value;
    return 0;
}

int json_real(const cJSON *obj, const char *at, const char *key, double min, double max,
              struct err *err, double *ret) {
    const cJSON *item = require(obj, at, key, err);
    if (!item)
        return ESP_EINVAL;
    double value = item->valuedouble;
    if (!cJSON_IsNumber(item) || !isfinite(value))
        return refuse(err, at, key, "must be a number");
    if (value < min || value > max)
        return refuse_range(err, at, key, min, max, value);
    *ret = value;
    return 0;
}

int json_bool(const cJSON *obj, const char *at, const char *key, struct err *err, bool *ret) {
    const cJSON *item = require(obj, at, key, err);
    if (!item)
        return ESP_EINVAL;
    if (!cJSON_IsBool(item))
        return refuse(err, at, key, "must be true or false");
    *ret = cJSON_IsTrue(item);
    return 0;
}

int json_string(const cJSON *obj, const char *at, const char *key, size_t min_len, size_t max_len,
                struct err *err, const char **ret) {
    const cJSON *item = require(obj, at, key, err);
    if (!item)
        return ESP_EINVAL;
    if (!cJSON_IsString(item))
        return refuse(err, at, key, "must be a string");
    size_t len = strlen(item->valuestring);
    if (len < min_len || len > max_len)
        return refuse(err, at, key, "must have from %zu to %zu bytes, not %zu", min_len, max_len,
                      len);
    *ret = item->valuestring;
    return 0;
}

int json_array(const cJSON *obj, const char *at, const char *key, int min_items, int max_items,
               struct err *err, const cJSON **ret) {
    const cJSON *item = require(obj, at, key, err);
    if (!item)
        return ESP_EINVAL;
    if (!cJSON_IsArray(item))
        return refuse(err, at, key, "must be an array");
    int items = cJSON_GetArraySize(item);
    if (items < min_items || items > max_items)
        return refuse(err, at, key, "must have from %d to %d items, not %d", min_items, max_items,
                      items);
    *ret = item;
    return 0;
}

int json_object(const cJSON *obj, const char *at, const char *key, struct err *err,
                const cJSON **ret) {
    const cJSON *item = require(obj, at, key, err);
    if (!item)
        return ESP_EINVAL;
    if (!cJSON_IsObject(item))
        return refuse(err, at, key, "must be an object");
    *ret = item;
    return 0;
}

int json_int_opt(const cJSON *obj, const char *at, const char *key, int64_t min, int64_t max,
                 struct err *err, int64_t *ret) {
    return json_has(obj, key) ? json_int(obj, at, key, min, max, err, ret) : 0;
}

int json_real_opt(const cJSON *obj, const char *at, const char *key, double min, double max,
                  struct err *err, double *ret) {
    return json_has(obj, key) ? json_real(obj, at, key, min, max, err, ret) : 0;
}

int json_bool_opt(const cJSON *obj, const char *at, const char *key, struct err *err, bool *ret) {
    return json_has(obj, key) ? json_bool(obj, at, key, err, ret) : 0;
}

int json_string_opt(const cJSON *obj, const char *at, const char *key, size_t min_len,
                    size_t max_len, struct err *err, const char **ret) {
    return json_has(obj, key) ? json_string(obj, at, key, min_len, max_len, err, ret) : 0;
}

static int index_of(const char *const *names, const char *name) {
    for (int i = 0; names[i]; i++)
        if (strcmp(names[i], name) == 0)
            return i;
    return -1;
}

static int no_such_word(const char *at, const char *key, const char *const *names,
                        const cJSON *item, struct err *err) {
    char choice[480] = "one of: ";
    if (cJSON_IsString(item))
        nearest_choice(names, item->valuestring, choice, sizeof(choice));
    else
        nearest_list(names, choice + strlen(choice), sizeof(choice) - strlen(choice));
    return refuse(err, at, key, "must be %s", choice);
}

int json_enum(const cJSON *obj, const char *at, const char *key, const char *const *names,
              struct err *err, int *ret) {
    const cJSON *item = require(obj, at, key, err);
    if (!item)
        return ESP_EINVAL;
    int index = cJSON_IsString(item) ? index_of(names, item->valuestring) : -1;
    if (index < 0)
        return no_such_word(at, key, names, item, err);
    *ret = index;
    return 0;
}

int json_only(const cJSON *obj, const char *at, const char *const *keys, struct err *err) {
    if (!cJSON_IsObject(obj))
        return err_set(err, ESP_EINVAL, at, "must be a JSON object");
    for (const cJSON *child = obj->child; child; child = child->next) {
        if (index_of(keys, child->string) >= 0)
            continue;
        char list[384], advice[512];
        nearest_list(keys, list, sizeof(list));
        nearest_advice(nearest_of(keys, child->string), "known are: ", list, advice,
                       sizeof(advice));
        return refuse(err, at, child->string, "is not known here; %s", advice);
    }
    return 0;
}
