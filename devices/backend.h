/* A back end: what runs the networks that a worker measures. One file with one `const struct
 * backend`, and one row of the table in backend.c. Warm-up, batches, the reference network, the
 * rule to stop and the process that a measurement runs in are the same for all (measure.h). */
#pragma once

#include <stdbool.h>

#include <cjson/cJSON.h>

#include "devices/measure.h"

enum { BACKEND_NAME_MAX = 64 };

struct backend_options {
    const char *config; /* as the board's owner says it, never from the daemon; NULL: none */
    const char *dir;    /* a folder of the back end's own, which need not exist */
    int threads;
};

/* What a profile says of the back end. */
struct backend_profile {
    char runtime[BACKEND_NAME_MAX + 1], precision[BACKEND_NAME_MAX + 1];
    bool simulated; /* no hardware stands behind its figures */
};

/* One measurement, in its own process. */
struct backend_run {
    const struct measure_profile *profile;
    const struct measure_task *task;
    /* Says that the process is alive and lets the worker send a heartbeat; not 0: it is to end,
       with ESP_ECANCELED. Never called while something is timed. */
    int (*tick)(void *context);
    void *tick_context;
    struct err *err; /* for what a source's calls fail of */
};

struct backend {
    const char *name, *summary;
    /* In the worker, once. *ret_state may stay NULL. Errors: ESP_EINVAL and the like. */
    int (*open)(const struct backend_options *options, struct err *err, void **ret_state);
    void (*close)(void *state); /* takes NULL */
    /* Adds to the environment's fingerprint what decides how fast a network runs here: another
       value is another profile revision. */
    int (*describe)(void *state, cJSON *fingerprint, struct err *err, struct backend_profile *ret);
    /* How long a measurement may be silent, beyond what its method times. */
    int64_t (*patience_ms)(const void *state);
    /* In the measuring process, before and after sampling. What they allocate dies with it. begin:
       run must outlive the source. end: checks what came out, adds to the result. Their errors, and
       those of the source, are outcomes: ESP_ENOMEM oom, ESP_EUNSUPPORTED unsupported, ESP_EINVAL
       and ESP_ELIMIT invalid, others crashed. */
    int (*begin)(void *state, const struct backend_run *run, struct sampler_source *ret_source);
    int (*end)(void *state, const struct backend_run *run, cJSON *result);
    void (*done)(void *state); /* in the worker, after each measuring process; may be NULL */
};

extern const struct backend backend_native, backend_exec, backend_sim;
extern const struct backend *const backends[]; /* ends with NULL */
/* ESP_EINVAL names what there is. */
int backend_find(const char *name, struct err *err, const struct backend **ret_backend);
