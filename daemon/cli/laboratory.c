/* espalier latency evaluate: runs a laboratory job on this machine, without a daemon. */
#include <errno.h>
#include <limits.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/json.h"
#include "base/program.h"
#include "daemon/cli/commands.h"

extern char **environ;

enum { LINE_MAX_BYTES = 64 << 20, TITLE_MAX = 128 };
/* The figures of a thousand profiles, each with as many networks known as there may be. */
static const struct json_limits line_limits = {LINE_MAX_BYTES, 32, 4000000};

struct job_process {
    pid_t pid;
    FILE *spec, *events;
};

static int spawn(const char *program, struct err *err, struct job_process *ret) {
    char *argv[] = {(char *)(uintptr_t)program, "--run", "/dev/stdin", "--quiet", NULL};
    posix_spawn_file_actions_t actions;
    int down[2] = {-1, -1}, up[2] = {-1, -1};
    if (pipe(down) != 0 || pipe(up) != 0)
        return err_set(err, ESP_EIO, NULL, "no pipe: %s", strerror(errno));
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, down[0], STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&actions, up[1], STDOUT_FILENO);
    for (int i = 0; i < 2; i++) {
        posix_spawn_file_actions_addclose(&actions, down[i]);
        posix_spawn_file_actions_addclose(&actions, up[i]);
    }
    int failed = posix_spawn(&ret->pid, program, &actions, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    close(down[0]);
    close(up[1]);
    if (failed) {
        close(down[1]);
        close(up[0]);
        return err_set(err, ESP_EIO, NULL, "%s does not start: %s", program, strerror(failed));
    }
    ret->spec = fdopen(down[1], "w");
    ret->events = fdopen(up[0], "r");
    return ret->spec && ret->events ? 0 : err_set(err, ESP_ENOMEM, NULL, "out of memory");
}

/* The result of the done event, or the error of the failed one. */
static int take_event(const char *line, size_t len, struct err *err, cJSON **ret_result) {
    cJSON *event = NULL;
    int rc = json_parse(line, len, &line_limits, err, &event);
    const char *kind = rc == 0 ? cli_text(event, "kind") : "";
    if (strcmp(kind, "failed") == 0)
        rc = err_set(err, err_code(cli_text(event, "data.code")), cli_text(event, "data.pointer"),
                     "%s", cli_text(event, "data.message"));
    if (strcmp(kind, "done") == 0)
        *ret_result =
            cJSON_DetachItemFromObject(cJSON_GetObjectItemCaseSensitive(event, "data"), "result");
    cJSON_Delete(event);
    return rc;
}

static int take_events(FILE *events, struct err *err, cJSON **ret_result) {
    char *line = NULL;
    size_t size = 0;
    ssize_t len;
    int rc = 0;
    while (rc == 0 && (len = getline(&line, &size, events)) > 0)
        rc = len > LINE_MAX_BYTES ? err_set(err, ESP_ELIMIT, NULL, "the job's answer is too long")
                                  : take_event(line, (size_t)len, err, ret_result);
    free(line);
    return rc;
}

static int run_job(const cJSON *spec, struct err *err, cJSON **ret_result) {
    static const char *const places[] = {"../job/espalier-job", "espalier-job",
                                         "../libexec/espalier/espalier-job", NULL};
    struct job_process job = {0};
    char program[PATH_MAX];
    int status = 0;
    int rc = program_find(places, err, program, sizeof program);
    if (rc == 0)
        rc = spawn(program, err, &job);
    char *text = rc == 0 ? cJSON_PrintUnformatted(spec) : NULL;
    if (rc != 0)
        return rc;
    bool sent = text && fputs(text, job.spec) >= 0;
    sent = fclose(job.spec) == 0 && sent;
    free(text);
    rc = take_events(job.events, err, ret_result);
    fclose(job.events);
    waitpid(job.pid, &status, 0);
    if (rc == 0 && !*ret_result)
        rc = err_set(err, sent ? ESP_EINTERNAL : ESP_EIO, NULL, "the job ended without a result");
    return rc;
}

/* Paths as the job sees them. */
static void add_path(cJSON *spec, const char *name, const char *path) {
    char *whole = realpath(path, NULL);
    cJSON_AddStringToObject(spec, name, whole ? whole : path);
    free(whole);
}

static int add_sizes(cJSON *spec, const char *text) {
    cJSON *sizes = cJSON_AddArrayToObject(spec, "sizes");
    for (const char *at = text; *at;) {
        char *end;
        double size = strtod(at, &end);
        if (end == at || (*end && *end != ','))
            return cli_usage("--known takes numbers such as 5,10,20");
        cJSON_AddItemToArray(sizes, cJSON_CreateNumber(size));
        at = end + (*end == ',');
    }
    return CLI_OK;
}

