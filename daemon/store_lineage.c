#include "daemon/store_lineage.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "daemon/store_candidate_scan.h"

enum { ROWS_PER_LOOK = 2048 /* at the clock */, PARENTS_MAX = 2 };

/* A network that is shown. */
struct relative {
    cJSON *item;                           /* of the answer; borrowed */
    const char *arch_id, *arch, *strategy; /* of the item */
    int64_t generation;
    bool known;     /* its origin is */
    bool looked_up; /* its parents are in the item */
    int64_t step;
    char parents[PARENTS_MAX][72]; /* arch_ids; "": none */
    int n_parents;
};

struct walk {
    struct sql *sql;
    const struct lineage_request *request;
    int64_t until_ns;
    cJSON *items;
    int n;
    struct relative *relatives; /* [request->networks] */
    bool more;
};

/* ---- rows --------------------------------------------------------------------------------------
 */

/* How a row is asked for. */
struct wanted {
    const char *arch; /* text or arch_id */
    const char *strategy;
    bool only; /* of that strategy alone, unless it is NULL; otherwise rather of it */
};

/* Takes the member out of the item. */
static void take_text(cJSON *item, const char *key, char *ret, size_t size) {
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(item, key));
    snprintf(ret, size, "%s", text != NULL ? text : "");
    cJSON_DeleteItemFromObjectCaseSensitive(item, key);
}

static const char *text_of(const cJSON *item, const char *key) {
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(item, key));
    return text != NULL ? text : "";
}

#define ROW                                                                                        \
    "SELECT arch_id, arch, strategy, generation, feasible AS \"feasible@bool\", on_front AS "      \
    "\"on_front@bool\", metrics AS \"metrics@json\", origin, first_parent, second_parent FROM "    \
    "candidates WHERE search = ?1 AND "

/* *ret_item NULL: there is none. */
static int read_row(const struct walk *walk, const struct wanted *wanted, struct err *err,
                    cJSON **ret_item) {
    const char *search = walk->request->search;
    if (wanted->only)
        return sql_get_row(walk->sql, err, ret_item,
                           ROW "(arch = ?2 OR arch_id = ?2) AND (?3 IS NULL OR strategy = ?3) "
                               "ORDER BY generation, strategy LIMIT 1",
                           "ttt", search, wanted->arch, wanted->strategy);
    return sql_get_row(walk->sql, err, ret_item,
                       ROW "arch_id = ?2 ORDER BY strategy <> ?3, generation LIMIT 1", "ttt",
                       search, wanted->arch, wanted->strategy);
}

static int find_relative(const struct walk *walk, const char *arch_id) {
    for (int i = 0; i < walk->n; i++)
        if (strcmp(walk->relatives[i].arch_id, arch_id) == 0)
            return i;
    return -1;
}

/* Takes the item. */
static void add_relative(struct walk *walk, cJSON *item, int64_t step) {
    struct relative *r = &walk->relatives[walk->n++];
    *r = (struct relative){.item = item, .step = step};
    r->arch_id = text_of(item, "arch_id");
    r->arch = text_of(item, "arch");
    r->strategy = text_of(item, "strategy");
    r->generation = (int64_t)cJSON_GetNumberValue(cJSON_GetObjectItem(item, "generation"));
    r->known = cJSON_IsString(cJSON_GetObjectItem(item, "origin"));
    take_text(item, "first_parent", r->parents[0], sizeof(r->parents[0]));
    take_text(item, "second_parent", r->parents[1], sizeof(r->parents[1]));
    while (r->n_parents < PARENTS_MAX && r->parents[r->n_parents][0] != '\0')
        r->n_parents++;
    cJSON_AddArrayToObject(item, "parents");
    cJSON_AddItemToArray(walk->items, item);
}

/* ---- the closest, where no parents are known ---------------------------------------------------
 */

/* Of the generations before the relative's; "": there are none. */
static int find_closest(const struct walk *walk, const struct relative *of, struct err *err,
                        char *ret_arch_id, size_t size) {
    struct sql_rows rows;
    int64_t generation = 0, n = 0;
    int r = 0, least = INT_MAX - 1;
    ret_arch_id[0] = '\0';
    sql_query(walk->sql, &rows,
              "SELECT arch_id, generation, arch FROM candidates WHERE search = ?1 AND strategy = "
              "?2 AND generation < ?3 ORDER BY revision",
              "tti", walk->request->search, of->strategy, of->generation);
    while (r == 0 && sql_next(&rows)) {
        int distance = lineage_distance(sql_text(&rows, 2), of->arch, least + 1);
        if (distance < least || (distance == least && sql_int(&rows, 1) > generation)) {
            snprintf(ret_arch_id, size, "%s", sql_text(&rows, 0));
            generation = sql_int(&rows, 1);
            least = distance;
        }
        if (++n % ROWS_PER_LOOK == 0 && clock_mono_ns() > walk->until_ns)
            r = candidate_scan_late(err);
    }
    int ended = sql_end(&rows, r == 0 ? err : NULL);
    return r != 0 ? r : ended;
}

/* Whether there would be a closest one. */
static int has_earlier(const struct walk *walk, const struct relative *of, struct err *err,
                       bool *ret_has) {
    int64_t found = 0;
    int r = sql_get_int(walk->sql, err, &found, NULL,
                        "SELECT EXISTS (SELECT 1 FROM candidates WHERE search = ?1 AND strategy = "
                        "?2 AND generation < ?3)",
                        "tti", walk->request->search, of->strategy, of->generation);
    *ret_has = found != 0;
    return r;
}

/* ---- walking -----------------------------------------------------------------------------------
 */

struct parents {
    int n;
    cJSON *items[PARENTS_MAX]; /* owned until they are shown */
    int distance[PARENTS_MAX];
};

