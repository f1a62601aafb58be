/* espalier arch diff: what two networks of a space differ in, by stage and block, and by how much.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "daemon/cli/commands.h"
#include "daemon/cli/resource.h"

enum { TEXT = 96, SIDES = 2 };

/* Where a unit stands, and the units that the two have there; NULL: none. */
struct place {
    int rank; /* the stem, each stage, the head */
    int block;
    const cJSON *units[SIDES];
};
struct diff {
    const cJSON *docs[SIDES];
    struct place *places; /* room for all units of both */
    int n;
};
enum { RANK_STEM = 0, RANK_STAGES = 1, RANK_HEAD = 1000 };

/* ---- units side by side ---------------------------------------------------------------------- */

static struct place *place_of(struct diff *diff, int rank, int block) {
    int i = 0;
    while (i < diff->n && (diff->places[i].rank != rank || diff->places[i].block != block))
        i++;
    if (i == diff->n)
        diff->places[diff->n++] = (struct place){.rank = rank, .block = block};
    return &diff->places[i];
}

static int compare_places(const void *a, const void *b) {
    const struct place *x = a, *y = b;
    return x->rank != y->rank ? (x->rank > y->rank) - (x->rank < y->rank)
                              : (x->block > y->block) - (x->block < y->block);
}

/* What stands in no stage is counted, in front of the stages and behind them. */
static void add_units(struct diff *diff, int side) {
    const cJSON *unit = NULL;
    int rank = RANK_STEM, n_before = 0;
    cJSON_ArrayForEach(unit, cli_item(diff->docs[side], "units")) {
        int stage = (int)cli_number(unit, "stage");
        if (stage < 0 && rank > RANK_STEM && rank < RANK_HEAD)
            n_before = 0;
        rank = stage >= 0 ? RANK_STAGES + stage : rank > RANK_STEM ? RANK_HEAD : RANK_STEM;
        int block = stage >= 0 ? (int)cli_number(unit, "block") : n_before++;
        place_of(diff, rank, block)->units[side] = unit;
    }
}

/* Of the documents. The places are freed by the caller. ESP_ENOMEM. */
static int pair_units(struct diff *diff, struct err *err) {
    size_t room = 1;
    for (int side = 0; side < SIDES; side++)
        room += (size_t)cJSON_GetArraySize(cli_item(diff->docs[side], "units"));
    diff->places = mem_array(room, sizeof(*diff->places));
    if (!diff->places)
        return err_set(err, ESP_ENOMEM, NULL, "out of memory");
    for (int side = 0; side < SIDES; side++)
        add_units(diff, side);
    qsort(diff->places, (size_t)diff->n, sizeof(*diff->places), compare_places);
    return 0;
}

static bool differs(const struct place *place) {
    return !place->units[0] || !place->units[1] ||
           strcmp(cli_text(place->units[0], "signature"), cli_text(place->units[1], "signature"));
}

/* ---- in words -------------------------------------------------------------------------------- */

static bool is_stage(const struct place *place) {
    return place->rank >= RANK_STAGES && place->rank < RANK_HEAD;
}

/* "stem", "block 2.1": the first of the places is the stage's first block. */
static void name_place(const struct place *first, const struct place *place, char text[TEXT]) {
    const cJSON *unit = place->units[0] ? place->units[0] : place->units[1];
    if (is_stage(place))
        snprintf(text, TEXT, "block %d.%d", place->rank - RANK_STAGES + 1,
                 place->block - first->block + 1);
    else
        snprintf(text, TEXT, "%s", cli_text(unit, "kind"));
}

/* "k5 e4 c16>24 14x14": kernel size, expand ratio, channels in and out, what comes out. */
static void tell_unit(const cJSON *unit, char text[TEXT]) {
    char expand[24] = "";
    double ratio = cli_number(unit, "expand_ratio");
    if (!unit) {
        snprintf(text, TEXT, "-");
        return;
    }
    if (ratio > 0)
        snprintf(expand, sizeof(expand), " e%g", ratio);
    snprintf(text, TEXT, "k%.0f%s c%.0f>%.0f %.0fx%.0f", cli_number(unit, "kernel"), expand,
             cli_number(unit, "c_in"), cli_number(unit, "c_out"), cli_number(unit, "h_out"),
             cli_number(unit, "w_out"));
}

