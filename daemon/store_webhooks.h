/* Webhooks and their deliveries. The end of a job, and a board that goes away or comes back, write
 * a delivery for each webhook that wants to hear of it, in the transaction of what happens; the
 * sender takes them from here. */
#pragma once

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdint.h>

#include "daemon/ids.h"
#include "daemon/store.h"
#include "daemon/store_sql.h"

enum {
    WEBHOOKS_MAX = 64,
    WEBHOOK_PENDING_MAX = 1000,  /* of one webhook; further ones fail at once */
    WEBHOOK_BODY_MAX = 64 << 10, /* bytes; of a larger one the job's result is left out */
    WEBHOOK_ATTEMPTS_MAX = 20
};

/* "job.done", "job.failed", "job.canceled", "device.offline", "device.online"; ends with NULL. */
extern const char *const store_webhook_types[];
extern const char *const store_delivery_states[]; /* ends with NULL */

struct webhook_request {
    const char *url, *label;
    const cJSON *events, *kinds; /* lists of words; NULL: all */
};
/* *ret_doc as the API shows it, with the secret. ESP_ELIMIT: there are as many as may be. */
int store_webhook_create(struct store_tx *tx, const struct webhook_request *request,
                         struct err *err, cJSON **ret_doc);
int store_webhook_get(struct sql *sql, const char *id, struct err *err, cJSON **ret_doc);
int store_webhook_list(struct sql *sql, const struct sql_page_args *page, struct err *err,
                       cJSON **ret_doc);
/* NULL: as it is. */
struct webhook_patch {
    const char *url, *label, *state; /* state: "enabled" (as store_webhook_enable), "disabled" */
    const cJSON *events, *kinds;     /* lists of words, or JSON's null: all */
};
/* What waits is sent to a new URL at once, from its first attempt on. ESP_ENOTFOUND. */
int store_webhook_patch(struct store_tx *tx, const char *id, const struct webhook_patch *patch,
                        struct err *err);
/* A new secret, which signs from the next attempt on; *ret_doc as the API shows it, with it. */
int store_webhook_rotate(struct store_tx *tx, const char *id, struct err *err, cJSON **ret_doc);
int store_webhook_delete(struct store_tx *tx, const char *id, struct err *err);
/* Sends again to one that was disabled, what waits as well, from its first attempt on; nothing of
 * one that is enabled. */
int store_webhook_enable(struct store_tx *tx, const char *id, struct err *err);
/* Queues a delivery of type "webhook.test", which has one attempt. ESP_ECONFLICT: disabled. */
int store_webhook_test(struct store_tx *tx, const char *id, struct err *err, cJSON **ret_doc);
/* state: NULL: any. */
int store_webhook_deliveries(struct sql *sql, const char *id, const struct sql_page_args *page,
                             const char *state, struct err *err, cJSON **ret_doc);

/* Queues what webhooks want to hear of a job that has ended; job as the API shows it. */
int store_webhooks_tell(struct store_tx *tx, const cJSON *job, struct err *err);
/* The same of a board that is away now, or back. Webhooks that name kinds of jobs and no events
 * hear of jobs alone. */
int store_webhooks_tell_board(struct store_tx *tx, const char *device, bool online,
                              struct err *err);

/* For the sender: of each webhook that is enabled the delivery that is due first: [{"webhook",
 * "url", "secret", "id", "body", "next_us"}]; body: null unless that time has come. */
int store_webhooks_due(struct sql *sql, int64_t now_us, struct err *err, cJSON **ret_array);

struct webhook_rules {
    int64_t retry_us; /* from the first attempt to the second */
    int64_t attempts; /* of a delivery, 1 to WEBHOOK_ATTEMPTS_MAX */
};
/* The wait after so many attempts (>= 1): four times as long after each, six hours at most. Pure;
 * the store adds up to a tenth to it by chance. */
int64_t webhook_wait_us(const struct webhook_rules *rules, int64_t attempts);

/* What came of an attempt. */
struct webhook_outcome {
    const char *delivery;
    const char *url;   /* that it was sent to */
    int status;        /* of the answer; 0: none */
    const char *error; /* NULL: it has arrived */
    int64_t duration_us;
    int retry_after_s; /* not before; 0: any time */
};
/* Ends the delivery, or sets its next attempt. The webhook is disabled when a delivery has had its
 * last attempt and nothing has arrived since it was queued, or when the receiver answered 410
 * (*ret_disabled). A delivery that has gone is passed over. Where the webhook's URL is another by
 * now, the old receiver's refusal changes nothing, and what it took tells nothing of the new one.
 */
int store_webhook_outcome(struct store_tx *tx, const struct webhook_rules *rules,
                          const struct webhook_outcome *outcome, struct err *err,
                          bool *ret_disabled);
/* Removes some of the deliveries that ended before this time, or were queued before it for a
 * webhook that is disabled. */
int store_webhooks_prune(struct store_tx *tx, int64_t before_us, struct err *err);
