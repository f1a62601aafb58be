/* Parts of the specs that jobs get (docs/JOB_PROTOCOL.md), made from what the store has. */
#pragma once

#include <cjson/cJSON.h>

#include "daemon/daemon.h"
#include "daemon/store_sql.h"
#include "daemon/store_supernets.h"
#include "space/arch.h"

/* What a body says of the supernet that a job is about. */
struct job_spec_ref {
    const char *supernet;   /* id or name */
    const char *checkpoint; /* id; NULL: the newest when the job starts */
    const char *dataset;    /* id or name; NULL: that of the supernet */
    bool dataset_optional;  /* without any the spec has none; else ESP_ECONFLICT */
};
/* From the members "supernet", "checkpoint" and "dataset"; borrows from body. */
int job_spec_read_ref(const cJSON *body, struct err *err, struct job_spec_ref *ret_ref);
/* Adds "supernet_id", "supernet_dir", "checkpoint" (null: the newest; else with
 * "checkpoint_hash"), "space" and "dataset" to spec.
 * *ret_supernet: as the API shows it, owned; "dataset" in it is the id of the one that is used.
 * Errors: ESP_ENOTFOUND with pointer /supernet, /checkpoint or /dataset; ESP_ECONFLICT (no
 * checkpoint yet, no data set, one that is not ready); ESP_EMISMATCH (of other classes or
 * channels); ESP_EINVAL (its images are too small). */
int job_spec_supernet(const struct daemon *daemon, struct sql *sql, const struct job_spec_ref *ref,
                      cJSON *spec, struct err *err, cJSON **ret_supernet);
/* The same without "dataset": for what reads weights only, also of imported supernets without one.
 */
int job_spec_weights(const struct daemon *daemon, struct sql *sql, const char *ref,
                     const char *checkpoint, cJSON *spec, struct err *err, cJSON **ret_supernet);
/* The data set ref (id or name) as the store shows it, which must be ready: ESP_ENOTFOUND,
 * ESP_ECONFLICT with the pointer /dataset. The caller owns it. */
int job_spec_find_dataset(struct sql *sql, const char *ref, struct err *err, cJSON **ret_dataset);
/* The member "dataset" of a spec, of a data set as the store shows it; the caller owns it. */
cJSON *job_spec_dataset(const struct daemon *daemon, const cJSON *dataset);
/* dataset_check_size of a data set as the store shows it. */
int job_spec_check_size(const cJSON *dataset, const struct space *space, struct err *err);
/* The spec's "space", parsed. */
int job_spec_space(const cJSON *spec, struct err *err, struct space **ret_space);
/* An arch that a person wrote, in its canonical text and by id; err points at pointer. */
int job_spec_arch(const struct space *space, const char *text, const char *pointer, struct err *err,
                  char ret_arch[ARCH_TEXT_MAX], char ret_id[HASH_TEXT]);
/* Calls take for each member of the body's list "archs" (may be NULL: none) in canonical form; err
 * points at /archs/N. Ends with the first that fails. */
struct job_spec_arch {
    const char *text, *id, *pointer;
};
int job_spec_each_arch(const struct space *space, const cJSON *archs, void *context,
                       int (*take)(void *context, const struct job_spec_arch *arch,
                                   struct err *err),
                       struct err *err);
/* Where a checkpoint's file is: in the supernet's folder, or, when training has removed it there,
 * as a search keeps it that goes by it. "": it is gone. */
enum { CHECKPOINT_PATH_SIZE = PATH_SIZE + 513 };
int job_spec_checkpoint_file(const struct daemon *daemon, struct sql *sql, const char *supernet,
                             const struct stored_checkpoint *checkpoint, struct err *err,
                             char ret_path[CHECKPOINT_PATH_SIZE]);
/* Where an imported accuracy predictor is kept. */
void job_spec_model_file(const struct daemon *daemon, const char *id, char ret_path[PATH_SIZE]);
/* Folder of a supernet. */
void job_spec_supernet_dir(const struct daemon *daemon, const char *id, char ret_dir[PATH_SIZE]);
