/* Whether a job may take the memory that its work needs: said before the work begins. */
#pragma once

#include "daemon/job/job.h"
#include "supernet/dataset.h"

struct memory_need {
    int64_t buffers;               /* estimated bytes of the work itself */
    const struct dataset *dataset; /* NULL: not open yet, or none */
    const char *work;              /* what needs it, as the beginning of a sentence */
    const char *pointer;           /* the member of the spec that decides; may be NULL */
    const char *advice;            /* what to choose instead; NULL: nothing but a greater limit */
};
/* ESP_ENOMEM with both figures when it needs more than the job's limit; 0 without a limit. */
int memory_check(const struct job *job, const struct memory_need *need, struct err *err);
