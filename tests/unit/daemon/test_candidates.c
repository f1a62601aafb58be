/* Candidates by conditions, fronts of any metrics and their hypervolumes, against what the
 * definitions say of random candidates: with ties, values that are not known, infeasible ones, and
 * networks that two strategies found. */
#include "fixture.h"

#include <math.h>

#include "base/rng.h"
#include "daemon/candidate_query.h"
#include "daemon/store_candidate_scan.h"
#include "daemon/store_searches.h"

enum { N = 300, GRID = 12 };
static const char *const keys[] = {"top1", "latency_us:pf_a", "macs", "params"};
enum { TOP1, LATENCY, MACS, PARAMS, N_KEYS };

/* As they were told: network i, and whether the other strategy found it too. */
struct told {
    double values[N_KEYS]; /* NAN: not known */
    bool evaluated, feasible, twice;
    int generation;
};
static struct told told[N];

static void draw(uint64_t seed) {
    struct rng rng = rng_make(seed, RNG_TEST, 0, 0);
    for (int i = 0; i < N; i++) {
        struct told *t = &told[i];
        for (int k = 0; k < N_KEYS; k++)
            t->values[k] = rng_below(&rng, GRID);
        if (rng_below(&rng, 5) == 0)
            t->values[LATENCY] = (double)NAN;
        t->evaluated = rng_below(&rng, 2);
        t->feasible = rng_below(&rng, 4) > 0;
        t->twice = rng_below(&rng, 6) == 0;
        t->generation = i / 50;
    }
}

static bool is_interpolated(int i) {
    return !told[i].evaluated && i % 3 == 0;
}

static cJSON *item_of(int i) {
    char arch_id[16];
    cJSON *item = cJSON_CreateObject(), *metrics;
    snprintf(arch_id, sizeof(arch_id), "a%03d", i);
    cJSON_AddStringToObject(item, "arch_id", arch_id);
    cJSON_AddStringToObject(item, "arch", arch_id);
    cJSON_AddBoolToObject(item, "feasible", told[i].feasible);
    metrics = cJSON_AddObjectToObject(item, "metrics");
    for (int k = 0; k < N_KEYS; k++) {
        if (isnan(told[i].values[k]))
            continue;
        cJSON *metric = cJSON_AddObjectToObject(metrics, keys[k]);
        static const char *const parts[] = {"value", "low", "high"};
        for (int p = 0; p < 3; p++)
            cJSON_AddNumberToObject(metric, parts[p], told[i].values[k]);
        cJSON_AddStringToObject(metric, "source",
                                k >= MACS            ? "counted"
                                : told[i].evaluated  ? "evaluated"
                                : is_interpolated(i) ? "interpolated"
                                                     : "predicted");
    }
    return item;
}

static int do_generation(struct store_tx *tx, const char *strategy, int generation,
                         struct err *err) {
    cJSON *data = cJSON_CreateObject(), *items;
    cJSON_AddStringToObject(data, "strategy", strategy);
    cJSON_AddNumberToObject(data, "generation", generation);
    items = cJSON_AddArrayToObject(data, "items");
    for (int i = 0; i < N; i++)
        if (told[i].generation == generation && (strcmp(strategy, "nsga2") == 0 || told[i].twice))
            cJSON_AddItemToArray(items, item_of(i));
    int r = store_candidates_add(tx, "se_1", data, err);
    cJSON_Delete(data);
    if (r == 0)
        r = sql_run(store_tx_sql(tx), err, NULL,
                    "INSERT INTO generations (search, strategy, generation, evaluations, "
                    "front_size, feasible) VALUES ('se_1', ?1, ?2, ?3, 1, 1)",
                    "tii", strategy, (int64_t)generation, (int64_t)(generation + 1) * 50);
    return r;
}