/* Titles of columns, separated by commas. */
static int add_times(cJSON *spec, const char *text) {
    cJSON *times = cJSON_AddArrayToObject(spec, "times");
    for (const char *at = text; *at;) {
        char title[TITLE_MAX];
        at += strspn(at, " ");
        size_t len = strcspn(at, ","), end = len;
        while (end > 0 && at[end - 1] == ' ')
            end--;
        if (end == 0 || end >= sizeof title)
            return cli_usage("--times takes titles of columns, separated by commas, of at most %d "
                             "bytes",
                             TITLE_MAX - 1);
        snprintf(title, sizeof title, "%.*s", (int)end, at);
        cJSON_AddItemToArray(times, cJSON_CreateString(title));
        at += len + (at[len] == ',');
    }
    return CLI_OK;
}

/* A row per profile, number of known networks and rung. */
static cJSON *flatten(const cJSON *result) {
    cJSON *rows = cJSON_CreateArray();
    const cJSON *profile, *size, *rung;
    cJSON_ArrayForEach(profile, cli_item(result, "profiles")) {
        cJSON_ArrayForEach(size, cli_item(profile, "calibrations")) {
            cJSON_ArrayForEach(rung, cli_item(size, "rungs")) {
                cJSON *row = cJSON_Duplicate(rung, true);
                cJSON_AddStringToObject(row, "profile", cli_text(profile, "profile"));
                cJSON_AddNumberToObject(row, "known", cli_number(size, "networks"));
                cJSON_AddItemToArray(rows, row);
            }
        }
    }
    return rows;
}

/* As they are sent; what is NULL is not. */
struct options {
    const char *ops, *times, *known, *profile, *choice;
    int64_t splits, seed, pool, given;
};

static const char *plural(double n) {
    return n == 1 ? "" : "s";
}

/* What a report leaves out, a line for each reason. */
static void print_left_out(FILE *to, const cJSON *profile) {
    const cJSON *left = cli_item(profile, "left_out");
    const double unmeasured = cli_number(left, "networks_not_measured"),
                 without = cli_number(left, "networks_without_ops"),
                 undrawn = cli_number(left, "networks_not_drawn"),
                 unknown = cli_number(left, "unknown_networks"),
                 table = cli_number(left, "networks_of_table"),
                 gaps = cli_number(left, "unmeasured_ops"),
                 unpredicted = cli_number(profile, "unpredicted_ops");
    if (unmeasured > 0)
        fprintf(to, "  left out: %.0f network%s without a time\n", unmeasured, plural(unmeasured));
    if (undrawn > 0)
        fprintf(to, "  left out: %.0f network%s at random (by the seed): more are not compared\n",
                undrawn, plural(undrawn));
    if (without > 0)
        fprintf(to, "  left out: %.0f network%s without any op\n", without, plural(without));
    if (unknown > 0)
        fprintf(to, "  not judged: %.0f network%s that the networks' file lacks, with %.0f ops\n",
                unknown, plural(unknown), cli_number(left, "ops_of_unknown_networks"));
    if (table > 0)
        fprintf(to, "  in the table alone: ops (%.0f) of %.0f network%s that are not judged\n",
                cli_number(left, "ops_of_table"), table, plural(table));
    if (gaps > 0)
        fprintf(to, "  without a time, told by ops of other networks: %.0f op%s\n", gaps,
                plural(gaps));
    if (unpredicted > 0)
        fprintf(to, "  counted as 0: %.0f op%s of kinds that other networks have too few of\n",
                unpredicted, plural(unpredicted));
}

/* What of the options could not be as they were asked for. */
static void print_options(FILE *to, const struct options *options, const cJSON *profile) {
    const cJSON *size;
    cJSON_ArrayForEach(size, cli_item(profile, "skipped_sizes")) {
        fprintf(to, "  left out: calibrations on %.0f networks, as there are too few\n",
                cJSON_GetNumberValue(size));
    }
    if (options->pool == 0 && cli_number(profile, "pool") > 0)
        fprintf(to,
                "  chosen of pools of %.0f networks, half of them (--pool takes another number)\n",
                cli_number(profile, "pool"));
    if (cJSON_IsTrue(cli_item(profile, "entries_skipped")))
        fprintf(to, "  left out: the rung \"entries\", for which there are too many networks and "
                    "different ops\n");
}

