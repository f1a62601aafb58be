#include "latency/quality.h"

#include <math.h>

#include "base/stats.h"

void latency_quality_compute(const double *predicted_us, const double *low_us,
                             const double *high_us, const double *measured_us, size_t n,
                             struct latency_quality *ret_quality) {
    struct latency_quality q = {.n = (int)n};
    double inside = 0, within_5 = 0, within_10 = 0; /* whole numbers: a share is 1 at most */
    for (size_t i = 0; i < n; i++) {
        double e = predicted_us[i] / measured_us[i] - 1;
        q.mape += fabs(e) / (double)n;
        q.bias += e / (double)n;
        within_5 += fabs(e) <= 0.05;
        within_10 += fabs(e) <= 0.10;
        if (low_us && high_us)
            inside += measured_us[i] >= low_us[i] && measured_us[i] <= high_us[i];
    }
    q.within_5 = within_5 / (double)n;
    q.within_10 = within_10 / (double)n;
    q.coverage = low_us && high_us ? inside / (double)n : NAN;
    q.kendall_tau = stats_kendall_tau(predicted_us, measured_us, n);
    q.spearman_rho = stats_spearman_rho(predicted_us, measured_us, n);
    *ret_quality = q;
}

bool latency_errors_smaller(const double *errors, const double *than, size_t n,
                            double standard_errors) {
    double mean = 0, square = 0;
    for (size_t i = 0; i < n; i++) {
        double gain = fabs(than[i]) - fabs(errors[i]);
        mean += gain / (double)n;
        square += gain * gain / (double)n;
    }
    double variance = fmax(0, square - mean * mean) / (double)(n - 1);
    return mean > standard_errors * sqrt(variance);
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
