#include "latency/energy.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/linear.h"
#include "base/memory.h"
#include "base/stats.h"

enum { PRICES = 3, FOLDS_MAX = 40 };
#define PJ 1e-6 /* microjoules of a picojoule */
#define LITERATURE_MAC_PJ 4.6
#define LITERATURE_BYTE_PJ 160.0
#define PRICE_MAX 1e15
#define FACTOR_MAX 1000.0 /* of an interval: nothing is known */
/* Of a price before anything is measured, in variances of one network's own error: a price may be
 * off by a factor of two or three, a network by a few per cent. */
#define PRICE_VARIANCE 1000

const struct energy_fit energy_fit_literature = {
    .mac_pj = LITERATURE_MAC_PJ, .byte_pj = LITERATURE_BYTE_PJ, .strength = INFINITY};

/* From the strongest, which wins a tie. */
static const double strengths[] = {INFINITY, 1, 0.1, 0.01, 1e-3, 1e-4, 1e-6};
enum { STRENGTHS = sizeof strengths / sizeof *strengths };

/* A network in the unknowns of the fit, each as a share of what was measured: MACs and bytes at the
 * literature's prices, and 1. */
static void features(const struct energy_network *network, double ret[PRICES]) {
    ret[0] = network->macs * LITERATURE_MAC_PJ * PJ / network->measured_uj;
    ret[1] = network->traffic_bytes * LITERATURE_BYTE_PJ * PJ / network->measured_uj;
    ret[2] = 1 / network->measured_uj;
}

void energy_covariance(const struct energy_network *networks, size_t n, double *ret_covariance) {
    const struct energy_fit *prices = &energy_fit_literature;
    double typical = 0;
    for (size_t i = 0; i < n; i++)
        typical +=
            energy_fit_apply(prices, networks[i].macs, networks[i].traffic_bytes) / (double)n;
    for (size_t i = 0; i < n; i++) {
        double x[PRICES];
        struct energy_network one = networks[i];
        one.measured_uj = energy_fit_apply(prices, one.macs, one.traffic_bytes);
        features(&one, x);
        for (size_t j = 0; j <= i; j++) {
            double y[PRICES];
            struct energy_network other = networks[j];
            other.measured_uj = energy_fit_apply(prices, other.macs, other.traffic_bytes);
            features(&other, y);
            ret_covariance[i * n + j] = ret_covariance[j * n + i] =
                PRICE_VARIANCE * (x[0] * y[0] + x[1] * y[1] + typical * x[2] * typical * y[2]);
        }
    }
}

/* All that a fit needs to know of its networks. */
struct sums {
    double gram[PRICES][PRICES], shares[PRICES], typical_uj;
    int n;
};

static void add_network(struct sums *sums, const struct energy_network *network) {
    double x[PRICES];
    features(network, x);
    for (int i = 0; i < PRICES; i++) {
        sums->shares[i] += x[i];
        for (int j = 0; j < PRICES; j++)
            sums->gram[i][j] += x[i] * x[j];
    }
    sums->typical_uj += (x[0] + x[1]) * network->measured_uj;
    sums->n++;
}

static void add_sums(struct sums *sums, const struct sums *part) {
    for (int i = 0; i < PRICES; i++) {
        sums->shares[i] += part->shares[i];
        for (int j = 0; j < PRICES; j++)
            sums->gram[i][j] += part->gram[i][j];
    }
    sums->typical_uj += part->typical_uj;
    sums->n += part->n;
}

/* Of the normal equations a p = b, in unknowns whose prior is `prior`. */
struct normal {
    double a[PRICES][PRICES], b[PRICES], unit[PRICES];
};

static void make_normal(const struct sums *sums, double strength, struct normal *ret) {
    const double *s = sums->shares;
    double scale = (s[0] + s[1]) / (sums->gram[0][0] + 2 * sums->gram[0][1] + sums->gram[1][1]);
    double typical = scale * sums->typical_uj / sums->n;
    *ret = (struct normal){.unit = {scale, scale, typical}};
    for (int i = 0; i < PRICES; i++) {
        ret->b[i] = s[i] * ret->unit[i] + (i < 2 ? strength : 0);
        for (int j = 0; j < PRICES; j++)
            ret->a[i][j] = sums->gram[i][j] * ret->unit[i] * ret->unit[j] + (i == j ? strength : 0);
    }
}

