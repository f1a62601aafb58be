/* What jobs say: their events are applied to the store, in order, once. */
#pragma once

#include <cjson/cJSON.h>

#include <stdbool.h>

#include "daemon/daemon.h"
#include "daemon/store.h"

struct ingest_result {
    int64_t acked; /* every event up to here is in the store */
    bool fenced;   /* the lines came from an older attempt than the store's */
    bool ended;    /* "done" or "failed" was among them */
    bool asked;    /* measurements were asked for */
    bool put_off;  /* the disk was too full for it: it is back in the queue */
};

/* What one attempt of a job said: JSON texts, each an event. */
struct ingest_batch {
    const struct daemon *daemon; /* whose disk counts; NULL: none */
    const char *job;
    int64_t attempt;
    char *const *lines;
    int n_lines;
    int n_good; /* set by ingest_lines when it fails: lines before the one that it failed at */
};

/* Applies a batch. An event that the store has is passed over. A job that failed for want of room
 * while the disk is below the daemon's floor goes back into the queue, for there will be room
 * again. Errors: ESP_EPARSE, ESP_EINVAL … when a line makes no sense (the job is at fault), and
 * those of the store. Writer's thread. */
int ingest_lines(struct store_tx *tx, struct ingest_batch *batch, struct err *err,
                 struct ingest_result *ret);
/* After that, when the job was at fault: applies the good lines and fails the job for the next one,
 * which counts as heard: if the job is retried it goes on behind it. Errors: those of the store. */
int ingest_reject(struct store_tx *tx, const struct ingest_batch *batch, const struct err *why,
                  struct err *err);
