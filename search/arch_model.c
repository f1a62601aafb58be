#include "search/arch_model.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/memory.h"
#include "base/stats.h"
#include "search/encoding.h"
#include "search/regressor.h"

const char *const arch_model_kind_names[] = {"ridge", "mlp_ensemble", NULL};

/* In units of the standardised features. */
static const double strengths[] = {1e-3, 3e-3, 1e-2, 3e-2, 0.1, 0.3, 1, 3, 10};
enum {
    N_STRENGTHS = sizeof strengths / sizeof strengths[0],
    MODELS_MAX = N_STRENGTHS + 1, /* the last: perceptrons */
    MEMBERS = 5,
    MEMBERS_JUDGED = 2,
    COMPARED_MAX = 2000 /* samples by which taus are compared: it takes their square */
};

/* Of the squared error out of sample, what a ridge regression's parts cannot explain at least. */
static const double RESIDUAL_SHARE = 0.25;

struct arch_model {
    const struct space *space;
    struct arch_model_quality quality;
    int p;
    float *mean, *scale; /* of the features; scale 0 drops a column that never changes */
    double bias;         /* mean of the samples */
    double unit;         /* their standard deviation */
    float *weights;      /* [p], ridge */
    float *parts;        /* [ARCH_MODEL_FOLDS, p]: ridges that miss a fold each; NULL: none */
    double disagreement; /* mean over the samples of their variance, in units squared */
    struct mlp mlp;
    float *row, *slope; /* [p], scratch */
    struct encoder *encoder;
};

static int model_create(const struct space *space, struct err *err, struct arch_model **ret_model) {
    struct arch_model *a = mem_array(1, sizeof *a);
    int p = encoding_size(space);
    if (a) {
        a->space = space;
        a->p = p;
        a->mean = mem_array((size_t)p, sizeof(float));
        a->scale = mem_array((size_t)p, sizeof(float));
        a->weights = mem_array((size_t)p, sizeof(float));
        a->row = mem_array((size_t)p, sizeof(float));
        a->slope = mem_array((size_t)p, sizeof(float));
    }
    if (!a || !a->mean || !a->scale || !a->weights || !a->row || !a->slope) {
        arch_model_destroy(a);
        return err_set(err, ESP_ENOMEM, NULL, "no memory for a model of archs");
    }
    int code = encoder_create(space, err, &a->encoder);
    if (code < 0) {
        arch_model_destroy(a);
        return code;
    }
    *ret_model = a;
    return 0;
}

void arch_model_destroy(struct arch_model *model) {
    if (!model)
        return;
    encoder_destroy(model->encoder);
    mlp_finish(&model->mlp);
    free(model->mean);
    free(model->scale);
    free(model->weights);
    free(model->parts);
    free(model->row);
    free(model->slope);
    free(model);
}

const struct arch_model_quality *arch_model_quality(const struct arch_model *model) {
    return &model->quality;
}

/* Samples as standardised rows, with room for the folds. */
struct fitting {
    struct arch_model *model;
    int n, p;
    float *x, *y;   /* all samples, shuffled */
    float *train_x; /* those of a fold's other samples */
    float *train_y;
    double *truth, *guess; /* out of sample */
    double *line;          /* what the baseline guesses there */
    uint64_t seed;
};

static void fitting_finish(struct fitting *f) {
    free(f->x);
    free(f->y);
    free(f->train_x);
    free(f->train_y);
    free(f->truth);
    free(f->guess);
    free(f->line);
}

static bool fitting_init(struct fitting *f, struct arch_model *model, int n, uint64_t seed) {
    size_t rows = (size_t)n, cells = rows * (size_t)model->p;
    *f = (struct fitting){.model = model,
                          .n = n,
                          .p = model->p,
                          .x = mem_array(cells, sizeof(float)),
                          .y = mem_array(rows, sizeof(float)),
                          .train_x = mem_array(cells, sizeof(float)),
                          .train_y = mem_array(rows, sizeof(float)),
                          .truth = mem_array(rows, sizeof(double)),
                          .guess = mem_array(rows, sizeof(double)),
                          .line = mem_array(rows, sizeof(double)),
                          .seed = seed};
    return f->x && f->y && f->train_x && f->train_y && f->truth && f->guess && f->line;
}

