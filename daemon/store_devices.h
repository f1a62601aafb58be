/* Boards, their profiles and the revisions of these. */
#pragma once

#include <cjson/cJSON.h>
#include <stdbool.h>

#include "daemon/ids.h"
#include "daemon/store.h"
#include "daemon/store_sql.h"
#include "devices/health.h"

/* A column: the name of the profile of a table's row. */
#define STORE_PROFILE_NAME(table)                                                                  \
    "(SELECT p.name FROM profiles p WHERE p.id = " table ".profile) AS profile_name"

/* What a worker says of itself when it enrols or connects; texts and documents are borrowed. */
struct introduction {
    const char *machine_id, *name, *worker_version;
    const char *note;                     /* for a new board; NULL */
    const char *given_name;               /* by a person, instead of the worker's; NULL */
    const char *instance, *last_instance; /* store_identity.h; NULL from an older worker */
    const char *host; /* the machine that it runs on, beside other workers maybe; NULL: not told */
    const cJSON *fingerprint, *profiles;
    bool noise_by_lease; /* it takes its noise floor when it is asked to, not at its start */
    bool simulated;      /* no hardware stands behind it: it needs no quiet machine */
    bool local;          /* came over loopback: the same machine as the daemon */
};
/* Checks the message; other members are ignored. */
int introduction_read(const cJSON *body, struct err *err, struct introduction *ret);

/* A new board, or one of this machine that may be taken over. Returns 0 with *ret_welcome NULL and
 * err set when it is refused, which is noted (so the transaction is to be kept).
 * *ret_welcome {"device_id", "epoch", "profiles": [{"profile_id", "profile_revision"}],
 * "noise_by_lease"}: the last is true when the daemon sees to the noise floor. */
int store_device_enrol(struct store_tx *tx, const struct introduction *introduction,
                       struct err *err, cJSON **ret_welcome);
/* Every start of its worker: a new epoch; older leases are fenced. Refuses like the enrolment.
 * ESP_EGONE: removed. */
int store_device_connect(struct store_tx *tx, const char *id,
                         const struct introduction *introduction, struct err *err,
                         cJSON **ret_welcome);
/* A sign of life under epoch. ESP_EGONE: removed; ESP_ECONFLICT: another epoch. */
int store_device_touch(struct store_tx *tx, const char *id, int64_t epoch, struct err *err);
int store_device_is_local(struct sql *sql, const char *id, struct err *err, int64_t *ret_local);
/* It has said goodbye, or its connection broke, or it was not heard of for too long. */
int store_device_away(struct store_tx *tx, const char *id, struct err *err);
/* The same, unless its worker was started anew since epoch, or was heard of after noted_us. */
int store_device_gone(struct store_tx *tx, const char *id, int64_t epoch, int64_t noted_us,
                      struct err *err);
/* A sign of life that carries no epoch. */
int store_device_heard(struct store_tx *tx, const char *id, struct err *err);
/* Those not heard of since before_us, and without an open lease, go away. */
int store_devices_expire(struct store_tx *tx, int64_t before_us, struct err *err);
int store_devices_silent(struct sql *sql, int64_t before_us, struct err *err, bool *ret_any);
int store_device_health(struct store_tx *tx, const char *id, enum health_event event,
                        struct err *err);

/* ref: id or name; ESP_ENOTFOUND. */
int store_device_get(struct sql *sql, const char *ref, struct err *err, cJSON **ret_doc);
int store_device_list(struct sql *sql, const struct sql_page_args *page, struct err *err,
                      cJSON **ret_doc);
struct device_patch {
    const char *name, *state, *note; /* NULL: as it is */
};
/* state: active, draining (paused as soon as it holds no lease), paused, quarantined, maintenance.
 */
int store_device_patch(struct store_tx *tx, const char *id, const struct device_patch *patch,
                       struct err *err);
/* Its row stays, with what was measured on it; its tokens and open work go. ESP_ECONFLICT, with
 * *ret_users [{"kind", "id", "name"}], while jobs need it. */
int store_device_remove(struct store_tx *tx, const char *id, struct err *err, cJSON **ret_users);

/* [{"id"}] of a board: the named one (as store_profile_find takes it, or without the board), or
 * with NULL all that its worker offers now, in its order. */
int store_device_profiles(struct sql *sql, const char *device, const char *profile, struct err *err,
                          cJSON **ret_rows);
/* ref: id or name of a profile; id or name of a board, for its default profile; or a board, a
 * slash, and what tells the profile from the others that its worker offers now: words of its name,
 * such as "pi4/t2". ESP_ENOTFOUND; ESP_EINVAL: several fit. */
int store_profile_find(struct sql *sql, const char *ref, struct err *err, char ret_id[ID_MAX]);
/* Of any such ref. */
int store_profile_get(struct sql *sql, const char *ref, struct err *err, cJSON **ret_doc);
/* False once its board was removed. */
int store_profile_has_board(struct sql *sql, const char *profile, struct err *err, bool *ret_has);
/* removed: those of boards that were removed too. */
int store_profile_list(struct sql *sql, const struct sql_page_args *page, bool removed,
                       struct err *err, cJSON **ret_doc);
/* With all that was measured on it and fitted to that. ESP_ECONFLICT, with *ret_users [{"kind",
 * "id", "name"}], while its board's worker offers it, or tables, searches or open work use it. */
int store_profile_remove(struct store_tx *tx, const char *id, struct err *err, cJSON **ret_users);
/* Noise is the relative spread of samples of the reference network, which older workers take on
 * their own. ESP_EINVAL, ESP_ENOTFOUND. */
int store_profile_noise(struct store_tx *tx, const char *device, const char *profile,
                        const cJSON *samples_us, struct err *err);
/* The board's noise is the highest of the profiles that its worker offers now. */
int store_device_noise(struct store_tx *tx, const char *device, struct err *err);
int store_device_announce(struct store_tx *tx, const char *id, struct err *err);
/* The same of a measurement's result that counts, if it is one of the reference network in the
 * profile's current revision; else nothing happens. */
int store_profile_noise_measured(struct store_tx *tx, const char *measurement, struct err *err);
/* The profile gets the floor of its current revision again; where none is kept, that of the
 * measurement, which was accepted. */
int store_profile_noise_known(struct store_tx *tx, const char *profile, const char *measurement,
                              struct err *err);
/* What a measurement on the profile saw of the reference network is held against its floor. */
int store_profile_drift(struct store_tx *tx, const char *profile, double before_us, double after_us,
                        struct err *err);
/* Asks for the floors again that are in doubt and due (devices/noise.h), on boards that are there
 * and have measured one on a lease before. */
int store_noise_due(struct sql *sql, int64_t now_us, struct err *err, bool *ret_due);
int store_noise_review(struct store_tx *tx, struct err *err);
