/* The rows of each noun; api_nouns lists them. A new noun: its file, a line here. */
#pragma once

#include "daemon/api.h"

#define API_NOUNS(X)                                                                               \
    X(api_system)                                                                                  \
    X(api_worker_builds)                                                                           \
    X(api_datasets)                                                                                \
    X(api_uploads)                                                                                 \
    X(api_spaces)                                                                                  \
    X(api_archs)                                                                                   \
    X(api_supernets)                                                                               \
    X(api_pins)                                                                                    \
    X(api_evaluations)                                                                             \
    X(api_estimations)                                                                             \
    X(api_searches)                                                                                \
    X(api_candidates)                                                                              \
    X(api_imports)                                                                                 \
    X(api_models)                                                                                  \
    X(api_results)                                                                                 \
    X(api_exports)                                                                                 \
    X(api_jobs)                                                                                    \
    X(api_prune)                                                                                   \
    X(api_backups)                                                                                 \
    X(api_session)                                                                                 \
    X(api_tokens)                                                                                  \
    X(api_webhooks)                                                                                \
    X(api_devices)                                                                                 \
    X(api_tables)                                                                                  \
    X(api_calibrations)                                                                            \
    X(api_measurements)                                                                            \
    X(api_energy)                                                                                  \
    X(api_worker)

#define API_NOUN_DECLARE(name) extern const struct api_route name[];
API_NOUNS(API_NOUN_DECLARE)
#undef API_NOUN_DECLARE

/* The path with its links resolved, if that lies below a configured root of data; errors point at
 * /path. *ret_path owned. Touches the disk. */
int api_data_path(const struct daemon *daemon, const char *path, struct err *err, char **ret_path);
/* 202 with {name: doc, "job": job}; takes both. Returns 0. */
int api_answer_with_job(struct api_call *call, const char *name, cJSON *doc, cJSON *job);
/* Queues a job of that kind for the supernet (as the API shows it) and answers with it and with the
 * spec's "archs"; takes spec and supernet. */
int api_start_with_archs(struct api_call *call, const char *kind, cJSON *spec, cJSON *supernet,
                         struct err *err);
/* Adds who depends on the thing ([{"kind", "id", "name"}], taken, may be NULL) to a problem. */
void api_problem_users(struct api_call *call, cJSON *users, struct err *err);
