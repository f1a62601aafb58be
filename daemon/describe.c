#include "daemon/describe.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/stats.h"

static double energy_uj(const struct cost *cost, const struct energy_fit *prices) {
    return energy_fit_apply(prices, (double)cost->macs, (double)cost->traffic_bytes);
}

cJSON *describe_cost(const struct cost *cost, const struct energy_fit *prices) {
    cJSON *doc = cJSON_CreateObject();
    cJSON_AddNumberToObject(doc, "macs", (double)cost->macs);
    cJSON_AddNumberToObject(doc, "params", (double)cost->params);
    cJSON_AddNumberToObject(doc, "peak_activation_bytes", (double)cost->peak_activation_bytes);
    cJSON_AddNumberToObject(doc, "peak_simple_bytes", (double)cost->peak_simple_bytes);
    cJSON_AddNumberToObject(doc, "model_bytes", (double)cost->model_bytes);
    cJSON_AddNumberToObject(doc, "traffic_bytes", (double)cost->traffic_bytes);
    cJSON_AddNumberToObject(doc, "energy_uj", energy_uj(cost, prices));
    return doc;
}

/* {"arch", "arch_id", "cost"} of one subnet, as a member of doc. */
static int add_subnet(cJSON *doc, const char *key, const struct space *space,
                      const struct arch *arch, struct err *err) {
    struct cost cost;
    char text[ARCH_TEXT_MAX], id[HASH_TEXT];
    cJSON *subnet = cJSON_AddObjectToObject(doc, key);
    int rc = arch_cost(space, arch, err, &cost);

    if (rc)
        return rc;
    arch_format(space, arch, text);
    arch_id(space, arch, id);
    cJSON_AddStringToObject(subnet, "arch", text);
    cJSON_AddStringToObject(subnet, "arch_id", id);
    cJSON_AddItemToObject(subnet, "cost", describe_cost(&cost, &energy_fit_literature));
    return 0;
}

static int add_definition(cJSON *doc, const struct space *space, struct err *err) {
    char *text = space_print(space);
    cJSON *definition = text ? cJSON_Parse(text) : NULL;
    free(text);
    if (!definition)
        return err_set(err, ESP_ENOMEM, NULL, "out of memory");
    cJSON_AddItemToObject(doc, "definition", definition);
    return 0;
}

int describe_space(const struct space *space, struct describe_space_options options,
                   struct err *err, cJSON **ret_doc) {
    cJSON *doc = cJSON_CreateObject();
    struct unit_list *units = NULL;
    struct arch largest, smallest;
    int rc = space_units(space, err, &units);

    if (rc)
        goto out;
    arch_max(space, &largest);
    arch_min(space, &smallest);
    cJSON_AddStringToObject(doc, "name", space->name);
    cJSON_AddStringToObject(doc, "fingerprint", space->fingerprint);
    cJSON_AddBoolToObject(doc, "builtin", options.builtin);
    cJSON_AddNumberToObject(doc, "input_channels", space->input_channels);
    cJSON_AddNumberToObject(doc, "n_classes", space->n_classes);
    cJSON_AddNumberToObject(doc, "cardinality", space_cardinality(space));
    cJSON_AddItemToObject(doc, "resolutions",
                          cJSON_CreateIntArray(space->resolutions, space->n_resolutions));
    cJSON_AddNumberToObject(doc, "n_stages", space->n_stages);
    cJSON_AddNumberToObject(doc, "n_blocks", space->n_blocks);
    cJSON_AddNumberToObject(doc, "table_entries", units->n);
    rc = add_subnet(doc, "largest", space, &largest, err);
    if (!rc)
        rc = add_subnet(doc, "smallest", space, &smallest, err);
    if (!rc && options.definition)
        rc = add_definition(doc, space, err);
out:
    unit_list_destroy(units);
    if (rc)
        cJSON_Delete(doc);
    else
        *ret_doc = doc;
    return rc;
}

/* Channels inside a block of more than one convolution, else 0. */
static int mid_channels(const struct unit_spec *spec) {
    if (spec->kind == UNIT_BLOCK && !spec->expand_channels)
        return spec->c_in;
    return spec->expand_channels;
}

