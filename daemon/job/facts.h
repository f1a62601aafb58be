/* What a search job has found out at some cost: scores of subnets and answers of boards. Kept in a
 * file, so that a job that was interrupted runs through its deterministic steps again in a moment
 * and goes on where it was. One line a JSON object. A line that is torn or damaged is cut off with
 * all behind it: subnets are scored again, to the same values, and the daemon sends answers again.
 */
#pragma once

#include "base/error.h"
#include "base/hash.h"
#include "supernet/evaluate.h"

struct facts;
/* path NULL: in memory only. identity names everything that the scores depend on (checkpoint, data
 * set, space, seed): a file with another one is refused. Errors: ESP_EMISMATCH, ESP_EIO,
 * ESP_ENOSPACE, ESP_ELIMIT, ESP_ENOMEM. */
int facts_open(const char *path, const char *identity, struct err *err, struct facts **ret_facts);
void facts_close(struct facts *facts); /* takes NULL */

/* NULL if not known; valid until the next one is added. */
const struct score *facts_score(const struct facts *facts, const char *arch_id,
                                enum dataset_split split);
/* What is not yet known. Errors: ESP_EIO, ESP_ENOSPACE, ESP_ENOMEM. */
int facts_add_score(struct facts *facts, const char *arch_id, enum dataset_split split,
                    const struct score *score, struct err *err);

/* A board's answer to one request. */
enum { REFUSAL_MAX = 200 };
struct measured {
    int64_t request;
    bool accepted;             /* else the rest is 0, but for: */
    char refusal[REFUSAL_MAX]; /* why not, in whole characters; "": not told */
    bool no_board; /* not accepted because there is no board, not for the network's sake */
    double median_us, low_us, high_us, sd_us;
    double energy_uj; /* of one run; 0: not told */
};
const struct measured *facts_measured(const struct facts *facts, int64_t request);
int facts_add_measured(struct facts *facts, const struct measured *measured, struct err *err);

/* How long a generation took, of a search whose budget is in seconds. */
struct pace {
    int64_t generation; /* of the main search; that of the baseline is in it */
    double seconds;
    int64_t scored;      /* subnets that the supernet was run on */
    int64_t evaluations; /* the budget that it told; 0: not yet */
};
const struct pace *facts_pace(const struct facts *facts, int64_t generation); /* NULL: unknown */
int facts_add_pace(struct facts *facts, const struct pace *pace, struct err *err);
