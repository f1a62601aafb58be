/* The curves of a training as its checkpoints keep them: an array of rows. Inside supernet/ only.
 */
#pragma once

#include "supernet/train.h"

/* Both: ESP_ENOMEM. */
int train_history_add(cJSON *history, const struct train_metrics *metrics, struct err *err);
int train_history_add_recovery(cJSON *history, uint64_t step, uint64_t back_to_step,
                               const char *reason, struct err *err);
/* The accuracies of the last row that has any; false: there is none. */
bool train_history_latest(const cJSON *history, struct train_metrics *metrics);
