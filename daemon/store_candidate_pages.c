/* Pages of candidates: all in the order of their changes, or those that keep conditions, sorted. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "daemon/candidate_columns.h"
#include "daemon/store_candidate_scan.h"
#include "daemon/store_searches.h"

static void view_row(const struct sql_rows *rows, const struct candidate_query *query,
                     struct scanned_candidate *ret) {
    ret->view.strategy = sql_text(rows, 0);
    ret->view.generation = sql_int(rows, 1);
    ret->view.feasible = sql_int(rows, 2) != 0;
    ret->view.on_front = sql_int(rows, 3) != 0;
    ret->revision = sql_int(rows, 4);
    if (query->goals.n_metrics > 0)
        candidate_view_metrics(query, sql_text(rows, 5), &ret->view);
}

#define SCAN                                                                                       \
    "SELECT strategy, generation, feasible, on_front, revision, metrics FROM candidates WHERE "    \
    "search = ?1 AND (?2 IS NULL OR strategy = ?2) ORDER BY "

enum { ROWS_PER_LOOK = 2048 }; /* at the clock */

int64_t candidate_scan_until(void) {
    return clock_mono_ns() + CANDIDATE_SCAN_S * INT64_C(1000000000);
}

int candidate_scan_late(struct err *err) {
    return err_set(err, ESP_ELIMIT, NULL,
                   "what is asked of the candidates takes longer than %d s: read pages without "
                   "where and sort, or name fewer metrics",
                   CANDIDATE_SCAN_S);
}

int store_candidates_scan(struct sql *sql, const struct candidate_scan *scan,
                          scanned_candidate_fn *each, void *context, struct err *err) {
    struct sql_rows rows;
    int64_t n = 0;
    int r = 0;
    if (scan->by_generation)
        sql_query(sql, &rows, SCAN "strategy, generation, revision", "tt", scan->search,
                  scan->strategy);
    else
        sql_query(sql, &rows, SCAN "revision", "tt", scan->search, scan->strategy);
    while (r == 0 && sql_next(&rows)) {
        struct scanned_candidate candidate;
        if (n++ % ROWS_PER_LOOK == 0 && clock_mono_ns() > scan->until_ns) {
            r = candidate_scan_late(err);
            break;
        }
        view_row(&rows, scan->query, &candidate);
        if (candidate_matches(scan->query, &candidate.view))
            r = each(context, &candidate, err);
    }
    int ended = sql_end(&rows, r == 0 ? err : NULL);
    return r != 0 ? r : ended;
}

static int print(struct candidate_columns *columns, int64_t total, const char *cursor, bool more,
                 struct err *err, char **ret_text) {
    char *text = candidate_columns_print(columns, total, cursor, more);
    if (text == NULL)
        return err_set(err, ESP_ENOMEM, NULL, "out of memory");
    *ret_text = text;
    return 0;
}

int store_candidates(struct sql *sql, const char *search, const struct candidate_page *page,
                     struct err *err, char **ret_text) {
    struct candidate_columns *columns = NULL;
    struct sql_rows rows;
    int64_t total = 0, cursor = page->after;
    bool more = false;
    char place[32];
    int r = candidate_columns_create(page->origins, err, &columns);
    if (r != 0)
        return r;
    r = sql_get_int(sql, err, &total, NULL,
                    "SELECT count(*) FROM candidates WHERE search = ?1 AND (?2 IS NULL OR "
                    "strategy = ?2)",
                    "tt", search, page->strategy);
    if (r != 0)
        goto out;
    for (sql_query(sql, &rows,
                   "SELECT " CANDIDATE_COLUMNS " FROM candidates WHERE search = ?1 AND "
                   "revision > ?2 AND (?3 IS NULL OR strategy = ?3) ORDER BY revision LIMIT ?4",
                   "titi", search, page->after, page->strategy, page->size + 1);
         sql_next(&rows) && !more;) {
        more = candidate_columns_n(columns) == page->size;
        if (more)
            break;
        candidate_columns_add(columns, &rows);
        cursor = sql_int(&rows, CANDIDATE_REVISION);
    }
    r = sql_end(&rows, err);
    if (r != 0)
        goto out;
    snprintf(place, sizeof(place), "%lld", (long long)cursor);
    r = print(columns, total, place, more, err, ret_text);
out:
    candidate_columns_destroy(columns);
    return r;
}

/* ---- those that keep conditions ----------------------------------------------------------------
 */

