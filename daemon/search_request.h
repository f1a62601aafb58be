/* The body of POST /searches: checked, with defaults filled in, found feasible, and turned into the
 * spec of its job. */
#pragma once

#include <cjson/cJSON.h>

#include "base/hash.h"
#include "daemon/daemon.h"
#include "daemon/search_feasible.h"
#include "daemon/store_sql.h"

struct search_request {
    cJSON *body;   /* what is stored: ids in place of names, defaults filled in, notes if any */
    cJSON *spec;   /* of the job, but for search_id */
    cJSON *models; /* ids of the imported models that it goes by */
    char name[80], supernet[40] /* "": none */;
    char space[64], fingerprint[HASH_TEXT]; /* without a supernet */
    char *document;                         /* of that space */
    double limits_share;                    /* that of struct search_outlook */
};

/* Names of the body's members, ends with NULL. */
extern const char *const search_request_members[];

/* Reads the store; takes milliseconds: not on the loop. Errors: ESP_EINVAL, ESP_ENOTFOUND,
 * ESP_EMISSING (a table lacks entries) with pointers; ESP_EINFEASIBLE. *ret_outlook is filled
 * whatever is returned. */
int search_request_make(const struct daemon *daemon, struct sql *sql, const cJSON *body,
                        struct err *err, struct search_outlook *ret_outlook,
                        struct search_request **ret);
void search_request_destroy(struct search_request *request); /* takes NULL */
