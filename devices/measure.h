/* Measures a graph on this board through a back end, in a child process of its own: a crash, a
 * hang or memory exhaustion there is an outcome, not the worker's end. */
#pragma once

#include <cjson/cJSON.h>

#include "devices/sampler.h"
#include "space/graph.h"

struct backend;

enum measure_status {
    MEASURE_OK,
    MEASURE_NOISY,
    MEASURE_UNSUPPORTED,
    MEASURE_OOM,
    MEASURE_CRASHED,
    MEASURE_INVALID
};
extern const char *const measure_status_names[]; /* as results carry them on the wire */

enum { MEASURE_CORES_MAX = 256 };

/* The board that the worker runs on. */
struct measure_sensors {
    const char *root;   /* "/sys" */
    const char *energy; /* as energy_open takes it; NULL */
};

/* What stays the same for all measurements of a profile. */
struct measure_profile {
    int threads;
    int n_cores, cores[MEASURE_CORES_MAX]; /* pinned to these; none: wherever the system puts it */
    int64_t memory_limit_bytes;            /* of the child's address space; 0: none */
    /* Where heat, throttling and, for back ends that tell none themselves, energy are read; NULL:
       the board is simulated. */
    const struct measure_sensors *sensors;
    const struct backend *backend; /* NULL: native */
    void *backend_state;           /* what its open() gave; borrowed */
};

struct measure_task {
    const struct graph *graph;
    const struct method *method;
    bool network;  /* a whole network: measured in method->launches processes */
    uint64_t seed; /* of weights and input */
    /* Called in this process between batches; another value than 0 cancels. May be NULL. */
    int (*between)(void *context, int batches);
    void *context;
};

struct measure_outcome {
    enum measure_status status;
    bool hung;         /* crashed: it did not answer in time */
    char message[256]; /* why, unless ok */
    cJSON *doc; /* statistics and samples under their names on the wire, without status; owned; NULL
                   unless ok or noisy */
};

/* Errors: ESP_ECANCELED, ESP_ENOMEM, ESP_EIO; anything that the graph causes is an outcome. */
int measure_graph(const struct measure_profile *profile, const struct measure_task *task,
                  struct err *err, struct measure_outcome *ret_outcome);
void measure_outcome_finish(struct measure_outcome *outcome);
