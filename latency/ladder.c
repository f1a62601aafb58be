#include "latency/ladder.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/linear.h"
#include "base/memory.h"
#include "base/stats.h"
#include "latency/quality.h"

/* Ridge, in variances of one error: what likeness explains against what it cannot. */
static const double strengths[] = {0.1, 0.3, 1, 3, 10, 30};
enum { N_STRENGTHS = sizeof strengths / sizeof strengths[0], LEAVE_ONE_OUT_MAX = 24, FOLDS = 12 };
/* A rung above a table's line must be better than chance would make any of them with so much
 * probability (two standard errors of a normal variable), for the choice is made on few networks.
 */
#define CLEARLY 0.9545
/* And by so much in log time: no board measures what is less; and of no fewer networks. */
#define GAIN_MIN 5e-4
#define ABOVE_MIN 5

struct rung {
    double loss, square; /* means of the left out errors in log time, and of their squares */
    double strength;
    double *weight; /* [n_known], of the rungs above the line */
    double *error;  /* [n_known]: those of left out networks */
};

struct ladder {
    const struct ladder_networks *networks;
    size_t n;
    uint32_t *known;             /* [n] */
    double typical_us, *inverse; /* of all networks: typical_us / sum - 1 */
    double scale;                /* of the sums */
    struct calibration line;
    struct rung rungs[LADDER_RUNGS];
    enum ladder_rung chosen;
};

/* Scratch of a fit, each [n] but the matrix. */
struct fit {
    struct ladder *ladder;
    size_t n_folds;
    double *sum, *measured, *error, *rise, *matrix,
        *left_out; /* left_out [N_STRENGTHS][LADDER_RUNGS][n] */
    uint32_t *kept;
};

void ladder_likeness(const double *features, size_t n, size_t n_features, double *ret_likeness) {
    double diagonal = 0;
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j <= i; j++) {
            double product = 0;
            for (size_t k = 0; k < n_features; k++)
                product += features[i * n_features + k] * features[j * n_features + k];
            ret_likeness[i * n + j] = ret_likeness[j * n + i] = product;
        }
    /* Around the means: rows and columns of inner products less their own means. */
    for (int side = 0; side < 2; side++)
        for (size_t i = 0; i < n; i++) {
            size_t step = side ? n : 1, first = side ? i : i * n;
            double mean = 0;
            for (size_t j = 0; j < n; j++)
                mean += ret_likeness[first + j * step] / (double)n;
            for (size_t j = 0; j < n; j++)
                ret_likeness[first + j * step] -= mean;
        }
    for (size_t i = 0; i < n; i++)
        diagonal += ret_likeness[i * n + i] / (double)n;
    for (size_t i = 0; i < n * n; i++)
        ret_likeness[i] = diagonal > 1e-12 ? ret_likeness[i] / diagonal : 0;
}

/* The line's log errors of the kept networks, as shares that their sums would have to be corrected
 * by, to first order. */
static void find_errors(const struct fit *fit, const struct calibration *line, size_t n,
                        double *error) {
    for (size_t i = 0; i < n; i++) {
        bool inside = !fit->ladder->networks->stand_in;
        fit->rise[i] = inside ? fmax(calibration_rise(line, fit->sum[i]), 0.05) : 1;
        error[i] = log(fit->measured[i] / calibration_apply(line, fit->sum[i])) / fit->rise[i];
    }
}

/* How alike two networks are for a rung, plus how alike for the line: so that slope and constant
 * may still move with what is above them. Of what only stands in for a sum the slope stays; its
 * level has to move, for it was found on a few networks that differ in what the rung knows. */
static double alike(const struct ladder *ladder, const double *likeness, size_t i, size_t j) {
    const struct ladder_networks *networks = ladder->networks;
    double line = 1 + (networks->stand_in ? 0 : ladder->inverse[i] * ladder->inverse[j]);
    return likeness[i * networks->n + j] + line;
}

/* Weights of the kept networks' errors: (likeness + strength)^-1 error. Where the sum is a small
 * part of the latency, its error says less. */
static void solve(const struct fit *fit, const double *likeness, const uint32_t *kept, size_t n,
                  double strength, double *weight) {
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j <= i; j++)
            fit->matrix[i * n + j] = alike(fit->ladder, likeness, kept[i], kept[j]);
        fit->matrix[i * n + i] += strength / (fit->rise[i] * fit->rise[i]);
    }
    cholesky_factor(fit->matrix, n);
    cholesky_forward(fit->matrix, n, weight);
    cholesky_backward(fit->matrix, n, weight);
}

