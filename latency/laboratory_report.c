/* The laboratory's reports as JSON. */
#include "latency/laboratory.h"

#include <math.h>

static cJSON *figures_to_json(const struct laboratory_figures *figures, const char *name) {
    cJSON *doc = cJSON_CreateObject();
    cJSON_AddStringToObject(doc, "name", name);
    cJSON_AddNumberToObject(doc, "mape", figures->mape);
    cJSON_AddNumberToObject(doc, "mape_sd", figures->mape_sd);
    cJSON_AddNumberToObject(doc, "mape_median", figures->mape_median);
    cJSON_AddNumberToObject(doc, "within_5", figures->within_5);
    cJSON_AddNumberToObject(doc, "within_10", figures->within_10);
    cJSON_AddNumberToObject(doc, "kendall_tau", figures->kendall_tau);
    if (isfinite(figures->coverage))
        cJSON_AddNumberToObject(doc, "coverage", figures->coverage);
    else
        cJSON_AddNullToObject(doc, "coverage");
    cJSON_AddNumberToObject(doc, "chosen", figures->chosen);
    return doc;
}

cJSON *laboratory_left_out_to_json(const struct laboratory_left_out *left_out) {
    cJSON *doc = cJSON_CreateObject();
    const struct {
        const char *name;
        size_t n;
    } rows[] = {{"networks_not_measured", left_out->networks_not_measured},
                {"networks_without_ops", left_out->networks_without_ops},
                {"networks_not_drawn", left_out->networks_not_drawn},
                {"unknown_networks", left_out->unknown_networks},
                {"ops_of_unknown_networks", left_out->ops_of_unknown},
                {"unmeasured_ops", left_out->ops_not_measured},
                {"networks_of_table", left_out->networks_of_table},
                {"ops_of_table", left_out->ops_of_table}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        cJSON_AddNumberToObject(doc, rows[i].name, (double)rows[i].n);
    return doc;
}

static cJSON *stand_ins_to_json(const struct laboratory_report *report) {
    cJSON *list = cJSON_CreateArray();
    for (int i = 0; i < report->n_stand_ins; i++) {
        const struct laboratory_stand_in *stand_in = &report->stand_ins[i];
        cJSON *doc = cJSON_CreateObject();
        cJSON_AddStringToObject(doc, "name", stand_in->name);
        cJSON_AddBoolToObject(doc, "weak", stand_in->weak);
        cJSON_AddNumberToObject(doc, "kendall_tau", stand_in->kendall_tau);
        cJSON_AddItemToObject(doc, "chosen",
                              cJSON_CreateDoubleArray(stand_in->chosen, report->n_sizes));
        cJSON_AddItemToArray(list, doc);
    }
    return list;
}

cJSON *laboratory_report_to_json(const struct laboratory_report *report) {
    cJSON *doc = cJSON_CreateObject(), *sizes = cJSON_AddArrayToObject(doc, "calibrations");
    cJSON_AddNumberToObject(doc, "networks", (double)report->n_networks);
    cJSON_AddNumberToObject(doc, "ops", (double)report->n_ops);
    cJSON_AddNumberToObject(doc, "unpredicted_ops", (double)report->n_ops_unpredicted);
    cJSON_AddItemToObject(doc, "left_out", laboratory_left_out_to_json(&report->left_out));
    cJSON_AddBoolToObject(doc, "entries_skipped", report->entries_skipped);
    cJSON_AddItemToObject(doc, "skipped_sizes",
                          cJSON_CreateIntArray(report->skipped, report->n_skipped));
    cJSON_AddNumberToObject(doc, "pool", report->pool);
    cJSON_AddNumberToObject(doc, "exact", report->exact);
    cJSON_AddNumberToObject(doc, "log_error", report->log_error);
    cJSON_AddNumberToObject(doc, "log_error_expected", report->log_error_expected);
    cJSON_AddItemToObject(doc, "stand_ins", stand_ins_to_json(report));
    cJSON_AddItemToObject(doc, "sum",
                          report->n_stand_ins > 0 ? cJSON_CreateNull()
                                                  : latency_quality_to_json(&report->sum));
    for (int i = 0; i < report->n_sizes; i++) {
        cJSON *size = cJSON_CreateObject(), *rungs = cJSON_AddArrayToObject(size, "rungs");
        cJSON_AddNumberToObject(size, "networks", report->sizes[i]);
        for (int r = 0; r < LABORATORY_ROWS; r++)
            if (report->figures[i][r].there)
                cJSON_AddItemToArray(
                    rungs,
                    figures_to_json(&report->figures[i][r],
                                    r == LABORATORY_LADDER ? "ladder" : ladder_rung_names[r]));
        if (!rungs || !cJSON_AddItemToArray(sizes, size)) {
            cJSON_Delete(size);
            cJSON_Delete(doc);
            return NULL;
        }
    }
    return doc;
}