/* The least squares over the unknowns in `set` (bits), the others 0. Returns b' p, by which sets
 * are compared; negative when an unknown is. */
static double solve_set(const struct normal *normal, unsigned set, double ret[PRICES]) {
    double a[PRICES * PRICES], b[PRICES], gain = 0;
    int which[PRICES], n = 0;
    for (int i = 0; i < PRICES; i++)
        if (set & 1u << i)
            which[n++] = i;
    for (int i = 0; i < n; i++) {
        b[i] = normal->b[which[i]];
        for (int j = 0; j < n; j++)
            a[i * n + j] = normal->a[which[i]][which[j]];
    }
    cholesky_factor(a, (size_t)n);
    cholesky_forward(a, (size_t)n, b);
    cholesky_backward(a, (size_t)n, b);
    memset(ret, 0, PRICES * sizeof *ret);
    for (int i = 0; i < n; i++) {
        if (!(b[i] >= 0))
            return -1;
        ret[which[i]] = b[i];
        gain += b[i] * normal->b[which[i]];
    }
    return gain;
}

/* The three unknowns, none negative: the best of the solutions over all their sets that are. */
static void solve(const struct sums *sums, double strength, double ret[PRICES]) {
    struct normal normal;
    double best = -1;
    make_normal(sums, isinf(strength) ? 0 : strength, &normal);
    for (int i = 0; i < PRICES; i++)
        ret[i] = i < 2 ? normal.unit[i] : 0;
    for (unsigned set = 1; set < 1u << PRICES && !isinf(strength); set++) {
        double p[PRICES], gain = solve_set(&normal, set, p);
        if (gain <= best)
            continue;
        best = gain;
        for (int i = 0; i < PRICES; i++)
            ret[i] = p[i] * normal.unit[i];
    }
}

/* Networks in folds: network i is in fold i % n_folds. */
struct folds {
    const struct energy_network *networks;
    int n, n_folds;
    struct sums parts[FOLDS_MAX];
};

static void make_folds(const struct energy_network *networks, int n, struct folds *ret) {
    *ret = (struct folds){.networks = networks, .n = n, .n_folds = n < FOLDS_MAX ? n : FOLDS_MAX};
    for (int i = 0; i < n; i++)
        add_network(&ret->parts[i % ret->n_folds], &networks[i]);
}

/* All but two folds (-1: none). Added up anew: a difference would keep what rounding left. */
static struct sums without(const struct folds *folds, int one, int other) {
    struct sums sums = {.n = 0};
    for (int k = 0; k < folds->n_folds; k++)
        if (k != one && k != other)
            add_sums(&sums, &folds->parts[k]);
    return sums;
}

static double predicted(const struct energy_network *network, const double p[PRICES]) {
    double x[PRICES];
    features(network, x);
    return (x[0] * p[0] + x[1] * p[1] + x[2] * p[2]) * network->measured_uj;
}

/* Errors of networks outside of fold `out` (-1: none is), each predicted by those that are neither
 * in its fold nor in `out`. Returns the mean of |log error|. */
static double loss(const struct folds *folds, int out, double strength, double *ret_sd) {
    double sum = 0, squares = 0;
    int n = 0;
    for (int k = 0; k < folds->n_folds; k++) {
        double p[PRICES];
        if (k == out)
            continue;
        struct sums sums = without(folds, k, out);
        solve(&sums, strength, p);
        for (int i = k; i < folds->n; i += folds->n_folds, n++) {
            const struct energy_network *network = &folds->networks[i];
            double error = log(network->measured_uj / predicted(network, p));
            sum += fabs(error);
            squares += error * error;
        }
    }
    *ret_sd = sqrt(squares / n);
    return sum / n;
}

