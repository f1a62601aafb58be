/* What can be done with a search that there is: more evaluations for one that has ended, and
 * another one that differs from it. */
#pragma once

#include <cjson/cJSON.h>

#include "daemon/daemon.h"
#include "daemon/store_searches.h"

/* The body of POST /searches/{id}/extend, checked against the search. Takes milliseconds: not on
 * the loop. Errors: ESP_ENOTFOUND, ESP_EINVAL, ESP_ECONFLICT (it has not ended, or more evaluations
 * would change nothing), ESP_EGONE (its job's folder) with pointers. */
int search_extension_make(const struct daemon *daemon, struct sql *sql, const char *ref,
                          const cJSON *asked, struct err *err, struct search_extension **ret);
void search_extension_destroy(struct search_extension *extension); /* takes NULL */

/* The body of a POST /searches: that of an earlier search with the members of changes in place of
 * its own; null takes a member away (but no baseline is one that is wanted). What belongs to
 * another strategy or supernet than the one that is named is left out. The caller deletes
 * *ret_body. Errors: ESP_ENOTFOUND, ESP_ECONFLICT (results that were taken over). */
int search_clone_body(struct sql *sql, const char *ref, const cJSON *changes, struct err *err,
                      cJSON **ret_body);
/* The body of the POST /searches that would repeat it, its name included; errors as above. */
int search_repeat_body(struct sql *sql, const char *ref, struct err *err, cJSON **ret_body);
