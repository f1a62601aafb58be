/* sim: no hardware at all. For tests, and for trying Espalier; says so in its profile. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/memory.h"
#include "devices/backend.h"
#include "devices/reference.h"
#include "devices/simulation.h"

struct sim {
    struct simulation_model model;
    uint32_t index; /* measurements so far */
    struct simulation simulation;
};

static void sim_close(void *state) {
    struct sim *sim = state;

    if (sim)
        simulation_model_finish(&sim->model);
    free(sim);
}

static int sim_open(const struct backend_options *options, struct err *err, void **ret_state) {
    struct sim *sim = mem_array(1, sizeof(*sim));
    if (!sim)
        return err_set(err, ESP_ENOMEM, NULL, "out of memory");
    int rc = simulation_model_read(options->config, err, &sim->model);
    if (rc)
        sim_close(sim);
    else
        *ret_state = sim;
    return rc;
}

/* The whole model: another one is another board. */
static cJSON *model_to_json(const struct simulation_model *model) {
    cJSON *doc = cJSON_CreateObject();

#define SIMULATION_ADD(name, value, least, most, what)                                             \
    cJSON_AddNumberToObject(doc, #name, model->name);
    SIMULATION_NUMBERS(SIMULATION_ADD)
#undef SIMULATION_ADD
    cJSON_AddStringToObject(doc, "lie", simulation_lie_names[model->lie]);
    if (model->units)
        cJSON_AddItemToObject(doc, "units", cJSON_Duplicate(model->units, true));
    return doc;
}

static int sim_describe(void *state, cJSON *fingerprint, struct err *err,
                        struct backend_profile *ret) {
    const struct sim *sim = state;
    static const char *const real[] = {"cpu_flags", "cores", "caches", "memory_mib",
                                       "frequency_range_khz"};
    char text[128];

    snprintf(ret->runtime, sizeof(ret->runtime), "simulated");
    snprintf(ret->precision, sizeof(ret->precision), "fp32");
    ret->simulated = true;
    for (size_t i = 0; i < sizeof(real) / sizeof(*real); i++)
        cJSON_DeleteItemFromObjectCaseSensitive(fingerprint, real[i]);
    snprintf(text, sizeof(text), "simulated: %g GMAC/s, %g GB/s", sim->model.gmacs,
             sim->model.gbps);
    cJSON_ReplaceItemInObjectCaseSensitive(fingerprint, "cpu_model", cJSON_CreateString(text));
    cJSON_AddItemToObject(fingerprint, "simulated", model_to_json(&sim->model));
    return 0;
}

static int64_t sim_patience_ms(const void *state) {
    const struct sim *sim = state;
    return (int64_t)(sim->model.patience_s * 1000);
}

static int sim_begin(void *state, const struct backend_run *run,
                     struct sampler_source *ret_source) {
    struct sim *sim = state;
    struct graph *reference = NULL;
    int rc = reference_graph(run->err, &reference);

    if (rc)
        return rc;
    simulation_start(&sim->model, simulation_graph_us(&sim->model, run->task->graph),
                     simulation_graph_us(&sim->model, reference), sim->index, &sim->simulation);
    *ret_source = simulation_source(&sim->simulation);
    return 0;
}

/* A lie about times that sampling cannot tell. */
static void spoil_times(const struct sim *sim, cJSON *result) {
    static const char *const times[] = {"median_us", "low_us", "high_us", "samples_us"};
    bool impossible = simulation_lies(&sim->model, SIMULATION_IMPOSSIBLE, sim->index);
    bool garbage = simulation_lies(&sim->model, SIMULATION_GARBAGE, sim->index);

    for (size_t i = 0; i < sizeof(times) / sizeof(*times); i++) {
        if (impossible && strcmp(times[i], "samples_us") != 0)
            cJSON_ReplaceItemInObjectCaseSensitive(result, times[i], cJSON_CreateNumber(-1));
        else if (garbage)
            cJSON_ReplaceItemInObjectCaseSensitive(result, times[i], cJSON_CreateString("soon"));
    }
}

static bool never_varies(const struct simulation_model *model) {
    return model->noise == 0 && model->level_noise == 0 && model->outliers == 0;
}

static int sim_end(void *state, const struct backend_run *run, cJSON *result) {
    const struct sim *sim = state;
    const struct simulation_model *model = &sim->model;

    spoil_times(sim, result);
    if (!model->units)
        cJSON_AddNumberToObject(result, "peak_gmacs", model->gmacs);
    if (never_varies(model) && model->lie != SIMULATION_CONSTANT)
        cJSON_AddBoolToObject(result, "steady", true);
    if (simulation_lies(model, SIMULATION_OUTPUTS, sim->index))
        cJSON_AddNumberToObject(result, "output_error", 0.3);
    if (simulation_lies(model, SIMULATION_DISGUISED, sim->index))
        cJSON_AddStringToObject(result, "fingerprint", "of-another-board");
    return 0;
}

static void sim_done(void *state) {
    struct sim *sim = state;
    sim->index++;
}

const struct backend backend_sim = {.name = "sim",
                                    .summary = "a simulated board, for tests and for trying",
                                    .open = sim_open,
                                    .close = sim_close,
                                    .describe = sim_describe,
                                    .patience_ms = sim_patience_ms,
                                    .begin = sim_begin,
                                    .end = sim_end,
                                    .done = sim_done};