/* The fit of all but fold `out` (-1: of all). */
static void fit_without(const struct folds *folds, int out, struct energy_fit *ret) {
    double best = INFINITY, p[PRICES];
    struct sums sums = without(folds, out, -1);
    *ret = (struct energy_fit){.n = sums.n, .strength = INFINITY};
    for (int i = 0; i < STRENGTHS; i++) {
        double sd, mean = loss(folds, out, strengths[i], &sd);
        if (!(mean < best))
            continue;
        best = mean;
        ret->strength = strengths[i];
        ret->residual_sd = sd;
    }
    solve(&sums, ret->strength, p);
    ret->mac_pj = p[0] * LITERATURE_MAC_PJ;
    ret->byte_pj = p[1] * LITERATURE_BYTE_PJ;
    ret->run_uj = p[2];
}

static double apply_to(const struct energy_fit *fit, const struct energy_network *network) {
    return energy_fit_apply(fit, network->macs, network->traffic_bytes);
}

/* Every network by a fit of the other folds. */
static int judge(const struct folds *folds, struct err *err, struct energy_report *ret_report) {
    size_t n = (size_t)folds->n;
    double *rows = mem_array(5 * n, sizeof *rows);
    if (!rows)
        return err_set(err, ESP_ENOMEM, NULL, "no memory to judge prices of energy");
    double *measured = rows, *after = rows + n, *low = rows + 2 * n, *high = rows + 3 * n,
           *before = rows + 4 * n;
    for (int k = 0; k < folds->n_folds; k++) {
        struct energy_fit fit;
        fit_without(folds, k, &fit);
        double factor = energy_fit_factor(&fit);
        for (int i = k; i < folds->n; i += folds->n_folds) {
            measured[i] = folds->networks[i].measured_uj;
            before[i] = apply_to(&energy_fit_literature, &folds->networks[i]);
            after[i] = apply_to(&fit, &folds->networks[i]);
            low[i] = after[i] / factor;
            high[i] = after[i] * factor;
        }
    }
    latency_quality_compute(before, NULL, NULL, measured, n, &ret_report->before);
    latency_quality_compute(after, low, high, measured, n, &ret_report->after);
    free(rows);
    return 0;
}

static bool is_positive(double x) {
    return x > 0 && isfinite(x);
}

static int check(const struct energy_network *networks, size_t n, struct err *err) {
    if (n < ENERGY_MIN_NETWORKS)
        return err_set(err, ESP_EMISSING, NULL,
                       "prices of energy need %d networks with measured energy, not %zu",
                       ENERGY_MIN_NETWORKS, n);
    if (n > ENERGY_MAX_NETWORKS)
        return err_set(err, ESP_ELIMIT, NULL, "prices of energy are fitted on at most %d networks",
                       ENERGY_MAX_NETWORKS);
    for (size_t i = 0; i < n; i++)
        if (!is_positive(networks[i].macs) || !is_positive(networks[i].traffic_bytes) ||
            !is_positive(networks[i].measured_uj))
            return err_set(err, ESP_EINVAL, NULL,
                           "network %zu has %g MACs, %g bytes and %g uJ: all must be positive", i,
                           networks[i].macs, networks[i].traffic_bytes, networks[i].measured_uj);
    return 0;
}

int energy_fit_networks(const struct energy_network *networks, size_t n, struct err *err,
                        struct energy_fit *ret_fit, struct energy_report *ret_report) {
    struct energy_fit fit;
    struct folds *folds;
    int rc = check(networks, n, err);
    if (rc != 0)
        return rc;
    folds = mem_array(1, sizeof *folds);
    if (!folds)
        return err_set(err, ESP_ENOMEM, NULL, "no memory to fit prices of energy");
    make_folds(networks, (int)n, folds);
    fit_without(folds, -1, &fit);
    rc = judge(folds, err, ret_report);
    if (rc == 0)
        *ret_fit = fit;
    free(folds);
    return rc;
}

/* Whether prices say the same as the literature's, wherever they come from. */
static bool is_literature(const struct energy_fit *fit) {
    return fit->n == 0 && fit->run_uj == 0 && fit->mac_pj == energy_fit_literature.mac_pj &&
           fit->byte_pj == energy_fit_literature.byte_pj;
}

