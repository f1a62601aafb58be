/* Small regressors on dense features. Rows are standardised by the caller: features and targets of
 * mean 0. */
#pragma once

#include <cjson/cJSON.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct regression_data {
    int n, p;
    const float *x; /* [n, p] */
    const float *y; /* [n] */
};

/* Ridge regression: weights w that minimise |y - x w|^2 + n strength |w|^2, by Cholesky in the
 * smaller of both dimensions. O(min(n, p)^2 max(n, p)). ret_weights: [p]. Errors: ESP_ENOMEM. */
int ridge_fit(const struct regression_data *data, double strength, float *ret_weights);
float ridge_predict(const float *weights, const float *x, int p);
/* What ridge regressions of the other folds say of each row, for several strengths: fold k of K
 * holds the rows from n k / K on, ret_guess is [n_strengths, n]. Products of the rows are formed
 * once, so that it costs little more than one fit: O(n p min(n, p) + n_strengths K min(n, p)^3).
 * Errors: ESP_ENOMEM. */
int ridge_cross_validate(const struct regression_data *data, int folds, const double *strengths,
                         int n_strengths, double *ret_guess);

/* An ensemble of perceptrons p - MLP_HIDDEN - 1 (ReLU), each from other weights and in another
 * order of the samples (Lakshminarayanan et al. 2017): Adam, weight decay, cosine steps. */
enum { MLP_HIDDEN = 24, MLP_MEMBERS_MAX = 8 };
struct mlp {
    int p, n_members;
    float *weights; /* per member: [p, MLP_HIDDEN], biases, [MLP_HIDDEN], bias */
};
size_t mlp_member_weights(int p); /* floats of one member */
/* Deterministic in seed. Errors: ESP_ENOMEM. The caller frees with mlp_finish. */
int mlp_fit(const struct regression_data *data, int n_members, uint64_t seed, struct mlp *ret_mlp);
void mlp_finish(struct mlp *mlp);
/* Mean of the members; *ret_sd (may be NULL) their standard deviation. */
float mlp_predict(const struct mlp *mlp, const float *x, float *ret_sd);
/* The derivative of the mean by each input: ret_gradient is [p]. Where a hidden unit is at 0 its
 * derivative is 0. */
void mlp_gradient(const struct mlp *mlp, const float *x, float *ret_gradient);