static double explained(const struct ladder *ladder, const double *likeness, size_t i,
                        const uint32_t *kept, const double *weight, size_t n) {
    double sum = 0;
    for (size_t j = 0; j < n; j++)
        sum += weight[j] * alike(ladder, likeness, i, kept[j]);
    return sum;
}

/* What only stands in for a sum may be far off: there it is the latency that is corrected. */
static double corrected(const struct ladder_networks *networks, const struct calibration *line,
                        double sum, double share) {
    if (networks->stand_in)
        return calibration_apply(line, sum) * exp(share);
    return calibration_apply(line, sum * fmin(fmax(1 + share, LADDER_SCALE_MIN), LADDER_SCALE_MAX));
}

static double *left_out_errors(const struct fit *fit, int strength, int rung) {
    return fit->left_out + ((size_t)strength * LADDER_RUNGS + (size_t)rung) * fit->ladder->n;
}

/* What only stands in for sums takes as long in the mean as the networks that are known. */
static double find_scale(const struct ladder_networks *networks, const uint32_t *known, size_t n) {
    double shift = 0;
    for (size_t i = 0; networks->stand_in && i < n; i++)
        shift += log(networks->measured_us[known[i]] / networks->sum_us[known[i]]) / (double)n;
    return exp(shift);
}

/* Sums, times and scale of the networks kept[0..n). */
static double take(const struct fit *fit, const uint32_t *kept, size_t n) {
    const struct ladder_networks *networks = fit->ladder->networks;
    double scale = find_scale(networks, kept, n);
    for (size_t i = 0; i < n; i++) {
        fit->sum[i] = scale * networks->sum_us[kept[i]];
        fit->measured[i] = networks->measured_us[kept[i]];
    }
    return scale;
}

/* Log errors of every rung on the networks of a fold, from the others. */
static int leave_out(struct fit *fit, size_t fold, struct err *err) {
    struct ladder *ladder = fit->ladder;
    const struct ladder_networks *networks = ladder->networks;
    struct calibration line;
    size_t n = 0;
    for (size_t i = 0; i < ladder->n; i++)
        if (i % fit->n_folds != fold)
            fit->kept[n++] = ladder->known[i];
    double scale = take(fit, fit->kept, n);
    line = calibration_none;
    if (n >= CALIBRATION_MIN_NETWORKS) {
        int code = calibration_fit(fit->sum, fit->measured, n, 1, err, &line);
        if (code < 0)
            return code;
    }
    for (int r = LADDER_SUM; r < LADDER_RUNGS; r++)
        for (int s = 0; s < (r > LADDER_LINE && networks->likeness[r] ? N_STRENGTHS : 1); s++) {
            double *errors = left_out_errors(fit, s, r);
            find_errors(fit, &line, n, fit->error);
            if (networks->likeness[r])
                solve(fit, networks->likeness[r], fit->kept, n, strengths[s], fit->error);
            for (size_t i = fold; i < ladder->n; i += fit->n_folds) {
                uint32_t network = ladder->known[i];
                double sum = scale * networks->sum_us[network], share = 0;
                if (networks->likeness[r])
                    share =
                        explained(ladder, networks->likeness[r], network, fit->kept, fit->error, n);
                errors[i] = log(networks->measured_us[network] /
                                (r == LADDER_SUM ? sum : corrected(networks, &line, sum, share)));
            }
        }
    return 0;
}

/* The strength that left out errors ask for. */
static void judge(const struct fit *fit, int r) {
    struct ladder *ladder = fit->ladder;
    struct rung *rung = &ladder->rungs[r];
    rung->loss = rung->square = INFINITY;
    if (r > LADDER_LINE && !ladder->networks->likeness[r])
        return;
    for (int s = (r > LADDER_LINE ? N_STRENGTHS : 1) - 1; s >= 0; s--) {
        const double *errors = left_out_errors(fit, s, r);
        double loss = 0, square = 0;
        for (size_t i = 0; i < ladder->n; i++) {
            loss += fabs(errors[i]) / (double)ladder->n;
            square += errors[i] * errors[i] / (double)ladder->n;
        }
        if (loss < rung->loss) {
            rung->loss = loss;
            rung->square = square;
            rung->strength = strengths[s];
            memcpy(rung->error, errors, ladder->n * sizeof *errors);
        }
    }
}

