#pragma once

#include <cjson/cJSON.h>

#include "daemon/ids.h"
#include "daemon/job_machine.h"
#include "daemon/store.h"
#include "daemon/store_sql.h"

struct dataset_request {
    const char *name, *path, *format;
    int64_t validation, split_seed; /* validation -1: by the number of images */
    int64_t side;                   /* 0: by the files */
    double max_skipped;
};

int store_dataset_create(struct store_tx *tx, const struct dataset_request *request,
                         struct err *err, char ret_id[ID_MAX]);
/* ref: id or name. As the API shows it, with "classes" and "skipped"; ESP_ENOTFOUND. */
int store_dataset_get(struct sql *sql, const char *ref, struct err *err, cJSON **ret_doc);
int store_dataset_list(struct sql *sql, const struct sql_page_args *page, struct err *err,
                       cJSON **ret_doc);
/* ESP_ECONFLICT, with *ret_users [{"kind", "id", "name"}], while supernets were trained on it. */
int store_dataset_delete(struct store_tx *tx, const char *id, struct err *err, cJSON **ret_users);
/* ESP_ECONFLICT when a data set has this path. */
int store_dataset_check_path_free(struct sql *sql, const char *path, struct err *err);
/* What a check found (the "dataset" event's data). */
int store_dataset_found(struct store_tx *tx, const char *id, const cJSON *data, struct err *err);
int store_dataset_follow(struct store_tx *tx, const char *id, enum job_state state,
                         struct err *err);
/* The part of a job's spec, but for "cache_dir" (job_spec_dataset adds it). */
cJSON *store_dataset_spec(const cJSON *dataset);