/* Without what any run costs: energies of units and of their layers sum up. */
static double part_uj(const struct cost *cost, const struct energy_fit *prices) {
    return energy_uj(cost, prices) - prices->run_uj;
}

/* Of a unit or a layer of one; bytes: what its peak_activation_bytes are called. */
static void add_part_cost(cJSON *doc, const struct cost *cost, const char *bytes,
                          const struct energy_fit *prices) {
    cJSON_AddNumberToObject(doc, "macs", (double)cost->macs);
    cJSON_AddNumberToObject(doc, "params", (double)cost->params);
    cJSON_AddNumberToObject(doc, bytes, (double)cost->peak_activation_bytes);
    cJSON_AddNumberToObject(doc, "model_bytes", (double)cost->model_bytes);
    cJSON_AddNumberToObject(doc, "traffic_bytes", (double)cost->traffic_bytes);
    cJSON_AddNumberToObject(doc, "energy_uj", part_uj(cost, prices));
}

static cJSON *describe_layer(const struct graph *graph, int unit, int i,
                             const struct energy_fit *prices) {
    const struct op *op = &graph->ops[graph->units[unit].first_op + i];
    struct cost cost;
    cJSON *doc = cJSON_CreateObject();
    unit_op_cost(graph, unit, i, &cost);
    cJSON_AddStringToObject(doc, "layer", op_role_names[op->role]);
    cJSON_AddNumberToObject(doc, "c_in", op->c_in);
    cJSON_AddNumberToObject(doc, "c_out", op->c_out);
    cJSON_AddNumberToObject(doc, "h_out", op->h_out);
    cJSON_AddNumberToObject(doc, "w_out", op->w_out);
    cJSON_AddNumberToObject(doc, "kernel", op->kernel ? op->kernel : 1);
    cJSON_AddNumberToObject(doc, "stride", op->stride ? op->stride : 1);
    cJSON_AddBoolToObject(doc, "residual", op->residual >= 0);
    add_part_cost(doc, &cost, "live_bytes", prices);
    return doc;
}

/* What a drawing of the network needs to know of one unit. */
static cJSON *describe_unit(const struct graph *graph, const struct graph_unit *unit,
                            const struct describe_profile *profile) {
    const struct unit_spec *spec = &unit->spec;
    const struct op *last = &graph->ops[unit->first_op + unit->n_ops - 1];
    const struct latency_entry *entry =
        profile->table ? latency_table_find(profile->table, unit->signature) : NULL;
    int mid = mid_channels(spec), of = spec->kind == UNIT_BOTTLENECK ? spec->c_out : spec->c_in;
    const struct energy_fit *prices = profile->prices ? profile->prices : &energy_fit_literature;
    struct cost cost;
    cJSON *doc = cJSON_CreateObject();

    unit_cost(graph, (int)(unit - graph->units), &cost);
    cJSON_AddStringToObject(doc, "signature", unit->signature);
    cJSON_AddStringToObject(doc, "kind", unit_kind_names[spec->kind]);
    cJSON_AddNumberToObject(doc, "stage", unit->stage);
    cJSON_AddNumberToObject(doc, "block", unit->block);
    add_part_cost(doc, &cost, "peak_activation_bytes", prices);
    cJSON_AddNumberToObject(doc, "c_in", spec->c_in);
    cJSON_AddNumberToObject(doc, "c_out", last->c_out);
    cJSON_AddNumberToObject(doc, "h_out", last->h_out);
    cJSON_AddNumberToObject(doc, "w_out", last->w_out);
    cJSON_AddNumberToObject(doc, "mid_channels", mid);
    cJSON_AddNumberToObject(doc, "kernel", spec->kernel ? spec->kernel : 1);
    cJSON_AddNumberToObject(doc, "expand_ratio", round(100.0 * mid / of) / 100);
    cJSON_AddNumberToObject(doc, "stride", spec->stride ? spec->stride : 1);
    cJSON_AddStringToObject(doc, "act", act_names[spec->act]);
    cJSON_AddBoolToObject(doc, "se", spec->se_channels > 0);
    cJSON_AddBoolToObject(doc, "residual", spec->residual);
    if (entry)
        cJSON_AddNumberToObject(doc, "latency_us", entry->median_us);
    cJSON *layers = cJSON_AddArrayToObject(doc, "layers");
    for (int i = 0; i < unit->n_ops; i++)
        cJSON_AddItemToArray(layers, describe_layer(graph, (int)(unit - graph->units), i, prices));
    return doc;
}

