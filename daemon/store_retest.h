/* Boards in quarantine measure the reference network again from time to time; when it is what it
 * was, often enough in a row, they are on probation again (devices/health.h). */
#pragma once

#include "daemon/store.h"
#include "daemon/store_sql.h"

/* Whether a board that is there is due. One that a person has put into quarantine never is. */
int store_retest_due(struct sql *sql, int64_t now_us, struct err *err, bool *ret_due);
/* Asks for the reference network on the default profile of each board that is due. */
int store_retest_review(struct store_tx *tx, struct err *err);
/* A result that counts: when it is of the reference network, on a board in quarantine,
 * *ret_retested, and the board's health takes note of it. */
int store_retest_measured(struct store_tx *tx, const char *device, const char *measurement,
                          struct err *err, bool *ret_retested);