static void parents_finish(struct parents *parents) {
    for (int i = 0; i < parents->n; i++)
        cJSON_Delete(parents->items[i]);
}

static void name_parent(const struct relative *child, const cJSON *parent, int *ret_distance) {
    cJSON *edge = cJSON_CreateObject();
    cJSON *changes = lineage_changes(text_of(parent, "arch"), child->arch);
    *ret_distance = cJSON_GetArraySize(changes);
    cJSON_AddStringToObject(edge, "arch_id", text_of(parent, "arch_id"));
    cJSON_AddStringToObject(edge, "relation", child->known ? "parent" : "closest");
    cJSON_AddNumberToObject(edge, "distance", *ret_distance);
    cJSON_AddItemToObject(edge, "changes", changes);
    cJSON_AddItemToArray(cJSON_GetObjectItem(child->item, "parents"), edge);
}

/* The rows of a relative's parents, and these in its item. */
static int look_up_parents(const struct walk *walk, struct relative *child, struct err *err,
                           struct parents *ret) {
    *ret = (struct parents){.n = 0};
    for (int i = 0; i < child->n_parents; i++) {
        const struct wanted wanted = {child->parents[i], child->strategy, false};
        int r = read_row(walk, &wanted, err, &ret->items[ret->n]);
        if (r != 0)
            return r;
        if (ret->items[ret->n] == NULL)
            continue; /* it is gone */
        if (!child->looked_up)
            name_parent(child, ret->items[ret->n], &ret->distance[ret->n]);
        ret->n++;
    }
    child->looked_up = true;
    return 0;
}

/* Shows the parent at place i, unless it is shown already or there is no room. */
static void show_parent(struct walk *walk, const struct relative *child, struct parents *parents,
                        int i) {
    int64_t step = child->step + 1;
    if (find_relative(walk, text_of(parents->items[i], "arch_id")) >= 0)
        return;
    if (walk->n == walk->request->networks || step > walk->request->steps) {
        walk->more = true;
        return;
    }
    add_relative(walk, parents->items[i], step);
    parents->items[i] = NULL;
}

/* The next of the line behind the relative: its number, or -1 at the end. */
static int step_line(struct walk *walk, int at, struct err *err) {
    struct relative *child = &walk->relatives[at];
    struct parents parents = {.n = 0};
    int next = -1, r = 0;
    if (!child->known) {
        r = find_closest(walk, child, err, child->parents[0], sizeof(child->parents[0]));
        child->n_parents = child->parents[0][0] != '\0';
    }
    if (r == 0)
        r = look_up_parents(walk, child, err, &parents);
    if (r == 0 && parents.n > 0) {
        char arch_id[72];
        int closer = parents.n > 1 && parents.distance[1] < parents.distance[0];
        snprintf(arch_id, sizeof(arch_id), "%s", text_of(parents.items[closer], "arch_id"));
        show_parent(walk, child, &parents, closer);
        next = find_relative(walk, arch_id);
    }
    parents_finish(&parents);
    return r != 0 ? r : next;
}

static int walk_line(struct walk *walk, struct err *err) {
    int at = 0;
    while (at >= 0 && !walk->relatives[at].looked_up) {
        const struct relative *now = &walk->relatives[at];
        bool far = now->step == walk->request->steps || walk->n == walk->request->networks;
        if (!now->known && far)
            break;
        at = step_line(walk, at, err);
    }
    return at < -1 ? at : 0;
}

/* The others: what is behind each that is shown, in turn. */
static int walk_breadth(struct walk *walk, struct err *err) {
    for (int at = 0; at < walk->n; at++) {
        struct relative *child = &walk->relatives[at];
        struct parents parents;
        int r = look_up_parents(walk, child, err, &parents);
        if (r == 0 && !child->known && child->n_parents == 0 && !walk->more)
            r = has_earlier(walk, child, err, &walk->more);
        for (int i = 0; r == 0 && i < parents.n; i++)
            show_parent(walk, child, &parents, i);
        parents_finish(&parents);
        if (r != 0)
            return r;
    }
    return 0;
}

static int begin(struct walk *walk, struct err *err) {
    const struct lineage_request *request = walk->request;
    const struct wanted wanted = {request->arch, request->strategy, true};
    cJSON *item = NULL;
    int r = read_row(walk, &wanted, err, &item);
    if (r == 0 && item == NULL)
        return err_set(err, ESP_ENOTFOUND, NULL,
                       "the search has not looked at the network \"%.200s\"%s%.60s", request->arch,
                       request->strategy != NULL ? " by " : "",
                       request->strategy != NULL ? request->strategy : "");
    if (r == 0)
        add_relative(walk, item, 0);
    return r;
}

int store_lineage(struct sql *sql, const struct lineage_request *request, struct err *err,
                  cJSON **ret_doc) {
    struct walk walk = {.sql = sql, .request = request, .until_ns = candidate_scan_until()};
    walk.items = cJSON_CreateArray();
    walk.relatives = mem_array((size_t)request->networks, sizeof(*walk.relatives));
    int r = walk.items != NULL && walk.relatives != NULL
                ? begin(&walk, err)
                : err_set(err, ESP_ENOMEM, NULL, "out of memory");
    if (r == 0)
        r = walk_line(&walk, err);
    if (r == 0)
        r = walk_breadth(&walk, err);
    if (r == 0) {
        *ret_doc = cJSON_CreateObject();
        cJSON_AddStringToObject(*ret_doc, "strategy", walk.relatives[0].strategy);
        cJSON_AddItemToObject(*ret_doc, "items", walk.items);
        cJSON_AddBoolToObject(*ret_doc, "more", walk.more);
    } else {
        cJSON_Delete(walk.items);
    }
    free(walk.relatives);
    return r;
}
