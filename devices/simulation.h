/* A simulated board: how long its runs take, by a roofline or a table, with noise, outliers,
 * throttling and drift. Pure: its clock is simulated, and the same seed gives the same times. For
 * the back end `sim`, and for testing the sampling rule against a known truth. */
#pragma once

#include <cjson/cJSON.h>

#include "base/error.h"
#include "base/rng.h"
#include "devices/sampler.h"
#include "space/graph.h"

/* What it pretends. */
enum simulation_lie {
    SIMULATION_HONEST,
    SIMULATION_FAST,       /* a thousandth of the time, far below the roofline */
    SIMULATION_CONSTANT,   /* every sample the same */
    SIMULATION_IMPOSSIBLE, /* negative times */
    SIMULATION_GARBAGE,    /* no times at all */
    SIMULATION_OUTPUTS,    /* wrong outputs */
    SIMULATION_DISGUISED,  /* another environment's fingerprint */
    SIMULATION_LIES
};
extern const char *const simulation_lie_names[]; /* "none", …; ends with NULL */

/* X(name, default, least, most, what) */
#define SIMULATION_NUMBERS(X)                                                                      \
    X(seed, 1, 0, 9e15, "fixes all random numbers")                                                \
    X(gmacs, 20, 1e-6, 1e6, "10^9 multiply-adds a second: the roof")                               \
    X(gbps, 10, 1e-6, 1e6, "10^9 bytes a second from memory: the slope")                           \
    X(op_us, 1, 0, 1e6, "us that each operation costs beyond that")                                \
    X(launch_us, 10, 0, 1e7, "us that each run costs beyond that")                                 \
    X(noise, 0.01, 0, 2, "sigma of a run's lognormal noise")                                       \
    X(correlation, 0, 0, 0.999, "of one run's noise with the next one's")                          \
    X(level_noise, 0, 0, 2, "sigma of a level that changes every level_ms")                        \
    X(level_ms, 10, 0.001, 1e6, "ms between such changes")                                         \
    X(outliers, 0, 0, 1, "share of runs that take outlier_factor times as long")                   \
    X(outlier_factor, 10, 1, 1e4, "see outliers")                                                  \
    X(throttle_every_s, 0, 0, 1e6, "s from one throttling to the next; 0: never")                  \
    X(throttle_s, 1, 0, 1e6, "s that it lasts")                                                    \
    X(throttle_factor, 1.5, 1, 1e3, "how many times longer runs take meanwhile")                   \
    X(drift_per_hour, 0, -0.9, 10, "how much slower the board is after an hour")                   \
    X(crash, 0, 0, 1, "share of measurements that crash")                                          \
    X(hang, 0, 0, 1, "share that hang")                                                            \
    X(honest, 0, 0, 1e9, "measuring processes before it begins to lie")                            \
    X(oom, 0, 0, 1, "share that need too much memory")                                             \
    X(unsupported, 0, 0, 1, "share that the board cannot run")                                     \
    X(watts, 0, 0, 1e6, "power while it runs, of which energy comes; 0: it tells none")            \
    X(pace, 0, 0, 10, "s that really pass for a simulated one")                                    \
    X(patience_s, 5, 0.1, 3600, "s of silence after which a hang is one")

enum simulation_fate {
    SIMULATION_WELL,
    SIMULATION_CRASHES,
    SIMULATION_HANGS,
    SIMULATION_LACKS_MEMORY,
    SIMULATION_REFUSES
};

struct simulation_model {
#define SIMULATION_MEMBER(name, value, least, most, what) double name;
    SIMULATION_NUMBERS(SIMULATION_MEMBER)
#undef SIMULATION_MEMBER
    enum simulation_lie lie;
    cJSON *units; /* us by signature, instead of the roofline; owned; NULL: none */
};

/* text: "noise=0.02,gmacs=5,lie=fast", or the name of a JSON file with such members and "units":
 * {signature: us}. NULL: defaults. Errors: ESP_EINVAL and what reading a file gives. */
int simulation_model_read(const char *text, struct err *err, struct simulation_model *ret_model);
void simulation_model_finish(struct simulation_model *model);

/* What a run takes before any noise, in microseconds. */
double simulation_graph_us(const struct simulation_model *model, const struct graph *graph);

/* One measurement on the board. */
struct simulation {
    const struct simulation_model *model;
    struct rng rng;
    double us, reference_us; /* without noise */
    double last, level;      /* noise of the run before; level now */
    int64_t now_ns, level_ns, paced_ns;
    bool lies;         /* it has begun to */
    int64_t fatal_run; /* of this run its fate shows; -1: never */
    int64_t runs;
    enum simulation_fate fate;
};
/* index: how many measurements came before on this board: each has random numbers of its own and
 * begins a simulated second after the one before. model is borrowed. */
void simulation_start(const struct simulation_model *model, double us, double reference_us,
                      uint32_t index, struct simulation *ret);
/* Whether the model tells this lie in its measurement number index. */
bool simulation_lies(const struct simulation_model *model, enum simulation_lie lie, uint32_t index);
/* How many times longer than at its best the board takes at a time, noise apart. */
double simulation_slowness(const struct simulation_model *model, int64_t now_ns);
/* For the sampler; the clock is the simulated one. A run whose fate it is gives ESP_ENOMEM or
 * ESP_EUNSUPPORTED, ends the process, or never returns. */
struct sampler_source simulation_source(struct simulation *simulation);
