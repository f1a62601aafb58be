/* The profiles that a worker offers: what its options ask for, opened and described. All are of one
 * board, which measures on one at a time. */
#pragma once

#include <cjson/cJSON.h>

#include "base/hash.h"
#include "base/options.h"
#include "devices/backend.h"
#include "devices/identity.h"
#include "devices/measure.h"

enum { PROFILES_MAX = 16, PROFILE_CORES_MAX = 256, PROFILE_GOVERNOR_MAX = 64 };

/* As the board's owner says it; borrowed. What a text of profiles leaves out stands in the other
 * members. */
struct profile_options {
    const char *threads;        /* "1", or one profile for each: "1,2,4" */
    const char *cores;          /* "0,2-3": pin to these; NULL: not pinned */
    const char *backend;        /* name of a back end; NULL: native */
    const char *backend_config; /* for it; NULL */
    /* "threads=1; threads=2 cores=0,2-3; backend=exec backend-config=/opt/ort.json"; none: one
       profile for each of threads */
    struct option_list profiles;
    struct measure_sensors sensors; /* of the board */
};

/* One profile as it was asked for. */
struct profile_wish {
    int threads, n_cores, cores[MEASURE_CORES_MAX];
    char cores_text[PROFILE_CORES_MAX + 1]; /* "" */
    char backend[BACKEND_NAME_MAX + 1];
    char *backend_config; /* owned; NULL */
};
struct profile_wishes {
    int n;
    struct profile_wish items[PROFILES_MAX];
};
/* Errors: ESP_EINVAL. ret_wishes is to be finished in any case. */
int profile_wishes_read(const struct profile_options *options, struct err *err,
                        struct profile_wishes *ret_wishes);
void profile_wishes_finish(struct profile_wishes *wishes);

struct worker_profile {
    struct measure_profile measure;
    struct backend_profile traits; /* what the back end says of itself */
    char cores[PROFILE_CORES_MAX + 1];
    cJSON *environment;        /* its fingerprint, with what the back end adds; owned */
    char id[IDENTITY_ID_SIZE]; /* as the daemon calls it; "" */
};
struct worker_profiles {
    int n;
    struct worker_profile items[PROFILES_MAX];
};
/* Opens and describes the back ends; dir: a folder for them, which need not exist. Two profiles
 * that are the same, or a simulated one beside a real one, are ESP_EINVAL; else as back ends fail.
 * ret_profiles is to be closed in any case. */
int worker_profiles_open(const struct profile_options *options, const char *dir,
                         int64_t memory_limit_bytes, struct err *err,
                         struct worker_profiles *ret_profiles);
void worker_profiles_close(struct worker_profiles *profiles);
/* Whether governor or range of frequencies of a profile that is not simulated are others than it
 * says: the board's owner can change them while the worker runs. */
bool worker_profiles_differ(const struct worker_profiles *profiles);
/* The profiles say what is there now; the daemon is to be told. */
void worker_profiles_look_again(struct worker_profiles *profiles);
/* What decides how fast a network runs in the profile, as one word. */
void worker_profile_fingerprint(const struct worker_profile *profile, char ret_hash[HASH_TEXT]);
/* As enrol and connect tell it: key and fingerprint. New. */
cJSON *worker_profile_describe(const struct worker_profile *profile);
/* By the daemon's id; NULL: none. */
const struct worker_profile *worker_profile_find(const struct worker_profiles *profiles,
                                                 const char *id);
