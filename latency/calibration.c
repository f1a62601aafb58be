#include "latency/calibration.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/json.h"
#include "base/memory.h"
#include "base/stats.h"
#include "latency/quality.h"

const char *const calibration_kind_names[] = {"none", "identity", "shrunk", NULL};
const char *const ladder_rung_names[] = {"sum", "line", "kinds", "fleet", "entries", NULL};
const struct calibration calibration_none = {
    .kind = CALIBRATION_NONE, .a = 1, .residual_sd = CALIBRATION_PRIOR_SD};

/* Relative weight of the penalty against n networks; 0 is least squares. Steps of about 3. */
static const double strengths[] = {0,    1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2,
                                   1e-1, 3e-1, 1,    3,    10,   30,   INFINITY};
enum { N_STRENGTHS = sizeof strengths / sizeof strengths[0] };
#define FLOOR 0.1
#define FEW_CLEARLY 1   /* standard errors of the difference */
#define NORMAL_90 1.645 /* of CALIBRATION_LEVEL, two-sided */

struct sample {
    const double *sum, *measured;
    size_t n;
    double typical;    /* measured latency in the middle, the unit of c */
    double *weight;    /* scratch of fit_line */
    double *error;     /* scratch of fit_line */
    double *errors[2]; /* of choose: log errors of networks left out, of the sum and of a line */
};
enum { FOLDS_MAX = 40, ALL = FOLDS_MAX /* no fold is left out */, ROUNDS = 4 };

static double line(double a, double c, double sum) {
    return fmax(a * sum + c, FLOOR * a * sum);
}

static bool left_out(const struct sample *sample, size_t i, size_t fold) {
    return fold < ALL && i % (sample->n < FOLDS_MAX ? sample->n : FOLDS_MAX) == fold;
}

/* One weighted ridge fit in u = a - 1 and v = c / typical: the targets are 1 - s / y and the design
 * is (s, typical) / y, so shrinking u and v to 0 shrinks towards the plain sum. */
static bool solve_line(const struct sample *sample, size_t fold, double strength, double *ret_u,
                       double *ret_v) {
    double uu = 0, uv = 0, vv = 0, ut = 0, vt = 0, n = 0;
    for (size_t i = 0; i < sample->n; i++) {
        if (left_out(sample, i, fold))
            continue;
        double u = sample->sum[i] / sample->measured[i], v = sample->typical / sample->measured[i];
        double t = 1 - u, w = sample->weight[i];
        uu += w * u * u, uv += w * u * v, vv += w * v * v, ut += w * u * t, vt += w * v * t, n++;
    }
    uu += strength * n, vv += strength * n;
    double determinant = uu * vv - uv * uv;
    if (!(determinant > 1e-9 * uu * vv))
        return false;
    *ret_u = (ut * vv - vt * uv) / determinant;
    *ret_v = (vt * uu - ut * uv) / determinant;
    return true;
}

/* Huber's weights for the errors of a line: those beyond 1.345 standard deviations count less. */
static void weigh(const struct sample *sample, size_t fold, double u, double v) {
    size_t n = 0;
    for (size_t i = 0; i < sample->n; i++)
        if (!left_out(sample, i, fold))
            sample->error[n++] =
                fabs(((1 + u) * sample->sum[i] + v * sample->typical) / sample->measured[i] - 1);
    double limit = 1.345 * 1.4826 * stats_median(sample->error, n) + 1e-12;
    n = 0;
    for (size_t i = 0; i < sample->n; i++)
        if (!left_out(sample, i, fold))
            sample->weight[i] = fmin(1, limit / fmax(sample->error[n++], 1e-300));
}

/* Fits a line without one fold. False if no usable one comes out. */
static bool fit_line(const struct sample *sample, size_t fold, double strength, double *ret_a,
                     double *ret_c) {
    double u = 0, v = 0;
    *ret_a = 1;
    *ret_c = 0;
    if (isinf(strength))
        return true;
    for (size_t i = 0; i < sample->n; i++)
        sample->weight[i] = 1;
    for (int round = 0; round < ROUNDS; round++) {
        if (!solve_line(sample, fold, strength, &u, &v))
            return false;
        weigh(sample, fold, u, v);
    }
    *ret_a = 1 + u;
    *ret_c = v * sample->typical;
    return *ret_a > 0;
}

struct loss {
    double absolute, square; /* means of |log(measured / predicted)| and of its square */
};

