/* Boards in quarantine measure the reference network again from time to time; when it is what it
 * was, often enough in a row, they are on probation again (devices/health.h). */
#pragma once

#include "daemon/store.h"
#include "daemon/store_sql.h"

/* Whether a board that is there is due. One that a person has put into quarantine never is. */
int store_retest_due(struct sql *sql, int64_t now_us, struct err *err, bool *ret_due);
/* Asks for the reference network on the default profile of each board that is due. */
int store_retest_review(struct store_tx *tx, struct err *err);

/* What a result that counts is to the board's quarantine. */
enum retest_verdict {
    RETEST_NONE,   /* nothing: it is not of the reference network, or the board is not in quarantine
                    */
    RETEST_BESIDE, /* nothing either, though it is: of another profile than the default one, not yet
                      due, or asked for by a person, who has `device release` to say so */
    RETEST_LEARNT, /* what the network takes here was not known yet */
    RETEST_PASSED,
    RETEST_FAILED /* far from what it was, or it could not be measured */
};
struct retest_result {
    const char *device, *measurement;
    double median_us; /* NaN: it could not be measured */
    int64_t now_us;
};
/* Before anything of the result is stored: it must not be held against itself. */
int store_retest_judge(struct sql *sql, const struct retest_result *result, struct err *err,
                       enum retest_verdict *ret_verdict);
/* The board's health takes note of it. */
int store_retest_note(struct store_tx *tx, const char *device, enum retest_verdict verdict,
                      struct err *err);
