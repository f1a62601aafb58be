/* Measurements: what was asked of boards, and what search jobs wait for. */
#pragma once

#include <cjson/cJSON.h>
#include <stdbool.h>

#include "daemon/ids.h"
#include "daemon/store.h"
#include "daemon/store_sql.h"
#include "devices/measurement.h"

struct measurement_request {
    const char *profile;          /* id */
    const char *kind;             /* "unit", "network" */
    const char *graph_id, *graph; /* graph: JSON text */
    const char *signature, *arch; /* one of them; the other NULL */
    const char *method;           /* id, "brief/2" */
    int take;                     /* 0 or 1: any that there is will do; 2: another one beside it */
    int64_t seed;
    int priority;
    const char *repeats, *why; /* of an accepted one that is taken again: its id, "noisy" or "old";
                                  else NULL */
};
/* The higher one is measured first. What a person asked for stays when jobs no longer want it. */
enum measurement_priority {
    MEASUREMENT_OF_TABLE,
    MEASUREMENT_OF_SEARCH,
    MEASUREMENT_OF_PERSON,
    MEASUREMENT_OF_DAEMON,
    MEASUREMENT_OF_CHECK /* of the noise floor, that a person asked for */
};
enum { MEASUREMENT_TAKES_MAX = 9 };
/* Joins an equal one (profile's current revision, graph, method, take) that waits, runs or was
 * accepted; an accepted one of a more thorough method will do as well; unless it repeats one.
 * Raises the priority of one that waits. Wakes the fleet. ESP_ENOTFOUND: no such profile or its
 * board was removed. */
int store_measurement_ask(struct store_tx *tx, const struct measurement_request *request,
                          struct err *err, char ret_id[ID_MAX]);
/* Asks for the noise floor of the profile's current revision, unless it waits or runs already; if
 * it was measured, the profile gets it again. ESP_ENOTFOUND, ESP_ENOMEM. */
int store_noise_ask(struct store_tx *tx, const char *profile, struct err *err);
/* Asks for it although it is known: for a person (by_person), whose value stands. *ret_id: of the
 * measurement, which may have waited already. */
int store_noise_again(struct store_tx *tx, const char *profile, bool by_person, struct err *err,
                      char ret_id[ID_MAX]);
/* As the API shows it in lists; store_measurement_get adds samples, reference and environment.
 * ESP_ENOTFOUND. */
int store_measurement_row(struct sql *sql, const char *id, struct err *err, cJSON **ret_doc);
int store_measurement_get(struct sql *sql, const char *id, struct err *err, cJSON **ret_doc);
struct measurement_filter {
    const char *profile, *state, *kind, *graph_id; /* NULL: any */
};
int store_measurement_list(struct sql *sql, const struct measurement_filter *filter,
                           const struct sql_page_args *page, struct err *err, cJSON **ret_doc);

/* One step of its state machine, stored and announced, with what follows: tables, waiting jobs.
 * ESP_ECONFLICT when event means nothing in its state. error may be NULL. */
int store_measurement_apply(struct store_tx *tx, const char *id, enum measurement_event event,
                            const struct err *error, struct err *err);
/* Whether a result that says "ok" or "noisy" has its numbers, and they do not contradict each
 * other. ESP_EINVAL and what reading them gives. */
int store_measurement_check(const cJSON *result, struct err *err);
/* The numbers of an accepted result, and how it was measured: a JSON list of words. Before
 * store_measurement_apply. */
int store_measurement_set(struct store_tx *tx, const char *id, const cJSON *result,
                          const char *flags, struct err *err);
int store_measurement_status(struct sql *sql, const char *id, struct err *err,
                             struct measurement_status *ret_status);
/* Those that wait on another revision of the profile than this fail: that environment is gone. */
int store_measurements_supersede(struct store_tx *tx, const char *profile, const char *revision,
                                 struct err *err);
int store_measurements_cancel_device(struct store_tx *tx, const char *device, struct err *err);
/* Cancels it if it is open and neither another table nor a running job waits for it. */
int store_measurement_abandon(struct store_tx *tx, const char *id, struct err *err);

/* A "measure_request" event's items. */
int store_measure_requests_add(struct store_tx *tx, const char *job, const cJSON *data,
                               struct err *err);
/* Those of a job that have ended: [{"request", "measurement_id", "state", …}] as the job takes
 * them. */
int store_measure_answers(struct sql *sql, const char *job, struct err *err, cJSON **ret_array);
/* A canceled or failed job waits for nothing: what only it waits for is given up, unanswered. */
int store_measure_requests_drop(struct store_tx *tx, const char *job, struct err *err);
/* The job is tried again: what was given up is asked for anew, under the same request numbers. */
int store_measure_requests_renew(struct store_tx *tx, const char *job, struct err *err);
/* How many of a job's requests are open. */
int store_measure_requests_open(struct sql *sql, const char *job, struct err *err, int64_t *ret);
/* The board that keeps the job waiting, where nothing that it has asked for is being measured or
 * can be now: {"device", "device_name", "why": "offline", else "paused", "draining",
 * "maintenance" or "quarantined"}; NULL: none does. Looks at all of its requests. */
int store_measure_requests_keeper(struct sql *sql, const char *job, struct err *err,
                                  cJSON **ret_board);
