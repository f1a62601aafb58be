#include <math.h>
#include <stdlib.h>

#include "base/linear.h"
#include "base/memory.h"
#include "search/regressor.h"

static double dot(const float *a, const float *b, size_t n) {
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += (double)a[i] * (double)b[i];
    return sum;
}

/* Solves a z = b for positive definite a [n, n] (lower half), both overwritten; b becomes z. */
static void solve(double *a, double *b, size_t n) {
    cholesky_factor(a, n);
    cholesky_forward(a, n, b);
    cholesky_backward(a, n, b);
}

/* (X'X + c I) w = X'y */
static void solve_primal(const struct regression_data *data, double c, double *a, double *b,
                         float *ret_weights) {
    size_t n = (size_t)data->n, p = (size_t)data->p;
    for (size_t row = 0; row < n; row++) {
        const float *x = data->x + row * p;
        for (size_t i = 0; i < p; i++) {
            b[i] += (double)x[i] * (double)data->y[row];
            for (size_t j = 0; j <= i; j++)
                a[i * p + j] += (double)x[i] * (double)x[j];
        }
    }
    for (size_t i = 0; i < p; i++)
        a[i * p + i] += c;
    solve(a, b, p);
    for (size_t i = 0; i < p; i++)
        ret_weights[i] = (float)b[i];
}

/* (X X' + c I) z = y, w = X'z */
static void solve_dual(const struct regression_data *data, double c, double *a, double *b,
                       float *ret_weights) {
    size_t n = (size_t)data->n, p = (size_t)data->p;
    for (size_t i = 0; i < n; i++) {
        b[i] = (double)data->y[i];
        for (size_t j = 0; j <= i; j++)
            a[i * n + j] = dot(data->x + i * p, data->x + j * p, p);
        a[i * n + i] += c;
    }
    solve(a, b, n);
    for (size_t i = 0; i < p; i++) {
        double sum = 0;
        for (size_t row = 0; row < n; row++)
            sum += b[row] * (double)data->x[row * p + i];
        ret_weights[i] = (float)sum;
    }
}

int ridge_fit(const struct regression_data *data, double strength, float *ret_weights) {
    size_t size = (size_t)(data->n < data->p ? data->n : data->p);
    double *a = mem_array(size * size, sizeof *a), *b = mem_array(size, sizeof *b);
    int code = a && b ? 0 : ESP_ENOMEM;
    /* A positive ridge keeps the system solvable when columns repeat each other. */
    double c = fmax(strength * data->n, 1e-6);
    if (code == 0 && data->n < data->p)
        solve_dual(data, c, a, b, ret_weights);
    else if (code == 0)
        solve_primal(data, c, a, b, ret_weights);
    free(a);
    free(b);
    return code;
}

float ridge_predict(const float *weights, const float *x, int p) {
    float sum = 0;
    for (int i = 0; i < p; i++)
        sum += weights[i] * x[i];
    return sum;
}
