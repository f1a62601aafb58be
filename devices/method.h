/* Measurement methods: how long to warm up, how to group runs, when to stop. A method's id
 * ("brief/2") is part of a measurement's identity: another number in a row is another version. */
#pragma once

#include <stdint.h>

struct method {
    const char *name;
    int version;
    int64_t warmup_min_us, warmup_max_us; /* until the median of 5 runs settles within 2 % */
    int warmup_runs;                      /* at least */
    int64_t sample_us;                    /* a sample is as many runs as last this long */
    int batch_samples;                    /* samples of a batch: no pause inside */
    int batches_min;
    int64_t run_min_us, run_max_us; /* of all timed batches */
    double target;                  /* relative half-width of the median's 95 % interval */
    double noisy;                   /* beyond this half-width at the end: status noisy */
    int reference_every; /* a sample of the reference network before every so many batches */
    int launches;        /* processes that a whole network is measured in */
};

extern const struct method methods[]; /* ends with name NULL */
/* By id ("brief/2") or name ("brief"); NULL if there is none. */
const struct method *method_find(const char *text);
/* Of the reference network alone, for a board's noise floor; nobody else can ask for it. */
extern const struct method method_noise;
/* The same by id, for who carries out what the daemon asks for. */
const struct method *method_find_any(const char *text);
enum { METHOD_ID_MAX = 32 };
void method_id(const struct method *method, char ret_id[METHOD_ID_MAX]);
