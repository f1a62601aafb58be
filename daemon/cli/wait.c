/* Waiting for a job with its progress in view. */
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "daemon/cli/cli.h"

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

static void print_duration(double seconds) {
    if (isnan(seconds) || seconds < 0)
        return;
    int s = (int)fmin(seconds, 359999);
    if (s >= 3600)
        fprintf(stderr, "  ETA %d:%02d:%02d", s / 3600, s / 60 % 60, s % 60);
    else
        fprintf(stderr, "  ETA %d:%02d", s / 60, s % 60);
}

static void print_bar(double fraction) {
    int full = (int)(fmin(fmax(fraction, 0), 1) * BAR_WIDTH + 0.5);
    fputc('[', stderr);
    for (int i = 0; i < BAR_WIDTH; i++)
        fputs(i < full ? "#" : ".", stderr);
    fprintf(stderr, "] %3.0f %%", 100 * fraction);
}

static void print_progress(const cJSON *job) {
    const cJSON *progress = cli_item(job, "progress");
    double done = cli_number(progress, "done"), total = cli_number(progress, "total");
    double fraction = cli_number(progress, "fraction"), rate = cli_number(progress, "images_per_s");
    double loss = cli_number(progress, "loss");

    fprintf(stderr, "%s: ", cli_text(job, "kind"));
    if (!isnan(fraction))
        print_bar(fraction);
    fprintf(stderr, "  %s",
            cli_text(progress, "phase")[0] ? cli_text(progress, "phase") : cli_text(job, "state"));
    if (!isnan(done) && !isnan(total))
        fprintf(stderr, " %.0f/%.0f %s", done, total, cli_text(progress, "unit"));
    if (!isnan(rate))
        fprintf(stderr, "  %.0f images/s", rate);
    if (!isnan(loss))
        fprintf(stderr, "  loss %.3f", loss);
    print_duration(cli_number(progress, "eta_s"));
}

static void show(struct view *view, const cJSON *job, bool final) {
    int64_t now = clock_wall_us();
    const char *phase = cli_text(job, "progress.phase");
    bool new_phase = strncmp(view->phase, phase, sizeof(view->phase) - 1) != 0;
    bool moves = cli_number(job, "progress.done") > 0;
    bool first = moves && (new_phase || !view->moved);

    view->moved = moves && (view->moved || first);
    if (!view->terminal && !final && !new_phase && !first && now - view->last_line_us < QUIET_US)
        return;
    snprintf(view->phase, sizeof(view->phase), "%s", phase);
    view->last_line_us = now;
    if (view->terminal)
        fputs("\r\033[K", stderr);
    print_progress(job);
    if (!view->terminal || final)
        fputc('\n', stderr);
    fflush(stderr);
}

static int finished(const cJSON *job) {
    const char *state = cli_text(job, "state");

    if (!strcmp(state, "done"))
        return CLI_OK;
    if (!strcmp(state, "failed")) {
        fprintf(stderr, "espalier: %s failed: %s\n", cli_text(job, "id"),
                cli_text(job, "error.message"));
        return CLI_JOB_FAILED;
    }
    if (!strcmp(state, "canceled")) {
        fprintf(stderr, "espalier: %s was cancelled\n", cli_text(job, "id"));
        return CLI_JOB_FAILED;
    }
    return -1;
}

int cli_wait(struct cli *cli, const char *job_id) {
    struct view view = {.terminal = isatty(STDERR_FILENO)};
    struct sigaction action = {.sa_handler = on_interrupt}, before;
    int64_t start = clock_wall_us();
    int code = -1, away = 0;

    sigaction(SIGINT, &action, &before);
    while (code < 0) {
        struct err err = {0};
        cJSON *job = NULL;
        int rc = cli_get(cli, &err, &job, "/jobs/%s", cli_encode(job_id));
        if (rc == ESP_EUNREACHABLE && ++away < UNREACHABLE_MAX) {
            clock_sleep_us(POLL_US); /* a daemon that restarts goes on with the job */
        } else if (rc) {
            code = cli_fail(&err);
        } else {
            away = 0;
            code = finished(job);
            show(&view, job, code >= 0);
            cJSON_Delete(job);
        }
        if (code < 0 && interrupted) {
            fprintf(stderr, "\n%s goes on; come back to it with: espalier job wait %s\n", job_id,
                    job_id);
            code = CLI_INTERRUPTED;
        } else if (code < 0 && cli->timeout_us > 0 && clock_wall_us() - start > cli->timeout_us) {
            fprintf(stderr, "\n%s has not ended in the time given; it goes on\n", job_id);
            code = CLI_TIMEOUT;
        } else if (code < 0 && !rc) {
            clock_sleep_us(POLL_US);
        }
    }
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
