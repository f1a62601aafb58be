/* espalier report: what is known of a search, read from the daemon, and the page that is made of
 * it. */
#pragma once

#include "base/buf.h"
#include "daemon/cli/cli.h"

/* Owned documents of the API; NULL where there is nothing (any more). */
struct report {
    cJSON *daemon;                 /* GET /version */
    cJSON *search, *request, *job; /* request: the body that would repeat it */
    cJSON *front, *curve;          /* curve: hypervolume */
    cJSON *supernet, *checkpoint, *space, *dataset;
    cJSON *profiles, *devices; /* arrays, of all that objectives and limits name */
    cJSON *calibrations; /* array: the newest of each profile, with its points; where the search
                            fitted none, that of another search or none */
    cJSON *names;        /* object: id → name, of whatever has one */
    cJSON *clouds;       /* object: metric key → values of all candidates, in one order
                            (numbers, or null) */
};

/* Everything, through all pages. On failure the caller finishes it, too. */
int report_read(struct cli *cli, const char *search, struct err *err, struct report *ret_report);
void report_finish(struct report *report);

/* The page: one file that needs no other, without script. */
void report_put(struct buf *out, const struct report *report);
/* Its parts that draw. */
void report_put_front(struct buf *out, const struct report *report);
void report_put_curve(struct buf *out, const struct report *report);
void report_put_residuals(struct buf *out, const struct report *report);