double energy_fit_apply(const struct energy_fit *fit, double macs, double traffic_bytes) {
    if (is_literature(fit)) /* in whole tenths of a picojoule, as cost_energy has it */
        return (macs * energy_prices_default.mac + traffic_bytes * energy_prices_default.byte) *
               ENERGY_UJ;
    return (macs * fit->mac_pj + traffic_bytes * fit->byte_pj) * PJ + fit->run_uj;
}

double energy_fit_factor(const struct energy_fit *fit) {
    struct calibration line = {
        .kind = CALIBRATION_SHRUNK, .n = fit->n, .residual_sd = fit->residual_sd};
    if (fit->n == 0)
        return exp(fit->residual_sd * stats_normal_quantile(0.5 + ENERGY_LEVEL / 2));
    return fmin(calibration_interval_factor(&line), FACTOR_MAX);
}

cJSON *energy_fit_to_json(const struct energy_fit *fit) {
    cJSON *doc = cJSON_CreateObject();
    bool ok = doc && cJSON_AddNumberToObject(doc, "mac_pj", fit->mac_pj) &&
              cJSON_AddNumberToObject(doc, "byte_pj", fit->byte_pj) &&
              cJSON_AddNumberToObject(doc, "run_uj", fit->run_uj) &&
              cJSON_AddNumberToObject(doc, "n", fit->n) &&
              (isinf(fit->strength) ? cJSON_AddNullToObject(doc, "strength")
                                    : cJSON_AddNumberToObject(doc, "strength", fit->strength)) &&
              cJSON_AddNumberToObject(doc, "residual_sd", fit->residual_sd);
    if (ok)
        return doc;
    cJSON_Delete(doc);
    return NULL;
}

cJSON *energy_fit_describe(const struct energy_fit *fit, const struct energy_report *report) {
    cJSON *doc = energy_fit_to_json(fit);
    if (doc == NULL)
        return NULL;
    if (report == NULL) {
        for (int i = 0; i < 3; i++)
            cJSON_AddNullToObject(doc, (const char *const[]){"interval", "before", "after"}[i]);
        return doc;
    }
    cJSON_AddNumberToObject(doc, "interval", energy_fit_factor(fit) - 1);
    cJSON_AddItemToObject(doc, "before", latency_quality_to_json(&report->before));
    cJSON_AddItemToObject(doc, "after", latency_quality_to_json(&report->after));
    return doc;
}

int energy_fit_given(const cJSON *doc, const char *at, struct err *err,
                     struct energy_fit *ret_fit) {
    struct energy_fit fit = {.strength = INFINITY, .residual_sd = ENERGY_GIVEN_SD};
    int rc = json_real(doc, at, "mac_pj", 0, PRICE_MAX, err, &fit.mac_pj);
    if (rc == 0)
        rc = json_real(doc, at, "byte_pj", 0, PRICE_MAX, err, &fit.byte_pj);
    if (rc == 0)
        rc = json_real_opt(doc, at, "run_uj", 0, PRICE_MAX, err, &fit.run_uj);
    if (rc != 0)
        return rc;
    if (fit.mac_pj + fit.byte_pj + fit.run_uj <= 0)
        return err_set(err, ESP_EINVAL, at, "all prices of energy are 0");
    *ret_fit = fit;
    return 0;
}

int energy_fit_from_json(const cJSON *doc, const char *at, struct err *err,
                         struct energy_fit *ret_fit) {
    struct energy_fit fit;
    int64_t n = 0;
    int rc = energy_fit_given(doc, at, err, &fit);
    if (rc == 0)
        rc = json_int(doc, at, "n", 0, ENERGY_MAX_NETWORKS, err, &n);
    if (rc == 0)
        rc = json_real_opt(doc, at, "strength", 0, PRICE_MAX, err, &fit.strength);
    if (rc == 0)
        rc = json_real(doc, at, "residual_sd", 0, 100, err, &fit.residual_sd);
    if (rc != 0)
        return rc;
    fit.n = (int)n;
    *ret_fit = fit;
    return 0;
}