/* Each fold predicted from the others; infinite if a fit fails. */
static struct loss leave_out(const struct sample *sample, double strength, double *ret_errors) {
    struct loss loss = {0};
    for (size_t fold = 0; fold < FOLDS_MAX && fold < sample->n; fold++) {
        double a, c;
        if (!fit_line(sample, fold, strength, &a, &c))
            return (struct loss){INFINITY, INFINITY};
        for (size_t i = 0; i < sample->n; i++) {
            if (!left_out(sample, i, fold))
                continue;
            double e = log(sample->measured[i] / line(a, c, sample->sum[i]));
            ret_errors[i] = e;
            loss.absolute += fabs(e) / (double)sample->n;
            loss.square += e * e / (double)sample->n;
        }
    }
    return loss;
}

static int check_sample(const double *sum_us, const double *measured_us, size_t n,
                        struct err *err) {
    if (n < CALIBRATION_MIN_NETWORKS)
        return err_set(err, ESP_EINVAL, NULL,
                       "a calibration needs at least %d measured networks, there are %zu",
                       CALIBRATION_MIN_NETWORKS, n);
    if (n > CALIBRATION_MAX_NETWORKS)
        return err_set(err, ESP_ELIMIT, NULL, "a calibration takes at most %d networks",
                       CALIBRATION_MAX_NETWORKS);
    for (size_t i = 0; i < n; i++)
        if (!(sum_us[i] > 0) || !isfinite(sum_us[i]) || !(measured_us[i] > 0) ||
            !isfinite(measured_us[i]))
            return err_set(err, ESP_EINVAL, NULL,
                           "network %zu has no positive latency (sum %g us, measured %g us)", i,
                           sum_us[i], measured_us[i]);
    return 0;
}

/* With three networks each is predicted by a line through the two others, which says nothing of how
 * far off such lines are: chance would often prefer one to a sum that is right. From four on a
 * margin costs more, where sums are wrong, than it saves where they are right. */
static bool clearly_better(const struct sample *sample, const double *errors) {
    return sample->n > CALIBRATION_MIN_NETWORKS ||
           latency_errors_smaller(errors, sample->errors[0], sample->n, FEW_CLEARLY);
}

/* From the strongest down, and only for a clear gain: ties stay with no correction. */
static struct calibration choose(const struct sample *sample) {
    double *errors = sample->errors[1];
    struct loss best = leave_out(sample, INFINITY, sample->errors[0]);
    struct calibration chosen = {.kind = CALIBRATION_IDENTITY, .a = 1, .strength = INFINITY};
    for (int k = N_STRENGTHS - 2; k >= 0; k--) {
        double a, c;
        struct loss loss = leave_out(sample, strengths[k], errors);
        if (loss.absolute >= 0.999 * best.absolute || !clearly_better(sample, errors) ||
            !fit_line(sample, ALL, strengths[k], &a, &c))
            continue;
        best = loss;
        chosen = (struct calibration){
            .kind = CALIBRATION_SHRUNK, .a = a, .c_us = c, .strength = strengths[k]};
    }
    chosen.residual_sd = sqrt(best.square);
    return chosen;
}

int calibration_fit(const double *sum_us, const double *measured_us, size_t n, int version,
                    struct err *err, struct calibration *ret_calibration) {
    int code = check_sample(sum_us, measured_us, n, err);
    if (code < 0)
        return code;
    double *scratch = mem_array(n, 4 * sizeof *scratch);
    if (!scratch)
        return err_set(err, ESP_ENOMEM, NULL, "no memory for a calibration");
    struct sample sample = {sum_us,
                            measured_us,
                            n,
                            stats_median(measured_us, n),
                            scratch,
                            scratch + n,
                            {scratch + 2 * n, scratch + 3 * n}};
    struct calibration calibration = choose(&sample);
    calibration.version = version;
    calibration.n = calibration.spread_n = (int)n;
    calibration.rung = calibration.kind == CALIBRATION_SHRUNK ? LADDER_LINE : LADDER_SUM;
    free(scratch);
    *ret_calibration = calibration;
    return 0;
}

void calibration_finish(struct calibration *calibration) {
    unit_scales_destroy(calibration->scales);
    *calibration = calibration_none;
}

double calibration_apply(const struct calibration *calibration, double sum_us) {
    return line(calibration->a, calibration->c_us, sum_us);
}

double calibration_rise(const struct calibration *calibration, double sum_us) {
    double a = calibration->a, us = a * sum_us + calibration->c_us;
    return us > FLOOR * a * sum_us ? a * sum_us / us : 1;
}

double calibration_invert(const struct calibration *calibration, double us) {
    double a = calibration->a, c = calibration->c_us;
    return fmin((us - c) / a, us / (FLOOR * a));
}

double calibration_interval_factor(const struct calibration *calibration) {
    if (calibration->kind == CALIBRATION_NONE)
        return exp(NORMAL_90 * calibration->residual_sd);
    double n = calibration->spread_n > 0 ? calibration->spread_n : calibration->n;
    double dof = calibration->kind == CALIBRATION_IDENTITY ? n : fmax(n - 2, 1);
    double widening = 1 + 3 / n;
    return exp(stats_student_t(CALIBRATION_LEVEL, dof) * widening * calibration->residual_sd);
}

