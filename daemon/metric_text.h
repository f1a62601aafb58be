/* A candidate's metrics, {key: {"value": number, "source": word, …}}, read from their text as it
 * lies in the store, without a document: whoever looks at 100,000 candidates has no time for one
 * each. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct metric_text {
    const char *key;    /* in the text, without quotes, escapes as they stand */
    const char *number; /* the value, for strtod; NULL: none, or no number */
    const char *source; /* as key; NULL: none */
    size_t key_len, source_len;
};

/* The next metric behind *at, which is the text's start at first. false: there is none, or what
 * follows is not JSON of this form. */
bool metric_text_next(const char **at, struct metric_text *ret);
/* Whether the key, or source, is this word. */
bool metric_text_is(const char *text, size_t len, const char *word);
