/* Losses on logits, with their gradients. Sums are in double. Source: cross-entropy with label
 * smoothing as Szegedy et al. 2016, sec. 7; soft targets as Hinton et al. 2015. */
#pragma once

#include <stdint.h>

/* What n images of a batch of `batch` add to the mean over the batch of the cross-entropy between
 * softmax(logits) and the labels smoothed: (1 - smoothing) on the label, smoothing / classes on
 * every class. smoothing in [0, 1). Gradient of the loss is written to ret_dlogits [n, classes]
 * (NULL: not wanted). Returns the loss; not finite when a logit is not. */
double loss_cross_entropy(const float *logits, const uint16_t *labels, int n, int classes,
                          float smoothing, int batch, float *ret_dlogits);
enum distillation {
    DISTILL_SOFT_CE, /* -sum_k t_k log s_k */
    DISTILL_KL       /* sum_k t_k (log t_k - log s_k): the same less the teacher's entropy, so with
                        the same gradient; 0 for a student that says what its teacher says */
};
extern const char *const distillation_names[]; /* "soft_ce", "kl", NULL */
struct loss_soft {
    enum distillation kind;
    float temperature, scale;
    int batch; /* the mean is over so many images, of which the call has n; 0: n */
};
/* Mean over the batch, t = softmax(teacher / temperature), s = softmax(logits / temperature).
 * Gradient of scale * loss with respect to logits only; no T^2 in it: pass it in scale where
 * wanted. Returns the loss, not scaled. ret_dlogits may be NULL. */
double loss_distill(const float *logits, const float *teacher_logits, int n, int classes,
                    const struct loss_soft *soft, float *ret_dlogits);
