/* Imported models as searches take them. */
#pragma once

#include <cjson/cJSON.h>

#include "daemon/daemon.h"
#include "daemon/ids.h"
#include "daemon/store_sql.h"
#include "latency/sections.h"

enum model_kind { MODEL_LATENCY, MODEL_ACCURACY };

/* A model of that kind that is ready, ref being its id or name. Errors point at pointer:
 * ESP_ENOTFOUND, ESP_EINVAL (another kind), ESP_ECONFLICT (still or never imported). */
int model_find(struct sql *sql, const char *ref, enum model_kind kind, const char *pointer,
               struct err *err, cJSON **ret_doc);
/* ESP_EMISMATCH unless it is of the space. */
int model_check_space(const cJSON *model, const struct space *space, const char *pointer,
                      struct err *err);
/* Its tables; *ret_list as a search's spec takes them. */
int model_sections_load(struct sql *sql, const char *id, struct err *err,
                        struct latency_sections *ret_sections, cJSON **ret_list);
/* The table of one resolution of a latency model (id or name) of the space. Errors: those of
 * model_find and model_check_space; ESP_ENOTFOUND (the resolution). */
int model_table_load(struct sql *sql, const char *ref, const struct space *space, int resolution,
                     struct err *err, struct latency_table **ret_table);
/* Drops from resolutions (*n of them) those that the model does not know. */
void model_keep_resolutions(const cJSON *model, int *resolutions, int *n);
/* Refuses a model that lacks units of the space which cannot even be interpolated: ESP_EMISSING. */
int model_check_coverage(const cJSON *model, const struct latency_sections *sections,
                         const struct space *space, const char *pointer, struct err *err);
/* A spec's member "predictor". */
cJSON *model_predictor_spec(const struct daemon *daemon, const cJSON *model);
