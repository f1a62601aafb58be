/* What strategies that remember outcomes save and load: how many archs they asked for, which ones
 * they know, and the outcomes. */
#pragma once

#include "search/seen.h"
#include "search/strategy.h"

struct recall {
    const struct strategy_config *config;
    const char *list; /* the outcomes' name in the document; NULL: none are remembered */
    int64_t *asked;
    struct seen *seen;
};

/* What is remembered, with n outcomes, each stride bytes behind the one before. NULL on memory
 * exhaustion. */
cJSON *recall_save(const struct recall *recall, const struct outcome *first, size_t stride, int n);

/* Sets asked, fills seen, which is empty, and gives put each outcome in order, at most max. Errors:
 * ESP_EINVAL with a pointer below at, ESP_ENOMEM, and those of put. */
typedef int recall_put_fn(void *state, const struct outcome *outcome, struct err *err);
int recall_load(const struct recall *recall, int max, const cJSON *doc, const char *at,
                recall_put_fn *put, void *state, struct err *err);
