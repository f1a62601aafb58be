/* The program on a board: enrols once, then leases measurements, measures, reports. Dials out only.
 * What it has measured is spooled before it is sent, so that neither a lost link nor a kill -9
 * loses a result or counts it twice. */
#pragma once

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include "devices/heat.h"
#include "devices/identity.h"
#include "devices/profiles.h"

struct worker_options {
    const char *daemon_url;  /* NULL: the one enrolled with */
    const char *enrol_token; /* needed the first time only */
    const char *state_dir;   /* created; holds identity and spool */
    const char *name;        /* shown in the dashboard; NULL: the host's name */
    const char *salt;        /* tells several boards on one machine apart; "" */
    const char *ca_file, *pinned_key;
    struct profile_options profile;
    int64_t memory_limit_bytes; /* of each measurement */
    int64_t macs_limit;         /* of a network's run; 0: none */
    struct heat_limits heat;    /* of a board that is not simulated */
    bool insecure_lan;
    bool once; /* end when there is nothing to measure */
};

/* As the daemon calls this board and what it measures on. */
struct worker_names {
    int n_profiles;
    char device[IDENTITY_ID_SIZE], profiles[PROFILES_MAX][IDENTITY_ID_SIZE];
};

/* Works until *stop becomes not 0 (set by a signal handler), then gives its lease back and says
 * goodbye. Errors: ESP_EUNAUTHORIZED (the token was refused or revoked), ESP_EBUSY (another worker
 * uses the folder), ESP_EINVAL, ESP_EIO. A daemon that is away is no error: it is waited for. */
int worker_run(const struct worker_options *options, volatile sig_atomic_t *stop, struct err *err);
/* Only asks who this board is to the daemon (enrols when it is nobody and there is a token), and
 * says goodbye. Errors: those of worker_run; ESP_EGONE (the board was removed), ESP_EFORBIDDEN (it
 * is another machine's identity), ESP_EBUSY (also: it counts as a copy), ESP_ECANCELED. */
int worker_enrol(const struct worker_options *options, volatile sig_atomic_t *stop, struct err *err,
                 struct worker_names *ret_names);