/* What there is in place of a table, and how often each was taken, a line for each. */
static void print_stand_ins(FILE *to, const cJSON *profile) {
    const cJSON *stand_in, *share, *size;
    cJSON_ArrayForEach(stand_in, cli_item(profile, "stand_ins")) {
        const char *comma = "";
        fprintf(to, "  in place of a table: %s%s, at the scale of known networks, in",
                cli_shown(cli_text(stand_in, "name")),
                cJSON_IsTrue(cli_item(stand_in, "weak")) ? " (weak)" : "");
        cJSON_ArrayForEach(share, cli_item(stand_in, "chosen")) {
            fprintf(to, "%s %.0f", comma, 100 * cJSON_GetNumberValue(share));
            comma = ",";
        }
        fprintf(to, " %% of the choices of");
        comma = "";
        cJSON_ArrayForEach(size, cli_item(profile, "calibrations")) {
            fprintf(to, "%s %.0f", comma, cli_number(size, "networks"));
            comma = ",";
        }
        fprintf(to, "\n");
    }
}

enum { TITLES_SHOWN = 8 };

/* The first titles, and how many more there are. */
static void print_titles(FILE *to, const char *what, const cJSON *titles) {
    int n = cJSON_GetArraySize(titles), i = 0;
    const cJSON *title;
    if (n == 0)
        return;
    fprintf(to, "%s:", what);
    cJSON_ArrayForEach(title, titles) {
        char text[64];
        snprintf(text, sizeof text, "%.60s", cJSON_GetStringValue(title));
        cli_blank_controls(text);
        if (i++ < TITLES_SHOWN)
            fprintf(to, "%s %s", i > 1 ? "," : "", text);
    }
    if (n > TITLES_SHOWN)
        fprintf(to, " and %d more", n - TITLES_SHOWN);
    fprintf(to, "\n");
}

/* What the columns of networks were taken as, those that were passed over by the reason. */
static void print_columns(FILE *to, const cJSON *result) {
    const cJSON *column, *others = cli_item(result, "columns.passed_over");
    cJSON *reasons = cJSON_CreateObject(), *titles;
    print_titles(to, "columns of boards", cli_item(result, "columns.boards"));
    print_titles(to, "columns of costs", cli_item(result, "columns.costs"));
    cJSON_ArrayForEach(column, others) {
        char title[32];
        const char *reason = cli_text(column, "reason");
        snprintf(title, sizeof title, "the %.0f.", cli_number(column, "number"));
        titles = cJSON_GetObjectItemCaseSensitive(reasons, reason);
        if (!titles)
            titles = cJSON_AddArrayToObject(reasons, reason);
        cJSON_AddItemToArray(
            titles,
            cJSON_CreateString(*cli_text(column, "column") ? cli_text(column, "column") : title));
    }
    cJSON_ArrayForEach(titles, reasons) {
        char what[80];
        snprintf(what, sizeof what, "columns passed over (%.50s)", titles->string);
        print_titles(to, what, titles);
    }
    cJSON_Delete(reasons);
}

/* Tells of the profiles that could not be judged; returns how many could. */
static int count_judged(const cJSON *result) {
    const cJSON *profile;
    int n = 0;
    cJSON_ArrayForEach(profile, cli_item(result, "profiles")) {
        if (cli_item(profile, "error")) {
            fprintf(stderr, "espalier: %s: %s\n", cli_shown(cli_text(profile, "profile")),
                    cli_shown(cli_text(profile, "error")));
            print_left_out(stderr, profile);
        } else {
            n++;
        }
    }
    return n;
}

static void print_profiles(const struct cli *cli, const struct options *options,
                           const cJSON *result) {
    FILE *to = cli_remarks(cli);
    const cJSON *profile;
    cJSON_ArrayForEach(profile, cli_item(result, "profiles")) {
        if (cli_item(profile, "error"))
            continue;
        fprintf(to, "%s: %.0f networks, ", cli_shown(cli_text(profile, "profile")),
                cli_number(profile, "networks"));
        if (cli_number(profile, "ops") > 0)
            fprintf(
                to,
                "%.0f ops, %.0f %% of them in other networks too, the others interpolated (error "
                "%.3f in log time), ",
                cli_number(profile, "ops"), 100 * cli_number(profile, "exact"),
                cli_number(profile, "log_error"));
        fprintf(to, "%.0f profiles of other boards", cli_number(profile, "fleet"));
        fprintf(to, "\n");
        print_stand_ins(to, profile);
        print_left_out(to, profile);
        print_options(to, options, profile);
    }
}

