#include "latency/interpolate.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/linear.h"
#include "base/memory.h"

/* Chosen on op times of two phones' runtimes (docs/BENCHMARKS.md) by the error of left out ops. */
enum { NEIGHBOURS = 48, TERMS_MAX = INTERPOLATION_FEATURES_MAX + 1 };
#define NEAR 0.01  /* squared distance within which neighbours count alike */
#define RIDGE 0.03 /* of a slope, in weights of one average neighbour */
#define BEYOND 0.7 /* in log time: as far as an answer may leave the neighbours' range */

struct point {
    int group;
    double x[INTERPOLATION_FEATURES_MAX], log_us;
};

struct kind {
    int n_features; /* of the first sample */
    size_t n, capacity;
    struct point *points;
};

struct interpolator {
    size_t n;
    struct kind kinds[INTERPOLATION_KINDS_MAX];
};

int interpolator_create(struct err *err, struct interpolator **ret_interpolator) {
    *ret_interpolator = mem_array(1, sizeof **ret_interpolator);
    return *ret_interpolator ? 0 : err_set(err, ESP_ENOMEM, NULL, "no memory for interpolation");
}

void interpolator_destroy(struct interpolator *interpolator) {
    if (!interpolator)
        return;
    for (int i = 0; i < INTERPOLATION_KINDS_MAX; i++)
        free(interpolator->kinds[i].points);
    free(interpolator);
}

static bool well_formed(const struct interpolation_sample *sample) {
    if (sample->kind < 0 || sample->kind >= INTERPOLATION_KINDS_MAX || sample->n_features < 1 ||
        sample->n_features > INTERPOLATION_FEATURES_MAX)
        return false;
    for (int i = 0; i < sample->n_features; i++)
        if (!(sample->features[i] >= 0) || !isfinite(sample->features[i]))
            return false;
    return true;
}

static void logs(const struct interpolation_sample *sample, double *ret_x) {
    for (int i = 0; i < sample->n_features; i++)
        ret_x[i] = log1p(sample->features[i]);
}

static int grow(struct kind *kind, struct err *err) {
    if (kind->n < kind->capacity)
        return 0;
    size_t capacity = kind->capacity ? 2 * kind->capacity : 64;
    struct point *points = realloc(kind->points, capacity * sizeof *points);
    if (!points)
        return err_set(err, ESP_ENOMEM, NULL, "no memory for interpolation");
    kind->points = points;
    kind->capacity = capacity;
    return 0;
}

int interpolator_add(struct interpolator *interpolator, const struct interpolation_sample *sample,
                     struct err *err) {
    if (!well_formed(sample) || !(sample->us > 0) || !isfinite(sample->us))
        return err_set(err, ESP_EINVAL, NULL, "kind, features or time of a sample out of range");
    struct kind *kind = &interpolator->kinds[sample->kind];
    if (kind->n > 0 && kind->n_features != sample->n_features)
        return err_set(err, ESP_EINVAL, NULL, "%d features in a kind that has %d",
                       sample->n_features, kind->n_features);
    if (interpolator->n >= INTERPOLATION_SAMPLES_MAX)
        return err_set(err, ESP_ELIMIT, NULL, "interpolation takes at most %d samples",
                       INTERPOLATION_SAMPLES_MAX);
    int code = grow(kind, err);
    if (code != 0)
        return code;
    kind->n_features = sample->n_features;
    struct point *point = &kind->points[kind->n++];
    point->group = sample->group;
    point->log_us = log(sample->us);
    logs(sample, point->x);
    interpolator->n++;
    return 0;
}

struct neighbours {
    int n;
    const struct point *points[NEIGHBOURS];
    double distance[NEIGHBOURS]; /* squared, ascending */
};

static double squared_distance(const double *a, const double *b, int n) {
    double sum = 0;
    for (int i = 0; i < n; i++)
        sum += (a[i] - b[i]) * (a[i] - b[i]);
    return sum;
}

static void insert(struct neighbours *near, const struct point *point, double distance) {
    int at = near->n < NEIGHBOURS ? near->n++ : NEIGHBOURS - 1;
    for (; at > 0 && near->distance[at - 1] > distance; at--) {
        near->distance[at] = near->distance[at - 1];
        near->points[at] = near->points[at - 1];
    }
    near->distance[at] = distance;
    near->points[at] = point;
}