static int do_fill(struct store_tx *tx, struct fixture *f, void *argument, struct err *err) {
    int r = sql_run(store_tx_sql(tx), err, NULL,
                    "INSERT INTO space_documents (fingerprint, document) VALUES ('f', '{}')", "");
    if (r == 0)
        r = sql_run(store_tx_sql(tx), err, NULL,
                    "INSERT INTO searches (id, name, space, space_fingerprint, state, body, "
                    "created_us) VALUES ('se_1', 'one', 's', 'f', 'done', ?1, 1)",
                    "t",
                    "{\"objectives\":[{\"metric\":\"top1\",\"direction\":\"maximise\"},{\"metric\":"
                    "\"latency_us\",\"profile\":\"pf_a\",\"direction\":\"minimise\"}],"
                    "\"constraints\":[{\"metric\":\"energy_uj\",\"profile\":\"pf_a\",\"max\":9}]}");
    for (int generation = 0; r == 0 && generation < N / 50; generation++) {
        r = do_generation(tx, "nsga2", generation, err);
        if (r == 0)
            r = do_generation(tx, "random", generation, err);
    }
    return r;
}

static int resolve(void *context, const char *ref, struct err *err, char ret_id[METRIC_KEY_MAX]) {
    if (strcmp(ref, "pi4") != 0)
        return err_set(err, ESP_ENOTFOUND, NULL, "there is no profile \"%s\"", ref);
    strcpy(ret_id, "pf_a");
    return 0;
}

struct asking {
    struct query_texts texts;
    struct candidate_query query;
    struct candidate_page page;
    const char *reference; /* NULL: none is asked for */
    bool wants_own, hypervolume, list;
    cJSON *doc;
    char *text;
};

static int do_query(struct store_tx *tx, struct fixture *f, void *argument, struct err *err) {
    struct asking *a = argument;
    struct sql *sql = store_tx_sql(tx);
    cJSON *known = NULL, *objectives = NULL, *strategies = NULL;
    int r = store_query_metrics(sql, "se_1", err, &known, &objectives);
    if (r == 0)
        r = store_query_strategies(sql, "se_1", err, &strategies);
    const struct query_metrics metrics = {known, objectives, strategies, resolve, NULL};
    if (r == 0)
        r = candidate_query_parse(&metrics, &a->texts, err, &a->query);
    if (r == 0 && a->wants_own)
        r = candidate_query_own_objectives(&metrics, err, &a->query);
    if (r == 0 && a->reference != NULL)
        r = candidate_query_reference(a->reference, err, &a->query);
    cJSON_Delete(known);
    cJSON_Delete(objectives);
    cJSON_Delete(strategies);
    a->page.query = &a->query;
    if (r != 0)
        return r;
    return a->list          ? store_candidates_asked(sql, "se_1", &a->page, err, &a->text)
           : a->hypervolume ? store_hypervolume_of(sql, "se_1", &a->query, err, &a->doc)
                            : store_front_of(sql, "se_1", &a->query, err, &a->doc);
}

static int start(void **state) {
    int r = fixture_start(state);
    draw(3);
    struct fixture *f = *state;
    if (in_tx(f, do_fill, NULL) != 0)
        fail_msg("%s", f->err.message);
    return r;
}

/* Whether a is not worse than b by each of the metrics, and better by one. */
static bool beats(const struct told *a, const struct told *b, const int *metrics, int m) {
    bool better = false;
    for (int k = 0; k < m; k++) {
        double x = a->values[metrics[k]], y = b->values[metrics[k]];
        if (metrics[k] == TOP1) {
            x = -x;
            y = -y;
        }
        if (x > y)
            return false;
        better |= x < y;
    }
    return better;
}

static bool has_all(const struct told *t, const int *metrics, int m) {
    for (int k = 0; k < m; k++)
        if (isnan(t->values[metrics[k]]))
            return false;
    return true;
}

static bool keep_all(const struct told *t) {
    return t->feasible;
}
static bool keep_limited(const struct told *t) {
    return t->feasible && t->values[LATENCY] <= 6 && t->values[MACS] >= 2;
}
static bool keep_evaluated(const struct told *t) {
    return t->feasible && t->evaluated;
}
static bool keep_predicted(const struct told *t) {
    return t->feasible && !t->evaluated;
}
static bool keep_interpolated(const struct told *t) {
    return t->feasible && is_interpolated((int)(t - told));
}
static bool keep_infeasible(const struct told *t) {
    return !t->feasible;
}
static bool keep_none(const struct told *t) {
    return false;
}