/* "d2 c24": as many blocks, and their channels. */
static void tell_stage(const struct place *places, int n, int side, char text[TEXT]) {
    int depth = 0;
    double channels = NAN;
    for (int i = 0; i < n; i++)
        if (places[i].units[side]) {
            depth++;
            channels = cli_number(places[i].units[side], "c_out");
        }
    snprintf(text, TEXT, "d%d c%.0f", depth, channels);
}

/* ---- sums ------------------------------------------------------------------------------------ */

static const struct {
    const char *key; /* of units and of rows */
    enum cell_kind kind;
} costs[] = {{"macs", CELL_MACS},
             {"params", CELL_MACS},
             {"model_bytes", CELL_BYTES},
             {"energy_uj", CELL_REAL},
             {"latency_us", CELL_LATENCY}};

/* Of some places, what the second costs less what the first does; NaN where that is not known. */
static double change_of(const struct place *places, int n, const char *key) {
    double sum = 0;
    for (int i = 0; i < n; i++)
        for (int side = 0; side < SIDES; side++)
            if (places[i].units[side])
                sum += (side ? 1 : -1) * cli_number(places[i].units[side], key);
    return sum;
}

static void put_number(cJSON *row, const char *key, double value) {
    cJSON_AddItemToObject(row, key, isnan(value) ? cJSON_CreateNull() : cJSON_CreateNumber(value));
}

static cJSON *add_row(cJSON *rows, const char *where, const char *a, const char *b) {
    cJSON *row = cJSON_CreateObject();
    cJSON_AddStringToObject(row, "where", where);
    cJSON_AddStringToObject(row, "a", a);
    cJSON_AddStringToObject(row, "b", b);
    cJSON_AddItemToArray(rows, row);
    return row;
}

static void add_changes(cJSON *row, const struct place *places, int n) {
    cJSON *change = cJSON_AddObjectToObject(row, "change");
    for (int i = 0; i < COUNT(costs); i++)
        put_number(change, costs[i].key, change_of(places, n, costs[i].key));
}

static void add_unit(cJSON *rows, const struct place *first, const struct place *place) {
    char name[TEXT], a[TEXT], b[TEXT];
    if (!differs(place))
        return;
    name_place(first, place, name);
    tell_unit(place->units[0], a);
    tell_unit(place->units[1], b);
    add_changes(add_row(rows, name, a, b), place, 1);
}

/* The blocks of a stage, or what stands alone, as far as they differ, each stage under a line of
 * its own. */
static void add_group(cJSON *rows, const struct place *places, int n) {
    char name[TEXT], a[TEXT], b[TEXT];
    int n_differ = 0;
    for (int i = 0; i < n; i++)
        n_differ += differs(&places[i]);
    if (n_differ && is_stage(places)) {
        snprintf(name, sizeof(name), "stage %d", places->rank - RANK_STAGES + 1);
        tell_stage(places, n, 0, a);
        tell_stage(places, n, 1, b);
        add_changes(add_row(rows, name, a, b), places, n);
    }
    for (int i = 0; i < n; i++)
        add_unit(rows, places, &places[i]);
}

static cJSON *make_rows(const struct diff *diff) {
    cJSON *rows = cJSON_CreateArray();
    for (int i = 0, n; i < diff->n; i += n) {
        for (n = 1; i + n < diff->n && diff->places[i + n].rank == diff->places[i].rank;)
            n++;
        add_group(rows, &diff->places[i], n);
    }
    return rows;
}

/* ---- the whole ------------------------------------------------------------------------------- */

static const struct {
    const char *name, *path;
    enum cell_kind kind;
} totals[] = {{"MACs", "cost.macs", CELL_MACS},
              {"parameters", "cost.params", CELL_MACS},
              {"peak activation", "cost.peak_activation_bytes", CELL_BYTES},
              {"model", "cost.model_bytes", CELL_BYTES},
              {"memory traffic", "cost.traffic_bytes", CELL_BYTES},
              {"energy, estimated, uJ", "cost.energy_uj", CELL_REAL},
              {"latency", "latency.us", CELL_LATENCY},
              {"latency, at least", "latency.low_us", CELL_LATENCY},
              {"latency, at most", "latency.high_us", CELL_LATENCY}};

