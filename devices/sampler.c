#include "devices/sampler.h"

#include <math.h>
#include <stdlib.h>

#include "base/memory.h"
#include "base/stats.h"

const char *const sampler_stop_names[] = {"target", "settled", "cap", NULL};

enum {
    WARMUP_WINDOW = 5,
    REFERENCE_RUNS = 5,
    REFERENCES_MAX = 512,
    RUNS_PER_SAMPLE_MAX = 1000000,
    SETTLE_WINDOW = 6,
    AGAIN_MAX = 3,        /* batches that are taken again because of throttling */
    ORDER_BATCHES_MIN = 9 /* from here on the ranks leave the outermost batch at each end out */
};

#define LEVEL 0.95
#define HALF_WIDTH_MIN 0.005

struct sampler {
    const struct method *method;
    const struct sampler_source *source;
    double *samples, *batch_medians, *references, *widths;
    int n_samples, n_batches, n_references, runs;
    int64_t started_ns;
    double energy_uj; /* of all batches; NaN: not told */
    int taken_again;
    bool throttled;
};

static int64_t now_ns(const struct sampler *s) {
    return s->source->now_ns(s->source->context);
}

/* `samples` samples in a row, each the mean time of `runs` runs in microseconds. */
static int take(const struct sampler *s, bool reference, int runs, int samples, double *ret_us) {
    const struct sampler_source *source = s->source;
    int (*run)(void *) = reference ? source->run_reference : source->run;

    if (source->take)
        return source->take(source->context, reference, runs, samples, ret_us);
    for (int i = 0; i < samples; i++) {
        int64_t start = now_ns(s);
        for (int k = 0; k < runs; k++) {
            int rc = run(source->context);
            if (rc)
                return rc;
        }
        int64_t lasted = now_ns(s) - start;
        if (lasted < 0)
            return ESP_ETIMEOUT; /* nothing that this clock tells can be believed */
        ret_us[i] = (double)lasted / 1e3 / runs;
    }
    return 0;
}

static bool has_reference(const struct sampler *s) {
    return s->source->take || s->source->run_reference;
}

static bool warm(const struct method *method, const double *times, int n, int64_t elapsed_us) {
    if (elapsed_us >= method->warmup_max_us)
        return true;
    if (n < method->warmup_runs || n < 2 * WARMUP_WINDOW || elapsed_us < method->warmup_min_us)
        return false;
    double latest = stats_median(times + n - WARMUP_WINDOW, WARMUP_WINDOW);
    double before = stats_median(times + n - 2 * WARMUP_WINDOW, WARMUP_WINDOW);
    return fabs(latest - before) < 0.02 * before;
}

/* Runs until times settle; leaves the typical time of one run in *ret_us. */
static int warm_up(struct sampler *s, double *ret_first_us, double *ret_us) {
    double window[2 * WARMUP_WINDOW] = {0};
    int64_t start = now_ns(s);
    int n = 0, rc = take(s, false, 1, 1, ret_first_us);

    while (!rc) {
        double us = 0;
        rc = take(s, false, 1, 1, &us);
        if (n == 2 * WARMUP_WINDOW) {
            for (int i = 1; i < n; i++)
                window[i - 1] = window[i];
            n--;
        }
        window[n++] = us;
        if (!rc && warm(s->method, window, n, (now_ns(s) - start) / 1000) &&
            n >= s->method->warmup_runs)
            break;
    }
    if (!rc)
        *ret_us = stats_median(window, (size_t)n);
    return rc;
}

/* One visit to the reference network: the median of some runs, since a single one is as good as
 * the worst moment of a shared machine. */
static int take_reference(struct sampler *s) {
    double us[REFERENCE_RUNS] = {0};

    if (!has_reference(s) || s->n_references == REFERENCES_MAX)
        return 0;
    int rc = take(s, true, 1, REFERENCE_RUNS, us);
    if (!rc)
        s->references[s->n_references++] = stats_median(us, REFERENCE_RUNS);
    return rc;
}

static double energy_now(const struct sampler *s) {
    const struct sampler_source *source = s->source;
    void *context = source->energy_context ? source->energy_context : source->context;

    return source->energy_uj ? source->energy_uj(context) : NAN;
}

static bool slowed(const struct sampler *s) {
    const struct sampler_source *source = s->source;
    void *context = source->slowed_context ? source->slowed_context : source->context;

    return source->slowed && source->slowed(context);
}

