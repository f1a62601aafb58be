#include "latency/quality.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/stats.h"

void latency_quality_compute(const double *predicted_us, const double *low_us,
                             const double *high_us, const double *measured_us, size_t n,
                             struct latency_quality *ret_quality) {
    struct latency_quality q = {.n = (int)n};
    double inside = 0;
    for (size_t i = 0; i < n; i++) {
        double e = predicted_us[i] / measured_us[i] - 1;
        q.mape += fabs(e) / (double)n;
        q.bias += e / (double)n;
        q.within_5 += (fabs(e) <= 0.05) / (double)n;
        q.within_10 += (fabs(e) <= 0.10) / (double)n;
        if (low_us && high_us)
            inside += measured_us[i] >= low_us[i] && measured_us[i] <= high_us[i];
    }
    q.coverage = low_us && high_us ? inside / (double)n : NAN;
    q.kendall_tau = stats_kendall_tau(predicted_us, measured_us, n);
    q.spearman_rho = stats_spearman_rho(predicted_us, measured_us, n);
    *ret_quality = q;
}

/* Arrays of the networks but one, and what is predicted for each. */
struct folds {
    double *sum, *measured, *predicted, *low, *high;
};

static int predict_left_out(const double *sum_us, const double *measured_us, size_t n,
                            struct folds *f, struct err *err) {
    for (size_t i = 0; i < n; i++) {
        memcpy(f->sum, sum_us, i * sizeof *sum_us);
        memcpy(f->sum + i, sum_us + i + 1, (n - i - 1) * sizeof *sum_us);
        memcpy(f->measured, measured_us, i * sizeof *measured_us);
        memcpy(f->measured + i, measured_us + i + 1, (n - i - 1) * sizeof *measured_us);
        struct calibration calibration;
        int code = calibration_fit(f->sum, f->measured, n - 1, 1, err, &calibration);
        if (code < 0)
            return code;
        double factor = calibration_interval_factor(&calibration);
        f->predicted[i] = calibration_apply(&calibration, sum_us[i]);
        f->low[i] = f->predicted[i] / factor;
        f->high[i] = f->predicted[i] * factor;
    }
    return 0;
}

static double relative_noise(const double *repeat_sd_us, const double *measured_us, double *scratch,
                             size_t n) {
    if (!repeat_sd_us)
        return NAN;
    for (size_t i = 0; i < n; i++)
        scratch[i] = repeat_sd_us[i] / measured_us[i];
    return stats_median(scratch, n);
}

int latency_report_make(const double *sum_us, const double *measured_us, const double *repeat_sd_us,
                        size_t n, struct err *err, struct latency_report *ret_report) {
    if (n <= CALIBRATION_MIN_NETWORKS)
        return err_set(err, ESP_EINVAL, NULL,
                       "judging a calibration needs at least %d measured networks, there are %zu",
                       CALIBRATION_MIN_NETWORKS + 1, n);
    double *memory = mem_array(n, 5 * sizeof *memory);
    if (!memory)
        return err_set(err, ESP_ENOMEM, NULL, "no memory to judge a calibration");
    struct folds folds = {memory, memory + n, memory + 2 * n, memory + 3 * n, memory + 4 * n};
    int code = predict_left_out(sum_us, measured_us, n, &folds, err);
    if (code < 0)
        goto out;
    struct latency_report report;
    latency_quality_compute(sum_us, NULL, NULL, measured_us, n, &report.before);
    latency_quality_compute(folds.predicted, folds.low, folds.high, measured_us, n, &report.after);
    report.noise = relative_noise(repeat_sd_us, measured_us, folds.sum, n);
    *ret_report = report;
out:
    free(memory);
    return code;
}

cJSON *latency_quality_to_json(const struct latency_quality *quality) {
    cJSON *doc = cJSON_CreateObject();
    bool ok =
        doc && cJSON_AddNumberToObject(doc, "mape", quality->mape) &&
        cJSON_AddNumberToObject(doc, "bias", quality->bias) &&
        cJSON_AddNumberToObject(doc, "within_5", quality->within_5) &&
        cJSON_AddNumberToObject(doc, "within_10", quality->within_10) &&
        cJSON_AddNumberToObject(doc, "kendall_tau", quality->kendall_tau) &&
        cJSON_AddNumberToObject(doc, "spearman_rho", quality->spearman_rho) &&
        (isnan(quality->coverage) ? cJSON_AddNullToObject(doc, "coverage")
                                  : cJSON_AddNumberToObject(doc, "coverage", quality->coverage)) &&
        cJSON_AddNumberToObject(doc, "n", quality->n);
    if (ok)
        return doc;
    cJSON_Delete(doc);
    return NULL;
}
