#include "devices/simulation.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "space/cost.h"

const char *const simulation_lie_names[] = {"none",    "fast",    "constant",    "impossible",
                                            "garbage", "outputs", "fingerprint", NULL};

enum { FILE_MAX = 4 << 20, TEXT_MAX = 4096, START_NS = 1000000000 };

/* ---- the model ----------------------------------------------------------------------------- */

static const struct number_row {
    const char *name;
    double value, least, most;
    size_t offset;
} numbers[] = {
#define SIMULATION_ROW(name, value, least, most, what)                                             \
    {#name, value, least, most, offsetof(struct simulation_model, name)},
    SIMULATION_NUMBERS(SIMULATION_ROW)
#undef SIMULATION_ROW
};
enum { NUMBERS = sizeof(numbers) / sizeof(*numbers) };

static double *number_of(struct simulation_model *model, int row) {
    return (double *)((char *)model + numbers[row].offset);
}

static int add_pair(cJSON *doc, char *pair, struct err *err) {
    char *value = strchr(pair, '='), *end = NULL;

    if (!value || value == pair || !value[1])
        return err_set(err, ESP_EINVAL, NULL, "sim: \"%s\" is not of the form name=value", pair);
    *value++ = 0;
    if (json_has(doc, pair))
        return err_set(err, ESP_EINVAL, NULL, "sim: %s is there twice", pair);
    double number = strtod(value, &end);
    if (*end)
        cJSON_AddStringToObject(doc, pair, value);
    else
        cJSON_AddNumberToObject(doc, pair, number);
    return 0;
}

/* name=value,name=value as a document. */
static int read_pairs(const char *text, struct err *err, cJSON **ret_doc) {
    char copy[TEXT_MAX], *rest = copy, *pair;
    int rc = 0;

    if (snprintf(copy, sizeof(copy), "%s", text) >= TEXT_MAX)
        return err_set(err, ESP_ELIMIT, NULL, "sim: more than %d bytes", TEXT_MAX - 1);
    cJSON *doc = cJSON_CreateObject();
    while (!rc && (pair = strsep(&rest, ",")) != NULL)
        rc = add_pair(doc, pair, err);
    if (rc)
        cJSON_Delete(doc);
    else
        *ret_doc = doc;
    return rc;
}

static int read_file(const char *path, struct err *err, cJSON **ret_doc) {
    char *text = NULL;
    size_t len = 0;
    int rc = file_read(path, FILE_MAX, err, &text, &len);

    if (!rc)
        rc = json_parse(text, len, NULL, err, ret_doc);
    free(text);
    return rc ? err_prefix(err, rc, "sim: %s", path) : 0;
}

static int read_units(const cJSON *doc, struct err *err, cJSON **ret_units) {
    const cJSON *units = NULL, *unit;
    double us;
    int rc = json_object(doc, "", "units", err, &units);

    cJSON_ArrayForEach(unit, units) {
        rc = json_real(units, "/units", unit->string, 1e-3, 1e9, err, &us);
        if (rc)
            break;
    }
    if (!rc && !(*ret_units = cJSON_Duplicate(units, true)))
        rc = err_set(err, ESP_ENOMEM, NULL, "out of memory");
    return rc;
}

static int read_members(const cJSON *doc, struct err *err, struct simulation_model *model) {
    const char *keys[NUMBERS + 3] = {NULL};
    int lie = SIMULATION_HONEST, rc = 0;

    for (int i = 0; i < NUMBERS; i++)
        keys[i] = numbers[i].name;
    keys[NUMBERS] = "lie";
    keys[NUMBERS + 1] = "units";
    rc = json_only(doc, "", keys, err);
    for (int i = 0; i < NUMBERS && !rc; i++)
        rc = json_real_opt(doc, "", numbers[i].name, numbers[i].least, numbers[i].most, err,
                           number_of(model, i));
    if (!rc && json_has(doc, "lie"))
        rc = json_enum(doc, "", "lie", simulation_lie_names, err, &lie);
    if (!rc && json_has(doc, "units"))
        rc = read_units(doc, err, &model->units);
    model->lie = (enum simulation_lie)lie;
    return rc;
}

int simulation_model_read(const char *text, struct err *err, struct simulation_model *ret_model) {
    struct simulation_model model = {.lie = SIMULATION_HONEST};
    cJSON *doc = NULL;
    int rc = 0;

    for (int i = 0; i < NUMBERS; i++)
        *number_of(&model, i) = numbers[i].value;
    if (text && strchr(text, '='))
        rc = read_pairs(text, err, &doc);
    else if (text)
        rc = read_file(text, err, &doc);
    if (!rc && doc)
        rc = read_members(doc, err, &model);
    cJSON_Delete(doc);
    if (rc)
        simulation_model_finish(&model);
    else
        *ret_model = model;
    return rc;
}

void simulation_model_finish(struct simulation_model *model) {
    cJSON_Delete(model->units);
    model->units = NULL;
}

/* ---- how long a run takes ------------------------------------------------------------------- */

static double op_us(const struct simulation_model *model, const struct op *op) {
    struct cost cost;
    double elements =
        (double)op->c_in * op->h_in * op->w_in + (double)op->c_out * op->h_out * op->w_out;

    op_cost(op, 4, &cost);
    double compute = (double)cost.macs / (model->gmacs * 1e3);
    double memory = (4 * elements + (double)cost.model_bytes) / (model->gbps * 1e3);
    return fmax(compute, memory) + model->op_us;
}

double simulation_graph_us(const struct simulation_model *model, const struct graph *graph) {
    double us = model->launch_us;

    for (int i = 0; i < graph->n_units; i++) {
        const struct graph_unit *unit = &graph->units[i];
        const cJSON *entry = cJSON_GetObjectItemCaseSensitive(model->units, unit->signature);
        if (entry)
            us += cJSON_GetNumberValue(entry);
        for (int k = 0; k < unit->n_ops && !entry; k++)
            us += op_us(model, &graph->ops[unit->first_op + k]);
    }
    return us;
}

double simulation_slowness(const struct simulation_model *model, int64_t now_ns) {
    double s = (double)now_ns / 1e9, factor = 1 + model->drift_per_hour * s / 3600;
    double every = model->throttle_every_s;

    if (every > 0 && fmod(s, every) >= every - model->throttle_s)
        factor *= model->throttle_factor;
    return fmax(factor, 0.01);
}

bool simulation_lies(const struct simulation_model *model, enum simulation_lie lie,
                     uint32_t index) {
    return model->lie == lie && (double)index >= model->honest;
}

/* ---- one measurement ------------------------------------------------------------------------ */

static enum simulation_fate fate_of(const struct simulation_model *m, double dice) {
    const struct {
        double share;
        enum simulation_fate fate;
    } rows[] = {{m->crash, SIMULATION_CRASHES},
                {m->hang, SIMULATION_HANGS},
                {m->oom, SIMULATION_LACKS_MEMORY},
                {m->unsupported, SIMULATION_REFUSES}};

    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        if (dice < rows[i].share)
            return rows[i].fate;
        dice -= rows[i].share;
    }
    return SIMULATION_WELL;
}

