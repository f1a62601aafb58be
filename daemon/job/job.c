#include "daemon/job/job.h"

#include "base/json.h"
#include "base/log.h"
#include "base/memory.h"
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>

enum { THREADS_MAX = 256 };
#define BYTES_MAX (INT64_C(1) << 53)

#define PHASE(word) extern const struct job_phase phase_##word;
#include "daemon/job/phases.inc"
#undef PHASE
#define PHASE(word) &phase_##word,
const struct job_phase *const job_phases[] = {
#include "daemon/job/phases.inc"
    NULL};
#undef PHASE

const struct job_phase *job_phase_find(const char *kind) {
    for (int i = 0; job_phases[i]; i++)
        if (strcmp(job_phases[i]->kind, kind) == 0)
            return job_phases[i];
    return NULL;
}

static int read_start(const cJSON *start, struct err *err, struct job *job,
                      const struct job_phase **ret_phase) {
    const char *kind = NULL;
    int64_t threads = 0;
    int rc = json_string(start, "", "kind", 1, 64, err, &kind);
    if (rc == 0)
        rc = json_object(start, "", "spec", err, &job->spec);
    if (rc == 0)
        rc = json_int_opt(start, "", "threads", 0, THREADS_MAX, err, &threads);
    if (rc == 0)
        rc = json_int_opt(start, "", "memory_bytes", 0, BYTES_MAX, err, &job->limits.memory_bytes);
    if (rc == 0)
        rc = json_int_opt(start, "", "file_bytes", 0, BYTES_MAX, err, &job->limits.file_bytes);
    if (rc != 0)
        return rc;
    job->threads = threads > 0 ? (int)threads : parallel_cores();
    if (job->threads > THREADS_MAX)
        job->threads = THREADS_MAX;
    job->kind = kind;
    *ret_phase = job_phase_find(kind);
    return *ret_phase ? 0
                      : err_set(err, ESP_EUNSUPPORTED, "/kind", "unknown kind of job \"%s\"", kind);
}

/* Most often the limit, not the machine, is what there was too little of. */
static void tell_limit(const struct confine_limits *limits, struct err *err) {
    char limit[32], message[sizeof err->message];
    if (limits->memory_bytes == 0 || strstr(err->message, "--job-memory"))
        return;
    mem_format_bytes(limits->memory_bytes, limit);
    snprintf(message, sizeof message, "%.300s: a job may take %s (espalierd's --job-memory)",
             err->message, limit);
    snprintf(err->message, sizeof err->message, "%s", message);
}

static int run_phase(struct job *job, const cJSON *start, struct err *err, cJSON **ret_result) {
    const struct job_phase *phase = NULL;
    int rc = read_start(start, err, job, &phase);
    if (rc == 0)
        confine_resources(&job->limits);
    if (rc == 0 && (rc = parallel_create(job->threads, &job->pool)) != 0)
        err_set(err, rc, NULL, "cannot start %d threads", job->threads);
    if (rc == 0)
        rc = phase->run(job, err, ret_result);
    parallel_destroy(job->pool);
    if (rc == ESP_ENOMEM)
        tell_limit(&job->limits, err);
    int lost = channel_error(job->channel, err); /* why it was stopped, if so */
    return lost != 0 ? lost : rc;
}

/* Whether a full disk was the cause is judged by what was free then, however late it is told. */
static void add_free_bytes(cJSON *data, const char *dir) {
    struct statvfs info;
    if (dir != NULL && statvfs(dir, &info) == 0)
        cJSON_AddNumberToObject(data, "free_bytes", (double)info.f_bavail * (double)info.f_frsize);
}

static void send_failure(const struct job *job, int code, const struct err *err) {
    log_error("%s%s%s", err->pointer, err->pointer[0] ? ": " : "", err->message);
    cJSON *data = cJSON_CreateObject();
    cJSON_AddStringToObject(data, "code", err_name(code));
    cJSON_AddStringToObject(data, "message", err->message);
    cJSON_AddStringToObject(data, "pointer", err->pointer);
    if (code == ESP_ENOSPACE)
        add_free_bytes(data, job->dir);
    channel_event(job->channel, "failed", data);
}

int job_run(struct channel *channel, const cJSON *start, const char *dir) {
    struct job job = {.channel = channel, .dir = dir};
    struct err err = {0};
    cJSON *result = NULL;
    int rc = run_phase(&job, start, &err, &result);
    if (rc != 0)
        cJSON_Delete(result);
    if (rc == ESP_ECANCELED)
        return JOB_STOPPED;
    if (rc != 0) {
        send_failure(&job, rc, &err);
        return JOB_FAILED;
    }
    cJSON *data = cJSON_CreateObject();
    cJSON_AddItemToObject(data, "result", result);
    channel_event(channel, "done", data);
    if (channel_error(channel, &err) == 0)
        return JOB_DONE;
    send_failure(&job, err.code, &err);
    return JOB_FAILED;
}