/* Student's t of so few differences, its level shared among the rungs that are tried (Bonferroni).
 */
static double margin(const struct ladder *ladder) {
    int tried = 0;
    for (int r = LADDER_KINDS; r < LADDER_RUNGS; r++)
        tried += isfinite(ladder->rungs[r].loss);
    return tried > 0 ? stats_student_t(1 - (1 - CLEARLY) / tried, (double)ladder->n - 1) : 0;
}

static void choose(struct ladder *ladder) {
    enum ladder_rung best = LADDER_LINE;
    bool stand_in = ladder->networks->stand_in;
    double standard_errors = stand_in ? 0 : margin(ladder);
    for (int r = LADDER_KINDS; r < LADDER_RUNGS && (stand_in || ladder->n >= ABOVE_MIN); r++)
        if (isfinite(ladder->rungs[r].loss) && ladder->rungs[r].loss < ladder->rungs[best].loss &&
            ladder->rungs[r].loss < ladder->rungs[LADDER_LINE].loss - GAIN_MIN &&
            latency_errors_smaller(ladder->rungs[r].error, ladder->rungs[LADDER_LINE].error,
                                   ladder->n, standard_errors))
            best = (enum ladder_rung)r;
    ladder->chosen =
        best == LADDER_LINE && ladder->line.kind == CALIBRATION_IDENTITY ? LADDER_SUM : best;
}

static int fit_all(struct fit *fit, struct err *err) {
    struct ladder *ladder = fit->ladder;
    const struct ladder_networks *networks = ladder->networks;
    int code = 0;
    for (size_t fold = 0; code == 0 && fold < fit->n_folds; fold++)
        code = leave_out(fit, fold, err);
    for (int r = 0; r < LADDER_RUNGS; r++)
        judge(fit, r);
    ladder->scale = take(fit, ladder->known, ladder->n);
    if (code == 0)
        code = calibration_fit(fit->sum, fit->measured, ladder->n, 1, err, &ladder->line);
    if (code < 0)
        return code;
    for (int r = LADDER_KINDS; r < LADDER_RUNGS; r++) {
        double *weight = ladder->rungs[r].weight;
        if (!networks->likeness[r])
            continue;
        find_errors(fit, &ladder->line, ladder->n, weight);
        solve(fit, networks->likeness[r], ladder->known, ladder->n, ladder->rungs[r].strength,
              weight);
    }
    choose(ladder);
    return 0;
}

static int out_of_memory(struct err *err) {
    return err_set(err, ESP_ENOMEM, NULL, "no memory for a calibration");
}

static int create(const struct ladder_networks *networks, const uint32_t *known, size_t n,
                  struct err *err, struct ladder **ret_ladder) {
    struct ladder *ladder = calloc(1, sizeof *ladder);
    *ret_ladder = ladder;
    if (!ladder || !(ladder->known = mem_array(n, sizeof *known)))
        return out_of_memory(err);
    ladder->networks = networks;
    ladder->n = n;
    if (!(ladder->inverse = mem_array(networks->n, sizeof(double))))
        return out_of_memory(err);
    for (size_t i = 0; i < networks->n; i++)
        ladder->typical_us += 1 / networks->sum_us[i] / (double)networks->n;
    ladder->typical_us = 1 / ladder->typical_us;
    for (size_t i = 0; i < networks->n; i++)
        ladder->inverse[i] = ladder->typical_us / networks->sum_us[i] - 1;
    for (size_t i = 0; i < n; i++)
        ladder->known[i] = known[i];
    for (int r = 0; r < LADDER_RUNGS; r++)
        if (!(ladder->rungs[r].weight = mem_array(n, sizeof(double))) ||
            !(ladder->rungs[r].error = mem_array(n, sizeof(double))))
            return out_of_memory(err);
    return 0;
}

size_t ladder_folds(size_t n) {
    return n <= LEAVE_ONE_OUT_MAX ? n : (size_t)FOLDS;
}

