/* The events of a job that the daemon has not acknowledged yet: kept in memory and in a file, so
 * that they outlive the process. One line a JSON object: seq, kind, data. */
#pragma once

#include "base/error.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct journal;
/* Reads what an earlier attempt left; a torn last line is cut off. path NULL: in memory only.
 * Errors: ESP_EIO, ESP_ENOMEM, ESP_ENOSPACE, ESP_ELIMIT. */
int journal_open(const char *path, struct err *err, struct journal **ret_journal);
void journal_close(struct journal *journal); /* takes NULL */

/* Highest sequence number ever used, as far as the journal knows. */
uint64_t journal_last(const struct journal *journal);
/* Forgets every event up to seq. */
void journal_acknowledge(struct journal *journal, uint64_t seq);
/* Highest ordinal of any event, acknowledged or not: what a sender that begins anew need not send
 * again. 0 when no event had one. */
int64_t journal_ordinal(const struct journal *journal);

struct journal_event {
    const char *kind;
    const char *data_text; /* JSON */
    int64_t ordinal;       /* the sender's own number of it, above earlier ones; 0: none */
    bool last;             /* nothing will follow it: kept in memory if it cannot be in the file */
    bool later;            /* on the disk with the next one that is not, or with journal_sync */
};
/* Adds {"seq":…,"kind":…,"data":…} with the next number; unless it is for later, it is on the disk
 * when this returns.
 * *ret_line is borrowed until the event is acknowledged. Errors: ESP_ENOSPACE, ESP_EIO,
 * ESP_ENOMEM; then there is no such event, and its number is still free. */
int journal_append(struct journal *journal, const struct journal_event *event, struct err *err,
                   const char **ret_line);
/* Whatever was for later is on the disk when this returns 0. Errors: ESP_ENOSPACE, ESP_EIO. */
int journal_sync(struct journal *journal, struct err *err);
/* The unacknowledged events in their order: NULL behind the last. */
const char *journal_pending(const struct journal *journal, size_t i);
