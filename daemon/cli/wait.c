/* Waiting for a job with its progress in view, and what is printed of what started one. */
#include <math.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/terminal.h"
#include "daemon/cli/cli.h"
#include "daemon/cli/resource.h"

enum { BAR_WIDTH = 24, POLL_US = 400000, QUIET_US = 10000000, UNREACHABLE_MAX = 60 };

static volatile sig_atomic_t interrupted;

static void on_interrupt(int number) {
    interrupted = 1;
}

struct view {
    bool terminal;
    int64_t last_line_us;
    char phase[64];
    bool moved; /* in this phase something was done already */
};

void cli_put_eta(struct buf *out, const char *before, double seconds) {
    if (isnan(seconds) || seconds < 0)
        return;
    int s = (int)fmin(seconds, 359999);
    buf_printf(out, "%sETA ", before);
    if (s >= 3600)
        buf_printf(out, "%d:%02d:%02d", s / 3600, s / 60 % 60, s % 60);
    else
        buf_printf(out, "%d:%02d", s / 60, s % 60);
}

static void put_bar(struct buf *line, double fraction) {
    int full = (int)(fmin(fmax(fraction, 0), 1) * BAR_WIDTH + 0.5);
    buf_puts(line, "[");
    for (int i = 0; i < BAR_WIDTH; i++)
        buf_puts(line, i < full ? "#" : ".");
    buf_printf(line, "] %3.0f %%", 100 * fraction);
}

/* The board without which the job cannot go on; "": it goes on. Valid until the next call. */
static const char *waits_of(const cJSON *job) {
    static char text[256];
    const char *why = cli_text(job, "waits_for.why"), *in = strcmp(why, "maintenance") ? "" : "in ";
    if (!why[0])
        return "";
    snprintf(text, sizeof(text), "waits for %.160s, which is %s%s",
             cli_shown(cli_text(job, "waits_for.device_name")), in, cli_shown(why));
    return text;
}

/* What it does, by its own words or the board's. */
static const char *phase_of(const cJSON *job) {
    const char *waits = waits_of(job);
    return waits[0] ? waits : cli_text(job, "progress.phase");
}

/* What is needed least comes last: a narrow terminal cuts it off. */
static void put_progress(struct buf *line, const cJSON *job) {
    const cJSON *progress = cli_item(job, "progress");
    double done = cli_number(progress, "done"), total = cli_number(progress, "total");
    double fraction = cli_number(progress, "fraction"), rate = cli_number(progress, "images_per_s");
    double loss = cli_number(progress, "loss");

    buf_printf(line, "%s: ", cli_text(job, "kind"));
    if (!isnan(fraction))
        put_bar(line, fraction);
    buf_printf(line, "  %s", phase_of(job)[0] ? phase_of(job) : cli_text(job, "state"));
    if (!isnan(done) && !isnan(total))
        buf_printf(line, " %.0f/%.0f %s", done, total, cli_text(progress, "unit"));
    cli_put_eta(line, "  ", cli_number(progress, "eta_s"));
    if (!isnan(rate))
        buf_printf(line, "  %.0f images/s", rate);
    if (!isnan(loss))
        buf_printf(line, "  loss %.3f", loss);
}

/* Bytes of the parts, which two blanks part, that fit into a row. */
static int fitting(const struct buf *line, int columns) {
    enum { LEAST = 16 };
    int len = columns - 1;
    if (line->len < (size_t)columns)
        return (int)line->len;
    while (len > LEAST && strncmp(line->data + len, "  ", 2) != 0)
        len--;
    return len > LEAST ? len : columns - 1;
}

/* On a terminal over the line before, which has to be in one row for that. */
static void print_progress(const struct view *view, const cJSON *job) {
    struct buf line;
    int columns = view->terminal ? terminal_columns(STDERR_FILENO) : 0;
    buf_init(&line, 0);
    put_progress(&line, job);
    if (!line.error) {
        int len = columns > 0 ? fitting(&line, columns) : (int)line.len;
        fprintf(stderr, "%s%.*s", view->terminal ? "\r\033[K" : "", len, line.data);
    }
    buf_finish(&line);
}

static void show(struct view *view, const cJSON *job, bool final) {
    int64_t now = clock_wall_us();
    const char *phase = phase_of(job);
    bool new_phase = strncmp(view->phase, phase, sizeof(view->phase) - 1) != 0;
    bool moves = cli_number(job, "progress.done") > 0;
    bool first = moves && (new_phase || !view->moved);

    view->moved = moves && (view->moved || first);
    if (!view->terminal && !final && !new_phase && !first && now - view->last_line_us < QUIET_US)
        return;
    snprintf(view->phase, sizeof(view->phase), "%s", phase);
    view->last_line_us = now;
    print_progress(view, job);
    if (!view->terminal || final)
        fputc('\n', stderr);
    fflush(stderr);
}

/* -1: it goes on. */
static int code_of(const cJSON *job) {
    const char *state = cli_text(job, "state");

    if (!strcmp(state, "done"))
        return CLI_OK;
    return !strcmp(state, "failed") || !strcmp(state, "canceled") ? CLI_JOB_FAILED : -1;
}

int cli_say_failed(const char *what, const char *state, const cJSON *job) {
    const char *why = cli_text(job, "error.message");
    bool canceled = !strcmp(state, "canceled");
    fprintf(stderr, "espalier: %s %s%s%s\n", what, canceled ? "was cancelled" : "failed",
            canceled || !why[0] ? "" : ": ", canceled ? "" : cli_shown(why));
    return CLI_JOB_FAILED;
}