cJSON *calibration_to_json(const struct calibration *calibration) {
    cJSON *doc = cJSON_CreateObject();
    bool ok = doc &&
              cJSON_AddStringToObject(doc, "kind", calibration_kind_names[calibration->kind]) &&
              cJSON_AddNumberToObject(doc, "version", calibration->version) &&
              cJSON_AddNumberToObject(doc, "n", calibration->n) &&
              cJSON_AddNumberToObject(doc, "a", calibration->a) &&
              cJSON_AddNumberToObject(doc, "c_us", calibration->c_us) &&
              (isinf(calibration->strength)
                   ? cJSON_AddNullToObject(doc, "strength")
                   : cJSON_AddNumberToObject(doc, "strength", calibration->strength)) &&
              cJSON_AddNumberToObject(doc, "residual_sd", calibration->residual_sd) &&
              cJSON_AddNumberToObject(doc, "spread_n", calibration->spread_n) &&
              cJSON_AddNumberToObject(doc, "entries_sd", calibration->entries_sd) &&
              cJSON_AddStringToObject(doc, "rung", ladder_rung_names[calibration->rung]);
    if (ok && calibration->scales)
        ok = cJSON_AddItemToObject(doc, "scales", unit_scales_to_json(calibration->scales));
    if (ok)
        return doc;
    cJSON_Delete(doc);
    return NULL;
}

static int read_numbers(const cJSON *doc, const char *at, struct err *err, struct calibration *c) {
    int64_t version, n = 0, spread_n;
    int code = json_int(doc, at, "version", 0, INT32_MAX, err, &version);
    if (code == 0)
        code = json_int(doc, at, "n", c->kind == CALIBRATION_NONE ? 0 : CALIBRATION_MIN_NETWORKS,
                        CALIBRATION_MAX_NETWORKS, err, &n);
    spread_n = n;
    if (code == 0)
        code = json_int_opt(doc, at, "spread_n", n < 1 ? n : 1, n, err, &spread_n);
    if (code == 0)
        code = json_real(doc, at, "a", 1e-9, 1e9, err, &c->a);
    if (code == 0)
        code = json_real(doc, at, "c_us", -1e12, 1e12, err, &c->c_us);
    if (code == 0)
        code = json_real_opt(doc, at, "strength", 0, 1e9, err, &c->strength);
    if (code == 0)
        code = json_real(doc, at, "residual_sd", 0, 1e3, err, &c->residual_sd);
    if (code == 0)
        code = json_real_opt(doc, at, "entries_sd", 0, 1e3, err, &c->entries_sd);
    if (code < 0)
        return code;
    c->version = (int)version;
    c->n = (int)n;
    c->spread_n = (int)spread_n;
    return 0;
}

/* Scales belong to the rungs above the line, and only to them. */
static int read_scales(const cJSON *doc, const char *at, struct err *err, struct calibration *c) {
    const cJSON *scales = cJSON_GetObjectItemCaseSensitive(doc, "scales");
    char pointer[160];
    snprintf(pointer, sizeof pointer, "%.140s/scales", at);
    if ((scales != NULL) != (c->rung > LADDER_LINE))
        return err_set(err, ESP_EINVAL, pointer, "a calibration of the rung \"%s\" has %s",
                       ladder_rung_names[c->rung], scales ? "no scales" : "scales of its units");
    return scales ? unit_scales_from_json(scales, pointer, err, &c->scales) : 0;
}

int calibration_from_json(const cJSON *doc, const char *at, struct err *err,
                          struct calibration *ret_calibration) {
    static const char *const keys[] = {"kind",       "version",  "n",           "a",
                                       "c_us",       "strength", "residual_sd", "spread_n",
                                       "entries_sd", "rung",     "scales",      NULL};
    struct calibration c = {.strength = INFINITY};
    int kind, rung;
    int code = json_only(doc, at, keys, err);
    if (code == 0)
        code = json_enum(doc, at, "kind", calibration_kind_names, err, &kind);
    if (code < 0)
        return code;
    c.kind = (enum calibration_kind)kind;
    rung = kind == CALIBRATION_SHRUNK ? LADDER_LINE : LADDER_SUM;
    if (json_has(doc, "rung"))
        code = json_enum(doc, at, "rung", ladder_rung_names, err, &rung);
    c.rung = (enum ladder_rung)rung;
    if (code == 0)
        code = read_numbers(doc, at, err, &c);
    if (code == 0)
        code = read_scales(doc, at, err, &c);
    if (code == 0)
        *ret_calibration = c;
    return code;
}
