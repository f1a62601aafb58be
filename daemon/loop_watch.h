/* How long the loop is busy from one wait for events to the next: for so long nobody else is
 * answered. Wall time, so what takes the processor away from the daemon counts too. */
#pragma once

#include <uv.h>

#include "base/error.h"

struct buf;
struct loop_watch;
/* Before the loop runs; on its thread, as all of this. Errors: ESP_ENOMEM. */
int loop_watch_create(uv_loop_t *loop, struct err *err, struct loop_watch **ret_watch);
/* Takes NULL. The loop has to run once more. */
void loop_watch_destroy(struct loop_watch *watch);
/* Adds its families to a Prometheus text: a histogram of turns, and the longest one since the
 * daemon's start. */
void loop_watch_print(const struct loop_watch *watch, struct buf *out);
