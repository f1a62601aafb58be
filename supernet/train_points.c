#include "supernet/train_points.h"

void train_points_add(struct train_point_sums *sums, const struct train_step_losses *losses,
                      double norm) {
    sums->loss += losses->labels;
    sums->distill += losses->distill;
    sums->gap += losses->gap;
    sums->norm += norm;
    sums->n++;
}

void train_points_take(struct train_point_sums *sums, struct train_metrics *metrics) {
    double n = (double)sums->n;
    metrics->averaged = sums->n;
    metrics->loss = sums->loss / n;
    metrics->distill = sums->distill / n;
    metrics->gap = sums->gap / n;
    metrics->gradient_norm = sums->norm / n;
    *sums = (struct train_point_sums){0};
}
