/* Networks, weights and logits written to files. */
#pragma once

#include <cjson/cJSON.h>

#include "daemon/ids.h"
#include "daemon/job_machine.h"
#include "daemon/store.h"
#include "daemon/store_sql.h"

struct export_request {
    const char *id; /* made by the caller: the file's name holds it */
    const char *supernet, *arch, *arch_id, *format, *path;
};
int store_export_create(struct store_tx *tx, const struct export_request *request, struct err *err);
int store_export_set_job(struct store_tx *tx, const char *id, const char *job, struct err *err);
int store_export_get(struct sql *sql, const char *id, struct err *err, cJSON **ret_doc);
int store_export_list(struct sql *sql, const struct sql_page_args *page, struct err *err,
                      cJSON **ret_doc);
/* ESP_ENOTFOUND; ESP_ECONFLICT while its job is open. */
int store_export_delete(struct store_tx *tx, const char *id, struct err *err);
int store_export_written(struct store_tx *tx, const char *id, const cJSON *data, struct err *err);
int store_export_follow(struct store_tx *tx, const char *id, enum job_state state, struct err *err);
