/* Whether a board's figures can be true. A result that cannot is kept apart: it decides nothing.
 * Pure. The bounds, and why no honest board meets them: docs/decisions/0045-boards-that-lie.md. */
#pragma once

#include <stdbool.h>

#include "space/graph.h"

enum plausible_doubt {
    PLAUSIBLE,
    DOUBT_ROOFLINE,    /* faster than the processor, or any, can compute it */
    DOUBT_REFERENCE,   /* far faster than the reference network, which does less; or that one far
                          faster than the same board ever ran it */
    DOUBT_VARIANCE,    /* all samples are the same */
    DOUBT_OUTPUTS,     /* the network gave other outputs than it must */
    DOUBT_FINGERPRINT, /* measured in another environment than it was asked of */
    PLAUSIBLE_DOUBTS
};
extern const char *const plausible_doubt_names[]; /* by enum; NULL for PLAUSIBLE */

enum {
    PLAUSIBLE_SAMPLES_MIN = 8, /* fewer may be equal by chance */
    PLAUSIBLE_FACTOR = 20,     /* between runs of the reference network, or it and what does more */
    PLAUSIBLE_TIME_DIGITS = 5, /* of a time that a tool may have rounded */
    PLAUSIBLE_OUTPUTS_MAX = 16
};
/* Multiply-adds a nanosecond (10^9 a second): of a thread of any processor in float32 (two units
 * for 512 bits at 6 GHz), of whatever there is; what is told of a back end's peak may be passed so
 * many times, since Winograd's convolutions need fewer than are counted. */
#define PLAUSIBLE_THREAD_GMACS 200.0
#define PLAUSIBLE_ANY_GMACS 1e7
#define PLAUSIBLE_PEAK_FACTOR 4.0
/* Operations depend on each other: each takes a nanosecond or more. */
#define PLAUSIBLE_OP_US 1e-3
/* Largest difference of outputs, of the largest one. What a back end's owner allows instead is
 * beyond belief from PLAUSIBLE_TOLERANCE_MAX on. */
#define PLAUSIBLE_TOLERANCE_FP32 1e-3
#define PLAUSIBLE_TOLERANCE 1e-2
#define PLAUSIBLE_TOLERANCE_MAX 0.5

/* A result, as far as it is judged. Texts and arrays are borrowed; 0 stands for what was not told
 * and is not judged, unless said otherwise. */
struct plausible_result {
    const char *runtime, *precision; /* of its profile */
    int threads;
    const char *fingerprint, *told_fingerprint; /* of the profile's revision; NULL: not told */
    bool reference;                             /* it is of the reference network itself */
    double peak_gmacs;                          /* that the worker tells of its back end */
    bool steady; /* its owner says that times of this back end do not vary */
    double median_us;
    const double *samples_us; /* [n] */
    int n;
    double reference_us;       /* the reference network's time beside it, the shorter one */
    double reference_known_us; /* the shortest that the board has shown in this environment */
    double output_error;       /* that the worker found, of the largest output; < 0: not told */
    double output_tolerance;   /* that it judged by */
    const double *outputs;     /* [n_outputs], the first ones */
    int n_outputs;
};

/* graph is what was measured. err (may be NULL) says why in a sentence. Errors are doubts: it has
 * no other. What reference_graph() cannot be made for lack of memory is not compared. */
enum plausible_doubt plausible_judge(const struct plausible_result *result,
                                     const struct graph *graph, struct err *err);
/* The shortest time that a graph can take, in microseconds. peak_gmacs: 0 is unknown. */
double plausible_least_us(const struct graph *graph, const char *runtime, int threads,
                          double peak_gmacs);
