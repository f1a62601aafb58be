/* espalier measurement ls, show, cancel: runs of units and networks on boards, with their samples.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/stats.h"
#include "daemon/cli/commands.h"
#include "daemon/cli/histogram.h"
#include "daemon/cli/query.h"
#include "daemon/cli/resource.h"
#include "daemon/cli/screen.h"

static const struct column list[] = {{"ID", "id", CELL_TEXT},
                                     {"PROFILE", "profile_name|profile", CELL_TEXT},
                                     {"KIND", "kind", CELL_TEXT},
                                     {"STATE", "state", CELL_TEXT},
                                     {"METHOD", "method", CELL_TEXT},
                                     {"MEDIAN", "median_us", CELL_LATENCY},
                                     {"LOW", "low_us", CELL_LATENCY},
                                     {"HIGH", "high_us", CELL_LATENCY},
                                     {"SAMPLES", "n", CELL_INT},
                                     {"FLAGS", "flags", CELL_WORDS},
                                     {"ENDED", "finished_at", CELL_TIME},
                                     {"UNIT", "signature", CELL_TEXT},
                                     {"ARCH", "arch", CELL_TEXT}};
static const struct column fields[] = {{"id", "id", CELL_TEXT},
                                       {"profile", "profile_name|profile", CELL_TEXT},
                                       {"kind", "kind", CELL_TEXT},
                                       {"unit", "signature", CELL_TEXT},
                                       {"arch", "arch", CELL_TEXT},
                                       {"method", "method", CELL_TEXT},
                                       {"take", "take", CELL_INT},
                                       {"state", "state", CELL_TEXT},
                                       {"attempt", "attempt", CELL_INT},
                                       {"median", "median_us", CELL_LATENCY},
                                       {"  from", "low_us", CELL_LATENCY},
                                       {"  to", "high_us", CELL_LATENCY},
                                       {"mean", "mean_us", CELL_LATENCY},
                                       {"standard deviation", "sd_us", CELL_LATENCY},
                                       {"first run", "first_us", CELL_LATENCY},
                                       {"samples", "n", CELL_INT},
                                       {"batches", "batches", CELL_INT},
                                       {"reference before", "reference.before_us", CELL_LATENCY},
                                       {"reference after", "reference.after_us", CELL_LATENCY},
                                       {"energy, uJ", "energy_uj", CELL_REAL},
                                       {"energy from", "energy_source", CELL_TEXT},
                                       {"flags", "flags", CELL_WORDS},
                                       {"repeats", "repeats", CELL_TEXT},
                                       {"because", "why", CELL_TEXT},
                                       {"error", "error.message", CELL_TEXT},
                                       {"asked for", "created_at", CELL_TIME},
                                       {"ended", "finished_at", CELL_TIME}};
static const struct resource measurements = RESOURCE("/measurements", list, fields);

static int ls_run(struct cli *cli, int argc, char **argv) {
    const char *profile = NULL, *state = NULL, *kind = NULL, *graph = NULL;
    const struct option_row rows[] = {
        {"profile", 'p', OPTION_TEXT, NULL, 0, 0, "", "on this profile", &profile},
        {"state", 's', OPTION_TEXT, NULL, 0, 0, "",
         "queued, leased, running, accepted, failed or canceled", &state},
        {"kind", 'k', OPTION_TEXT, NULL, 0, 0, "", "unit, network or reference", &kind},
        {"graph", 0, OPTION_TEXT, NULL, 0, 0, "", "of what computes just this (graph_id)", &graph},
        CLI_COMMON_ROWS(cli)};
    char path[QUERY_PATH_MAX] = "/measurements";
    int first = 0, code = cli_start(cli, rows, argc, argv, (struct cli_words){0, 0}, &first);

    if (code >= 0)
        return code;
    query_add_text(path, "profile", profile);
    query_add_text(path, "state", state);
    query_add_text(path, "kind", kind);
    query_add_text(path, "graph_id", graph);
    return resource_print_list(cli, path, list, COUNT(list));
}

/* The samples as numbers; NULL where there are none. The caller frees. */
static double *read_samples(const cJSON *doc, size_t *ret_n) {
    const cJSON *list_of = cli_item(doc, "samples_us"), *item = NULL;
    size_t n = 0, room = (size_t)cJSON_GetArraySize(list_of);
    double *samples = room ? mem_array(room, sizeof(*samples)) : NULL;
    cJSON_ArrayForEach(item, list_of) if (samples && cJSON_IsNumber(item)) samples[n++] =
        item->valuedouble;
    *ret_n = n;
    return samples;
}