/* {"name", "metric", "a", "b", "change" (of the first's, as a share)} of what both are known of. */
static cJSON *make_totals(const struct diff *diff) {
    cJSON *rows = cJSON_CreateArray();
    for (int i = 0; i < COUNT(totals); i++) {
        double a = cli_number(diff->docs[0], totals[i].path);
        double b = cli_number(diff->docs[1], totals[i].path);
        if (isnan(a) || isnan(b))
            continue;
        cJSON *row = cJSON_CreateObject();
        cJSON_AddStringToObject(row, "name", totals[i].name);
        cJSON_AddStringToObject(row, "metric", totals[i].path);
        cJSON_AddNumberToObject(row, "a", a);
        cJSON_AddNumberToObject(row, "b", b);
        put_number(row, "change", a > 0 ? b / a - 1 : NAN);
        cJSON_AddItemToArray(rows, row);
    }
    return rows;
}

static cJSON *make_document(const struct diff *diff) {
    static const char *const names[SIDES] = {"a", "b"};
    cJSON *doc = cJSON_CreateObject();
    for (int side = 0; side < SIDES; side++) {
        cJSON *one = cJSON_AddObjectToObject(doc, names[side]);
        cJSON_AddStringToObject(one, "arch", cli_text(diff->docs[side], "arch"));
        cJSON_AddStringToObject(one, "arch_id", cli_text(diff->docs[side], "arch_id"));
        cJSON_AddStringToObject(one, "graph_id", cli_text(diff->docs[side], "graph_id"));
    }
    cJSON_AddBoolToObject(doc, "same",
                          !strcmp(cli_text(doc, "a.arch_id"), cli_text(doc, "b.arch_id")));
    cJSON_AddItemToObject(doc, "totals", make_totals(diff));
    cJSON_AddItemToObject(doc, "places", make_rows(diff));
    return doc;
}

/* ---- for people ------------------------------------------------------------------------------ */

/* A number with its sign, as a table of that kind shows it. */
static void put_signed(cJSON *row, const char *key, const cJSON *number, enum cell_kind kind) {
    const struct column column = {"", "value", kind};
    char text[TEXT], told[TEXT + 2];
    cJSON *doc = cJSON_CreateObject();
    double value = cJSON_IsNumber(number) ? number->valuedouble : NAN;
    cJSON_AddNumberToObject(doc, "value", fabs(value));
    cli_cell(doc, &column, text, sizeof(text));
    snprintf(told, sizeof(told), "%s%s", value > 0 ? "+" : value < 0 ? "-" : "", text);
    cJSON_AddStringToObject(row, key, isnan(value) ? "-" : told);
    cJSON_Delete(doc);
}

static void print_totals(struct cli *cli, const cJSON *doc) {
    static const struct column columns[] = {{"", "name", CELL_TEXT},
                                            {"FIRST", "a", CELL_TEXT},
                                            {"SECOND", "b", CELL_TEXT},
                                            {"CHANGE", "change", CELL_TEXT}};
    cJSON *rows = cJSON_CreateArray();
    const cJSON *total = NULL;
    int i = 0;
    cJSON_ArrayForEach(total, cli_item(doc, "totals")) {
        cJSON *row = cJSON_CreateObject();
        char a[TEXT], b[TEXT];
        while (strcmp(totals[i].path, cli_text(total, "metric")) != 0)
            i++;
        cli_cell(total, &(struct column){"", "a", totals[i].kind}, a, sizeof(a));
        cli_cell(total, &(struct column){"", "b", totals[i].kind}, b, sizeof(b));
        cJSON_AddStringToObject(row, "name", totals[i].name);
        cJSON_AddStringToObject(row, "a", a);
        cJSON_AddStringToObject(row, "b", b);
        put_signed(row, "change", cli_item(total, "change"), CELL_PERCENT);
        cJSON_AddItemToArray(rows, row);
    }
    cli_table(cli, rows, columns, COUNT(columns));
    cJSON_Delete(rows);
}

