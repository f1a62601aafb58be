/* Who a board is. Its worker makes a word for each start (instance), keeps it before it says it,
 * and also says the one before: of two that started from one copied state folder, the second knows
 * a word that is not the board's last. It is refused, as is an enrolment of a machine that is
 * enrolled, until a person allows it. */
#pragma once

#include "base/error.h"
#include "daemon/store.h"
#include "daemon/store_devices.h"

/* Whether a start is one of the board's own, or allowed; notes it as the board's newest. Returns 0
 * and *ret_ok false, with err saying why (ESP_ECONFLICT at /instance), when it is not: that is
 * noted as well, so the transaction must not be undone. */
int store_identity_start(struct store_tx *tx, const char *device, const struct introduction *in,
                         struct err *err, bool *ret_ok);
/* The same for an enrolment with another secret, of the machine of a board that is there; one that
 * is allowed takes the board over, whose old token is worth nothing from then on. At /machine_id.
 */
int store_identity_enrol(struct store_tx *tx, const char *device, const struct introduction *in,
                         struct err *err, bool *ret_ok);

/* What a person says. The next claim that would be refused is let in. */
int store_identity_allow(struct store_tx *tx, const char *device, struct err *err);
/* The board's token is worth nothing any more; it comes back with an enrolment token, once it is
 * allowed. */
int store_identity_revoke(struct store_tx *tx, const char *device, struct err *err);
/* The worker is to make itself a new token when it has nothing else to do. ESP_EUNSUPPORTED: it is
 * older than that. */
int store_identity_rotate(struct store_tx *tx, const char *device, struct err *err);

/* Whether a worker that waits under epoch is to hear that it has been superseded, revoked, or asked
 * to rotate. */
int store_identity_recalled(struct sql *sql, const char *device, int64_t epoch, struct err *err,
                            bool *ret_recalled);
/* ESP_ECONFLICT when the worker is to connect again, because of a rotation. */
int store_identity_due(struct sql *sql, const char *device, struct err *err);
/* The worker's new token takes the place of its old one; its own again: nothing happens.
 * ESP_EINVAL, ESP_ECONFLICT: it is no worker's token, or somebody else's (at /worker_token). */
int store_identity_renew(struct store_tx *tx, const char *device, const char *secret,
                         struct err *err);
