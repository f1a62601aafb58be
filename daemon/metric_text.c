#include "daemon/metric_text.h"

#include <string.h>

static const char *skip_space(const char *at) {
    while (*at == ' ' || *at == '\n' || *at == '\t' || *at == '\r')
        at++;
    return at;
}

/* Behind the string that begins at a quote; NULL: it does not end. */
static const char *skip_string(const char *at) {
    for (at++; *at != '"'; at++) {
        if (*at == '\\')
            at++;
        if (*at == '\0')
            return NULL;
    }
    return at + 1;
}

/* Behind a value of any kind; NULL: it does not end. */
static const char *skip_value(const char *at) {
    int depth = 0;
    do {
        if (*at == '\0')
            return NULL;
        if (*at == '"') {
            at = skip_string(at);
            if (at == NULL)
                return NULL;
            continue;
        }
        depth += (*at == '{' || *at == '[') - (*at == '}' || *at == ']');
        at++;
    } while (depth > 0 || (*at != ',' && *at != '}' && *at != ']'));
    return at;
}

/* A member's key, and where its value begins; NULL: there is no member at this place. */
static const char *read_key(const char *at, const char **ret_key, size_t *ret_len) {
    at = skip_space(at);
    const char *end = *at == '"' ? skip_string(at) : NULL;
    if (end == NULL)
        return NULL;
    *ret_key = at + 1;
    *ret_len = (size_t)(end - at) - 2;
    at = skip_space(end);
    return *at == ':' ? skip_space(at + 1) : NULL;
}

static void take_member(const char *key, size_t len, const char *value,
                        struct metric_text *metric) {
    if (metric_text_is(key, len, "value") && (*value == '-' || (*value >= '0' && *value <= '9')))
        metric->number = value;
    if (metric_text_is(key, len, "source") && *value == '"') {
        metric->source = value + 1;
        metric->source_len = (size_t)(skip_string(value) - value) - 2;
    }
}

/* Behind the object that begins at a brace. */
static const char *read_members(const char *at, struct metric_text *metric) {
    at = skip_space(at + 1);
    while (*at != '}') {
        const char *key;
        size_t len;
        const char *value = read_key(at, &key, &len);
        const char *end = value != NULL ? skip_value(value) : NULL;
        if (end == NULL)
            return NULL;
        take_member(key, len, value, metric);
        at = skip_space(end);
        if (*at == ',')
            at = skip_space(at + 1);
    }
    return at + 1;
}

bool metric_text_next(const char **at, struct metric_text *ret) {
    struct metric_text metric = {.key = NULL};
    const char *from = skip_space(*at);
    if (*from != '{' && *from != ',')
        return false;
    const char *value = read_key(from + 1, &metric.key, &metric.key_len);
    if (value == NULL)
        return false;
    const char *end = *value == '{' ? read_members(value, &metric) : skip_value(value);
    if (end == NULL)
        return false;
    *at = end;
    *ret = metric;
    return true;
}

bool metric_text_is(const char *text, size_t len, const char *word) {
    return text != NULL && strncmp(text, word, len) == 0 && word[len] == '\0';
}
