/* What jobs say: their events are applied to the store, in order, once. */
#pragma once

#include <cjson/cJSON.h>

#include <stdbool.h>

#include "daemon/store.h"

struct ingest_result {
    int64_t acked; /* every event up to here is in the store */
    bool fenced;   /* the lines came from an older attempt than the store's */
    bool ended;    /* "done" or "failed" was among them */
    bool asked;    /* measurements were asked for */
};

/* Applies the lines of one attempt of a job (JSON texts, each an event). An event that the store
 * has is passed over. Errors: ESP_EPARSE, ESP_EINVAL … when a line makes no sense (the job is at
 * fault), and those of the store. Writer's thread. */
int ingest_lines(struct store_tx *tx, const char *job, int64_t attempt, char *const *lines,
                 int n_lines, struct err *err, struct ingest_result *ret);