int ladder_fit(const struct ladder_networks *networks, const uint32_t *known, size_t n_known,
               struct err *err, struct ladder **ret_ladder) {
    struct ladder *ladder = NULL;
    if (n_known < CALIBRATION_MIN_NETWORKS || n_known > LADDER_KNOWN_MAX)
        return err_set(err, ESP_EINVAL, NULL, "calibrations are fitted on %d to %d networks",
                       CALIBRATION_MIN_NETWORKS, LADDER_KNOWN_MAX);
    int code = create(networks, known, n_known, err, &ladder);
    struct fit fit = {.ladder = ladder, .n_folds = ladder_folds(n_known)};
    size_t n = n_known, vectors = 4 + (size_t)N_STRENGTHS * LADDER_RUNGS;
    double *scratch = mem_array(n * (n + vectors), sizeof *scratch);
    fit.kept = mem_array(n, sizeof *fit.kept);
    if (code == 0 && (!scratch || !fit.kept))
        code = out_of_memory(err);
    if (code == 0) {
        fit.matrix = scratch;
        fit.sum = scratch + n * n;
        fit.measured = fit.sum + n;
        fit.error = fit.measured + n;
        fit.rise = fit.error + n;
        fit.left_out = fit.rise + n;
        code = fit_all(&fit, err);
    }
    free(scratch);
    free(fit.kept);
    if (code < 0)
        ladder_destroy(ladder);
    else
        *ret_ladder = ladder;
    return code;
}

void ladder_destroy(struct ladder *ladder) {
    if (!ladder)
        return;
    for (int r = 0; r < LADDER_RUNGS; r++) {
        free(ladder->rungs[r].weight);
        free(ladder->rungs[r].error);
    }
    free(ladder->known);
    free(ladder->inverse);
    free(ladder);
}

enum ladder_rung ladder_chosen(const struct ladder *ladder) {
    return ladder->chosen;
}

double ladder_loss(const struct ladder *ladder, enum ladder_rung rung) {
    return ladder->rungs[rung].loss;
}

const double *ladder_errors(const struct ladder *ladder, enum ladder_rung rung) {
    return ladder->rungs[rung].error;
}

const struct calibration *ladder_line(const struct ladder *ladder) {
    return &ladder->line;
}

double ladder_predict(const struct ladder *ladder, enum ladder_rung rung, size_t i) {
    const struct ladder_networks *networks = ladder->networks;
    double us = ladder->scale * networks->sum_us[i];
    if (rung == LADDER_SUM)
        return us;
    double share = 0;
    if (rung > LADDER_LINE)
        share = explained(ladder, networks->likeness[rung], i, ladder->known,
                          ladder->rungs[rung].weight, ladder->n);
    return corrected(networks, &ladder->line, us, share);
}

/* Likeness is an inner product of features around their means, in units of the mean square. */
void ladder_linear(const struct ladder *ladder, enum ladder_rung rung, const double *features,
                   size_t n_features, double *ret_weights, struct ladder_line *ret_line) {
    size_t n = ladder->networks->n;
    const double *weight = ladder->rungs[rung].weight;
    double square = 0, constant = 0, total = 0, inverse = 0;
    for (size_t i = 0; i < ladder->n; i++) {
        total += weight[i];
        inverse += weight[i] * ladder->inverse[ladder->known[i]];
    }
    for (size_t k = 0; k < n_features; k++) {
        double mean = 0, sum = 0;
        for (size_t i = 0; i < n; i++)
            mean += features[i * n_features + k] / (double)n;
        for (size_t i = 0; i < n; i++) {
            double x = features[i * n_features + k] - mean;
            square += x * x / (double)n;
        }
        for (size_t i = 0; i < ladder->n; i++)
            sum += weight[i] * features[ladder->known[i] * n_features + k];
        ret_weights[k] = sum - total * mean;
        constant -= ret_weights[k] * mean;
    }
    for (size_t k = 0; k < n_features; k++)
        ret_weights[k] = square > 1e-12 ? ret_weights[k] / square : 0;
    constant = square > 1e-12 ? constant / square : 0;
    *ret_line = (struct ladder_line){constant + total - inverse, inverse * ladder->typical_us};
}

double ladder_interval_factor(const struct ladder *ladder, enum ladder_rung rung) {
    struct calibration line = ladder->line;
    line.spread_n = line.n;
    line.kind = rung == LADDER_SUM ? CALIBRATION_IDENTITY : CALIBRATION_SHRUNK;
    line.residual_sd = sqrt(ladder->rungs[rung].square);
    return calibration_interval_factor(&line);
}
