/* espalier job ls, show, wait, logs, cancel, retry. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "daemon/cli/commands.h"
#include "daemon/cli/query.h"
#include "daemon/cli/resource.h"

enum { FOLLOW_US = 500000 };

static const struct column list[] = {{"ID", "id", CELL_TEXT},
                                     {"KIND", "kind", CELL_TEXT},
                                     {"STATE", "state", CELL_TEXT},
                                     {"SUBJECT", "subject_name|subject", CELL_TEXT},
                                     {"PROGRESS", "progress.fraction", CELL_PERCENT},
                                     {"PHASE", "progress.phase", CELL_TEXT},
                                     {"ATTEMPT", "attempt", CELL_INT},
                                     {"CREATED", "created_at", CELL_TIME}};
static const struct column fields[] = {
    {"id", "id", CELL_TEXT},
    {"kind", "kind", CELL_TEXT},
    {"state", "state", CELL_TEXT},
    {"paused by a person", "held", CELL_TEXT},
    {"subject", "subject_name", CELL_TEXT},
    {"its id", "subject", CELL_TEXT},
    {"attempt", "attempt", CELL_INT},
    {"phase", "progress.phase", CELL_TEXT},
    {"progress", "progress.fraction", CELL_PERCENT},
    {"ETA (s)", "progress.eta_s", CELL_INT},
    {"waits for board", "waits_for.device_name|waits_for.device", CELL_TEXT},
    {"which is", "waits_for.why", CELL_TEXT},
    {"waits for room, free", "waits_for.disk.free_bytes", CELL_BYTES},
    {"error", "error.message", CELL_TEXT},
    {"created", "created_at", CELL_TIME},
    {"started", "started_at", CELL_TIME},
    {"ended", "ended_at", CELL_TIME}};
static const struct resource jobs = RESOURCE("/jobs", list, fields);

static int ls_run(struct cli *cli, int argc, char **argv) {
    const char *state = NULL, *kind = NULL;
    const struct option_row rows[] = {
        {"state", 's', OPTION_TEXT, NULL, 0, 0, "",
         "only these: queued, running, paused, canceling, done, failed or canceled", &state},
        {"kind", 'k', OPTION_TEXT, NULL, 0, 0, "",
         "only these: dataset, train, evaluate, estimate, search, export, table, import, model, "
         "results or calibrate",
         &kind},
        CLI_COMMON_ROWS(cli)};
    char path[QUERY_PATH_MAX] = "/jobs";
    int first = 0, code = cli_start(cli, rows, argc, argv, (struct cli_words){0, 0}, &first);

    if (code >= 0)
        return code;
    query_add_text(path, "state", state);
    query_add_text(path, "kind", kind);
    return resource_print_list(cli, path, list, COUNT(list));
}

static int show_run(struct cli *cli, int argc, char **argv) {
    return resource_show(cli, &jobs, argc, argv);
}

static int cancel_run(struct cli *cli, int argc, char **argv) {
    return resource_stop(cli, &jobs, argc, argv);
}

static int retry_run(struct cli *cli, int argc, char **argv) {
    return resource_act(cli, &jobs, "retry", argc, argv);
}

/* The job as it ended, for programs; for people it was in view. Returns the code of its wait. */
static int print_ended(struct cli *cli, const char *id, int code) {
    struct err err = {0};
    cJSON *job = NULL;

    if ((code != CLI_OK && code != CLI_JOB_FAILED) || !cli_is_plain(cli))
        return code;
    if (cli_get(cli, &err, &job, "/jobs/%s", cli_encode(id)))
        return cli_fail(&err);
    cli_print_plain(cli, job);
    cJSON_Delete(job);
    return code;
}

static int wait_run(struct cli *cli, int argc, char **argv) {
    const struct option_row rows[] = {{"timeout", 0, OPTION_DURATION, "0", 0, 1e13, "",
                                       "give up after this time (0: never)", &cli->timeout_us},
                                      CLI_COMMON_ROWS(cli)};
    int first = 0, code = cli_start(cli, rows, argc, argv, (struct cli_words){1, 1}, &first);

    return code >= 0 ? code : print_ended(cli, argv[first], cli_wait(cli, argv[first]));
}

enum { LINES_MAX = 100000, TAIL_BYTES = 1 << 20 };

/* Of a text, its last lines. */
static const char *last_lines(const char *text, int64_t n) {
    const char *at = text + strlen(text);
    if (at > text && at[-1] == '\n')
        at--;
    for (; at > text; at--)
        if (at[-1] == '\n' && --n == 0)
            break;
    return at;
}

static int logs_run(struct cli *cli, int argc, char **argv) {
    bool follow = false;
    int64_t lines = -1;
    const struct option_row rows[] = {{"follow", 'f', OPTION_FLAG, NULL, 0, 0, "",
                                       "go on as the log grows, until the job ends", &follow},
                                      {"tail", 'n', OPTION_INT, NULL, 1, LINES_MAX, "lines",
                                       "begin with the last so many lines (1 MiB at most)", &lines},
                                      CLI_TEXT_ROWS(cli)};
    struct err err = {0};
    double offset = 0;
    int first = 0, code = cli_start(cli, rows, argc, argv, (struct cli_words){1, 1}, &first);

    while (code < 0) {
        cJSON *doc = NULL;
        const char *job = cli_encode(argv[first]);
        int rc = lines > 0 ? cli_get(cli, &err, &doc, "/jobs/%s/log?tail=%d", job, TAIL_BYTES)
                           : cli_get(cli, &err, &doc, "/jobs/%s/log?offset=%.0f&limit=65536", job,
                                     offset);
        if (rc != 0)
            return cli_fail(&err);
        const char *text = cli_text(doc, "text");
        text = lines > 0 ? last_lines(text, lines) : text;
        lines = 0;
        double next = cli_number(doc, "next_offset");
        bool end = cJSON_IsTrue(cli_item(doc, "end")), more = next > offset;
        fputs(text, stdout);
        fflush(stdout);
        offset = next > offset ? next : offset;
        cJSON_Delete(doc);
        if (!more && (end || !follow))
            code = CLI_OK;
        else if (!more)
            clock_sleep_us(FOLLOW_US);
    }
    return code;
}

const struct cli_command cli_job_ls = {"job", "ls", "", "jobs", ls_run};
const struct cli_command cli_job_show = {"job", "show", "JOB", "one job", show_run};
const struct cli_command cli_job_wait = {"job", "wait", "JOB",
                                         "wait for a job with its progress in view", wait_run};
const struct cli_command cli_job_logs = {"job", "logs", "JOB", "what a job has logged", logs_run};
const struct cli_command cli_job_cancel = {"job", "cancel", "JOB...",
                                           "stop jobs; they can be resumed", cancel_run};
const struct cli_command cli_job_retry = {"job", "retry", "JOB...",
                                          "run jobs again from where they stopped", retry_run};