/* Null where nothing was fitted. */
static cJSON *describe_calibration(const struct calibration *calibration) {
    if (!calibration || calibration->kind == CALIBRATION_NONE)
        return cJSON_CreateNull();
    cJSON *doc = cJSON_CreateObject();
    cJSON_AddNumberToObject(doc, "version", calibration->version);
    cJSON_AddNumberToObject(doc, "n", calibration->n);
    cJSON_AddStringToObject(doc, "rung", ladder_rung_names[calibration->rung]);
    return doc;
}

static int add_latency(cJSON *doc, const struct graph *graph, const struct latency_table *table,
                       const struct calibration *calibration, struct err *err) {
    struct latency_prediction prediction;
    int n_missing = 0, *missing = mem_array((size_t)graph->n_units, sizeof(*missing));

    if (!missing)
        return err_set(err, ESP_ENOMEM, NULL, "out of memory");
    int rc = latency_predict(table, calibration ? calibration : &calibration_none, graph, err,
                             &prediction, missing, &n_missing);
    if (rc == 0) {
        cJSON *latency = latency_prediction_to_json(&prediction, graph, missing, n_missing);
        cJSON_AddItemToObject(latency, "calibration", describe_calibration(calibration));
        cJSON_AddItemToObject(doc, "latency", latency);
    }
    free(missing);
    return rc;
}

/* By which prices the energy is, and its interval. */
static void add_energy(cJSON *doc, const struct cost *cost,
                       const struct describe_profile *profile) {
    double uj = energy_uj(cost, profile->prices), factor = energy_fit_factor(profile->prices);
    cJSON *energy = cJSON_AddObjectToObject(doc, "energy");
    cJSON_AddNumberToObject(energy, "uj", uj);
    cJSON_AddNumberToObject(energy, "low_uj", uj / factor);
    cJSON_AddNumberToObject(energy, "high_uj", uj * factor);
    cJSON_AddNumberToObject(energy, "run_uj", profile->prices->run_uj);
    cJSON_AddStringToObject(energy, "prices", profile->prices_id);
}

int describe_arch(const struct space *space, const struct arch *arch,
                  const struct describe_profile *profile, struct err *err, cJSON **ret_doc) {
    cJSON *doc = cJSON_CreateObject(), *units = cJSON_AddArrayToObject(doc, "units");
    char text[ARCH_TEXT_MAX], id[HASH_TEXT];
    struct graph *graph = NULL;
    struct cost cost;
    int rc = graph_build(space, arch, err, &graph);

    if (!rc)
        rc = arch_cost(space, arch, err, &cost);
    if (rc)
        goto out;
    arch_format(space, arch, text);
    cJSON_AddStringToObject(doc, "arch", text);
    arch_id(space, arch, id);
    cJSON_AddStringToObject(doc, "arch_id", id);
    graph_id(graph, "fp32", id);
    cJSON_AddStringToObject(doc, "graph_id", id);
    cJSON_AddItemToObject(
        doc, "cost",
        describe_cost(&cost, profile->prices ? profile->prices : &energy_fit_literature));
    for (int i = 0; i < graph->n_units; i++)
        cJSON_AddItemToArray(units, describe_unit(graph, &graph->units[i], profile));
    if (profile->prices)
        add_energy(doc, &cost, profile);
    if (profile->table)
        rc = add_latency(doc, graph, profile->table, profile->calibration, err);
out:
    free(graph);
    if (rc)
        cJSON_Delete(doc);
    else
        *ret_doc = doc;
    return rc;
}