static void print_places(struct cli *cli, const cJSON *places) {
    static const struct column columns[] = {{"WHERE", "where", CELL_TEXT},
                                            {"FIRST", "a", CELL_TEXT},
                                            {"SECOND", "b", CELL_TEXT},
                                            {"MACS", "macs", CELL_TEXT},
                                            {"PARAMS", "params", CELL_TEXT},
                                            {"MODEL", "model_bytes", CELL_TEXT},
                                            {"ENERGY UJ", "energy_uj", CELL_TEXT},
                                            {"LATENCY", "latency_us", CELL_TEXT}};
    cJSON *rows = cJSON_CreateArray();
    const cJSON *place = NULL;
    bool timed = false;
    cJSON_ArrayForEach(place, places) {
        timed = timed || cJSON_IsNumber(cli_item(place, "change.latency_us"));
        cJSON *row =
            add_row(rows, cli_text(place, "where"), cli_text(place, "a"), cli_text(place, "b"));
        for (int i = 0; i < COUNT(costs); i++)
            put_signed(row, costs[i].key,
                       cJSON_GetObjectItemCaseSensitive(cli_item(place, "change"), costs[i].key),
                       costs[i].kind);
    }
    cli_table(cli, rows, columns, COUNT(columns) - !timed);
    cJSON_Delete(rows);
}

static void print_diff(struct cli *cli, const cJSON *doc) {
    static const struct column columns[] = {{"first", "a.arch", CELL_TEXT},
                                            {"second", "b.arch", CELL_TEXT}};
    cli_fields(doc, columns, COUNT(columns));
    putchar('\n');
    print_totals(cli, doc);
    if (cJSON_IsTrue(cli_item(doc, "same"))) {
        fputs("They are one network.\n", cli_remarks(cli));
        return;
    }
    putchar('\n');
    print_places(cli, cli_item(doc, "places"));
}

/* ---- the command ----------------------------------------------------------------------------- */

static int get_arch(struct cli *cli, const char *space, const char *arch, const char *profile,
                    cJSON **ret_doc) {
    struct err err = {0};
    if (cli_get(cli, &err, ret_doc, "/archs?space=%s&arch=%s%s%s", cli_encode(space),
                cli_encode(arch), profile ? "&profile=" : "", profile ? cli_encode(profile) : "")) {
        fprintf(stderr, "espalier: of \"%.200s\":\n", arch);
        return cli_fail(&err);
    }
    return -1;
}

static int diff_run(struct cli *cli, int argc, char **argv) {
    const char *space = NULL, *profile = NULL;
    const struct option_row rows[] = {
        {"space", 's', OPTION_TEXT, NULL, 0, 0, "", "the search space of both (needed)", &space},
        {"profile", 'p', OPTION_TEXT, NULL, 0, 0, "", "predict their latencies on this profile",
         &profile},
        CLI_DAEMON_ROWS(cli),
        CLI_NAMELESS_ROWS(cli)};
    struct diff diff = {.places = NULL};
    struct err err = {0};
    cJSON *docs[SIDES] = {NULL}, *doc = NULL;
    int first = 0, code = cli_start(cli, rows, argc, argv, (struct cli_words){2, 2}, &first);

    if (code >= 0)
        return code;
    if (!space)
        return cli_usage("arch diff needs --space");
    for (int side = 0; side < SIDES && code < 0; side++) {
        code = get_arch(cli, space, argv[first + side], profile, &docs[side]);
        diff.docs[side] = docs[side];
    }
    if (code < 0 && pair_units(&diff, &err))
        code = cli_fail(&err);
    if (code < 0) {
        doc = make_document(&diff);
        if (!cli_print_plain(cli, doc))
            print_diff(cli, doc);
        code = CLI_OK;
    }
    cJSON_Delete(doc);
    free(diff.places);
    for (int side = 0; side < SIDES; side++)
        cJSON_Delete(docs[side]);
    return code;
}

const struct cli_command cli_arch_diff = {
    "arch", "diff", "ARCH ARCH", "what two subnets differ in, by stage and block, and by how much",
    diff_run};
