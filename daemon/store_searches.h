/* Searches with their candidates, generations and fronts. */
#pragma once

#include <cjson/cJSON.h>
#include <stdbool.h>

#include "base/hash.h"
#include "daemon/ids.h"
#include "daemon/job_machine.h"
#include "daemon/store.h"
#include "daemon/store_jobs.h"
#include "daemon/store_sql.h"

/* SQL: the state of a row of searches as it is told, which is also that of its job. */
#define STORE_SEARCH_STATE                                                                         \
    "CASE WHEN EXISTS (SELECT 1 FROM jobs s WHERE s.id = searches.job AND s.state = 'canceling') " \
    "THEN 'canceling' ELSE " STORE_HELD_STATE("searches") " END"

struct new_search {
    const char *name;
    const char *supernet;            /* NULL: none, then space and fingerprint are given */
    const char *space, *fingerprint; /* NULL: the supernet's */
    const cJSON *body;               /* the request after defaults were filled in */
};
int store_search_create(struct store_tx *tx, const struct new_search *search, struct err *err,
                        char ret_id[ID_MAX]);
/* ESP_ECONFLICT at /name: there is one of this name. */
int store_search_name_free(struct sql *sql, const char *name, struct err *err);
/* ref: id or name; ESP_ENOTFOUND. */
int store_search_get(struct sql *sql, const char *ref, struct err *err, cJSON **ret_doc);
/* The subnets on its newest front, [{"arch"}], in the order of their ids; none: there is no front
 * yet. The caller deletes archs. ESP_ENOTFOUND. */
struct search_front {
    char id[ID_MAX], fingerprint[HASH_TEXT];
    cJSON *archs;
};
int store_search_front(struct sql *sql, const char *ref, struct err *err,
                       struct search_front *ret_front);
int store_search_list(struct sql *sql, const struct sql_page_args *page, struct err *err,
                      cJSON **ret_doc);
int store_search_delete(struct store_tx *tx, const char *id, struct err *err, cJSON **ret_users);
int store_search_set_job(struct store_tx *tx, const char *id, const char *job, struct err *err);
/* Tells subscribers how it is. */
int store_search_announce(struct store_tx *tx, const char *id, struct err *err);
int store_search_follow(struct store_tx *tx, const char *id, enum job_state state, struct err *err);
int store_search_finished(struct store_tx *tx, const char *id, const cJSON *result,
                          struct err *err);
int store_search_set_stage(struct store_tx *tx, const char *id, const char *stage, struct err *err);
/* It scores its subnets by the checkpoint of this hash. */
int store_search_scored(struct store_tx *tx, const char *id, const char *checkpoint,
                        struct err *err);
/* Jobs ([{"id"}], owned) of the searches that go by this checkpoint (hash) and keep its file. */
int store_search_keepers(struct sql *sql, const char *supernet, const char *checkpoint,
                         struct err *err, cJSON **ret_jobs);

/* A search as it stands, to go on from it. */
struct stored_search {
    char id[ID_MAX], state[16], job[ID_MAX];
    int64_t evaluations, budget; /* that it has had, that it was given */
    bool stagnated;              /* its patience ended it */
    bool taken_over;             /* results of another program */
    int64_t front_version;       /* of the newest front; 0: none */
    cJSON *body;
    cJSON *calibration_versions; /* the highest of each profile that it calibrated */
};
/* ref: id or name. The caller finishes *ret_search. ESP_ENOTFOUND. */
int store_search_load(struct sql *sql, const char *ref, struct err *err,
                      struct stored_search *ret_search);
void stored_search_finish(struct stored_search *search);

/* More evaluations for a search that has ended. */
struct search_extension {
    char search[ID_MAX], job[ID_MAX]; /* job: that has ended */
    int64_t whole_generations;        /* that a longer one has had, too */
    cJSON *body, *spec;               /* owned; of the search from now on, of its next job */
};
/* Queues the job. ESP_ECONFLICT when the search is not as it was. */
int store_search_extend(struct store_tx *tx, const struct search_extension *extension,
                        struct err *err, char ret_job[ID_MAX]);

/* Events of a search's job. */
int store_candidates_add(struct store_tx *tx, const char *search, const cJSON *data,
                         struct err *err);
int store_generation_add(struct store_tx *tx, const char *search, const cJSON *data,
                         struct err *err);
int store_front_add(struct store_tx *tx, const char *search, const cJSON *data, struct err *err);
/* The evaluations that a budget in seconds was turned into. */
int store_search_budget(struct store_tx *tx, const char *search, const cJSON *data,
                        struct err *err);
int store_predictor_set(struct store_tx *tx, const char *search, const cJSON *data,
                        struct err *err);

/* Where a page of an asked order begins; good for the query alone that it came from. */
enum { CANDIDATE_CURSOR_MAX = 64 };
struct candidate_cursor {
    char query[17];   /* 16 hex digits that name the query */
    int64_t revision; /* 0: from the beginning */
    double order;
};
void candidate_cursor_print(const struct candidate_cursor *cursor, char ret[CANDIDATE_CURSOR_MAX]);
/* False: text is no cursor of that query. */
bool candidate_cursor_read(const char *text, const char *query, struct candidate_cursor *ret);

struct candidate_query;
struct candidate_page {
    const char *strategy; /* NULL: all */
    bool origins;         /* say where each comes from */
    int64_t after, size;  /* revision */
    /* Of store_candidates_asked, where cursor is in place of after. */
    const struct candidate_query *query;
    struct candidate_cursor cursor;
};
/* Columnar, oldest change first; owned text of a JSON object. */
int store_candidates(struct sql *sql, const char *search, const struct candidate_page *page,
                     struct err *err, char **ret_text);
/* Those that keep the query's conditions, in its order. Looks at all candidates. */
int store_candidates_asked(struct sql *sql, const char *search, const struct candidate_page *page,
                           struct err *err, char **ret_text);
/* Keys of the metrics that the search names as objectives or limits, or its candidates have, as
 * text, and its objectives; owned. */
int store_query_metrics(struct sql *sql, const char *search, struct err *err, cJSON **ret_keys,
                        cJSON **ret_objectives);
/* Names of the strategies that its candidates are of or may come to be of; owned. */
int store_query_strategies(struct sql *sql, const char *search, struct err *err,
                           cJSON **ret_strategies);
int store_front(struct sql *sql, const char *search, struct err *err, cJSON **ret_doc);
/* Whether the search, by id or name, has told no front yet; false of one that there is not. */
bool store_front_is_awaited(struct sql *sql, const char *search);
/* Gives front as its items those candidates of the strategy that none of its own dominates in the
 * query's objectives, of equal ones the first. ESP_ELIMIT: too many, or it takes longer than 2 s.
 */
int store_front_so_far(struct sql *sql, const char *search, const char *strategy,
                       const struct candidate_query *query, struct err *err, cJSON *front);
/* That of the query's objectives under its conditions, of feasible candidates unless the query says
 * something about that, by the values that they have now: as store_front, with "objectives",
 * "considered" and "incomplete" (candidates without some value, which are not compared).
 * ESP_ELIMIT: too large, or it takes too long. */
int store_front_of(struct sql *sql, const char *search, const struct candidate_query *query,
                   struct err *err, cJSON **ret_doc);
/* How that front grew, by strategy. ESP_ELIMIT: as there. */
int store_hypervolume_of(struct sql *sql, const char *search, const struct candidate_query *query,
                         struct err *err, cJSON **ret_doc);
int store_hypervolume(struct sql *sql, const char *search, struct err *err, cJSON **ret_doc);