static void add_quantiles(cJSON *quantiles, const char *metric, const double *values, int n) {
    static const struct {
        const char *name;
        double q;
    } rows[] = {{"min", 0},    {"p5", 0.05},  {"p25", 0.25}, {"median", 0.5},
                {"p75", 0.75}, {"p95", 0.95}, {"max", 1}};
    cJSON *doc = cJSON_AddObjectToObject(quantiles, metric);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        cJSON_AddNumberToObject(doc, rows[i].name, stats_quantile(values, (size_t)n, rows[i].q));
}

enum sample_column {
    SAMPLE_MACS,
    SAMPLE_PARAMS,
    SAMPLE_PEAK,
    SAMPLE_MODEL,
    SAMPLE_LATENCY,
    SAMPLE_COLUMNS
};
static const char *const sample_names[] = {"macs", "params", "peak_activation_bytes", "model_bytes",
                                           "latency_us"};

/* Values of subnet i into the columns; latency is NAN where it cannot be predicted. */
static int sample_one(const struct space *space, struct latency_predictor *predictor,
                      const struct arch *arch, struct err *err, double **columns, int i) {
    struct latency_prediction prediction = {.state = LATENCY_MISSING, .us = NAN};
    struct cost cost;
    int rc = arch_cost(space, arch, err, &cost);

    if (!rc && predictor)
        rc = latency_predictor_run(predictor, arch, err, &prediction);
    if (rc)
        return rc;
    columns[SAMPLE_MACS][i] = (double)cost.macs;
    columns[SAMPLE_PARAMS][i] = (double)cost.params;
    columns[SAMPLE_PEAK][i] = (double)cost.peak_activation_bytes;
    columns[SAMPLE_MODEL][i] = (double)cost.model_bytes;
    columns[SAMPLE_LATENCY][i] = prediction.us;
    return 0;
}

static int count_missing(const struct space *space, const struct latency_table *table,
                         struct err *err, int *ret_missing) {
    struct unit_list *units = NULL;
    int rc = space_units(space, err, &units);
    if (!rc)
        *ret_missing = latency_table_missing(table, units, NULL);
    unit_list_destroy(units);
    return rc;
}

static bool all_known(const double *column, int n) {
    for (int i = 0; i < n; i++)
        if (isnan(column[i]))
            return false;
    return true;
}

static cJSON *sample_answer(double *const *columns, int n, bool latency, int missing) {
    cJSON *doc = cJSON_CreateObject();
    cJSON_AddNumberToObject(doc, "n", n);
    cJSON *quantiles = cJSON_AddObjectToObject(doc, "quantiles");
    for (int c = 0; c < SAMPLE_COLUMNS; c++)
        if (c != SAMPLE_LATENCY || (latency && all_known(columns[c], n)))
            add_quantiles(quantiles, sample_names[c], columns[c], n);
    if (latency)
        cJSON_AddNumberToObject(doc, "missing_entries", missing);
    return doc;
}

int describe_sample(const struct space *space, const struct latency_table *table,
                    const struct calibration *calibration, struct describe_sample_options options,
                    struct err *err, cJSON **ret_doc) {
    struct latency_predictor *predictor = NULL;
    double *columns[SAMPLE_COLUMNS] = {NULL};
    struct arch arch;
    int missing = 0, rc = 0;

    for (int c = 0; c < SAMPLE_COLUMNS && !rc; c++) {
        columns[c] = mem_array((size_t)options.n, sizeof(double));
        if (!columns[c])
            rc = err_set(err, ESP_ENOMEM, NULL, "out of memory");
    }
    if (!rc && table)
        rc = count_missing(space, table, err, &missing);
    if (!rc && table)
        rc = latency_predictor_create(space, table, calibration ? calibration : &calibration_none,
                                      err, &predictor);
    for (int i = 0; i < options.n && !rc; i++) {
        struct rng rng = rng_make(options.seed, RNG_SAMPLE, 0, (uint32_t)i);
        arch_random(space, &rng, &arch);
        rc = sample_one(space, predictor, &arch, err, columns, i);
    }
    if (!rc)
        *ret_doc = sample_answer(columns, options.n, table != NULL, missing);
    latency_predictor_destroy(predictor);
    for (int c = 0; c < SAMPLE_COLUMNS; c++)
        free(columns[c]);
    return rc;
}
