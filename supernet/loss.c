#include "supernet/loss.h"

#include <math.h>
#include <stddef.h>

/* log(sum_k exp(logits[k] / temperature)), without overflow. NaN when a logit is not finite. */
static double log_sum_exp(const float *logits, int classes, double temperature) {
    double max = logits[0], sum = 0;
    for (int k = 1; k < classes; k++)
        max = fmax(max, logits[k]);
    for (int k = 0; k < classes; k++)
        sum += exp((logits[k] - max) / temperature);
    return max / temperature + log(sum);
}

double loss_cross_entropy(const float *logits, const uint16_t *labels, int n, int classes,
                          float smoothing, int batch, float *ret_dlogits) {
    double loss = 0, everywhere = (double)smoothing / classes;
    for (int i = 0; i < n; i++) {
        const float *row = logits + (long)i * classes;
        double norm = log_sum_exp(row, classes, 1);
        for (int k = 0; k < classes; k++) {
            double target = everywhere + (k == labels[i] ? 1.0 - smoothing : 0);
            loss += target * (norm - row[k]);
            if (ret_dlogits)
                ret_dlogits[(long)i * classes + k] =
                    (float)(1.0f / (float)batch * (exp(row[k] - norm) - target));
        }
    }
    return loss / batch;
}

const char *const distillation_names[] = {"soft_ce", "kl", NULL};

double loss_distill(const float *logits, const float *teacher_logits, int n, int classes,
                    const struct loss_soft *soft, float *ret_dlogits) {
    double loss = 0, t = soft->temperature;
    int batch = soft->batch > 0 ? soft->batch : n;
    for (int i = 0; i < n; i++) {
        const float *row = logits + (long)i * classes,
                    *teacher = teacher_logits + (long)i * classes;
        double norm = log_sum_exp(row, classes, t);
        double teacher_norm = log_sum_exp(teacher, classes, t);
        for (int k = 0; k < classes; k++) {
            double log_target = teacher[k] / t - teacher_norm, target = exp(log_target);
            double log_probability = row[k] / t - norm;
            loss += target * ((soft->kind == DISTILL_KL ? log_target : 0) - log_probability);
            if (ret_dlogits)
                ret_dlogits[(long)i * classes + k] =
                    (float)(soft->scale / (float)batch / t * (exp(log_probability) - target));
        }
    }
    return loss / batch;
}
