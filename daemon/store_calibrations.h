/* Calibrations of latencies: what searches fit on their way, and what a person asks for. */
#pragma once

#include <cjson/cJSON.h>

#include "daemon/store.h"
#include "daemon/store_sql.h"

/* The data of a calibration event (docs/JOB_PROTOCOL.md) of a search's job; the search names it. It
 * gets its version here, by which no other of its profile revision and space goes. One that the
 * search has stored already, but for the number (a search that is extended runs from the beginning
 * again), stays the one that it is. Errors: ESP_EINVAL. */
int store_calibration_add(struct store_tx *tx, const char *search, const cJSON *data,
                          struct err *err);
/* The same of a job that was asked for this one, which has had its id since then. Of the space that
 * the job's spec names ("space_fingerprint"). */
int store_calibration_fitted(struct store_tx *tx, const char *id, const cJSON *data,
                             struct err *err);
/* How statements order calibrations, newest first: by when they were stored, for one that was asked
 * for by itself has had its id since then. */
#define CALIBRATIONS_NEWEST_FIRST "created_us DESC, id DESC"
/* Whether text has the form of this list's cursors: a place in its order, of a calibration that may
 * be gone. */
bool store_calibration_is_cursor(const char *text);
/* The highest version of a profile revision and space (text in SQL): what the next one's number is
 * counted from. NULL where there is none. */
#define CALIBRATIONS_LAST_VERSION(revision, fingerprint)                                           \
    "(SELECT max(c.version) FROM calibrations c WHERE c.profile_revision = " revision              \
    " AND c.space_fingerprint IS " fingerprint ")"
/* profile: id; NULL: of all. */
int store_calibration_list(struct sql *sql, const char *profile, const struct sql_page_args *page,
                           struct err *err, cJSON **ret_doc);
/* With its points. ESP_ENOTFOUND. */
int store_calibration_get(struct sql *sql, const char *id, struct err *err, cJSON **ret_doc);
/* The calibration document of a profile revision that was fitted last on networks of the space of
 * that fingerprint; owned text, NULL when there is none. */
int store_calibration_newest(struct sql *sql, const char *profile_revision, const char *fingerprint,
                             struct err *err, char **ret_document);
