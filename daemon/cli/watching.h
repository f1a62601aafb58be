/* Watching something that the daemon tells events of, until it has ended: a picture that is drawn
 * over and over in a terminal, else a line now and then. */
#pragma once

#include "base/buf.h"
#include "daemon/cli/cli.h"
#include "daemon/cli/screen.h"

/* What is watched. The functions are given context; refresh is called first, from one thread. */
struct watched {
    const char *what, *noun; /* "the WHAT goes on; come back to it with: espalier NOUN watch ID" */
    const char *id;
    const char *topics;    /* of its events, with commas between */
    const char *belonging; /* member of an event's data that names what it is about, beside "id" (of
                              the thing's own) and "subject" (of its job's) */
    bool silent;           /* nothing is shown: refresh prints */
    struct screen *screen; /* that it is drawn into: looked at before the first refresh; no terminal
                              where it is silent */
    /* Asks the daemon for all that is shown. An error of code ESP_EUNREACHABLE is asked again
     * after, any other ends it. */
    int (*refresh)(void *context, struct err *err);
    bool (*has_ended)(const void *context);
    int (*end)(const void *context); /* says how it ended; the exit code */
    /* The picture, no wider and no higher than that. */
    void (*draw)(const void *context, struct buf *out, int columns, int rows);
    void (*tell)(const void *context, struct buf *out); /* one line */
    const char *(*stage)(const void *context);          /* when it changes, a line is told */
    void *context;
};

/* Watches it, through connections that break and daemons that restart. Ctrl-C leaves it as it is:
 * CLI_INTERRUPTED, and how to come back is said. */
int watching_run(struct cli *cli, const struct watched *watched);

/* For refresh: GETs what the format names below /api/v1 in place of *doc, which stays on failure.
 */
int watching_get(struct cli *cli, cJSON **doc, struct err *err, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
