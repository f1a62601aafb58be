/* Networks that are kept: pinned by a person, or exported. */
#pragma once

#include <cjson/cJSON.h>

#include "daemon/store.h"
#include "daemon/store_sql.h"

enum { PINS_MAX = 10000 }; /* of one supernet */

/* What is pinned already stays as it is. ESP_ELIMIT beyond PINS_MAX. */
int store_pin_add(struct store_tx *tx, const char *supernet, const char *arch, const char *arch_id,
                  struct err *err);
/* What is not pinned is no error. */
int store_pin_remove(struct store_tx *tx, const char *supernet, const char *arch_id,
                     struct err *err);
int store_pin_list(struct sql *sql, const char *supernet, const struct sql_page_args *page,
                   struct err *err, cJSON **ret_doc);
/* Whether it is pinned, or exported (or being). */
int store_arch_is_kept(struct sql *sql, const char *supernet, const char *arch_id, struct err *err,
                       bool *ret_kept);