struct wanted_front {
    const char *objectives, *where;
    int metrics[N_KEYS], m;
    bool (*keep)(const struct told *t);
};
static const struct wanted_front fronts[] = {
    {"top1,macs", NULL, {TOP1, MACS}, 2, keep_all},
    {"top1,latency_us@pi4", NULL, {TOP1, LATENCY}, 2, keep_all},
    {NULL, "macs>=0", {TOP1, LATENCY}, 2, keep_all},
    {"macs,params,top1", NULL, {MACS, PARAMS, TOP1}, 3, keep_all},
    {"params,top1,latency_us:pf_a,macs", NULL, {PARAMS, TOP1, LATENCY, MACS}, 4, keep_all},
    {"top1,params", "latency_us@pi4<=6,macs>=2", {TOP1, PARAMS}, 2, keep_limited},
    {"top1,params,macs", "latency_us@pi4<=6,macs>=2", {TOP1, PARAMS, MACS}, 3, keep_limited},
    {"top1,macs", "top1=evaluated", {TOP1, MACS}, 2, keep_evaluated},
    {"top1,macs", "top1=predicted", {TOP1, MACS}, 2, keep_predicted},
    {"top1,macs", "top1=interpolated", {TOP1, MACS}, 2, keep_interpolated},
    {"macs,top1", "feasible=false", {MACS, TOP1}, 2, keep_infeasible},
    {"macs,top1", "macs<=-1", {MACS, TOP1}, 2, keep_none},
};

static bool is_in(const cJSON *items, int i) {
    int n = 0;
    const cJSON *item;
    cJSON_ArrayForEach(item, items) n +=
        atoi(cJSON_GetStringValue(cJSON_GetObjectItem(item, "arch_id")) + 1) == i;
    assert_true(n <= 1);
    return n == 1;
}

static void check_front(struct fixture *f, const struct wanted_front *w) {
    struct asking a = {.texts = {w->where, w->objectives, NULL}, .wants_own = !w->objectives};
    if (in_tx(f, do_query, &a) != 0)
        fail_msg("%s", f->err.message);
    const cJSON *items = cJSON_GetObjectItem(a.doc, "items");
    int n = 0, compared = 0;
    for (int i = 0; i < N; i++) {
        bool wanted = w->keep(&told[i]) && has_all(&told[i], w->metrics, w->m);
        compared += wanted ? 1 + told[i].twice : 0;
        for (int j = 0; j < N && wanted; j++)
            wanted = !(w->keep(&told[j]) && has_all(&told[j], w->metrics, w->m) &&
                       beats(&told[j], &told[i], w->metrics, w->m));
        if (is_in(items, i) != wanted)
            fail_msg("%s, %s: network %d", w->objectives, w->where, i);
        n += wanted;
    }
    assert_int_equal(cJSON_GetArraySize(items), n);
    assert_int_equal(member(a.doc, "considered")->valueint, compared);
    cJSON_Delete(a.doc);
}

static void a_front_is_what_nothing_beats(void **state) {
    for (size_t i = 0; i < sizeof(fronts) / sizeof(fronts[0]); i++)
        check_front(*state, &fronts[i]);
}

/* Cells of the grid that some candidate dominates, below the worst values. */
static int cells(const struct wanted_front *w, int generation) {
    int n = 0;
    for (int x = 0; x < GRID; x++)
        for (int y = 0; y < GRID; y++)
            for (int i = 0; i < N; i++) {
                const struct told *t = &told[i];
                if (t->generation <= generation && w->keep(t) && has_all(t, w->metrics, w->m) &&
                    t->values[w->metrics[0]] > x && t->values[w->metrics[1]] <= y && y < GRID - 1) {
                    n++;
                    break;
                }
            }
    return n;
}

