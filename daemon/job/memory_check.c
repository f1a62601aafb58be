#include "daemon/job/memory_check.h"

#include "base/memory.h"

/* Of the process itself, and of each thread's stack; what VmData shows beyond the buffers is a
 * little less. */
#define OWN_BYTES (INT64_C(24) << 20)
#define STACK_BYTES (INT64_C(8) << 20)

static int64_t dataset_bytes(const struct dataset *dataset) {
    if (!dataset || dataset->map) /* shared pages of a file */
        return 0;
    size_t images = dataset->n[SPLIT_TRAIN] + dataset->n[SPLIT_VALIDATION] + dataset->n[SPLIT_TEST];
    return (int64_t)dataset->channels * dataset->height * dataset->width * (int64_t)images;
}

int memory_check(const struct job *job, const struct memory_need *need, struct err *err) {
    int64_t bytes = need->buffers + dataset_bytes(need->dataset) + OWN_BYTES +
                    (job->threads + 2) * STACK_BYTES; /* two read data and the channel */
    char needed[32], limit[32];
    if (job->limits.memory_bytes == 0 || bytes <= job->limits.memory_bytes)
        return 0;
    mem_format_bytes(bytes, needed);
    mem_format_bytes(job->limits.memory_bytes, limit);
    return err_set(err, ESP_ENOMEM, need->pointer,
                   "%s needs %s of memory and a job may take %s: %s%sstart espalierd with a "
                   "greater --job-memory",
                   need->work, needed, limit, need->advice ? need->advice : "",
                   need->advice ? ", or " : "");
}