struct place {
    double order; /* NAN: last */
    int64_t revision;
};
struct places {
    const struct candidate_query *query;
    struct place *items; /* owned */
    int64_t n, capacity;
};

static int compare_places(const void *x, const void *y) {
    const struct place *a = x, *b = y;
    if (isnan(a->order) != isnan(b->order))
        return isnan(a->order) ? 1 : -1;
    if (a->order != b->order && !isnan(a->order))
        return a->order < b->order ? -1 : 1;
    return a->revision < b->revision ? -1 : a->revision > b->revision;
}

static int add_place(void *context, const struct scanned_candidate *candidate, struct err *err) {
    struct places *places = context;
    if (places->n == places->capacity) {
        int64_t capacity = places->capacity == 0 ? 1024 : 2 * places->capacity;
        struct place *items = realloc(places->items, (size_t)capacity * sizeof(*items));
        if (items == NULL)
            return err_set(err, ESP_ENOMEM, NULL, "out of memory");
        places->items = items;
        places->capacity = capacity;
    }
    places->items[places->n++] =
        (struct place){candidate_order(places->query, &candidate->view), candidate->revision};
    return 0;
}

/* The first that lies behind the cursor's place. */
static int64_t first_behind(const struct places *places, const struct place *after) {
    int64_t low = 0, high = places->n;
    while (low < high) {
        int64_t middle = (low + high) / 2;
        if (compare_places(&places->items[middle], after) <= 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static int add_by_revision(struct sql *sql, const char *search, int64_t revision,
                           struct candidate_columns *columns, struct err *err) {
    struct sql_rows rows;
    sql_query(sql, &rows,
              "SELECT " CANDIDATE_COLUMNS " FROM candidates WHERE search = ?1 AND revision = ?2",
              "ti", search, revision);
    if (sql_next(&rows))
        candidate_columns_add(columns, &rows);
    return sql_end(&rows, err);
}

void candidate_cursor_print(const struct candidate_cursor *cursor, char ret[CANDIDATE_CURSOR_MAX]) {
    uint64_t bits;
    memcpy(&bits, &cursor->order, sizeof(bits));
    snprintf(ret, CANDIDATE_CURSOR_MAX, "%.16s.%lld.%016llx", cursor->query,
             (long long)cursor->revision, (unsigned long long)bits);
}

bool candidate_cursor_read(const char *text, const char *query, struct candidate_cursor *ret) {
    struct candidate_cursor cursor;
    unsigned long long bits;
    long long revision;
    int end = 0;
    if (sscanf(text, "%16[0-9a-f].%lld.%16llx%n", cursor.query, &revision, &bits, &end) != 3 ||
        text[end] != '\0' || strncmp(cursor.query, query, 16) != 0)
        return false;
    cursor.revision = revision;
    memcpy(&cursor.order, &bits, sizeof(cursor.order));
    *ret = cursor;
    return true;
}

static int print_places(struct sql *sql, const char *search, const struct candidate_page *page,
                        const struct places *places, struct err *err, char **ret_text) {
    struct candidate_columns *columns = NULL;
    struct candidate_cursor cursor = page->cursor;
    char text[CANDIDATE_CURSOR_MAX];
    const struct place after = {cursor.order, cursor.revision};
    int64_t first = cursor.revision > 0 ? first_behind(places, &after) : 0;
    int64_t end = places->n - first > page->size ? first + page->size : places->n;
    int r = candidate_columns_create(page->origins, err, &columns);
    for (int64_t i = first; r == 0 && i < end; i++)
        r = add_by_revision(sql, search, places->items[i].revision, columns, err);
    if (end > first) {
        cursor.order = places->items[end - 1].order;
        cursor.revision = places->items[end - 1].revision;
    }
    candidate_cursor_print(&cursor, text);
    if (r == 0)
        r = print(columns, places->n, text, end < places->n, err, ret_text);
    candidate_columns_destroy(columns);
    return r;
}

int store_candidates_asked(struct sql *sql, const char *search, const struct candidate_page *page,
                           struct err *err, char **ret_text) {
    struct places places = {.query = page->query};
    const struct candidate_scan scan = {search, page->strategy, page->query, false,
                                        candidate_scan_until()};
    int r = store_candidates_scan(sql, &scan, add_place, &places, err);
    if (r == 0 && page->query->sort != QUERY_SORT_NONE && places.n > 1)
        qsort(places.items, (size_t)places.n, sizeof(*places.items), compare_places);
    if (r == 0)
        r = print_places(sql, search, page, &places, err, ret_text);
    free(places.items);
    return r;
}
