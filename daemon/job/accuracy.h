/* The accuracy of subnets of a trained supernet, as jobs ask for it: checkpoint, data set and
 * evaluation opened from a spec, scores kept under the key of everything they depend on. */
#pragma once

#include "daemon/job/job.h"
#include "supernet/checkpoint.h"
#include "supernet/evaluate_cache.h"

struct accuracy {
    struct checkpoint *checkpoint;
    struct supernet *supernet;
    struct dataset *dataset;
    struct evaluation_options options;
    struct evaluation *evaluation;
    struct evaluation_cache *cache;
};

/* Opens what the members supernet_dir and checkpoint name (null: the newest whole one; a relative
 * path is one below supernet_dir). Errors: those of checkpoint_open, and of a spec. */
int accuracy_find_checkpoint(const cJSON *spec, struct err *err,
                             struct checkpoint **ret_checkpoint);
/* From that checkpoint and the member dataset. *accuracy is zeroed before; on failure the caller
 * finishes it. */
int accuracy_open(struct accuracy *accuracy, const struct job *job, struct err *err);
void accuracy_finish(struct accuracy *accuracy);
/* evaluation_score, unless the score is known. */
int accuracy_score(struct accuracy *accuracy, const struct score_request *request, struct err *err,
                   struct score *ret_score);