static void find(const struct kind *kind, const double *x, int without, struct neighbours *near) {
    near->n = 0;
    for (size_t i = 0; i < kind->n; i++) {
        const struct point *point = &kind->points[i];
        if (without != INTERPOLATION_GROUP_NONE && point->group == without)
            continue;
        double distance = squared_distance(point->x, x, kind->n_features);
        if (near->n < NEIGHBOURS || distance < near->distance[near->n - 1])
            insert(near, point, distance);
    }
}

/* A linear model around x: its value there and a slope for each feature. */
struct fit {
    size_t n_terms;
    double factor[TERMS_MAX * TERMS_MAX]; /* Cholesky of the weighted normal equations */
    double terms[TERMS_MAX];
};

static void row_of(const struct point *point, const double *x, size_t n_terms, double *ret_row) {
    ret_row[0] = 1;
    for (size_t i = 1; i < n_terms; i++)
        ret_row[i] = point->x[i - 1] - x[i - 1];
}

static void fit_around(const struct neighbours *near, const double *x, const double *weights,
                       struct fit *ret_fit) {
    size_t n = ret_fit->n_terms;
    double row[TERMS_MAX], total = 0;
    memset(ret_fit->factor, 0, sizeof ret_fit->factor);
    memset(ret_fit->terms, 0, sizeof ret_fit->terms);
    for (int k = 0; k < near->n; k++) {
        row_of(near->points[k], x, n, row);
        total += weights[k];
        for (size_t i = 0; i < n; i++) {
            ret_fit->terms[i] += weights[k] * row[i] * near->points[k]->log_us;
            for (size_t j = 0; j <= i; j++)
                ret_fit->factor[i * n + j] += weights[k] * row[i] * row[j];
        }
    }
    for (size_t i = 1; i < n; i++)
        ret_fit->factor[i * n + i] += RIDGE * total / near->n;
    cholesky_factor(ret_fit->factor, n);
    cholesky_forward(ret_fit->factor, n, ret_fit->terms);
    cholesky_backward(ret_fit->factor, n, ret_fit->terms);
}

/* How many neighbours describe the same work as this one, itself included. */
static int equals(const struct neighbours *near, int k, size_t n_features) {
    int n = 0;
    for (int i = 0; i < near->n; i++)
        n += near->distance[i] == near->distance[k] &&
             memcmp(near->points[i]->x, near->points[k]->x, n_features * sizeof(double)) == 0;
    return n;
}

/* Weighted root mean square of the neighbours' errors, each predicted without itself and its
 * equals: the residual by 1 - their pull (the diagonal of the hat matrix). */
static double spread(const struct neighbours *near, const double *x, const double *weights,
                     const struct fit *fit) {
    double sum = 0, total = 0, row[TERMS_MAX];
    for (int k = 0; k < near->n; k++) {
        row_of(near->points[k], x, fit->n_terms, row);
        double residual = near->points[k]->log_us, pull = 0;
        for (size_t i = 0; i < fit->n_terms; i++)
            residual -= fit->terms[i] * row[i];
        cholesky_forward(fit->factor, fit->n_terms, row);
        for (size_t i = 0; i < fit->n_terms; i++)
            pull += weights[k] * row[i] * row[i];
        residual /= fmax(1 - pull * equals(near, k, fit->n_terms - 1), 0.1);
        sum += weights[k] * residual * residual;
        total += weights[k];
    }
    return sqrt(sum / total);
}

static double within_reach(const struct neighbours *near, double log_us) {
    double low = INFINITY, high = -INFINITY;
    for (int k = 0; k < near->n; k++) {
        low = fmin(low, near->points[k]->log_us);
        high = fmax(high, near->points[k]->log_us);
    }
    return fmin(fmax(log_us, low - BEYOND), high + BEYOND);
}

bool interpolator_ask(const struct interpolator *interpolator,
                      const struct interpolation_sample *question, int without,
                      struct interpolation *ret) {
    if (!well_formed(question))
        return false;
    const struct kind *kind = &interpolator->kinds[question->kind];
    struct neighbours near;
    struct fit fit;
    double x[INTERPOLATION_FEATURES_MAX], weights[NEIGHBOURS];
    if (kind->n == 0 || kind->n_features != question->n_features)
        return false;
    logs(question, x);
    find(kind, x, without, &near);
    if (near.n < question->n_features + 1)
        return false;
    for (int k = 0; k < near.n; k++)
        weights[k] = 1 / (NEAR + near.distance[k]);
    fit.n_terms = (size_t)question->n_features + 1;
    fit_around(&near, x, weights, &fit);
    ret->us = exp(within_reach(&near, fit.terms[0]));
    ret->log_sd = spread(&near, x, weights, &fit);
    ret->n = near.n;
    return true;
}
