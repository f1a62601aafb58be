/* Counters of the running daemon, and the Prometheus text of them and of what the store counts. */
#pragma once

#include <cjson/cJSON.h>
#include <stdint.h>

#include "web/web.h"

struct metrics;

struct metrics *metrics_create(void); /* NULL on memory exhaustion */
void metrics_destroy(struct metrics *metrics);
/* route NULL: an asset or an unknown path. */
void metrics_request(struct metrics *metrics, const struct web_route *route, int status,
                     int64_t duration_us);

struct metrics_family {
    const char *name, *type, *help;
};

struct buf;
void metrics_print_requests(const struct metrics *metrics, struct buf *out);
/* Of this process, by the names that Prometheus' own libraries give (process_…). */
void metrics_print_process(struct buf *out, int64_t started_us);
void metrics_print_number(struct buf *out, const struct metrics_family *family, double value);
/* One family: HELP, TYPE and a sample for each row [{"labels": "a=\"b\"", "value": n}]. */
void metrics_print_family(struct buf *out, const struct metrics_family *family, const cJSON *rows);
