/* The spec of a job that takes hours, as its first attempt got it. */
#pragma once

#include "daemon/job/job.h"

/* The spec of the first attempt, which is kept in the job's folder together with the checkpoint
 * that it named (or that was the newest): a later attempt finds both, whatever became of the
 * supernet and of tables meanwhile. A job that continues an earlier one (its folder)
 * begins with what that began with, but for the body. Without a folder it is the job's own. The
 * caller deletes *ret_spec. Errors: those of accuracy_find_checkpoint, ESP_EIO, ESP_ENOSPACE,
 * ESP_ENOMEM. */
int kept_spec(const struct job *job, struct err *err, cJSON **ret_spec);