static void hypervolume_grows_by_generation_to_that_of_all(void **state) {
    for (int i = 0; i < 2; i++) {
        const struct wanted_front *w = &fronts[i];
        struct asking a = {.texts = {w->where, w->objectives, NULL}, .hypervolume = true};
        assert_int_equal(in_tx(*state, do_query, &a), 0);
        assert_true(member(a.doc, "reference_point.top1")->valuedouble == 0);
        const cJSON *series = member(a.doc, "series.0");
        assert_string_equal(member(series, "strategy")->valuestring, "nsga2");
        assert_int_equal(cJSON_GetArraySize(member(series, "hypervolume")), N / 50);
        for (int g = 0; g < N / 50; g++) {
            const cJSON *volume = cJSON_GetArrayItem(member(series, "hypervolume"), g);
            assert_int_equal(volume->valueint, cells(w, g));
            assert_int_equal(cJSON_GetArrayItem(member(series, "evaluations"), g)->valueint,
                             50 * (g + 1));
        }
        assert_int_equal(member(a.doc, "hypervolume")->valueint, cells(w, N));
        assert_string_equal(member(a.doc, "series.1.strategy")->valuestring, "random");
        cJSON_Delete(a.doc);
    }
    struct asking four = {.texts = {NULL, "top1,macs,params,latency_us@pi4", NULL},
                          .hypervolume = true};
    assert_int_equal(in_tx(*state, do_query, &four), 0);
    const cJSON *first = member(four.doc, "series.0.hypervolume"), *at;
    double before = 0, whole = member(four.doc, "hypervolume")->valuedouble;
    cJSON_ArrayForEach(at, first) {
        assert_true(at->valuedouble >= before);
        before = at->valuedouble;
    }
    assert_true(before > 0 && before <= whole);
    cJSON_Delete(four.doc);
}

static double volume_below(struct fixture *f, const char *reference) {
    struct asking a = {
        .texts = {NULL, "top1,macs", NULL}, .reference = reference, .hypervolume = true};
    if (in_tx(f, do_query, &a) != 0)
        fail_msg("%s", f->err.message);
    double volume = member(a.doc, "hypervolume")->valuedouble;
    cJSON_Delete(a.doc);
    return volume;
}

/* Five more of MACs are five columns as high as the best top1; a top1 of 1 takes away a row. */
static void a_hypervolume_ends_where_it_is_asked_to(void **state) {
    char own[40], wider[40], higher[40];
    double best = 0;
    snprintf(own, sizeof(own), "0,%d", GRID - 1);
    snprintf(wider, sizeof(wider), "0,%d", GRID + 4);
    snprintf(higher, sizeof(higher), "1,%d", GRID + 4);
    for (int i = 0; i < N; i++)
        if (told[i].feasible)
            best = fmax(best, told[i].values[TOP1]);
    double below = volume_below(*state, wider), first = volume_below(*state, own);
    assert_true(first == cells(&fronts[0], N));
    assert_true(below == first + 5 * best);
    double lost = below - volume_below(*state, higher);
    assert_true(lost > 5 && lost <= GRID + 4);
    assert_true(volume_below(*state, "1e9,1") == 0);
}

static int count_wanted(bool (*keep)(const struct told *t)) {
    int n = 0;
    for (int i = 0; i < N; i++)
        n += keep(&told[i]) ? 1 + told[i].twice : 0;
    return n;
}

/* Reads all pages of a query; checks that values never fall in the order, that what lacks a value
 * is last and that no row comes twice. Returns how many rows there were. */
static int read_pages(struct fixture *f, const struct query_texts *texts, const char *key,
                      int64_t size, double sign) {
    struct asking a = {.texts = *texts, .list = true};
    double last = -INFINITY;
    bool seen[2 * N] = {false}, unknown = false, more = true;
    int n = 0;
    a.page.size = size;
    strcpy(a.page.cursor.query, "0123456789abcdef");
    for (; more;) {
        assert_int_equal(in_tx(f, do_query, &a), 0);
        cJSON *doc = doc_of(a.text);
        const cJSON *ids = member(doc, "columns.arch_id"), *id, *values = NULL;
        if (key != NULL)
            values = cJSON_GetObjectItem(cJSON_GetObjectItem(member(doc, "columns.metrics"), key),
                                         "value");
        const cJSON *value = values != NULL ? values->child : NULL;
        const cJSON *strategy = member(doc, "columns.strategy")->child;
        cJSON_ArrayForEach(id, ids) {
            int at = 2 * atoi(id->valuestring + 1) + (strategy->valuestring[0] == 'r');
            assert_false(seen[at]);
            seen[at] = true;
            n++;
            strategy = strategy->next;
            if (key == NULL)
                continue;
            unknown |= !cJSON_IsNumber(value);
            assert_int_equal(cJSON_IsNumber(value), !unknown);
            if (!unknown) {
                assert_true(sign * value->valuedouble >= last);
                last = sign * value->valuedouble;
            }
            value = value != NULL ? value->next : NULL;
        }
        const char *next = cJSON_GetStringValue(cJSON_GetObjectItem(doc, "next"));
        more = next != NULL;
        if (more) {
            assert_int_equal(cJSON_GetArraySize(ids), size);
            assert_true(candidate_cursor_read(next, "0123456789abcdef", &a.page.cursor));
            assert_false(candidate_cursor_read(next, "0123456789abcdee", &a.page.cursor));
        }
        assert_true(member(doc, "total")->valueint >= n);
        cJSON_Delete(doc);
        free(a.text);
        a.text = NULL;
    }
    return n;
}

