/* Means of a few steps: the points of a training's curves between its validations. Inside
 * supernet/ only. */
#pragma once

#include "supernet/train.h"
#include "supernet/train_state.h"
#include "supernet/train_step.h"

/* One more step; norm: of its gradient, before clipping. */
void train_points_add(struct train_point_sums *sums, const struct train_step_losses *losses,
                      double norm);
/* The means since the last point in place of those since the last validation; then the next point
 * begins. There is at least one step. */
void train_points_take(struct train_point_sums *sums, struct train_metrics *metrics);
