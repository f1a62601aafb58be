#include "search/accuracy_predictor.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/memory.h"
#include "base/stats.h"
#include "search/encoding.h"
#include "search/regressor.h"

const char *const accuracy_model_names[] = {"ridge", "mlp_ensemble", NULL};

/* In units of the standardised features. */
static const double strengths[] = {1e-3, 3e-3, 1e-2, 3e-2, 0.1, 0.3, 1, 3, 10};
enum { N_STRENGTHS = sizeof strengths / sizeof strengths[0], MEMBERS = 5, MEMBERS_JUDGED = 2 };

struct accuracy_predictor {
    const struct space *space;
    struct accuracy_quality quality;
    double tau_min;
    int p;
    float *mean, *scale; /* of the features; scale 0 drops a column that never changes */
    double bias;         /* mean accuracy of the samples */
    double unit;         /* their standard deviation */
    float *weights;      /* [p], ridge */
    struct mlp mlp;
    float *row; /* scratch */
    struct encoder *encoder;
};

static int predictor_create(const struct space *space, struct err *err,
                            struct accuracy_predictor **ret_predictor) {
    struct accuracy_predictor *a = mem_array(1, sizeof *a);
    int p = encoding_size(space);
    if (a) {
        a->space = space;
        a->p = p;
        a->mean = mem_array((size_t)p, sizeof(float));
        a->scale = mem_array((size_t)p, sizeof(float));
        a->weights = mem_array((size_t)p, sizeof(float));
        a->row = mem_array((size_t)p, sizeof(float));
    }
    if (!a || !a->mean || !a->scale || !a->weights || !a->row) {
        accuracy_predictor_destroy(a);
        return err_set(err, ESP_ENOMEM, NULL, "no memory for an accuracy predictor");
    }
    int code = encoder_create(space, err, &a->encoder);
    if (code < 0) {
        accuracy_predictor_destroy(a);
        return code;
    }
    *ret_predictor = a;
    return 0;
}

void accuracy_predictor_destroy(struct accuracy_predictor *predictor) {
    if (!predictor)
        return;
    encoder_destroy(predictor->encoder);
    mlp_finish(&predictor->mlp);
    free(predictor->mean);
    free(predictor->scale);
    free(predictor->weights);
    free(predictor->row);
    free(predictor);
}

const struct accuracy_quality *
accuracy_predictor_quality(const struct accuracy_predictor *predictor) {
    return &predictor->quality;
}

/* Samples as standardised rows, with room for the folds. */
struct fitting {
    struct accuracy_predictor *predictor;
    int n, p;
    float *x, *y;   /* all samples, shuffled */
    float *train_x; /* those of a fold's other samples */
    float *train_y;
    double *truth, *guess; /* out of sample */
    float *weights;
    uint64_t seed;
};

static void fitting_finish(struct fitting *f) {
    free(f->x);
    free(f->y);
    free(f->train_x);
    free(f->train_y);
    free(f->truth);
    free(f->guess);
    free(f->weights);
}

static bool fitting_init(struct fitting *f, struct accuracy_predictor *predictor, int n,
                         uint64_t seed) {
    size_t rows = (size_t)n, cells = rows * (size_t)predictor->p;
    *f = (struct fitting){.predictor = predictor,
                          .n = n,
                          .p = predictor->p,
                          .x = mem_array(cells, sizeof(float)),
                          .y = mem_array(rows, sizeof(float)),
                          .train_x = mem_array(cells, sizeof(float)),
                          .train_y = mem_array(rows, sizeof(float)),
                          .truth = mem_array(rows, sizeof(double)),
                          .guess = mem_array(rows, sizeof(double)),
                          .weights = mem_array((size_t)predictor->p, sizeof(float)),
                          .seed = seed};
    return f->x && f->y && f->train_x && f->train_y && f->truth && f->guess && f->weights;
}

static void standardise(const struct accuracy_predictor *a, float *row) {
    for (int i = 0; i < a->p; i++)
        row[i] = (row[i] - a->mean[i]) * a->scale[i];
}

static void measure_columns(struct fitting *f) {
    struct accuracy_predictor *a = f->predictor;
    for (int i = 0; i < f->p; i++) {
        double sum = 0, squares = 0;
        for (int r = 0; r < f->n; r++)
            sum += (double)f->x[(size_t)r * (size_t)f->p + (size_t)i];
        double mean = sum / f->n;
        for (int r = 0; r < f->n; r++) {
            double d = (double)f->x[(size_t)r * (size_t)f->p + (size_t)i] - mean;
            squares += d * d;
        }
        double sd = sqrt(squares / f->n);
        a->mean[i] = (float)mean;
        a->scale[i] = sd > 1e-9 ? (float)(1 / sd) : 0;
    }
}