static void print_for_people(struct cli *cli, const cJSON *result) {
    static const struct column columns[] = {{"PROFILE", "profile", CELL_TEXT},
                                            {"KNOWN", "known", CELL_INT},
                                            {"RUNG", "name", CELL_TEXT},
                                            {"MAPE", "mape", CELL_PERCENT},
                                            {"SPREAD", "mape_sd", CELL_PERCENT},
                                            {"WITHIN 5 %", "within_5", CELL_PERCENT},
                                            {"WITHIN 10 %", "within_10", CELL_PERCENT},
                                            {"TAU", "kendall_tau", CELL_REAL},
                                            {"IN INTERVAL", "coverage", CELL_PERCENT},
                                            {"CHOSEN", "chosen", CELL_PERCENT}};
    cJSON *rows = flatten(result);
    fprintf(
        cli_remarks(cli),
        "Calibrated on as many KNOWN networks of each profile, judged on the others; means over "
        "%.0f random choices, seed %.0f.\n",
        cli_number(result, "splits"), cli_number(result, "seed"));
    cli_table(cli, rows, columns, sizeof columns / sizeof *columns);
    cJSON_Delete(rows);
}

static int make_spec(const struct options *options, const char *networks, cJSON *spec) {
    add_path(spec, "networks", networks);
    if (options->ops)
        add_path(spec, "ops", options->ops);
    cli_put_text(spec, "profile", options->profile);
    cJSON_AddNumberToObject(spec, "splits", (double)options->splits);
    cJSON_AddNumberToObject(spec, "seed", (double)options->seed);
    cJSON_AddStringToObject(spec, "choice", options->choice);
    cJSON_AddNumberToObject(spec, "pool", (double)options->pool);
    cJSON_AddNumberToObject(spec, "given", (double)options->given);
    int code = options->times ? add_times(spec, options->times) : CLI_OK;
    return code == CLI_OK ? add_sizes(spec, options->known) : code;
}

static int evaluate_run(struct cli *cli, int argc, char **argv) {
    struct options o = {0};
    const struct option_row rows[] = {
        {"ops", 0, OPTION_TEXT, NULL, 1, 4095, "",
         "CSV of ops: model, operation, feature, a time per profile; without, other boards' times "
         "or a "
         "column macs, flops, params or size stand in",
         &o.ops},
        {"times", 0, OPTION_TEXT, NULL, 1, 65536, "",
         "titles of the columns that are boards' times, separated by commas; without, those that "
         "have numbers and are not called as costs and the like",
         &o.times},
        {"known", 'k', OPTION_TEXT, "5,10,20", 1, 100, "",
         "measured networks that calibrations are fitted on", &o.known},
        {"splits", 0, OPTION_INT, "1000", 1, 100000, "", "random choices of them", &o.splits},
        {"seed", 0, OPTION_INT, "1", 0, 9e15, "", "of the choices", &o.seed},
        {"choice", 0, OPTION_TEXT, "random", 1, 15, "",
         "random, spread or useful: how they are chosen of a pool: spread over the range of sums, "
         "or by what is known best "
         "after them",
         &o.choice},
        {"pool", 0, OPTION_INT, "0", 0, 4096, "",
         "networks that they are chosen from; those outside judge (0: as many as are chosen at "
         "random, else half of all)",
         &o.pool},
        {"given", 0, OPTION_INT, "0", 0, 5000, "",
         "networks known before, random ones, among those that are calibrated on: the rest is "
         "chosen to add to them",
         &o.given},
        {"profile", 'p', OPTION_TEXT, NULL, 1, 127, "",
         "judge this column only; others need not be times", &o.profile},
        CLI_NAMELESS_ROWS(cli)};
    struct err err = {0};
    cJSON *result = NULL;
    int first = 0, code = cli_start(cli, rows, argc, argv, (struct cli_words){1, 1}, &first);

    if (code >= 0)
        return code;
    cJSON *start = cJSON_CreateObject(), *spec = cJSON_AddObjectToObject(start, "spec");
    cJSON_AddStringToObject(start, "kind", "laboratory");
    code = make_spec(&o, argv[first], spec);
    int rc = code == CLI_OK ? run_job(start, &err, &result) : 0;
    cJSON_Delete(start);
    if (code != CLI_OK || rc != 0)
        return rc ? cli_fail(&err) : code;
    bool plain = cli_print_plain(cli, result);
    if (!plain)
        print_columns(cli_remarks(cli), result);
    code = count_judged(result) > 0 ? CLI_OK : CLI_FAILURE;
    if (!plain) {
        print_profiles(cli, &o, result);
        if (code == CLI_OK)
            print_for_people(cli, result);
    }
    cJSON_Delete(result);
    return code;
}

const struct cli_command cli_latency_evaluate = {
    "latency", "evaluate", "NETWORKS.csv",
    "judge predictions on measurements of others, on this machine", evaluate_run};