static void standardise(const struct arch_model *a, float *row) {
    for (int i = 0; i < a->p; i++)
        row[i] = (row[i] - a->mean[i]) * a->scale[i];
}

static void measure_columns(struct fitting *f) {
    struct arch_model *a = f->model;
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

static int load_samples(struct fitting *f, const struct arch_sample *samples, struct err *err) {
    struct arch_model *a = f->model;
    /* f->train_x is free as yet and holds the order. */
    uint32_t *order = (uint32_t *)f->train_x;
    struct rng rng = rng_make(f->seed, RNG_SPLIT, 0, 0);
    for (int i = 0; i < f->n; i++)
        order[i] = (uint32_t)i;
    rng_shuffle_u32(&rng, order, (size_t)f->n);
    for (int i = 0; i < f->n; i++) {
        const struct arch_sample *s = &samples[order[i]];
        if (!isfinite(s->value))
            return err_set(err, ESP_EINVAL, NULL, "a sample has no value");
        if (!arch_valid(a->space, &s->arch))
            return err_set(err, ESP_EINVAL, NULL, "a sample is no subnet of this space");
        int code = encoder_run(a->encoder, &s->arch, err, f->x + (size_t)i * (size_t)f->p);
        if (code < 0)
            return code;
        f->truth[i] = s->value;
    }
    a->bias = stats_mean(f->truth, (size_t)f->n);
    a->unit = sqrt(stats_variance(f->truth, (size_t)f->n));
    if (!(a->unit > 1e-9 * fmax(fabs(a->bias), 1e-300)))
        return err_set(err, ESP_EINVAL, NULL, "all %d samples have the same value", f->n);
    measure_columns(f);
    for (int i = 0; i < f->n; i++) {
        standardise(a, f->x + (size_t)i * (size_t)f->p);
        f->y[i] = (float)((f->truth[i] - a->bias) / a->unit);
    }
    return 0;
}

static int first_of(const struct fitting *f, int fold) {
    return f->n * fold / ARCH_MODEL_FOLDS;
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

/* Perceptrons of the other folds on every sample, in standard deviations. */
static int validate_perceptrons(struct fitting *f, double *ret_guess) {
    for (int k = 0; k < ARCH_MODEL_FOLDS; k++) {
        int first = first_of(f, k), last = first_of(f, k + 1);
        struct regression_data data = other_folds(f, first, last);
        struct mlp mlp = {0};
        int code = mlp_fit(&data, MEMBERS_JUDGED, f->seed, &mlp);
        if (code < 0)
            return code;
        for (int i = first; i < last; i++)
            ret_guess[i] = (double)mlp_predict(&mlp, f->x + (size_t)i * (size_t)f->p, NULL);
        mlp_finish(&mlp);
    }
    return 0;
}

static void judge(const struct fitting *f, struct arch_model_quality *quality) {
    double absolute = 0, squares = 0;
    for (int i = 0; i < f->n; i++) {
        double e = f->guess[i] - f->truth[i];
        absolute += fabs(e) / f->n;
        squares += e * e / f->n;
    }
    quality->mae = absolute;
    quality->rmse = sqrt(squares);
    quality->kendall_tau = stats_kendall_tau(f->guess, f->truth, (size_t)f->n);
}

/* A line through the logarithm of MACs, of the other folds, on every sample. */
static void guess_by_macs(struct fitting *f) {
    const float *x = f->x + encoding_log_macs(f->model->space);
    for (int k = 0; k < ARCH_MODEL_FOLDS; k++) {
        int first = first_of(f, k), last = first_of(f, k + 1), n = f->n - (last - first);
        double mean_x = 0, mean_y = 0, xx = 0, xy = 0;
        for (int i = 0; i < f->n; i++)
            if (i < first || i >= last) {
                mean_x += (double)x[(size_t)i * (size_t)f->p] / n;
                mean_y += f->truth[i] / n;
            }
        for (int i = 0; i < f->n; i++)
            if (i < first || i >= last) {
                double d = (double)x[(size_t)i * (size_t)f->p] - mean_x;
                xx += d * d;
                xy += d * (f->truth[i] - mean_y);
            }
        for (int i = first; i < last; i++)
            f->guess[i] =
                mean_y + (xx > 0 ? xy / xx : 0) * ((double)x[(size_t)i * (size_t)f->p] - mean_x);
    }
}

static void judge_line(struct fitting *f, struct arch_model_quality *quality) {
    struct arch_model_quality line;
    guess_by_macs(f);
    judge(f, &line);
    memcpy(f->line, f->guess, (size_t)f->n * sizeof *f->line);
    quality->baseline.kendall_tau = line.kendall_tau;
    quality->baseline.rmse = line.rmse;
}

/* Samples are shuffled, so the first of very many stand for all. */
static double difference_sd(const struct fitting *f) {
    int n = f->n < COMPARED_MAX ? f->n : COMPARED_MAX;
    return stats_kendall_difference_sd(f->guess, f->line, f->truth, (size_t)n) *
           sqrt((double)n / f->n);
}

/* Squared errors of each model on each fold. */
struct contest {
    int n_models;
    double squares[MODELS_MAX][ARCH_MODEL_FOLDS];
};

/* The model with the least error on all folds but that one (-1: on all). */
static int best_model(const struct contest *contest, int but) {
    int best = 0;
    double least = INFINITY;
    for (int m = 0; m < contest->n_models; m++) {
        double sum = 0;
        for (int k = 0; k < ARCH_MODEL_FOLDS; k++)
            sum += k == but ? 0 : contest->squares[m][k];
        if (sum < least) {
            least = sum;
            best = m;
        }
    }
    return best;
}

static double value_of(const struct fitting *f, const double *guess, int model, int i) {
    return f->model->bias + f->model->unit * guess[(size_t)model * (size_t)f->n + (size_t)i];
}

/* guess [n_models, n]. Returns the model that is best on all folds; f->guess is what of each fold
 * the best on the others says. */
static int choose(struct fitting *f, int n_models, const double *guess) {
    struct contest contest = {.n_models = n_models};
    for (int m = 0; m < n_models; m++)
        for (int k = 0; k < ARCH_MODEL_FOLDS; k++)
            for (int i = first_of(f, k); i < first_of(f, k + 1); i++) {
                double e = value_of(f, guess, m, i) - f->truth[i];
                contest.squares[m][k] += e * e;
            }
    for (int k = 0; k < ARCH_MODEL_FOLDS; k++) {
        int model = best_model(&contest, k);
        for (int i = first_of(f, k); i < first_of(f, k + 1); i++)
            f->guess[i] = value_of(f, guess, model, i);
    }
    return best_model(&contest, -1);
}

/* Tries every model out of sample. *ret_strength < 0: perceptrons won. */
static int choose_model(struct fitting *f, bool perceptrons, double *ret_strength) {
    struct regression_data data = {f->n, f->p, f->x, f->y};
    struct arch_model_quality q = {.n = f->n, .folds = ARCH_MODEL_FOLDS};
    size_t ridges = (size_t)N_STRENGTHS * (size_t)f->n;
    double *guess = mem_array(ridges + (size_t)f->n, sizeof *guess);
    int code = guess ? ridge_cross_validate(&data, ARCH_MODEL_FOLDS, strengths, N_STRENGTHS, guess)
                     : ESP_ENOMEM;
    if (code == 0 && perceptrons)
        code = validate_perceptrons(f, guess + ridges);
    if (code == 0) {
        judge_line(f, &q);
        int best = choose(f, N_STRENGTHS + perceptrons, guess);
        judge(f, &q);
        q.baseline.tau_sd = difference_sd(f);
        q.kind = best == N_STRENGTHS ? ARCH_MODEL_MLP : ARCH_MODEL_RIDGE;
        *ret_strength = best == N_STRENGTHS ? -1 : strengths[best];
        f->model->quality = q;
    }
    free(guess);
    return code;
}

/* The delete-a-group jackknife's variance of a ridge regression at a standardised row. */
static double disagreement_at(const struct arch_model *a, const float *row) {
    double y[ARCH_MODEL_FOLDS], others = ARCH_MODEL_FOLDS - 1;
    for (int k = 0; k < ARCH_MODEL_FOLDS; k++)
        y[k] = (double)ridge_predict(a->parts + (size_t)k * (size_t)a->p, row, a->p);
    return others * others / ARCH_MODEL_FOLDS * stats_variance(y, ARCH_MODEL_FOLDS);
}

static int fit_parts(struct fitting *f, double strength) {
    struct arch_model *a = f->model;
    a->parts = mem_array((size_t)ARCH_MODEL_FOLDS * (size_t)a->p, sizeof *a->parts);
    int code = a->parts ? 0 : ESP_ENOMEM;
    for (int k = 0; code == 0 && k < ARCH_MODEL_FOLDS; k++) {
        struct regression_data data = other_folds(f, first_of(f, k), first_of(f, k + 1));
        code = ridge_fit(&data, strength, a->parts + (size_t)k * (size_t)a->p);
    }
    if (code < 0)
        return code;
    for (int i = 0; i < f->n; i++)
        a->disagreement += disagreement_at(a, f->x + (size_t)i * (size_t)f->p) / f->n;
    return 0;
}

static int fit_all(struct fitting *f, bool perceptrons, bool spread) {
    struct arch_model *a = f->model;
    struct regression_data data = {f->n, f->p, f->x, f->y};
    double strength = strengths[0];
    int code = choose_model(f, perceptrons, &strength);
    if (code < 0)
        return code;
    if (strength < 0)
        return mlp_fit(&data, MEMBERS, f->seed, &a->mlp);
    code = ridge_fit(&data, strength, a->weights);
    return code == 0 && spread ? fit_parts(f, strength) : code;
}

int arch_model_fit(const struct space *space, const struct arch_sample *samples, int n,
                   struct arch_model_options options, struct err *err,
                   struct arch_model **ret_model) {
    if (n < ARCH_MODEL_SAMPLES_MIN)
        return err_set(err, ESP_EINVAL, NULL,
                       "a model of archs needs at least %d samples, there are %d",
                       ARCH_MODEL_SAMPLES_MIN, n);
    if (n > ARCH_MODEL_SAMPLES_MAX)
        return err_set(err, ESP_ELIMIT, NULL, "a model of archs takes at most %d samples",
                       ARCH_MODEL_SAMPLES_MAX);
    struct arch_model *a = NULL;
    struct fitting f = {0};
    int code = model_create(space, err, &a);
    if (code < 0)
        return code;
    if (!fitting_init(&f, a, n, options.seed))
        code = ESP_ENOMEM;
    if (code == 0)
        code = load_samples(&f, samples, err);
    if (code == 0)
        code = fit_all(&f, options.perceptrons && n >= ARCH_MODEL_MLP_SAMPLES, options.spread);
    if (code == ESP_ENOMEM)
        err_set(err, code, NULL, "no memory to fit a model of archs");
    fitting_finish(&f);
    if (code < 0) {
        arch_model_destroy(a);
        return code;
    }
    *ret_model = a;
    return 0;
}

int arch_model_run(struct arch_model *model, const struct arch *arch, struct err *err,
                   struct arch_model_answer *ret_answer) {
    const struct arch_model_quality *q = &model->quality;
    int code = encoder_run(model->encoder, arch, err, model->row);
    if (code < 0)
        return code;
    standardise(model, model->row);
    float y, sd = 0;
    double variance = q->rmse * q->rmse, unit2 = model->unit * model->unit;
    if (q->kind == ARCH_MODEL_MLP) {
        y = mlp_predict(&model->mlp, model->row, &sd);
        variance += unit2 * (double)sd * (double)sd;
    } else {
        y = ridge_predict(model->weights, model->row, model->p);
        if (model->parts)
            variance = fmax(variance - unit2 * model->disagreement, RESIDUAL_SHARE * variance) +
                       unit2 * disagreement_at(model, model->row);
    }
    *ret_answer = (struct arch_model_answer){model->bias + model->unit * (double)y, sqrt(variance)};
    return 0;
}

int arch_model_gradient(struct arch_model *model, const struct relaxed_shape *shape,
                        const double *point, struct err *err, double *ret_value,
                        double *ret_gradient) {
    int code = encoder_relaxed(model->encoder, shape, point, err, model->row);
    if (code < 0)
        return code;
    bool is_mlp = model->quality.kind == ARCH_MODEL_MLP;
    standardise(model, model->row);
    double y = (double)(is_mlp ? mlp_predict(&model->mlp, model->row, NULL)
                               : ridge_predict(model->weights, model->row, model->p));
    if (is_mlp)
        mlp_gradient(&model->mlp, model->row, model->slope);
    else
        memcpy(model->slope, model->weights, (size_t)model->p * sizeof *model->slope);
    for (int i = 0; i < model->p; i++)
        model->slope[i] *= (float)model->unit * model->scale[i];
    encoder_relaxed_back(model->encoder, point, model->slope, ret_gradient);
    *ret_value = model->bias + model->unit * y;
    return 0;
}

static bool add_floats(cJSON *doc, const char *key, const float *values, size_t n) {
    cJSON *list = cJSON_CreateFloatArray(values, (int)n);
    if (list && cJSON_AddItemToObject(doc, key, list))
        return true;
    cJSON_Delete(list);
    return false;
}

cJSON *arch_model_to_json(const struct arch_model *model) {
    const struct arch_model *a = model;
    const struct arch_model_quality *q = &a->quality;
    cJSON *doc = cJSON_CreateObject();
    bool is_mlp = q->kind == ARCH_MODEL_MLP;
    bool ok =
        doc && cJSON_AddStringToObject(doc, "space_fingerprint", a->space->fingerprint) &&
        cJSON_AddStringToObject(doc, "model", arch_model_kind_names[q->kind]) &&
        cJSON_AddNumberToObject(doc, "n", q->n) &&
        cJSON_AddNumberToObject(doc, "folds", q->folds) &&
        cJSON_AddNumberToObject(doc, "kendall_tau", q->kendall_tau) &&
        cJSON_AddNumberToObject(doc, "mae", q->mae) &&
        cJSON_AddNumberToObject(doc, "rmse", q->rmse) &&
        cJSON_AddNumberToObject(doc, "baseline_kendall_tau", q->baseline.kendall_tau) &&
        cJSON_AddNumberToObject(doc, "baseline_rmse", q->baseline.rmse) &&
        cJSON_AddNumberToObject(doc, "baseline_tau_sd", q->baseline.tau_sd) &&
        cJSON_AddNumberToObject(doc, "bias", a->bias) &&
        cJSON_AddNumberToObject(doc, "unit", a->unit) &&
        cJSON_AddNumberToObject(doc, "members", is_mlp ? a->mlp.n_members : 0) &&
        add_floats(doc, "mean", a->mean, (size_t)a->p) &&
        add_floats(doc, "scale", a->scale, (size_t)a->p) &&
        add_floats(doc, "weights", is_mlp ? a->mlp.weights : a->weights,
                   is_mlp ? (size_t)a->mlp.n_members * mlp_member_weights(a->p) : (size_t)a->p) &&
        (!a->parts ||
         (cJSON_AddNumberToObject(doc, "disagreement", a->disagreement) &&
          add_floats(doc, "parts", a->parts, (size_t)ARCH_MODEL_FOLDS * (size_t)a->p)));
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

static int read_quality(struct arch_model *a, const cJSON *doc, const char *at, struct err *err) {
    struct arch_model_quality *q = &a->quality;
    int64_t n = 0, folds = 0;
    int model = 0;
    int code = json_enum(doc, at, "model", arch_model_kind_names, err, &model);
    if (code == 0)
        code = json_int(doc, at, "n", ARCH_MODEL_SAMPLES_MIN, ARCH_MODEL_SAMPLES_MAX, err, &n);
    if (code == 0)
        code = json_int(doc, at, "folds", 2, 100, err, &folds);
    if (code == 0)
        code = json_real(doc, at, "kendall_tau", -1, 1, err, &q->kendall_tau);
    if (code == 0)
        code = json_real(doc, at, "mae", 0, 1e300, err, &q->mae);
    if (code == 0)
        code = json_real(doc, at, "rmse", 0, 1e300, err, &q->rmse);
    if (code == 0)
        code = json_real(doc, at, "baseline_kendall_tau", -1, 1, err, &q->baseline.kendall_tau);
    if (code == 0)
        code = json_real(doc, at, "baseline_rmse", 0, 1e300, err, &q->baseline.rmse);
    if (code == 0)
        code = json_real(doc, at, "baseline_tau_sd", 0, 2, err, &q->baseline.tau_sd);
    if (code == 0)
        code = json_real(doc, at, "bias", -1e300, 1e300, err, &a->bias);
    if (code == 0)
        code = json_real(doc, at, "unit", 0, 1e300, err, &a->unit);
    q->kind = (enum arch_model_kind)model;
    q->n = (int)n;
    q->folds = (int)folds;
    return code;
}

static int read_parts(struct arch_model *a, const cJSON *doc, const char *at, struct err *err) {
    size_t count = (size_t)ARCH_MODEL_FOLDS * (size_t)a->p;
    int code = json_real(doc, at, "disagreement", 0, 1e300, err, &a->disagreement);
    if (code < 0)
        return code;
    a->parts = mem_array(count, sizeof *a->parts);
    if (!a->parts)
        return err_set(err, ESP_ENOMEM, NULL, "no memory for a model of archs");
    return read_floats(doc, at, "parts", count, err, a->parts);
}

static int read_weights(struct arch_model *a, const cJSON *doc, const char *at, struct err *err) {
    int code = read_floats(doc, at, "mean", (size_t)a->p, err, a->mean);
    if (code == 0)
        code = read_floats(doc, at, "scale", (size_t)a->p, err, a->scale);
    if (code < 0)
        return code;
    if (a->quality.kind == ARCH_MODEL_RIDGE) {
        code = read_floats(doc, at, "weights", (size_t)a->p, err, a->weights);
        return code == 0 && json_has(doc, "parts") ? read_parts(a, doc, at, err) : code;
    }
    int64_t members;
    code = json_int(doc, at, "members", 1, MLP_MEMBERS_MAX, err, &members);
    if (code < 0)
        return code;
    size_t count = (size_t)members * mlp_member_weights(a->p);
    a->mlp = (struct mlp){a->p, (int)members, mem_array(count, sizeof(float))};
    if (!a->mlp.weights)
        return err_set(err, ESP_ENOMEM, NULL, "no memory for a model of archs");
    return read_floats(doc, at, "weights", count, err, a->mlp.weights);
}

int arch_model_from_json(const struct space *space, const cJSON *doc, const char *at,
                         struct err *err, struct arch_model **ret_model) {
    struct arch_model *a = NULL;
    const char *fingerprint;
    int code = json_string(doc, at, "space_fingerprint", 1, HASH_TEXT - 1, err, &fingerprint);
    if (code < 0)
        return code;
    if (strcmp(fingerprint, space->fingerprint) != 0)
        return err_set(err, ESP_EMISMATCH, at, "this model was fitted on another space than %s",
                       space->name);
    code = model_create(space, err, &a);
    if (code == 0)
        code = read_quality(a, doc, at, err);
    if (code == 0)
        code = read_weights(a, doc, at, err);
    if (code < 0) {
        arch_model_destroy(a);
        return code;
    }
    *ret_model = a;
    return 0;
}
