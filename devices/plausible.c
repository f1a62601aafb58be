#include "devices/plausible.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "devices/reference.h"
#include "space/cost.h"

const char *const plausible_doubt_names[] = {NULL,          "below_roofline", "below_reference",
                                             "no_variance", "wrong_outputs",  "other_fingerprint"};

static enum plausible_doubt doubt(enum plausible_doubt doubt, const struct err *why,
                                  struct err *err) {
    if (err)
        *err = *why;
    return doubt;
}

/* ---- the roofline -------------------------------------------------------------------------- */

static double op_macs(const struct op *op) {
    struct cost cost;

    op_cost(op, 4, &cost);
    return (double)cost.macs;
}

/* Our own runtime does what is counted, on threads of a processor; another may be anything. */
static double most_gmacs(const char *runtime, int threads, double peak_gmacs) {
    double most = PLAUSIBLE_ANY_GMACS;

    if (!strcmp(runtime, "native"))
        most = PLAUSIBLE_THREAD_GMACS * threads;
    if (peak_gmacs > 0)
        most = fmin(most, PLAUSIBLE_PEAK_FACTOR * peak_gmacs);
    return most;
}

static double graph_macs(const struct graph *graph) {
    double macs = 0;

    for (int i = 0; i < graph->n_ops; i++)
        macs += op_macs(&graph->ops[i]);
    return macs;
}

double plausible_least_us(const struct graph *graph, const char *runtime, int threads,
                          double peak_gmacs) {
    return fmax(graph_macs(graph) / (most_gmacs(runtime, threads, peak_gmacs) * 1e3),
                graph->n_ops * PLAUSIBLE_OP_US);
}

static bool below_roofline(const struct plausible_result *r, const struct graph *graph,
                           struct err *why) {
    double least = plausible_least_us(graph, r->runtime, r->threads, r->peak_gmacs);

    if (r->median_us >= least)
        return false;
    err_set(why, ESP_EIMPLAUSIBLE, NULL,
            "%.4g us is below the %.4g us that the network takes at the very least on %d %s of %s",
            r->median_us, least, r->threads, r->threads == 1 ? "thread" : "threads", r->runtime);
    return true;
}

/* ---- the reference network ----------------------------------------------------------------- */

static bool alike(const struct op *a, const struct op *b) {
    return a->kind == b->kind && a->kernel == b->kernel && a->act == b->act;
}

/* What a graph computes by ops like one, and how many of them there are. */
static double macs_alike(const struct graph *graph, const struct op *like, int *ret_n) {
    double macs = 0;

    *ret_n = 0;
    for (int i = 0; i < graph->n_ops; i++) {
        if (!alike(&graph->ops[i], like))
            continue;
        macs += op_macs(&graph->ops[i]);
        (*ret_n)++;
    }
    return macs;
}

/* At least as much of each kind of operation: whatever a back end is slow at is there too. */
static bool does_more(const struct graph *graph, const struct graph *than) {
    for (int i = 0; i < than->n_ops; i++) {
        int have = 0, want = 0;
        double macs = macs_alike(graph, &than->ops[i], &have);
        if (macs < macs_alike(than, &than->ops[i], &want) || have < want)
            return false;
    }
    return true;
}

static bool below_reference(const struct plausible_result *r, const struct graph *graph,
                            struct err *why) {
    double seen = r->reference ? r->median_us : r->reference_us;
    struct graph *reference = NULL;
    bool below = false;

    if (seen > 0 && r->reference_known_us > 0 && seen * PLAUSIBLE_FACTOR < r->reference_known_us) {
        err_set(why, ESP_EIMPLAUSIBLE, NULL,
                "the reference network took %.4g us, and never less than %.4g us before here", seen,
                r->reference_known_us);
        return true;
    }
    if (r->reference || r->reference_us <= 0 || r->median_us * PLAUSIBLE_FACTOR >= r->reference_us)
        return false;
    /* Few do: the reference network is not built for the others. */
    if (graph_macs(graph) >= REFERENCE_MACS && !reference_graph(NULL, &reference))
        below = does_more(graph, reference);
    free(reference);
    if (below)
        err_set(why, ESP_EIMPLAUSIBLE, NULL,
                "it took %.4g us, and the reference network beside it, which does less, %.4g us",
                r->median_us, r->reference_us);
    return below;
}

