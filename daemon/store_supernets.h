/* Supernets with their checkpoints, curves and evaluations; spaces by fingerprint. */
#pragma once

#include <cjson/cJSON.h>

#include "daemon/ids.h"
#include "daemon/job_machine.h"
#include "daemon/store.h"
#include "daemon/store_sql.h"

/* Whole space documents, by fingerprint; putting one that is there is no error. */
int store_space_document_put(struct store_tx *tx, const char *fingerprint, const char *document,
                             struct err *err);
/* Posted spaces by name; *ret_document owned, NULL when there is none. */
int store_space_find(struct sql *sql, const char *name, struct err *err, char **ret_document);
int store_space_names(struct sql *sql, struct err *err, cJSON **ret_array);
int store_space_create(struct store_tx *tx, const char *name, const char *fingerprint,
                       const char *document, struct err *err);
int store_space_delete(struct store_tx *tx, const char *name, struct err *err, cJSON **ret_users);

struct supernet_request {
    const char *name, *space, *space_fingerprint;
    const char *document; /* of the space, as it was adapted */
    const char *dataset;  /* id; NULL: none */
    const cJSON *train;
    const char *state; /* NULL: training */
};
int store_supernet_create(struct store_tx *tx, const struct supernet_request *request,
                          struct err *err, char ret_id[ID_MAX]);
/* ref: id or name; ESP_ENOTFOUND. */
int store_supernet_get(struct sql *sql, const char *ref, struct err *err, cJSON **ret_doc);
int store_supernet_list(struct sql *sql, const struct sql_page_args *page, struct err *err,
                        cJSON **ret_doc);
int store_supernet_delete(struct store_tx *tx, const char *id, struct err *err, cJSON **ret_users);
/* The document of its space that it was made from; owned text. Of one from before these were kept,
 * a document of the same fingerprint under the space's name. */
int store_supernet_space(struct sql *sql, const char *id, struct err *err, char **ret_document);
/* A job that trains it (on). */
int store_supernet_set_job(struct store_tx *tx, const char *id, const char *job, const cJSON *train,
                           struct err *err);
/* Tells subscribers how it is. */
int store_supernet_announce(struct store_tx *tx, const char *id, struct err *err);
int store_supernet_follow(struct store_tx *tx, const char *id, enum job_state state,
                          struct err *err);
/* The same for a job that imports it. */
int store_supernet_follow_import(struct store_tx *tx, const char *id, enum job_state state,
                                 struct err *err);
/* What an import found: {"space", "fingerprint"}. */
int store_supernet_imported(struct store_tx *tx, const char *id, const cJSON *data,
                            struct err *err);
int store_supernet_trained(struct store_tx *tx, const char *id, const cJSON *result,
                           struct err *err);

/* Events of a training job. */
int store_checkpoint_add(struct store_tx *tx, const char *supernet, const cJSON *data,
                         struct err *err);
int store_metric_add(struct store_tx *tx, const char *supernet, const cJSON *data, struct err *err);
/* Its file is left to the janitor. ESP_ENOTFOUND; ESP_ECONFLICT while it is its supernet's newest,
 * a search, an evaluation or a job that is not over goes by it, or it replaced the file of one that
 * is there still: *ret_users lists them. */
int store_checkpoint_remove(struct store_tx *tx, const char *id, struct err *err,
                            cJSON **ret_users);
/* Each with "replaced", as in struct stored_checkpoint. */
int store_checkpoint_list(struct sql *sql, const char *supernet, const struct sql_page_args *page,
                          struct err *err, cJSON **ret_doc);
/* ref: id, or NULL for the newest. */
struct stored_checkpoint {
    char path[513], hash[129]; /* path below the supernet's folder, "" when there is none */
    bool replaced;             /* another one lies there now */
};
int store_checkpoint_find(struct sql *sql, const char *supernet, const char *ref, struct err *err,
                          struct stored_checkpoint *ret_checkpoint);
/* {"series": [{"name", "step": […], "epoch": […], "value": […]}], "phases": [{"name", "step",
 * "epoch"}]}; names NULL: all series. Phases are told whatever the names and steps asked for. */
enum { METRIC_PHASES_MAX = 1000 };
int store_metrics(struct sql *sql, const char *supernet, const char *names, int64_t after,
                  int64_t max_points, struct err *err, cJSON **ret_doc);

int store_evaluation_add(struct store_tx *tx, const char *supernet, const cJSON *data,
                         struct err *err);
/* SQL: the row e of evaluations was scored by recalibrated statistics, and on no other data set
 * that is known than the one whose id the expression names. */
#define STORE_SCORE_OF(dataset)                                                                    \
    "e.recalibration_images > 0 AND NOT EXISTS (SELECT 1 FROM datasets o WHERE o.revision = "      \
    "e.dataset_revision AND o.revision <> (SELECT d.revision FROM datasets d WHERE d.id "          \
    "= " dataset "))"
struct evaluation_filter {
    const char *supernet, *arch_id, *split; /* NULL: any */
};
int store_evaluation_list(struct sql *sql, const struct evaluation_filter *filter,
                          const struct sql_page_args *page, struct err *err, cJSON **ret_doc);
/* What finished jobs of kind estimate found, by job; supernet NULL: of all. */
int store_estimation_list(struct sql *sql, const char *supernet, const struct sql_page_args *page,
                          struct err *err, cJSON **ret_doc);