static void pages_hold_what_keeps_the_conditions_in_order(void **state) {
    struct query_texts limited = {"feasible=true,latency_us@pi4<=6,macs>=2", NULL, NULL};
    struct query_texts evaluated = {"top1=evaluated,feasible=true", NULL, "-top1"};
    struct query_texts all = {NULL, NULL, "latency_us@pi4"};
    struct query_texts first = {"strategy=random,generation<=1", NULL, "-generation"};
    int twice = 0, early = 0;
    for (int i = 0; i < N; i++) {
        twice += told[i].twice;
        early += told[i].twice && told[i].generation <= 1;
    }
    for (int64_t size = 7; size < 2000; size *= 8) {
        assert_int_equal(read_pages(*state, &limited, NULL, size, 1), count_wanted(keep_limited));
        assert_int_equal(read_pages(*state, &evaluated, "top1", size, -1),
                         count_wanted(keep_evaluated));
        assert_int_equal(read_pages(*state, &all, keys[LATENCY], size, 1), N + twice);
        assert_int_equal(read_pages(*state, &first, NULL, size, 1), early);
    }
}

static void nothing_that_keeps_them_makes_an_empty_page(void **state) {
    struct query_texts none = {"macs<=-1", NULL, "macs"}, falling = {"macs<=-1", NULL, "-top1"};
    assert_int_equal(read_pages(*state, &none, "macs", 10, 1), 0);
    assert_int_equal(read_pages(*state, &falling, "top1", 10, -1), 0);
}

/* Though none of the candidates that are looked at has it. */
static void a_limit_of_the_search_is_a_metric(void **state) {
    struct query_texts limited = {"energy_uj@pi4<=9", NULL, "energy_uj@pi4"};
    assert_int_equal(read_pages(*state, &limited, NULL, 10, 1), 0);
}

static int count_row(void *context, const struct scanned_candidate *candidate, struct err *err) {
    ++*(int *)context;
    return 0;
}

static int do_scan(struct store_tx *tx, struct fixture *f, void *argument, struct err *err) {
    const struct candidate_query query = {.sort = QUERY_SORT_NONE};
    const int64_t *until_ns = argument;
    const struct candidate_scan scan = {"se_1", NULL, &query, false, *until_ns};
    int n = 0;
    int r = store_candidates_scan(store_tx_sql(tx), &scan, count_row, &n, err);
    assert_true(r == 0 ? n >= N : n == 0);
    return r;
}

static void a_look_at_all_ends_in_time(void **state) {
    struct fixture *f = *state;
    int64_t until_ns = candidate_scan_until(), past = 1;
    assert_int_equal(in_tx(f, do_scan, &until_ns), 0);
    assert_int_equal(in_tx(f, do_scan, &past), ESP_ELIMIT);
    assert_non_null(strstr(f->err.message, "longer than 20 s"));
}

static void refuse(struct fixture *f, struct query_texts texts, const char *part) {
    struct asking a = {.texts = texts};
    assert_int_equal(in_tx(f, do_query, &a), ESP_EPARSE);
    if (strstr(f->err.message, part) == NULL)
        fail_msg("\"%s\" is not in \"%s\"", part, f->err.message);
}

static void refuse_reference(struct fixture *f, const char *objectives, const char *reference,
                             const char *part) {
    struct asking a = {.texts = {NULL, objectives, NULL}, .reference = reference};
    assert_int_equal(in_tx(f, do_query, &a), ESP_EPARSE);
    if (strstr(f->err.message, part) == NULL)
        fail_msg("\"%s\" is not in \"%s\"", part, f->err.message);
}

