/* How long does one run of a thing take? Warm-up, batches of samples, an interleaved reference, and
 * a rule to stop. Pure of what is run: the clock and the runs are given, so the rule is tested on
 * synthetic noise. The stopping rule is the median's confidence interval over batch medians by
 * order statistics (samples inside a batch are correlated), or noise that has settled (as nvbench
 * does), or the method's cap. Below nine batches, where those ranks would be the outermost ones,
 * the interval is a multiple of the samples' interquartile range that grows as batches get fewer.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "devices/method.h"

enum { SAMPLER_SAMPLES_MAX = 4096, SAMPLER_BATCHES_MAX = 1024 };

struct sampler_source {
    int (*run)(void *context);           /* one run of what is measured; 0 or ESP_E… */
    int (*run_reference)(void *context); /* one run of the reference network; NULL: none */
    int64_t (*now_ns)(void *context);
    int (*between)(void *context, int batches); /* between batches, outside of timing; not 0: stop
                                                   with ESP_ECANCELED; may be NULL */
    void *context;
    void *between_context; /* of between; NULL: context */
    /* Instead of run and run_reference, for what takes its own time: so many samples, each the mean
       of so many runs of the network or of the reference, into ret_us[samples]. NULL: runs are
       timed by now_ns. */
    int (*take)(void *context, bool reference, int runs, int samples, double *ret_us);
    /* Energy used so far in microjoules, asked for before and after each batch, outside of timing;
       NaN: it cannot be told. NULL: the board cannot tell. */
    double (*energy_uj)(void *context);
    void *energy_context; /* of energy_uj; NULL: context */
    /* Asked after each batch, outside of timing: whether the board slowed itself down during it.
       Such a batch is taken again, a few times in all. NULL: it cannot be told. */
    bool (*slowed)(void *context);
    void *slowed_context; /* of slowed; NULL: context */
};

enum sampler_stop { SAMPLER_TARGET, SAMPLER_SETTLED, SAMPLER_CAP };
extern const char *const sampler_stop_names[]; /* "target", "settled", "cap" */

struct sampler_result {
    double first_us;                   /* the very first run */
    double median_us, low_us, high_us; /* 95 % interval of the median, low < median < high but for
                                          nine or more equal batches */
    double mean_us, sd_us;             /* over samples; sd is of one sample */
    double p90_us, min_us;
    int n, batches, runs_per_sample;
    double *samples_us; /* [n], owned: sampler_result_finish */
    double reference_before_us, reference_after_us,
        reference_spread; /* 0 without reference; spread is (max - min) / median */
    bool bimodal, noisy;
    bool throttled;  /* a batch that counts was taken while the board slowed itself down */
    int taken_again; /* batches that were thrown away for that */
    enum sampler_stop stop;
    double energy_uj; /* of one run: all of the batches' by all of their runs; NaN: not told */
};

/* ESP_ETIMEOUT: the clock went back. A source's error comes back as it is, with its own words when
 * it has set err to it. */
int sampler_run(const struct method *method, const struct sampler_source *source, struct err *err,
                struct sampler_result *ret_result);
void sampler_result_finish(struct sampler_result *result);