static int load_samples(struct fitting *f, const struct accuracy_sample *samples, struct err *err) {
    struct accuracy_predictor *a = f->predictor;
    /* f->train_x is free as yet and holds the order. */
    uint32_t *order = (uint32_t *)f->train_x;
    struct rng rng = rng_make(f->seed, RNG_SPLIT, 0, 0);
    for (int i = 0; i < f->n; i++)
        order[i] = (uint32_t)i;
    rng_shuffle_u32(&rng, order, (size_t)f->n);
    for (int i = 0; i < f->n; i++) {
        const struct accuracy_sample *s = &samples[order[i]];
        if (!(s->top1 >= 0 && s->top1 <= 1))
            return err_set(err, ESP_EINVAL, NULL, "%g is no accuracy", s->top1);
        if (!arch_valid(a->space, &s->arch))
            return err_set(err, ESP_EINVAL, NULL, "a sample is no subnet of this space");
        int code = encoder_run(a->encoder, &s->arch, err, f->x + (size_t)i * (size_t)f->p);
        if (code < 0)
            return code;
        f->truth[i] = s->top1;
    }
    a->bias = stats_mean(f->truth, (size_t)f->n);
    a->unit = sqrt(stats_variance(f->truth, (size_t)f->n));
    if (!(a->unit > 1e-9))
        return err_set(err, ESP_EINVAL, NULL, "all %d samples have the same accuracy", f->n);
    measure_columns(f);
    for (int i = 0; i < f->n; i++) {
        standardise(a, f->x + (size_t)i * (size_t)f->p);
        f->y[i] = (float)((f->truth[i] - a->bias) / a->unit);
    }
    return 0;
}

/* The samples outside [first, last). */
static struct regression_data other_folds(struct fitting *f, int first, int last) {
    size_t p = (size_t)f->p, before = (size_t)first, after = (size_t)(f->n - last);
    memcpy(f->train_x, f->x, before * p * sizeof *f->x);
    memcpy(f->train_x + before * p, f->x + (size_t)last * p, after * p * sizeof *f->x);
    memcpy(f->train_y, f->y, before * sizeof *f->y);
    memcpy(f->train_y + before, f->y + last, after * sizeof *f->y);
    return (struct regression_data){f->n - (last - first), f->p, f->train_x, f->train_y};
}

/* Predicts every sample by a model of the other folds; strength < 0: perceptrons. */
static int predict_out_of_sample(struct fitting *f, double strength) {
    struct accuracy_predictor *a = f->predictor;
    for (int k = 0; k < ACCURACY_FOLDS; k++) {
        int first = f->n * k / ACCURACY_FOLDS, last = f->n * (k + 1) / ACCURACY_FOLDS;
        struct regression_data data = other_folds(f, first, last);
        struct mlp mlp = {0};
        int code = strength < 0 ? mlp_fit(&data, MEMBERS_JUDGED, f->seed, &mlp)
                                : ridge_fit(&data, strength, f->weights);
        if (code < 0)
            return code;
        for (int i = first; i < last; i++) {
            const float *x = f->x + (size_t)i * (size_t)f->p;
            float y =
                strength < 0 ? mlp_predict(&mlp, x, NULL) : ridge_predict(f->weights, x, f->p);
            f->guess[i] = a->bias + a->unit * (double)y;
        }
        mlp_finish(&mlp);
    }
    return 0;
}

static struct accuracy_quality judge(const struct fitting *f, enum accuracy_model model) {
    struct accuracy_quality q = {.model = model, .n = f->n, .folds = ACCURACY_FOLDS};
    double squares = 0;
    for (int i = 0; i < f->n; i++) {
        double e = f->guess[i] - f->truth[i];
        q.mae += fabs(e) / f->n;
        squares += e * e / f->n;
    }
    q.rmse = sqrt(squares);
    q.kendall_tau = stats_kendall_tau(f->guess, f->truth, (size_t)f->n);
    return q;
}

/* Tries every model out of sample. *ret_strength < 0: perceptrons won. */
static int choose_model(struct fitting *f, double *ret_strength) {
    struct accuracy_predictor *a = f->predictor;
    int code = 0;
    a->quality.rmse = INFINITY;
    for (int k = 0; k < N_STRENGTHS + (f->n >= ACCURACY_MLP_SAMPLES) && code == 0; k++) {
        double strength = k < N_STRENGTHS ? strengths[k] : -1;
        code = predict_out_of_sample(f, strength);
        if (code < 0)
            break;
        struct accuracy_quality q = judge(f, strength < 0 ? ACCURACY_MLP : ACCURACY_RIDGE);
        if (q.rmse < a->quality.rmse) {
            a->quality = q;
            *ret_strength = strength;
        }
    }
    return code;
}

