/* The accuracy of subnets of a trained supernet, as jobs ask for it: checkpoint, data set and
 * evaluation opened from a spec, scores and BN statistics kept under the key of everything they
 * depend on, in memory and in the supernet's folder for later jobs. */
#pragma once

#include "daemon/job/job.h"
#include "supernet/checkpoint.h"
#include "supernet/evaluate_store.h"

struct accuracy {
    struct checkpoint *checkpoint;
    struct supernet *supernet;
    struct dataset *dataset;
    struct evaluation_options options;
    struct evaluation *evaluation;
    struct evaluation_cache *cache;
    struct evaluation_store *store;
    int64_t evaluated, reused; /* scores: worked out, or known from an earlier job or call */
};

/* Opens and verifies what the members supernet_dir and checkpoint name (null: the newest; a
 * relative path is one below supernet_dir), never another in its place. Errors: those of
 * checkpoint_open and checkpoint_verify, ESP_ECORRUPT when it is not the one of checkpoint_hash,
 * and of a spec. */
int accuracy_find_checkpoint(const cJSON *spec, struct err *err,
                             struct checkpoint **ret_checkpoint);
/* From that checkpoint and the member dataset. *accuracy is zeroed before; on failure the caller
 * finishes it. */
int accuracy_open(struct accuracy *accuracy, const struct job *job, struct err *err);
/* The checkpoint and the supernet alone: there is nothing to score or recalibrate on. */
int accuracy_open_weights(struct accuracy *accuracy, const struct job *job, struct err *err);
void accuracy_finish(struct accuracy *accuracy);
/* Adds "evaluated" and "reused" to a job's progress. */
void accuracy_add_counts(const struct accuracy *accuracy, cJSON *progress);
/* evaluation_score, unless the score is known. */
int accuracy_score(struct accuracy *accuracy, const struct score_request *request, struct err *err,
                   struct score *ret_score);