static void what_makes_no_sense_is_named(void **state) {
    struct fixture *f = *state;
    refuse(f, (struct query_texts){NULL, "top1,macz", NULL}, "did you mean \"macs\"");
    refuse(f, (struct query_texts){"feasable=true", NULL, NULL}, "did you mean \"feasible\"");
    refuse(f, (struct query_texts){NULL, "top1", NULL}, "two metrics or more");
    refuse(f, (struct query_texts){NULL, "top1,top1", NULL}, "twice");
    refuse(f, (struct query_texts){NULL, "top1,", NULL}, "no metric \"\"");
    refuse(f, (struct query_texts){NULL, "top1,latency_us@pi5", NULL}, "no profile \"pi5\"");
    refuse(f, (struct query_texts){NULL, "top1,params@pi4", NULL}, "no metric");
    refuse(f, (struct query_texts){"macs", NULL, NULL}, "NAME<=NUMBER");
    refuse(f, (struct query_texts){"macs<3", NULL, NULL}, "NAME<=NUMBER");
    refuse(f, (struct query_texts){"<=3", NULL, NULL}, "NAME<=NUMBER");
    refuse(f, (struct query_texts){"macs<=many", NULL, NULL}, "macs is a number");
    refuse(f, (struct query_texts){"macs<=nan", NULL, NULL}, "macs is a number");
    refuse(f, (struct query_texts){"macs=guessed", NULL, NULL}, "evaluated or measured");
    refuse(f, (struct query_texts){"feasible=yes", NULL, NULL}, "=true or =false");
    refuse(f, (struct query_texts){"strategy<=x", NULL, NULL}, "behind =");
    refuse(f, (struct query_texts){"strategy=radom", NULL, NULL}, "did you mean \"random\"");
    refuse(f, (struct query_texts){"strategy=nope", NULL, NULL}, "no strategy \"nope\"; it has ");
    refuse(f, (struct query_texts){"generation<=x", NULL, NULL}, "a number");
    refuse(f, (struct query_texts){NULL, NULL, "top1,macs"}, "one metric");
    refuse(f, (struct query_texts){NULL, NULL, "hope"}, "no metric \"hope\"");
    refuse_reference(f, "top1,macs", "1",
                     "a number for each metric that objectives names: 2, not 1");
    refuse_reference(f, "top1,macs", "1,2,3", "2, not 3");
    refuse_reference(f, NULL, "1,2", "0, not 2");
    refuse_reference(f, "top1,macs", "1,inf", "\"inf\" is no number");
    refuse_reference(f, "top1,macs", "1,", "\"\" is no number");
    char many[400] = "macs<=1";
    for (int i = 0; i < QUERY_TERMS_MAX; i++)
        strcat(many, ",macs<=1");
    refuse(f, (struct query_texts){many, NULL, NULL}, "at most 16");
    char *endless = calloc(1, QUERY_TEXT_MAX + 2);
    memset(endless, 'a', QUERY_TEXT_MAX + 1);
    refuse(f, (struct query_texts){NULL, endless, NULL}, "2000 bytes");
    refuse(f, (struct query_texts){NULL, NULL, endless}, "2000 bytes");
    endless[QUERY_TEXT_MAX] = '\0';
    refuse(f, (struct query_texts){NULL, endless, NULL}, "no metric");
    endless[40] = '@';
    refuse(f, (struct query_texts){NULL, endless, NULL}, "no profile");
    free(endless);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_front_is_what_nothing_beats, start, fixture_stop),
        cmocka_unit_test_setup_teardown(hypervolume_grows_by_generation_to_that_of_all, start,
                                        fixture_stop),
        cmocka_unit_test_setup_teardown(a_hypervolume_ends_where_it_is_asked_to, start,
                                        fixture_stop),
        cmocka_unit_test_setup_teardown(pages_hold_what_keeps_the_conditions_in_order, start,
                                        fixture_stop),
        cmocka_unit_test_setup_teardown(nothing_that_keeps_them_makes_an_empty_page, start,
                                        fixture_stop),
        cmocka_unit_test_setup_teardown(a_limit_of_the_search_is_a_metric, start, fixture_stop),
        cmocka_unit_test_setup_teardown(a_look_at_all_ends_in_time, start, fixture_stop),
        cmocka_unit_test_setup_teardown(what_makes_no_sense_is_named, start, fixture_stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
