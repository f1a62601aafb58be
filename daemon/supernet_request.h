/* The bodies of POST /supernets and of POST /supernets/{id}/train: checked, defaults filled in. */
#pragma once

#include <cjson/cJSON.h>

#include "daemon/daemon.h"
#include "daemon/store_sql.h"
#include "space/space.h"

struct supernet_draft {
    struct space *space; /* of its own: classes and channels are the data set's */
    char *document;      /* of the space */
    char space_name[64];
    cJSON *dataset, *train;
    cJSON *init;      /* {"supernet", "checkpoint"}: what it begins with; NULL: fresh weights */
    cJSON *init_spec; /* the same for the job */
};

/* Errors point at the field: ESP_EINVAL, ESP_ENOTFOUND, ESP_ECONFLICT (the data set is not ready,
 * the supernet to begin with has no checkpoint), ESP_EMISMATCH (its space is another). */
int supernet_request_make(const struct daemon *daemon, struct sql *sql, const cJSON *body,
                          struct err *err, struct supernet_draft **ret_draft);
void supernet_draft_destroy(void *draft); /* takes NULL */

/* The member "train" for a supernet of that space, whole. */
int supernet_request_train(const struct space *space, const cJSON *body, struct err *err,
                           cJSON **ret_train);
