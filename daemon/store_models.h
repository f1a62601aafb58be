/* Latency models and accuracy predictors that were imported from other programs. */
#pragma once

#include <cjson/cJSON.h>

#include "daemon/ids.h"
#include "daemon/job_machine.h"
#include "daemon/store.h"
#include "daemon/store_sql.h"

struct model_request {
    const char *name, *kind, *space, *fingerprint, *source;
};
/* ESP_ECONFLICT with pointer /name: a model or a profile is called so. */
int store_model_create(struct store_tx *tx, const struct model_request *request, struct err *err,
                       char ret_id[ID_MAX]);
int store_model_set_job(struct store_tx *tx, const char *id, const char *job, struct err *err);
/* ref: id or name; ESP_ENOTFOUND. */
int store_model_get(struct sql *sql, const char *ref, struct err *err, cJSON **ret_doc);
int store_model_list(struct sql *sql, const struct sql_page_args *page, const char *kind,
                     struct err *err, cJSON **ret_doc);
/* ESP_ECONFLICT while a search refers to it; *ret_users lists them. */
int store_model_delete(struct store_tx *tx, const char *id, struct err *err, cJSON **ret_users);
int store_model_follow(struct store_tx *tx, const char *id, enum job_state state, struct err *err);
/* Ids ([{"id"}]) of all. */
int store_model_ids(struct sql *sql, struct err *err, cJSON **ret_array);

/* Events of its job: one resolution's table, and what was found. */
int store_model_section_add(struct store_tx *tx, const char *id, const cJSON *data,
                            struct err *err);
int store_model_found(struct store_tx *tx, const char *id, const cJSON *data, struct err *err);

/* [{"resolution", "table"}] of a latency model, rising; owned. */
int store_model_sections(struct sql *sql, const char *id, struct err *err, cJSON **ret_list);
/* One table; ESP_ENOTFOUND. */
int store_model_section(struct sql *sql, const char *id, int64_t resolution, struct err *err,
                        cJSON **ret_table);
/* Makes the search refer to the model. */
int store_model_used(struct store_tx *tx, const char *search, const char *model, struct err *err);
