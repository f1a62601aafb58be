/* The job's end of docs/JOB_PROTOCOL.md: events up, messages down. With a daemon on two file
 * descriptors, or by hand on stdout and stderr. Events may be sent from one thread only; messages
 * are read by a thread of the channel's own. */
#pragma once

#include "base/error.h"
#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdint.h>

struct channel;
/* journal_path: where unacknowledged events are kept. Takes neither descriptor. */
int channel_open(int fd_down, int fd_up, const char *journal_path, struct err *err,
                 struct channel **ret_channel);
/* Events as JSON lines on stdout, progress for people on stderr; there is no board. */
int channel_open_by_hand(struct err *err, struct channel **ret_channel);
void channel_close(struct channel *channel); /* takes NULL */

/* Waits for the start message, takes its attempt and acked, and sends again what an earlier attempt
 * left unacknowledged. The caller deletes *ret_start. Errors: ESP_ECANCELED (the channel closed or
 * a stop was asked for first), ESP_EPARSE, ESP_EINVAL. */
int channel_start(struct channel *channel, struct err *err, cJSON **ret_start);

/* Sends a sequenced event; it is kept on the disk first. Takes data (NULL: memory was exhausted).
 * When one cannot be kept the job is asked to stop (channel_error says why), and nothing is sent
 * behind it but "failed". */
void channel_event(struct channel *channel, const char *kind, cJSON *data);
/* The same for the ordinal-th event (from 1, rising) of a job that runs through its steps again in
 * each attempt: one that an earlier attempt sent is left out. Since one that is lost is made again,
 * many of them are brought to the disk together, and sent then: a fifth of a second later, with the
 * next boundary, progress or event of the other kind. */
void channel_event_once(struct channel *channel, int64_t ordinal, const char *kind, cJSON *data);
/* The same for an event of another job that makes it again when it is lost. channel_flush: before
 * what would not be done again. */
void channel_event_soon(struct channel *channel, const char *kind, cJSON *data);
void channel_flush(struct channel *channel);
/* How long those are held back; 0: each goes at once. Before the first of them. */
void channel_hold(struct channel *channel, int64_t ns);
/* Why an event could not be kept; 0: all were. Errors: ESP_ENOSPACE, ESP_EIO, ESP_ENOMEM. */
int channel_error(struct channel *channel, struct err *err);
/* Sends the latest progress. Takes progress. */
void channel_progress(struct channel *channel, cJSON *progress);

/* Time that the job could work in: a monotonic clock in ns that stands while it is paused. */
int64_t channel_clock_ns(const struct channel *channel);
/* Between two steps: waits while paused; true when the job is to stop. */
bool channel_boundary(struct channel *channel);
/* Whether the job is to stop: cancel, a closed channel, channel_stop. Never waits. */
bool channel_stopping(const struct channel *channel);
void channel_stop(struct channel *channel); /* safe in a signal handler */

/* The next measurement message, waiting for it up to timeout_ms. NULL when none came or the job is
 * to stop. The caller deletes it. */
cJSON *channel_next_measurement(struct channel *channel, int timeout_ms);