static void print_quantiles(struct cli *cli, const double *samples, size_t n) {
    static const struct {
        const char *name;
        double q;
    } rows[] = {{"fastest", 0}, {"5 %", 0.05},  {"25 %", 0.25}, {"50 %", 0.5},
                {"75 %", 0.75}, {"95 %", 0.95}, {"slowest", 1}};
    static const struct column columns[] = {{"OF THE SAMPLES", "name", CELL_TEXT},
                                            {"AT MOST", "us", CELL_LATENCY}};
    cJSON *items = cJSON_CreateArray();
    for (int i = 0; i < COUNT(rows); i++) {
        cJSON *row = cJSON_CreateObject();
        cJSON_AddStringToObject(row, "name", rows[i].name);
        cJSON_AddNumberToObject(row, "us", stats_quantile(samples, n, rows[i].q));
        cJSON_AddItemToArray(items, row);
    }
    cli_table(cli, items, columns, COUNT(columns));
    cJSON_Delete(items);
}

static cJSON *bin_row(const struct histogram *histogram, int bin, int most, bool utf8) {
    double width = (histogram->to - histogram->from) / histogram->bins;
    char bar[HISTOGRAM_TEXT];
    cJSON *row = cJSON_CreateObject();
    histogram_bar(histogram->counts[bin], most, utf8, bar);
    cJSON_AddNumberToObject(row, "from", histogram->from + bin * width);
    cJSON_AddNumberToObject(row, "to", histogram->from + (bin + 1) * width);
    cJSON_AddNumberToObject(row, "count", histogram->counts[bin]);
    cJSON_AddStringToObject(row, "bar", bar[0] ? bar : " ");
    return row;
}

static void print_histogram(struct cli *cli, const double *samples, size_t n) {
    static const struct column columns[] = {{"FROM", "from", CELL_LATENCY},
                                            {"TO", "to", CELL_LATENCY},
                                            {"SAMPLES", "count", CELL_INT},
                                            {"", "bar", CELL_TEXT}};
    struct histogram histogram;
    cJSON *items = cJSON_CreateArray();
    int most = 1;
    bool utf8 = screen_look().utf8;
    histogram_of(samples, n, &histogram);
    for (int i = 0; i < histogram.bins; i++)
        most = histogram.counts[i] > most ? histogram.counts[i] : most;
    for (int i = 0; i < histogram.bins; i++)
        cJSON_AddItemToArray(items, bin_row(&histogram, i, most, utf8));
    cli_table(cli, items, columns, COUNT(columns));
    if (histogram.above > 0)
        fprintf(cli_remarks(cli), "%d more above, the slowest far out.\n", histogram.above);
    cJSON_Delete(items);
}

static void print_measurement(struct cli *cli, const cJSON *doc) {
    size_t n = 0;
    double *samples = read_samples(doc, &n);
    cli_fields(doc, fields, COUNT(fields));
    if (n > 0) {
        putchar('\n');
        print_quantiles(cli, samples, n);
        putchar('\n');
        print_histogram(cli, samples, n);
    } else if (!strcmp(cli_text(doc, "state"), "accepted")) {
        fputs("Its samples are kept no longer (espalierd --keep-samples).\n", cli_remarks(cli));
    }
    free(samples);
}

static int show_run(struct cli *cli, int argc, char **argv) {
    return resource_page(cli, &(struct resource_word){"/measurements/", ""}, print_measurement,
                         argc, argv);
}

static int cancel_run(struct cli *cli, int argc, char **argv) {
    return resource_act(cli, &measurements, "cancel", argc, argv);
}

const struct cli_command cli_measurement_ls = {
    "measurement", "ls", "", "runs of units and networks on boards, the newest first", ls_run};
const struct cli_command cli_measurement_show = {
    "measurement", "show", "MEASUREMENT",
    "one run with its samples: quantiles and a histogram; all of them with --json", show_run};
const struct cli_command cli_measurement_cancel = {"measurement", "cancel", "MEASUREMENT...",
                                                   "do not measure these any more", cancel_run};
