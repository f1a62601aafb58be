/* Results that boards send, each kept once, and what follows from them. */
#pragma once

#include <cjson/cJSON.h>

#include "daemon/ids.h"
#include "daemon/store.h"
#include "daemon/store_sql.h"
#include "devices/plausible.h"

/* body as the worker sent it. *ret_status 201, or 200 for a repeat and for a late one (its lease
 * has ended). *ret_answer {"counted", "late"?, "doubt"?, "message"?}: doubt names why the result
 * cannot be true; it is kept, and decides nothing. ESP_ECONFLICT: another body under the key;
 * ESP_EGONE: no such lease of this board. */
int store_result_add(struct store_tx *tx, const char *device, const cJSON *body, struct err *err,
                     int *ret_status, cJSON **ret_answer);

/* Whether the result of a measurement can be true (devices/plausible.h); samples_us [n] are those
 * of body. why gets the sentence. What is no result at all is left to others to refuse. */
int store_result_judge(struct sql *sql, const char *measurement, const cJSON *body,
                       const double *samples_us, int n, struct err *err, struct err *why,
                       enum plausible_doubt *ret_doubt);
/* Notes that the board has told what cannot be true, and lets its health follow. */
int store_device_doubt(struct store_tx *tx, const char *device, enum plausible_doubt doubt,
                       const struct err *why, struct err *err);
/* A person believes the board: what its reference network took before counts no more. */
int store_device_believe(struct store_tx *tx, const char *device, struct err *err);
/* Notes how fast the reference network was, by a result that counts. */
int store_reference_seen(struct store_tx *tx, const char *measurement, const cJSON *body,
                         struct err *err);
