#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

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

/* Sums of products over the rows [first, last): X'X (lower half) and X'y are added to. */
static void add_products(const struct regression_data *data, int first, int last, double *a,
                         double *b) {
    size_t p = (size_t)data->p;
    for (int row = first; row < last; row++) {
        const float *x = data->x + (size_t)row * p;
        for (size_t i = 0; i < p; i++) {
            b[i] += (double)x[i] * (double)data->y[row];
            for (size_t j = 0; j <= i; j++)
                a[i * p + j] += (double)x[i] * (double)x[j];
        }
    }
}

/* (X'X + c I) w = X'y */
static void solve_primal(const struct regression_data *data, double c, double *a, double *b,
                         float *ret_weights) {
    size_t p = (size_t)data->p;
    add_products(data, 0, data->n, a, b);
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

struct validation {
    const struct regression_data *data;
    const double *strengths;
    int folds, n_strengths;
    size_t size;           /* min(n, p) */
    double *products, *b;  /* of all rows: X'X and X'y, or X X' */
    double *fold, *fold_b; /* of one fold's other rows */
    double *work, *z;
    double *guess;
};

static int first_of(const struct validation *v, int fold) {
    return (int)((int64_t)v->data->n * fold / v->folds);
}

static double ridge_of(const struct validation *v, int k, int n) {
    return fmax(v->strengths[k] * n, 1e-6);
}

static void validate_primal(struct validation *v, int fold) {
    const struct regression_data *data = v->data;
    size_t p = v->size;
    int first = first_of(v, fold), last = first_of(v, fold + 1);
    memset(v->fold, 0, p * p * sizeof(double));
    memset(v->fold_b, 0, p * sizeof(double));
    add_products(data, first, last, v->fold, v->fold_b);
    for (int k = 0; k < v->n_strengths; k++) {
        for (size_t i = 0; i < p; i++) {
            for (size_t j = 0; j <= i; j++)
                v->work[i * p + j] = v->products[i * p + j] - v->fold[i * p + j];
            v->work[i * p + i] += ridge_of(v, k, data->n - (last - first));
            v->z[i] = v->b[i] - v->fold_b[i];
        }
        solve(v->work, v->z, p);
        for (int row = first; row < last; row++) {
            const float *x = data->x + (size_t)row * p;
            double sum = 0;
            for (size_t i = 0; i < p; i++)
                sum += v->z[i] * (double)x[i];
            v->guess[(size_t)k * (size_t)data->n + (size_t)row] = sum;
        }
    }
}

/* Row i of the others is row i, or i + the fold's length behind the fold. */
static void validate_dual(struct validation *v, int fold) {
    const struct regression_data *data = v->data;
    size_t n = (size_t)data->n, first = (size_t)first_of(v, fold);
    size_t length = (size_t)first_of(v, fold + 1) - first, others = n - length;
    for (int k = 0; k < v->n_strengths; k++) {
        for (size_t i = 0; i < others; i++) {
            size_t row = i < first ? i : i + length;
            for (size_t j = 0; j <= i; j++)
                v->work[i * others + j] = v->products[row * n + (j < first ? j : j + length)];
            v->work[i * others + i] += ridge_of(v, k, (int)others);
            v->z[i] = (double)data->y[row];
        }
        solve(v->work, v->z, others);
        for (size_t row = first; row < first + length; row++) {
            double sum = 0;
            for (size_t i = 0; i < others; i++) {
                size_t other = i < first ? i : i + length;
                sum += v->z[i] * v->products[other > row ? other * n + row : row * n + other];
            }
            v->guess[(size_t)k * n + row] = sum;
        }
    }
}

static bool validation_init(struct validation *v) {
    size_t cells = v->size * v->size;
    v->products = mem_array(cells, sizeof(double));
    v->fold = mem_array(cells, sizeof(double));
    v->work = mem_array(cells, sizeof(double));
    v->b = mem_array(v->size, sizeof(double));
    v->fold_b = mem_array(v->size, sizeof(double));
    v->z = mem_array(v->size, sizeof(double));
    return v->products && v->fold && v->work && v->b && v->fold_b && v->z;
}

int ridge_cross_validate(const struct regression_data *data, int folds, const double *strengths,
                         int n_strengths, double *ret_guess) {
    size_t n = (size_t)data->n, p = (size_t)data->p;
    bool dual = n < p;
    struct validation v = {.data = data,
                           .strengths = strengths,
                           .folds = folds,
                           .n_strengths = n_strengths,
                           .size = dual ? n : p,
                           .guess = ret_guess};
    bool ok = validation_init(&v);
    if (ok && dual)
        for (size_t i = 0; i < n; i++)
            for (size_t j = 0; j <= i; j++)
                v.products[i * n + j] = dot(data->x + i * p, data->x + j * p, p);
    else if (ok)
        add_products(data, 0, data->n, v.products, v.b);
    for (int fold = 0; ok && fold < folds; fold++)
        (dual ? validate_dual : validate_primal)(&v, fold);
    free(v.products);
    free(v.fold);
    free(v.work);
    free(v.b);
    free(v.fold_b);
    free(v.z);
    return ok ? 0 : ESP_ENOMEM;
}

float ridge_predict(const float *weights, const float *x, int p) {
    float sum = 0;
    for (int i = 0; i < p; i++)
        sum += weights[i] * x[i];
    return sum;
}