/* ---- samples ------------------------------------------------------------------------------- */

/* Whether a few digits are all there is of it: a tool that rounds may say so each time. */
static bool is_rounded(double us) {
    double unit = pow(10, floor(log10(us)) + 1 - PLAUSIBLE_TIME_DIGITS);

    return fabs(us / unit - round(us / unit)) < 1e-6;
}

/* These two read the clock themselves, to the nanosecond. */
static bool reads_own_clock(const char *runtime) {
    return !strcmp(runtime, "native") || !strcmp(runtime, "simulated");
}

static bool without_variance(const struct plausible_result *r, struct err *why) {
    if (r->steady || r->n < PLAUSIBLE_SAMPLES_MIN)
        return false;
    for (int i = 1; i < r->n; i++)
        if (r->samples_us[i] != r->samples_us[0])
            return false;
    if (!reads_own_clock(r->runtime) && is_rounded(r->samples_us[0]))
        return false;
    err_set(why, ESP_EIMPLAUSIBLE, NULL,
            "all %d samples are %.10g us; if this board's times really never vary, its owner can "
            "say so: \"steady\" in docs/BACKENDS.md",
            r->n, r->samples_us[0]);
    return true;
}

/* ---- outputs ------------------------------------------------------------------------------- */

static double tolerance_of(const struct plausible_result *r) {
    double usual = strcmp(r->precision, "fp32") ? PLAUSIBLE_TOLERANCE : PLAUSIBLE_TOLERANCE_FP32;

    return fmin(fmax(usual, r->output_tolerance), PLAUSIBLE_TOLERANCE_MAX);
}

/* Of the reference network's first outputs, of the largest one. */
static double reference_error(const struct plausible_result *r) {
    double error = 0, largest = 0;

    for (int i = 0; i < r->n_outputs && i < REFERENCE_OUTPUTS; i++) {
        if (!isfinite(r->outputs[i]))
            return INFINITY;
        error = fmax(error, fabs(r->outputs[i] - reference_outputs[i]));
        largest = fmax(largest, fabs(reference_outputs[i]));
    }
    return largest > 0 ? error / largest : 0;
}

static bool wrong_outputs(const struct plausible_result *r, struct err *why) {
    double error = r->reference ? fmax(r->output_error, reference_error(r)) : r->output_error;

    if (error <= tolerance_of(r))
        return false;
    err_set(why, ESP_EIMPLAUSIBLE, NULL,
            "its outputs differ by %.2g of the largest from what the network gives (at most %g)",
            error, tolerance_of(r));
    return true;
}

/* ---- all of it ----------------------------------------------------------------------------- */

static bool other_fingerprint(const struct plausible_result *r, struct err *why) {
    if (!r->told_fingerprint || !strcmp(r->told_fingerprint, r->fingerprint))
        return false;
    err_set(why, ESP_EIMPLAUSIBLE, NULL,
            "it was measured in the environment %.16s, and asked of %.16s", r->told_fingerprint,
            r->fingerprint);
    return true;
}

enum plausible_doubt plausible_judge(const struct plausible_result *result,
                                     const struct graph *graph, struct err *err) {
    struct err why = {0};

    if (other_fingerprint(result, &why))
        return doubt(DOUBT_FINGERPRINT, &why, err);
    if (wrong_outputs(result, &why))
        return doubt(DOUBT_OUTPUTS, &why, err);
    if (without_variance(result, &why))
        return doubt(DOUBT_VARIANCE, &why, err);
    if (below_roofline(result, graph, &why))
        return doubt(DOUBT_ROOFLINE, &why, err);
    if (below_reference(result, graph, &why))
        return doubt(DOUBT_REFERENCE, &why, err);
    return PLAUSIBLE;
}