static bool stopped(const struct sampler *s) {
    const struct sampler_source *source = s->source;
    void *context = source->between_context ? source->between_context : source->context;

    return source->between && source->between(context, s->n_batches);
}

/* One that the board throttled is taken again while there are tries left. */
static int take_batch(struct sampler *s) {
    double *samples = s->samples + s->n_samples, used_uj = 0;
    int count = s->method->batch_samples;

    for (bool again = true; again;) {
        double before_uj = energy_now(s);
        int rc = take(s, false, s->runs, count, samples);
        if (rc)
            return rc;
        used_uj = energy_now(s) - before_uj;
        bool slow = slowed(s);
        again = slow && s->taken_again < AGAIN_MAX;
        s->taken_again += again;
        s->throttled = s->throttled || (slow && !again);
        if (again && stopped(s))
            return ESP_ECANCELED;
    }
    s->energy_uj += used_uj;
    s->n_samples += count;
    s->batch_medians[s->n_batches++] = stats_median(samples, (size_t)count);
    return 0;
}

/* (max - min) / median over the visits to the reference network: how far two moments of this board
 * differ, whatever is measured. */
static double reference_spread(const struct sampler *s) {
    size_t n = (size_t)s->n_references;
    if (n == 0)
        return 0;
    return (stats_quantile(s->references, n, 1) - stats_quantile(s->references, n, 0)) /
           stats_median(s->references, n);
}

/* Of few batches: as many interquartile ranges of all samples as simulated measurements needed
 * whose samples (correlated by 0.7 inside a batch) and batches (their levels differing by as much
 * as the samples) are both noisy, and never less than what the reference network's visits differ by
 * or what the method aims at. A quarter of the samples may be outliers. See docs/decisions/0024. */
static void wide_interval(const struct sampler *s, double median, double *ret_low,
                          double *ret_high) {
    static const double ranges[ORDER_BATCHES_MIN] = {0, 6, 2, 1.4, 1.1, 1, 0.85, 0.75, 0.7};
    size_t n = (size_t)s->n_samples;
    double range = stats_quantile(s->samples, n, 0.75) - stats_quantile(s->samples, n, 0.25);
    double half = ranges[s->n_batches] * range / median;
    half = fmax(half, fmax(reference_spread(s), fmax(s->method->target, HALF_WIDTH_MIN)));
    *ret_low = median / (1 + half);
    *ret_high = median * (1 + half);
}

/* Relative half-width of the 95 % interval of the median: by order statistics over batch medians
 * where there are enough of them. */
static double interval(const struct sampler *s, double *ret_low, double *ret_high) {
    size_t n = (size_t)s->n_batches;
    double median = stats_median(s->batch_medians, n);
    if (n < ORDER_BATCHES_MIN)
        wide_interval(s, median, ret_low, ret_high);
    else if (!(stats_median_ci(s->batch_medians, n, LEVEL, ret_low, ret_high) >= LEVEL))
        *ret_low = *ret_high = NAN; /* no memory for the ranks */
    return (*ret_high - *ret_low) / 2 / median;
}

/* The noise has settled when the width has kept within 10 % of itself over the latest batches: more
 * of them buy little. */
static bool settled(const struct sampler *s) {
    int n = s->n_batches;
    if (n < 2 * s->method->batches_min || n < SETTLE_WINDOW)
        return false;
    double low = INFINITY, high = 0;
    for (int i = n - SETTLE_WINDOW; i < n; i++) {
        low = fmin(low, s->widths[i]);
        high = fmax(high, s->widths[i]);
    }
    return high <= 1.1 * low;
}

static bool finished(struct sampler *s, struct sampler_result *result) {
    const struct method *method = s->method;
    int64_t elapsed_us = (now_ns(s) - s->started_ns) / 1000;
    double width = interval(s, &result->low_us, &result->high_us);
    bool full = s->n_batches == SAMPLER_BATCHES_MAX ||
                s->n_samples + method->batch_samples > SAMPLER_SAMPLES_MAX;

    s->widths[s->n_batches - 1] = width;
    result->stop = SAMPLER_CAP;
    if (elapsed_us >= method->run_max_us || full) {
        result->noisy = width > method->noisy;
        return true;
    }
    if (s->n_batches < method->batches_min || elapsed_us < method->run_min_us)
        return false;
    result->noisy = false;
    result->stop = SAMPLER_TARGET;
    if (width <= method->target)
        return true;
    result->stop = SAMPLER_SETTLED;
    result->noisy = width > method->noisy;
    return settled(s);
}

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Two clusters: a gap between neighbouring batch medians above 5 MAD with a fifth of the batches at
 * either side. */
