/* The events of a job that the daemon has not acknowledged yet: kept in memory and in a file, so
 * that they outlive the process. One line a JSON object: seq, kind, data. */
#pragma once

#include "base/error.h"
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
/* Adds {"seq":…,"kind":…,"data":…} (data_text is JSON), with the next number. *ret_line is borrowed
 * until the event is acknowledged. When the file cannot be written the event is kept in memory all
 * the same and the error returned. */
int journal_append(struct journal *journal, const char *kind, const char *data_text,
                   struct err *err, const char **ret_line);
/* The unacknowledged events in their order: NULL behind the last. */
const char *journal_pending(const struct journal *journal, size_t i);