static int fit_all(struct fitting *f) {
    struct accuracy_predictor *a = f->predictor;
    struct regression_data data = {f->n, f->p, f->x, f->y};
    double strength = strengths[0];
    int code = choose_model(f, &strength);
    if (code < 0)
        return code;
    return strength < 0 ? mlp_fit(&data, MEMBERS, f->seed, &a->mlp)
                        : ridge_fit(&data, strength, a->weights);
}

int accuracy_predictor_fit(const struct space *space, const struct accuracy_sample *samples, int n,
                           double tau_min, uint64_t seed, struct err *err,
                           struct accuracy_predictor **ret_predictor) {
    if (n < ACCURACY_SAMPLES_MIN)
        return err_set(err, ESP_EINVAL, NULL,
                       "an accuracy predictor needs at least %d evaluated subnets, there are %d",
                       ACCURACY_SAMPLES_MIN, n);
    if (n > ACCURACY_SAMPLES_MAX)
        return err_set(err, ESP_ELIMIT, NULL, "an accuracy predictor takes at most %d subnets",
                       ACCURACY_SAMPLES_MAX);
    struct accuracy_predictor *a = NULL;
    struct fitting f = {0};
    int code = predictor_create(space, err, &a);
    if (code < 0)
        return code;
    a->tau_min = tau_min;
    if (!fitting_init(&f, a, n, seed))
        code = ESP_ENOMEM;
    if (code == 0)
        code = load_samples(&f, samples, err);
    if (code == 0)
        code = fit_all(&f);
    if (code == ESP_ENOMEM)
        err_set(err, code, NULL, "no memory to fit an accuracy predictor");
    fitting_finish(&f);
    if (code < 0) {
        accuracy_predictor_destroy(a);
        return code;
    }
    a->quality.accepted = a->quality.kendall_tau >= tau_min;
    *ret_predictor = a;
    return 0;
}

int accuracy_predictor_run(struct accuracy_predictor *predictor, const struct arch *arch,
                           struct err *err, struct accuracy_prediction *ret_prediction) {
    struct accuracy_predictor *a = predictor;
    const struct accuracy_quality *q = &a->quality;
    if (!q->accepted)
        return err_set(err, ESP_EINVAL, NULL,
                       "the accuracy predictor ranks unseen subnets with Kendall's tau %.2f, %.2f "
                       "is needed: evaluate more subnets, or search with accuracy evaluated",
                       q->kendall_tau, a->tau_min);
    int code = encoder_run(a->encoder, arch, err, a->row);
    if (code < 0)
        return code;
    standardise(a, a->row);
    float sd = 0;
    float y = q->model == ACCURACY_MLP ? mlp_predict(&a->mlp, a->row, &sd)
                                       : ridge_predict(a->weights, a->row, a->p);
    double top1 = a->bias + a->unit * (double)y;
    double spread = a->unit * (double)sd;
    double half =
        stats_normal_quantile(0.5 + ACCURACY_LEVEL / 2) * sqrt(q->rmse * q->rmse + spread * spread);
    *ret_prediction = (struct accuracy_prediction){
        fmin(fmax(top1, 0), 1), fmin(fmax(top1 - half, 0), 1), fmin(fmax(top1 + half, 0), 1)};
    return 0;
}

static bool add_floats(cJSON *doc, const char *key, const float *values, size_t n) {
    cJSON *list = cJSON_CreateFloatArray(values, (int)n);
    if (list && cJSON_AddItemToObject(doc, key, list))
        return true;
    cJSON_Delete(list);
    return false;
}

cJSON *accuracy_predictor_to_json(const struct accuracy_predictor *predictor) {
    const struct accuracy_predictor *a = predictor;
    const struct accuracy_quality *q = &a->quality;
    cJSON *doc = cJSON_CreateObject();
    bool is_mlp = q->model == ACCURACY_MLP;
    bool ok =
        doc && cJSON_AddStringToObject(doc, "space_fingerprint", a->space->fingerprint) &&
        cJSON_AddStringToObject(doc, "model", accuracy_model_names[q->model]) &&
        cJSON_AddNumberToObject(doc, "n", q->n) &&
        cJSON_AddNumberToObject(doc, "folds", q->folds) &&
        cJSON_AddNumberToObject(doc, "kendall_tau", q->kendall_tau) &&
        cJSON_AddNumberToObject(doc, "mae", q->mae) &&
        cJSON_AddNumberToObject(doc, "rmse", q->rmse) &&
        cJSON_AddNumberToObject(doc, "tau_min", a->tau_min) &&
        cJSON_AddNumberToObject(doc, "bias", a->bias) &&
        cJSON_AddNumberToObject(doc, "unit", a->unit) &&
        cJSON_AddNumberToObject(doc, "members", is_mlp ? a->mlp.n_members : 0) &&
        add_floats(doc, "mean", a->mean, (size_t)a->p) &&
        add_floats(doc, "scale", a->scale, (size_t)a->p) &&
        add_floats(doc, "weights", is_mlp ? a->mlp.weights : a->weights,
                   is_mlp ? (size_t)a->mlp.n_members * mlp_member_weights(a->p) : (size_t)a->p);
    if (ok)
        return doc;
    cJSON_Delete(doc);
    return NULL;
}