static bool bimodal(struct sampler *s) {
    int n = s->n_batches, edge = n / 5 > 1 ? n / 5 : 1;
    double mad = stats_mad(s->batch_medians, (size_t)n);

    if (n < 10 || mad <= 0)
        return false;
    qsort(s->batch_medians, (size_t)n, sizeof(double), compare);
    for (int i = edge; i <= n - edge; i++)
        if (s->batch_medians[i] - s->batch_medians[i - 1] > 5 * mad)
            return true;
    return false;
}

static void summarise(struct sampler *s, struct sampler_result *result) {
    size_t n = (size_t)s->n_samples;

    result->median_us = stats_median(s->batch_medians, (size_t)s->n_batches);
    result->mean_us = stats_mean(s->samples, n);
    result->sd_us = sqrt(stats_variance(s->samples, n));
    result->p90_us = stats_quantile(s->samples, n, 0.9);
    result->min_us = stats_quantile(s->samples, n, 0);
    result->n = s->n_samples;
    result->batches = s->n_batches;
    result->runs_per_sample = s->runs;
    result->bimodal = bimodal(s);
    result->throttled = s->throttled;
    result->taken_again = s->taken_again;
    result->energy_uj = s->energy_uj / ((double)s->n_samples * s->runs);
    if (s->n_references > 0) {
        result->reference_before_us = s->references[0];
        result->reference_after_us = s->references[s->n_references - 1];
        result->reference_spread = reference_spread(s);
    }
}

/* Once more, since the last visit to the reference network has come in. */
static void conclude(struct sampler *s, struct sampler_result *result) {
    double width = interval(s, &result->low_us, &result->high_us);
    if (result->stop == SAMPLER_CAP)
        result->noisy = width > s->method->noisy;
}

static int sample_until_finished(struct sampler *s, struct sampler_result *result) {
    int rc = 0;

    s->started_ns = now_ns(s);
    do {
        if (s->n_batches % s->method->reference_every == 0)
            rc = take_reference(s);
        if (!rc)
            rc = take_batch(s);
        if (!rc && stopped(s))
            rc = ESP_ECANCELED;
    } while (!rc && !finished(s, result));
    if (!rc)
        rc = take_reference(s);
    if (!rc)
        conclude(s, result);
    return !rc && isnan(result->low_us) ? ESP_ENOMEM : rc;
}

int sampler_run(const struct method *method, const struct sampler_source *source, struct err *err,
                struct sampler_result *ret_result) {
    struct sampler s = {.method = method, .source = source};
    struct sampler_result result = {0};
    double typical_us = 0, ignored[2];
    int rc = 0;

    s.samples = mem_array(SAMPLER_SAMPLES_MAX, sizeof(double));
    s.batch_medians = mem_array(SAMPLER_BATCHES_MAX, sizeof(double));
    s.widths = mem_array(SAMPLER_BATCHES_MAX, sizeof(double));
    s.references = mem_array(REFERENCES_MAX, sizeof(double));
    if (!s.samples || !s.batch_medians || !s.widths || !s.references) {
        rc = err_set(err, ESP_ENOMEM, NULL, "out of memory");
        goto out;
    }
    if (has_reference(&s))
        rc = take(&s, true, 1, 2, ignored);
    if (!rc)
        rc = warm_up(&s, &result.first_us, &typical_us);
    if (!rc) {
        double runs = ceil((double)method->sample_us / fmax(typical_us, 1e-3));
        s.runs = (int)fmin(fmax(runs, 1), RUNS_PER_SAMPLE_MAX);
        rc = sample_until_finished(&s, &result);
    }
    if (rc == ESP_ECANCELED)
        err_set(err, rc, NULL, "the measurement was cancelled");
    else if (rc == ESP_ETIMEOUT && !source->take)
        err_set(err, rc, NULL, "the board's clock went back while something was timed");
    else if (rc && (!err || err->code != rc))
        err_set(err, rc, NULL, "a run failed");
    if (rc)
        goto out;
    summarise(&s, &result);
    result.samples_us = s.samples;
    s.samples = NULL;
    *ret_result = result;
out:
    free(s.samples);
    free(s.batch_medians);
    free(s.widths);
    free(s.references);
    return rc;
}

void sampler_result_finish(struct sampler_result *result) {
    free(result->samples_us);
    result->samples_us = NULL;
}