/* Of a search: why it ended before its budget. */
static void tell_end(const cJSON *job) {
    if (cli_text(job, "result.ending")[0])
        fprintf(stderr, "espalier: %s\n", cli_shown(cli_text(job, "result.ending")));
}

int cli_get_patiently(struct cli *cli, struct err *err, cJSON **ret_doc, const char *format, ...) {
    char path[1024];
    va_list args;
    int rc, away = 0;

    va_start(args, format);
    int len = vsnprintf(path, sizeof(path), format, args);
    va_end(args);
    if (len >= (int)sizeof(path))
        return err_set(err, ESP_ELIMIT, NULL, "the request is too long");
    while ((rc = cli_get(cli, err, ret_doc, "%s", path)) == ESP_EUNREACHABLE &&
           ++away < UNREACHABLE_MAX)
        clock_sleep_us(POLL_US);
    return rc;
}

int cli_wait(struct cli *cli, const char *job_id) {
    struct view view = {.terminal = isatty(STDERR_FILENO)};
    struct sigaction action = {.sa_handler = on_interrupt}, before;
    const char *gap = view.terminal ? "\n" : ""; /* behind the line of progress */
    int64_t start = clock_wall_us();
    int code = -1, away = 0;

    sigaction(SIGINT, &action, &before);
    cli->stop = &interrupted;
    while (code < 0) {
        struct err err = {0};
        cJSON *job = NULL;
        int rc = cli_get(cli, &err, &job, "/jobs/%s", cli_encode(job_id));
        if (rc == ESP_EUNREACHABLE && ++away < UNREACHABLE_MAX) {
            clock_sleep_us(POLL_US); /* a daemon that restarts goes on with the job */
        } else if (rc && !interrupted) {
            code = cli_fail(&err);
        } else if (!rc) {
            away = 0;
            code = code_of(job);
            show(&view, job, code >= 0);
            if (code == CLI_JOB_FAILED)
                cli_say_failed(cli_text(job, "id"), cli_text(job, "state"), job);
            else if (code == CLI_OK)
                tell_end(job);
            cJSON_Delete(job);
        }
        if (code < 0 && interrupted) {
            fprintf(stderr, "%s%s goes on; come back to it with: espalier job wait %s\n", gap,
                    job_id, job_id);
            code = CLI_INTERRUPTED;
        } else if (code < 0 && cli->timeout_us > 0 && clock_wall_us() - start > cli->timeout_us) {
            fprintf(stderr,
                    "%s%s has not ended in the time given; it goes on: espalier job wait %s\n", gap,
                    job_id, job_id);
            code = CLI_TIMEOUT;
        } else if (code < 0 && !rc) {
            clock_sleep_us(POLL_US);
        }
    }
    cli->stop = NULL;
    sigaction(SIGINT, &before, NULL);
    return code;
}

int cli_wait_for_result(struct cli *cli, const cJSON *answer, cJSON **ret_job) {
    struct err err = {0};
    const char *id = cli_text(answer, "job.id");
    int code = cli_wait(cli, id);

    if (code)
        return code;
    return cli_get(cli, &err, ret_job, "/jobs/%s", cli_encode(id)) ? cli_fail(&err) : CLI_OK;
}

/* ---- what started a job -------------------------------------------------------------------- */

/* The member of doc as it is by now. One that cannot be had stays as it was: what it was made as
 * is known, and how its wait ended is said by the exit code. */
static void renew(struct cli *cli, cJSON *doc, const char *name) {
    struct err err = {0};
    cJSON *now = NULL;
    const char *id = cli_text(cJSON_GetObjectItemCaseSensitive(doc, name), "id");

    if (cli_get(cli, &err, &now, "/%s%s/%s", name, strcmp(name, "search") ? "s" : "es",
                cli_encode(id)) == 0 &&
        !cJSON_ReplaceItemInObjectCaseSensitive(doc, name, now))
        cJSON_Delete(now);
}

int cli_wait_started(struct cli *cli, cJSON *doc, const char *name) {
    int code = cli_wait(cli, cli_text(doc, "job.id"));

    if (code == CLI_INTERRUPTED) /* who lets go does not wait for a daemon any more */
        return code;
    renew(cli, doc, name);
    if (strcmp(name, "job") != 0)
        renew(cli, doc, "job");
    return code;
}

void cli_print_started(struct cli *cli, const cJSON *doc, const char *name) {
    const cJSON *resource = cJSON_GetObjectItemCaseSensitive(doc, name);
    bool of_answer = cli->get && !cli_item(resource, cli->get) && cli_item(doc, cli->get);

    if (!cli_print_plain(cli, of_answer ? doc : resource))
        printf("%s %s, %s\n", name, cli_text(resource, "id"), cli_text(doc, "job.id"));
    fflush(stdout);
}

int cli_started(struct cli *cli, cJSON *doc, const char *name) {
    int code = CLI_OK;

    if (!cli->wait || !cli_is_plain(cli)) /* people see what they wait for; programs what became */
        cli_print_started(cli, doc, name);
    if (cli->wait && cli_is_plain(cli)) {
        code = cli_wait_started(cli, doc, name);
        cli_print_started(cli, doc, name);
    } else if (cli->wait) {
        code = cli_wait(cli, cli_text(doc, "job.id"));
    }
    cJSON_Delete(doc);
    return code;
}
