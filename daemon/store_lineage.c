#include "daemon/store_lineage.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "daemon/store_candidate_scan.h"

enum { ROWS_PER_LOOK = 2048 }; /* at the clock */

/* The word at *text, which is moved behind it; length 0: there is none. */
static size_t next_word(const char **text, const char **ret_word) {
    *ret_word = *text + strspn(*text, " ");
    size_t len = strcspn(*ret_word, " ");
    *text = *ret_word + len;
    return len;
}

int lineage_distance(const char *a, const char *b, int most) {
    int n = 0;
    while (n < most) {
        const char *left, *right;
        size_t left_len = next_word(&a, &left), right_len = next_word(&b, &right);
        if (left_len == 0 && right_len == 0)
            break;
        n += left_len != right_len || memcmp(left, right, left_len) != 0;
    }
    return n;
}

/* A step's network: what is compared with it, and where it lies. */
struct place {
    int64_t revision, generation;
    int distance; /* to the one before */
};

static int find_self(struct sql *sql, const struct lineage_request *request, struct err *err,
                     char ret_strategy[64], struct place *ret) {
    struct sql_rows rows;
    bool found = false;
    sql_query(sql, &rows,
              "SELECT revision, generation, strategy FROM candidates WHERE search = ?1 AND (arch = "
              "?2 OR arch_id = ?2) AND (?3 IS NULL OR strategy = ?3) ORDER BY generation, strategy "
              "LIMIT 1",
              "ttt", request->search, request->arch, request->strategy);
    if (sql_next(&rows)) {
        found = true;
        *ret = (struct place){.revision = sql_int(&rows, 0), .generation = sql_int(&rows, 1)};
        snprintf(ret_strategy, 64, "%s", sql_text(&rows, 2));
    }
    int r = sql_end(&rows, err);
    return r != 0 || found ? r
                           : err_set(err, ESP_ENOTFOUND, NULL,
                                     "the search has not looked at the network \"%.200s\"%s%.60s",
                                     request->arch, request->strategy != NULL ? " by " : "",
                                     request->strategy != NULL ? request->strategy : "");
}

/* Adds the candidate at the place to items; *ret_arch, owned, is its text. */
static int add_item(struct sql *sql, const char *search, const struct place *place, bool first,
                    cJSON *items, struct err *err, char **ret_arch) {
    cJSON *item = NULL;
    int r = sql_get_row(sql, err, &item,
                        "SELECT arch_id, arch, generation, feasible AS \"feasible@bool\", on_front "
                        "AS \"on_front@bool\", metrics AS \"metrics@json\" FROM candidates WHERE "
                        "search = ?1 AND revision = ?2",
                        "ti", search, place->revision);
    if (r != 0)
        return r;
    if (first)
        cJSON_AddNullToObject(item, "distance");
    else
        cJSON_AddNumberToObject(item, "distance", place->distance);
    cJSON_AddItemToArray(items, item);
    *ret_arch = mem_strdup(cJSON_GetStringValue(cJSON_GetObjectItem(item, "arch")));
    return *ret_arch != NULL ? 0 : err_set(err, ESP_ENOMEM, NULL, "out of memory");
}

struct walk {
    const char *search, *strategy;
    int64_t until_ns;
};

/* The closest of the generations before place's; *ret_found false: there are none. */
static int find_closest(struct sql *sql, const struct walk *walk, const char *arch,
                        struct place *place, struct err *err, bool *ret_found) {
    struct sql_rows rows;
    struct place best = {.distance = INT_MAX - 1};
    int64_t n = 0;
    int r = 0;
    sql_query(sql, &rows,
              "SELECT revision, generation, arch FROM candidates WHERE search = ?1 AND strategy = "
              "?2 AND generation < ?3 ORDER BY revision",
              "tti", walk->search, walk->strategy, place->generation);
    while (r == 0 && sql_next(&rows)) {
        int64_t generation = sql_int(&rows, 1);
        int distance = lineage_distance(sql_text(&rows, 2), arch, best.distance + 1);
        if (distance < best.distance || (distance == best.distance && generation > best.generation))
            best = (struct place){sql_int(&rows, 0), generation, distance};
        if (++n % ROWS_PER_LOOK == 0 && clock_mono_ns() > walk->until_ns)
            r = candidate_scan_late(err);
    }
    int ended = sql_end(&rows, r == 0 ? err : NULL);
    *ret_found = n > 0;
    if (n > 0)
        *place = best;
    return r != 0 ? r : ended;
}

int store_lineage(struct sql *sql, const struct lineage_request *request, struct err *err,
                  cJSON **ret_doc) {
    char strategy[64], *arch = NULL;
    struct place place;
    bool found = true;
    const struct walk walk = {request->search, strategy, candidate_scan_until()};
    int r = find_self(sql, request, err, strategy, &place);
    if (r != 0)
        return r;
    cJSON *doc = cJSON_CreateObject();
    cJSON_AddStringToObject(doc, "strategy", strategy);
    cJSON *items = cJSON_AddArrayToObject(doc, "items");
    r = add_item(sql, walk.search, &place, true, items, err, &arch);
    for (int64_t step = 0; step < request->steps && r == 0 && found; step++) {
        r = find_closest(sql, &walk, arch, &place, err, &found);
        if (r != 0 || !found)
            break;
        free(arch);
        arch = NULL;
        r = add_item(sql, walk.search, &place, false, items, err, &arch);
    }
    free(arch);
    if (r == 0)
        *ret_doc = doc;
    else
        cJSON_Delete(doc);
    return r;
}