static int read_floats(const cJSON *doc, const char *at, const char *key, size_t n, struct err *err,
                       float *ret_values) {
    const cJSON *list, *item;
    int code = json_array(doc, at, key, (int)n, (int)n, err, &list);
    if (code < 0)
        return code;
    cJSON_ArrayForEach(item, list) {
        if (!cJSON_IsNumber(item) || !isfinite((float)item->valuedouble))
            return err_set(err, ESP_EINVAL, at, "%s holds something that is no number", key);
        *ret_values++ = (float)item->valuedouble;
    }
    return 0;
}

static int read_quality(struct accuracy_predictor *a, const cJSON *doc, const char *at,
                        struct err *err) {
    struct accuracy_quality *q = &a->quality;
    int64_t n = 0, folds = 0;
    int model = 0;
    int code = json_enum(doc, at, "model", accuracy_model_names, err, &model);
    if (code == 0)
        code = json_int(doc, at, "n", ACCURACY_SAMPLES_MIN, ACCURACY_SAMPLES_MAX, err, &n);
    if (code == 0)
        code = json_int(doc, at, "folds", 2, 100, err, &folds);
    if (code == 0)
        code = json_real(doc, at, "kendall_tau", -1, 1, err, &q->kendall_tau);
    if (code == 0)
        code = json_real(doc, at, "mae", 0, 1e6, err, &q->mae);
    if (code == 0)
        code = json_real(doc, at, "rmse", 0, 1e6, err, &q->rmse);
    if (code == 0)
        code = json_real(doc, at, "tau_min", -1, 1, err, &a->tau_min);
    if (code == 0)
        code = json_real(doc, at, "bias", 0, 1, err, &a->bias);
    if (code == 0)
        code = json_real(doc, at, "unit", 0, 1, err, &a->unit);
    q->model = (enum accuracy_model)model;
    q->n = (int)n;
    q->folds = (int)folds;
    q->accepted = q->kendall_tau >= a->tau_min;
    return code;
}

static int read_weights(struct accuracy_predictor *a, const cJSON *doc, const char *at,
                        struct err *err) {
    int code = read_floats(doc, at, "mean", (size_t)a->p, err, a->mean);
    if (code == 0)
        code = read_floats(doc, at, "scale", (size_t)a->p, err, a->scale);
    if (code < 0)
        return code;
    if (a->quality.model == ACCURACY_RIDGE)
        return read_floats(doc, at, "weights", (size_t)a->p, err, a->weights);
    int64_t members;
    code = json_int(doc, at, "members", 1, MLP_MEMBERS_MAX, err, &members);
    if (code < 0)
        return code;
    size_t count = (size_t)members * mlp_member_weights(a->p);
    a->mlp = (struct mlp){a->p, (int)members, mem_array(count, sizeof(float))};
    if (!a->mlp.weights)
        return err_set(err, ESP_ENOMEM, NULL, "no memory for an accuracy predictor");
    return read_floats(doc, at, "weights", count, err, a->mlp.weights);
}

int accuracy_predictor_from_json(const struct space *space, const cJSON *doc, const char *at,
                                 struct err *err, struct accuracy_predictor **ret_predictor) {
    struct accuracy_predictor *a = NULL;
    const char *fingerprint;
    int code = json_string(doc, at, "space_fingerprint", 1, HASH_TEXT - 1, err, &fingerprint);
    if (code < 0)
        return code;
    if (strcmp(fingerprint, space->fingerprint) != 0)
        return err_set(err, ESP_EMISMATCH, at,
                       "this accuracy predictor was fitted on another space than %s", space->name);
    code = predictor_create(space, err, &a);
    if (code == 0)
        code = read_quality(a, doc, at, err);
    if (code == 0)
        code = read_weights(a, doc, at, err);
    if (code < 0) {
        accuracy_predictor_destroy(a);
        return code;
    }
    *ret_predictor = a;
    return 0;
}