void simulation_start(const struct simulation_model *model, double us, double reference_us,
                      uint32_t index, struct simulation *ret) {
    *ret = (struct simulation){.model = model,
                               .rng = rng_make((uint64_t)model->seed, RNG_SAMPLE, 0, index),
                               .us = us,
                               .reference_us = reference_us,
                               .lies = (double)index >= model->honest,
                               .now_ns = (int64_t)index * START_NS,
                               .level_ns = -1};
    ret->paced_ns = ret->now_ns;
    ret->fate = fate_of(model, rng_unit(&ret->rng));
    ret->fatal_run = ret->fate == SIMULATION_WELL ? -1 : (int64_t)rng_below(&ret->rng, 60);
}

/* Noise of a run: an autoregression of order one on a level that changes now and then. */
static double noise(struct simulation *s) {
    const struct simulation_model *m = s->model;
    int64_t step = (int64_t)(m->level_ms * 1e6), level = s->now_ns / step;

    if (s->lies && m->lie == SIMULATION_CONSTANT)
        return 1;
    if (m->level_noise > 0 && level != s->level_ns) {
        s->level = m->level_noise * rng_normal(&s->rng);
        s->level_ns = level;
    }
    s->last =
        m->correlation * s->last + sqrt(1 - m->correlation * m->correlation) * rng_normal(&s->rng);
    double factor = exp(s->level + m->noise * s->last);
    return m->outliers > 0 && rng_unit(&s->rng) < m->outliers ? factor * m->outlier_factor : factor;
}

static int meet_fate(const struct simulation *s) {
    switch (s->fate) {
    case SIMULATION_WELL:
        return 0;
    case SIMULATION_CRASHES:
        abort();
    case SIMULATION_HANGS:
        for (;;)
            pause();
    case SIMULATION_LACKS_MEMORY:
        return ESP_ENOMEM;
    case SIMULATION_REFUSES:
        return ESP_EUNSUPPORTED;
    }
    return 0;
}

/* Time really passes, in pieces that a sleep can keep. */
static void keep_pace(struct simulation *s) {
    double us = (double)(s->now_ns - s->paced_ns) / 1e3 * s->model->pace;

    if (us < 1000)
        return;
    clock_sleep_us((int64_t)us);
    s->paced_ns = s->now_ns;
}

static int run(struct simulation *s, double us) {
    if (s->runs++ == s->fatal_run) {
        int rc = meet_fate(s);
        if (rc)
            return rc;
    }
    us *= noise(s) * simulation_slowness(s->model, s->now_ns);
    if (s->lies && s->model->lie == SIMULATION_FAST)
        us /= 1000;
    s->now_ns += (int64_t)fmax(1, us * 1e3);
    keep_pace(s);
    return 0;
}

static int run_subject(void *context) {
    struct simulation *s = context;
    return run(s, s->us);
}

static int run_reference(void *context) {
    struct simulation *s = context;
    return run(s, s->reference_us);
}

static int64_t now_ns(void *context) {
    return ((struct simulation *)context)->now_ns;
}

/* A watt is a microjoule in a microsecond. */
static double energy_uj(void *context) {
    const struct simulation *simulation = context;
    return (double)simulation->now_ns / 1e3 * simulation->model->watts;
}

struct sampler_source simulation_source(struct simulation *simulation) {
    return (struct sampler_source){.run = run_subject,
                                   .run_reference = run_reference,
                                   .now_ns = now_ns,
                                   .energy_uj = simulation->model->watts > 0 ? energy_uj : NULL,
                                   .context = simulation};
}
