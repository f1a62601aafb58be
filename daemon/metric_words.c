#include "daemon/metric_words.h"

#include <stdio.h>
#include <string.h>

static const struct kind {
    const char *prefix, *article;
} kinds[] = {{"latency_us:", "a latency"}, {"energy_uj:", "an energy"}};
enum { LATENCY, ENERGY, KINDS };

/* Of a metric on a profile, whose id *ret_id becomes; -1: another metric. */
static int kind_of(const char *key, const char **ret_id) {
    for (int i = 0; i < KINDS; i++) {
        size_t len = strlen(kinds[i].prefix);
        *ret_id = key + len;
        if (strncmp(key, kinds[i].prefix, len) == 0)
            return i;
    }
    return -1;
}

static bool name(const void *context, const char *key, size_t size, char *ret_text) {
    const char *id;
    int kind = kind_of(key, &id);
    const cJSON *place = kind < 0 ? NULL : cJSON_GetObjectItemCaseSensitive(context, id);
    if (!cJSON_IsString(place))
        return false;
    snprintf(ret_text, size, "%s %s", kinds[kind].article, place->valuestring);
    return true;
}

static bool value(const void *context, const char *key, double value, size_t size, char *ret_text) {
    const char *id;
    int kind = kind_of(key, &id);
    if (kind == LATENCY)
        snprintf(ret_text, size, "%.4g ms", value / 1000);
    else if (kind == ENERGY)
        snprintf(ret_text, size, "%.4g uJ", value);
    return kind >= 0;
}

struct metric_words metric_words_by_place(const cJSON *places) {
    return (struct metric_words){places, name, value};
}
