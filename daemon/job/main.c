/* espalier-job: one job in a process of its own, started by espalierd or by hand. */
#include "base/clock.h"
#include "base/cpu.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/options.h"
#include "daemon/job/confine.h"
#include "daemon/job/job.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum {
    FD_DOWN = 3,
    FD_UP = 4,
    NICE = 10,
    SPEC_BYTES = 16 << 20,
    LOCK_TRIES = 300,
    LOCK_WAIT_US = 100000
};

static const char lock_name[] = "job.lock", journal_name[] = "events.jsonl";

static struct channel *signalled; /* what a signal stops */

static void on_signal(int number) {
    (void)number;
    if (signalled)
        channel_stop(signalled);
}

static void catch_signals(struct channel *channel) {
    struct sigaction stop = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    signalled = channel;
    sigemptyset(&stop.sa_mask);
    sigaction(SIGTERM, &stop, NULL);
    sigaction(SIGINT, &stop, NULL);
}

/* Below whatever else runs on the machine; a full disk and a daemon that is gone are errors, not
 * signals. */
static void become_modest(void) {
    struct err err = {0};
    if (getpriority(PRIO_PROCESS, 0) < NICE && setpriority(PRIO_PROCESS, 0, NICE) != 0)
        log_warn("cannot lower the priority: %s", strerror(errno));
    if (confine_process(&err) != 0)
        log_warn("%s", err.message);
    signal(SIGXFSZ, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
}

static int report(const struct err *err) {
    log_error("%s%s%s", err->pointer, err->pointer[0] ? ": " : "", err->message);
    return JOB_FAILED;
}

/* A job that a killed daemon left behind ends at its next step: worth waiting for. */
static int wait_for_lock(struct err *err, int *ret_lock) {
    int rc = ESP_EBUSY;
    for (int i = 0; rc == ESP_EBUSY && i < LOCK_TRIES; i++) {
        if (i > 0)
            clock_sleep_us(LOCK_WAIT_US);
        rc = file_lock(lock_name, err, ret_lock);
    }
    return rc;
}

/* With the daemon: the working folder is the job's. */
static int run_for_daemon(void) {
    struct channel *channel = NULL;
    struct err err = {0};
    cJSON *start = NULL;
    int lock = -1, status;
    if (fcntl(FD_DOWN, F_GETFD) < 0 || fcntl(FD_UP, F_GETFD) < 0) {
        fprintf(stderr, "espalier-job: started without a daemon; by hand: espalier-job --run "
                        "SPEC.json [--dir DIR]\n");
        return JOB_USAGE;
    }
    int rc = wait_for_lock(&err, &lock);
    if (rc == 0)
        rc = channel_open(FD_DOWN, FD_UP, journal_name, &err, &channel);
    if (rc != 0) {
        status = report(&err);
        goto out;
    }
    catch_signals(channel);
    rc = channel_start(channel, &err, &start);
    if (rc == ESP_ECANCELED)
        status = JOB_STOPPED;
    else
        status = rc == 0 ? job_run(channel, start, ".") : report(&err);
out:
    signalled = NULL;
    cJSON_Delete(start);
    channel_close(channel);
    if (lock >= 0)
        close(lock);
    return status;
}

static int read_spec(const char *path, struct err *err, cJSON **ret_start) {
    char *text = NULL;
    size_t len = 0;
    int rc = file_read(path, SPEC_BYTES, err, &text, &len);
    if (rc == 0)
        rc = json_parse(text, len, &json_limits_default, err, ret_start);
    free(text);
    return rc == 0 ? 0 : err_prefix(err, rc, "%s", path);
}

static int lock_folder(const char *dir, struct err *err, int *ret_lock) {
    char path[4200];
    int rc = file_make_dirs(dir, err);
    snprintf(path, sizeof path, "%s/%s", dir, lock_name);
    return rc == 0 ? file_lock(path, err, ret_lock) : rc;
}

/* As a daemon would have said them. */
static void add_limits(cJSON *start, const struct confine_limits *limits) {
    if (limits->memory_bytes > 0)
        cJSON_AddNumberToObject(start, "memory_bytes", (double)limits->memory_bytes);
    if (limits->file_bytes > 0)
        cJSON_AddNumberToObject(start, "file_bytes", (double)limits->file_bytes);
}

static int run_by_hand(const char *spec_path, const char *dir,
                       const struct confine_limits *limits) {
    struct channel *channel = NULL;
    struct err err = {0};
    cJSON *start = NULL;
    int lock = -1, status;
    int rc = read_spec(spec_path, &err, &start);
    if (rc == 0 && dir)
        rc = lock_folder(dir, &err, &lock);
    if (rc == 0)
        add_limits(start, limits);
    if (rc == 0)
        rc = channel_open_by_hand(&err, &channel);
    if (rc != 0) {
        status = report(&err);
        goto out;
    }
    catch_signals(channel);
    status = job_run(channel, start, dir);
out:
    signalled = NULL;
    cJSON_Delete(start);
    channel_close(channel);
    if (lock >= 0)
        close(lock);
    return status;
}

static void print_help(const struct option_row *rows) {
    printf("usage: espalier-job --run SPEC.json [--dir DIR]\n\nRuns one job; without --run it "
           "speaks with espalierd on descriptors 3 and 4.\nKinds of job:\n");
    for (int i = 0; job_phases[i]; i++)
        printf("  %-10s %s\n", job_phases[i]->kind, job_phases[i]->help);
    printf("\n");
    options_print_help(rows);
}

int main(int argc, char **argv) {
    const char *spec_path = NULL, *dir = NULL;
    bool help = false, version = false, quiet = false;
    struct confine_limits limits = {0};
    struct err err = {0};
    int rest = 0;
    int64_t cpu_mask = -1;
    const struct option_row rows[] = {
        {"run", 0, OPTION_TEXT, NULL, 0, 0, "", "file with kind and spec of the job", &spec_path},
        {"dir", 0, OPTION_TEXT, NULL, 0, 0, "", "folder of the job, locked while it runs", &dir},
        {"memory", 0, OPTION_SIZE, "0", 0, 1e15, "bytes", "memory that it may take; 0: any",
         &limits.memory_bytes},
        {"file-size", 0, OPTION_SIZE, "0", 0, 1e15, "bytes",
         "size of a file that it may write; 0: any", &limits.file_bytes},
        {"quiet", 'q', OPTION_FLAG, NULL, 0, 0, "",
         "no log on stderr: how it ended is its last event", &quiet},
        {"cpu-mask", 0, OPTION_INT, "-1", -1, 255, "",
         "instruction sets that may be used, bits of base/cpu.h", &cpu_mask},
        {"help", 'h', OPTION_FLAG, NULL, 0, 0, "", "show this text", &help},
        {"version", 0, OPTION_FLAG, NULL, 0, 0, "", "show the version", &version},
        {0}};
    if (options_parse(rows, argc, argv, false, &err, &rest) != 0 || rest < argc) {
        fprintf(stderr, "espalier-job: %s\n", err.code ? err.message : "too many words");
        return JOB_USAGE;
    }
    if (help || version) {
        if (help)
            print_help(rows);
        else
            printf("espalier-job %s\n", ESP_VERSION);
        return JOB_DONE;
    }
    if (quiet)
        log_set_level(LOG_NOTHING);
    cpu_set_mask((uint32_t)cpu_mask);
    become_modest();
    return spec_path ? run_by_hand(spec_path, dir, &limits) : run_for_daemon();
}
