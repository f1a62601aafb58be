/* Where the latencies and energies of a search come from: profiles of boards with their tables,
 * calibrations and prices, or imported models. */
#pragma once

#include <cjson/cJSON.h>

#include "daemon/latency_evaluator.h"
#include "daemon/search_energy.h"
#include "daemon/section_evaluator.h"
#include "daemon/spaces.h"
#include "daemon/store_sql.h"
#include "search/objective.h"

enum { PROFILES_MAX = 8 };

/* A profile of a board, or an imported model. */
struct latency_source {
    struct profile_latency profile;
    struct latency_evaluator *latency;
    cJSON *known; /* that it has measured before: search_known.h; NULL: none are wanted */
    cJSON *model; /* NULL: a profile */
    struct latency_sections sections;
    cJSON *sections_doc;
    struct section_evaluator *section;
};

/* Zeroed but for what is borrowed; the caller finishes it, on failure too. */
struct search_sources {
    struct sql *sql;           /* borrowed, as the next four */
    const char *fingerprint;   /* of the whole space */
    const struct space *space; /* may be narrowed before they are loaded */
    const struct goals *goals;
    const cJSON *body; /* of the request, its defaults filled in */
    int n_profiles;
    struct latency_source profiles[PROFILES_MAX];
    struct search_energy energy;
    struct evaluator
        evaluators[1 + PROFILES_MAX + ENERGY_PROFILES_MAX]; /* cost, latencies, energies */
};

/* body[key] is a list of objectives or constraints: the profiles' and latency models' ids in place
 * of what people call them. Errors: ESP_ENOTFOUND, ESP_EINVAL (several fit) with a pointer. */
int search_sources_resolve(struct sql *sql, cJSON *body, const char *key, struct err *err);
/* Who the goals' latencies come from; what they know may narrow the space, before they are loaded.
 * Errors: ESP_ELIMIT, ESP_ENOTFOUND, ESP_EMISMATCH (a model of another space). */
int search_sources_find(struct search_sources *sources, struct err *err);
/* How many profiles of boards measure for the search. */
int search_sources_boards(const struct search_sources *sources);
/* What is called measured was measured twice, on each board: ESP_EINVAL at /measurements when the
 * budget does not reach for one network. */
int search_sources_check_measurements(const struct search_sources *sources, struct err *err);
/* Their evaluators, and that of costs. Errors: ESP_EMISSING (a table lacks entries, no prices),
 * ESP_ECONFLICT (a board that is to measure was removed), ESP_ENOMEM. */
int search_sources_load(struct search_sources *sources, struct err *err);
/* Sentences on what the profiles have measured before, among the "notes" of a search's body.
 * places: those of the profiles, from search_places. ESP_ENOMEM. */
int search_sources_note_known(const struct search_sources *sources, const cJSON *places,
                              cJSON *body, struct err *err);
/* "profiles" of the job's spec. */
cJSON *search_sources_spec(const struct search_sources *sources);
/* Other profiles, of which calibrations may learn, as "fleet" of the spec. */
int search_sources_add_fleet(const struct search_sources *sources, cJSON *spec, struct err *err);
void search_sources_finish(struct search_sources *sources);
