/* Prices of energy by profile, and the measurements that they are fitted to. */
#pragma once

#include <cjson/cJSON.h>

#include "daemon/ids.h"
#include "daemon/store.h"
#include "daemon/store_sql.h"
#include "latency/energy.h"

/* Networks that were measured on the profile's current revision and whose energy was told, each
 * once with the mean of its measurements, the newest ENERGY_NETWORKS_MOST of them; *ret_networks
 * owned. Parses their graphs: not on the loop. Errors: ESP_ENOTFOUND, ESP_EMISSING (no revision).
 */
enum { ENERGY_NETWORKS_MOST = 2000 };
int store_energy_networks(struct sql *sql, const char *profile, struct err *err,
                          char ret_revision[ID_MAX], struct energy_network **ret_networks,
                          size_t *ret_n);

/* The profile's current revision. Errors: ESP_EMISSING: it has none yet. */
int store_energy_revision(struct sql *sql, const char *profile, struct err *err,
                          char ret_revision[ID_MAX]);

/* Adds a version of the profile's prices, or finds the newest if it says the same of the same
 * revision. data: a JSON object, spread into the row that the API shows. */
int store_energy_add(struct store_tx *tx, const char *profile, const char *revision,
                     const cJSON *data, struct err *err, char ret_id[ID_MAX]);
/* What a search has fitted on its way (docs/JOB_PROTOCOL.md, energy_prices): a version like others,
 * which names it, and which does not count while given ones do. Errors: ESP_EINVAL. */
int store_energy_add_found(struct store_tx *tx, const char *search, const cJSON *event,
                           struct err *err);
int store_energy_get(struct sql *sql, const char *id, struct err *err, cJSON **ret_doc);
/* profile: id; NULL: of all. */
int store_energy_list(struct sql *sql, const char *profile, const struct sql_page_args *page,
                      struct err *err, cJSON **ret_doc);
/* What counts of the profile's (id) current revision: the newest, but given prices until somebody
 * gives others or asks for a fit (a search's is none that was asked for). *ret_doc NULL when there
 * are none, else as store_energy_get. ret_fit is left alone then. */
int store_energy_in_force(struct sql *sql, const char *profile, struct err *err, cJSON **ret_doc,
                          struct energy_fit *ret_fit);
