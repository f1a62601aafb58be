/* Start and end of everything that the daemon consists of. */
#pragma once

#include "base/error.h"
#include "daemon/daemon.h"

/* Opens the store (jobs that ran go back into the queue), starts the parts, listens, writes the
 * port into the data folder. daemon has its loop and its settings. After an error daemon_close, a
 * last run of the loop and daemon_finish tidy up. */
int daemon_start(struct daemon *daemon, struct err *err);
/* Accepts no more connections and ends the running job; then calls stopped, which may close. */
void daemon_stop(struct daemon *daemon, void (*stopped)(struct daemon *daemon));
/* Ends all parts; the loop then runs out. */
void daemon_close(struct daemon *daemon);
/* When it has: frees what the pool may have used until then. */
void daemon_finish(struct daemon *daemon);
