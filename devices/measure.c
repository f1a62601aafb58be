#include "devices/measure.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/json.h"
#include "base/clock.h"
#include "devices/backend.h"
#include "devices/energy.h"
#include "devices/launches.h"
#include "devices/throttle.h"

const char *const measure_status_names[] = {"ok",      "noisy",   "unsupported", "oom",
                                            "crashed", "invalid", NULL};

enum {
    CHILD_OOM = 40,
    CHILD_UNSUPPORTED,
    CHILD_INVALID,
    CHILD_HUNG,
    CHILD_FAILED,
    MESSAGE_MAX = 1 << 20
};

/* ---- in the child -------------------------------------------------------------------------- */

struct child {
    int fd; /* to the parent */
    const struct backend *backend;
    struct backend_run run;
    struct energy_meter meter;
    struct throttle_watch throttle;
    struct err err;
};

static const struct backend *backend_of(const struct measure_profile *profile) {
    return profile->backend ? profile->backend : &backend_native;
}

/* Tells the parent that it is alive and waits for its word: heartbeats fall between batches, never
 * into one. */
static int ask_parent(void *context) {
    struct child *child = context;
    char word = 0, tick = 'b';
    return write(child->fd, &tick, 1) != 1 || read(child->fd, &word, 1) != 1 || word != 'g';
}

static int between(void *context, int batches) {
    return ask_parent(context);
}

static cJSON *result_to_json(const struct sampler_result *r) {
    cJSON *doc = cJSON_CreateObject();
    cJSON *reference = cJSON_AddObjectToObject(doc, "reference");
    const struct {
        const char *name;
        double value;
    } rows[] = {{"median_us", r->median_us},
                {"low_us", r->low_us},
                {"high_us", r->high_us},
                {"mean_us", r->mean_us},
                {"sd_us", r->sd_us},
                {"p90_us", r->p90_us},
                {"min_us", r->min_us},
                {"first_us", r->first_us},
                {"n", r->n},
                {"batches", r->batches},
                {"runs_per_sample", r->runs_per_sample},
                {"taken_again", r->taken_again}};

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        cJSON_AddNumberToObject(doc, rows[i].name, rows[i].value);
    cJSON_AddNumberToObject(reference, "before_us", r->reference_before_us);
    cJSON_AddNumberToObject(reference, "after_us", r->reference_after_us);
    cJSON_AddNumberToObject(reference, "spread", r->reference_spread);
    cJSON_AddBoolToObject(doc, "bimodal", r->bimodal);
    cJSON_AddBoolToObject(doc, "noisy", r->noisy);
    cJSON *flags = cJSON_AddArrayToObject(doc, "flags");
    if (r->throttled)
        cJSON_AddItemToArray(flags, cJSON_CreateString("throttled"));
    if (r->bimodal)
        cJSON_AddItemToArray(flags, cJSON_CreateString("bimodal"));
    cJSON_AddStringToObject(doc, "stop", sampler_stop_names[r->stop]);
    cJSON_AddItemToObject(doc, "samples_us", cJSON_CreateDoubleArray(r->samples_us, r->n));
    return doc;
}

static int write_all(int fd, const char *data, size_t len) {
    while (len > 0) {
        ssize_t n = write(fd, data, len);
        if (n < 0 && errno != EINTR)
            return ESP_EIO;
        if (n > 0) {
            data += n;
            len -= (size_t)n;
        }
    }
    return 0;
}

static void set_limits(const struct measure_profile *profile) {
    struct rlimit memory = {(rlim_t)profile->memory_limit_bytes,
                            (rlim_t)profile->memory_limit_bytes};
    struct rlimit no_core = {0, 0};
    cpu_set_t set;

    setrlimit(RLIMIT_CORE, &no_core);
    if (profile->memory_limit_bytes > 0)
        setrlimit(RLIMIT_AS, &memory);
    CPU_ZERO(&set);
    for (int i = 0; i < profile->n_cores; i++)
        CPU_SET(profile->cores[i], &set);
    if (profile->n_cores > 0)
        sched_setaffinity(0, sizeof(set), &set);
}

/* Cuts the child loose from what the worker holds: its lock and connections must not outlive it in
 * an orphan, so the child dies with it and keeps no descriptor but its own, which becomes 3. It
 * leads a process group, which ends with the measurement. */
static int leave_parent(int fd, pid_t parent) {
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(CHILD_FAILED); /* it died before we could ask to be told */
    signal(SIGTERM, SIG_DFL);
    signal(SIGINT, SIG_IGN);
    if (fd != 3 && dup2(fd, 3) != 3)
        _exit(CHILD_FAILED);
    fcntl(3, F_SETFD, FD_CLOEXEC);
    if (close_range(4, ~0U, 0)) /* before Linux 5.9 */
        for (int i = 4; i < 1024; i++)
            close(i);
    return 3;
}

static int child_status(int rc) {
    if (rc == ESP_ENOMEM)
        return CHILD_OOM;
    if (rc == ESP_EUNSUPPORTED)
        return CHILD_UNSUPPORTED;
    if (rc == ESP_EINVAL || rc == ESP_ELIMIT)
        return CHILD_INVALID;
    return rc == ESP_ETIMEOUT ? CHILD_HUNG : CHILD_FAILED;
}

static double board_energy(void *context) {
    return energy_read(context, clock_mono_ns());
}

static bool board_slowed(void *context) {
    return throttle_looks_slowed(context);
}

/* A back end's own figure of energy comes before the board's sensors. */
static void watch_board(struct child *child, struct sampler_source *source) {
    const struct measure_profile *profile = child->run.profile;
    const struct measure_sensors *sensors = profile->sensors;
    struct throttle_cores cores = {profile->cores, profile->n_cores, profile->threads};

    if (!sensors)
        return;
    if (throttle_open(sensors->root, &cores, &child->throttle)) {
        source->slowed = board_slowed;
        source->slowed_context = &child->throttle;
    }
    if (!source->energy_uj && energy_open(sensors->root, sensors->energy, &child->meter)) {
        source->energy_uj = board_energy;
        source->energy_context = &child->meter;
    }
}

static void add_energy(const struct child *child, const struct sampler_result *result, cJSON *doc) {
    if (!isfinite(result->energy_uj) || !(result->energy_uj > 0))
        return;
    cJSON_AddNumberToObject(doc, "energy_uj", result->energy_uj);
    cJSON_AddStringToObject(doc, "energy_source",
                            child->meter.source[0] ? child->meter.source : child->backend->name);
}

/* Runs the back end under the sampling rule. */
static int sample(struct child *child, char **ret_text) {
    struct sampler_result result = {0};
    const struct backend *backend = child->backend;
    void *state = child->run.profile->backend_state;
    struct sampler_source source = {.run = NULL};
    int rc = backend->begin(state, &child->run, &source);

    if (rc)
        return rc;
    source.between = between;
    source.between_context = child;
    watch_board(child, &source);
    rc = sampler_run(child->run.task->method, &source, &child->err, &result);
    if (rc) /* without a command of its own nobody has kept us waiting: the clock went back */
        return rc == ESP_ETIMEOUT && !source.take ? ESP_EIO : rc;
    cJSON *doc = result_to_json(&result);
    add_energy(child, &result, doc);
    rc = backend->end(state, &child->run, doc);
    *ret_text = rc ? NULL : json_print(doc);
    return rc || *ret_text ? rc : ESP_ENOMEM;
}

/* Everything the child does; ends the process. What it allocates dies with it. */
static void child_main(int fd, const struct measure_profile *profile,
                       const struct measure_task *task) {
    struct child child = {
        .fd = fd,
        .backend = backend_of(profile),
        .run = {.profile = profile, .task = task, .tick = ask_parent, .tick_context = &child}};
    char *text = NULL;

    child.run.err = &child.err;
    set_limits(profile);
    int rc = sample(&child, &text);
    if (rc) {
        char line[sizeof(child.err.message) + 2];
        snprintf(line, sizeof(line), "e%s", child.err.message);
        write_all(fd, line, strlen(line));
        _exit(child_status(rc));
    }
    _exit(write_all(fd, "r", 1) || write_all(fd, text, strlen(text)) ? CHILD_FAILED : 0);
}

/* ---- in the parent ------------------------------------------------------------------------- */

/* Reads what the child says until it closes its end. In: ticks answered by `between`. */
static int converse(int fd, int64_t patience_ms, const struct measure_task *task,
                    struct buf *message) {
    int64_t batch_ms =
        task->method->run_max_us / 1000 + task->method->warmup_max_us / 1000 + patience_ms;
    int batches = 0;
    char piece[65536];

    for (;;) {
        struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
        int ready = poll(&poll_fd, 1, (int)batch_ms);
        if (ready < 0 && errno == EINTR)
            continue;
        if (ready == 0)
            return ESP_ETIMEOUT;
        ssize_t n = ready < 0 ? -1 : read(fd, piece, sizeof(piece));
        if (n <= 0)
            return n < 0 ? ESP_EIO : 0;
        if (message->len == 0 && piece[0] == 'b') {
            batches++;
            if (task->between && task->between(task->context, batches))
                return ESP_ECANCELED;
            if (write(fd, "g", 1) != 1)
                return ESP_EIO;
            continue;
        }
        buf_append(message, piece, (size_t)n);
        if (message->error)
            return ESP_EIO;
    }
}

static void outcome_of_death(int status, struct measure_outcome *outcome) {
    outcome->status = MEASURE_CRASHED;
    if (WIFSIGNALED(status))
        snprintf(outcome->message, sizeof(outcome->message),
                 "the measuring process died of signal %d (%s)", WTERMSIG(status),
                 strsignal(WTERMSIG(status)));
    else
        snprintf(outcome->message, sizeof(outcome->message),
                 "the measuring process ended with status %d", WEXITSTATUS(status));
}

static void outcome_of_exit(int status, const struct buf *message,
                            struct measure_outcome *outcome) {
    int code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    struct json_limits limits = {
        .bytes = MESSAGE_MAX, .depth = 8, .nodes = 2 * SAMPLER_SAMPLES_MAX};

    if (code == 0 && message->len > 1 && message->data[0] == 'r' &&
        !json_parse(message->data + 1, message->len - 1, &limits, NULL, &outcome->doc)) {
        outcome->status = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(outcome->doc, "noisy"))
                              ? MEASURE_NOISY
                              : MEASURE_OK;
        return;
    }
    outcome_of_death(status, outcome);
    if (code == CHILD_OOM)
        outcome->status = MEASURE_OOM;
    else if (code == CHILD_UNSUPPORTED)
        outcome->status = MEASURE_UNSUPPORTED;
    else if (code == CHILD_INVALID)
        outcome->status = MEASURE_INVALID;
    outcome->hung = code == CHILD_HUNG;
    if (message->len > 1 && message->data[0] == 'e')
        snprintf(outcome->message, sizeof(outcome->message), "%.*s", (int)message->len - 1,
                 message->data + 1);
}

/* Waits for the child's end and for nothing of its group to be left. */
static int reap(pid_t child, bool at_once) {
    siginfo_t info;
    int status = 0;

    if (at_once)
        kill(-child, SIGKILL);
    while (waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT) < 0 && errno == EINTR)
        ;
    kill(-child, SIGKILL); /* the group's number is its own until the child is reaped */
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    return status;
}

static int measure_once(const struct measure_profile *profile, const struct measure_task *task,
                        struct err *err, struct measure_outcome *ret_outcome) {
    struct measure_outcome outcome = {0};
    const struct backend *backend = backend_of(profile);
    struct buf message;
    int pair[2];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
        return err_set(err, ESP_EIO, NULL, "socketpair: %s", strerror(errno));
    pid_t parent = getpid(), child = fork();
    if (child < 0) {
        close(pair[0]);
        close(pair[1]);
        return err_set(err, ESP_EIO, NULL, "fork: %s", strerror(errno));
    }
    if (child == 0)
        child_main(leave_parent(pair[1], parent), profile, task);
    setpgid(child, child); /* as it does itself: whoever comes first */
    close(pair[1]);
    buf_init(&message, MESSAGE_MAX);
    int rc = converse(pair[0], backend->patience_ms(profile->backend_state), task, &message);
    int status = reap(child, rc != 0);
    close(pair[0]);
    if (backend->done)
        backend->done(profile->backend_state);
    if (rc == ESP_ETIMEOUT) {
        outcome.status = MEASURE_CRASHED;
        outcome.hung = true;
        snprintf(outcome.message, sizeof(outcome.message),
                 "the measuring process hung and was ended");
        rc = 0;
    } else if (rc == ESP_ECANCELED) {
        err_set(err, rc, NULL, "the measurement was cancelled");
    } else {
        outcome_of_exit(status, &message, &outcome);
        rc = 0;
    }
    buf_finish(&message);
    if (!rc)
        *ret_outcome = outcome;
    return rc;
}

int measure_graph(const struct measure_profile *profile, const struct measure_task *task,
                  struct err *err, struct measure_outcome *ret_outcome) {
    struct measure_outcome outcome = {0};
    int launches = task->network ? task->method->launches : 1;
    int rc = measure_once(profile, task, err, &outcome);

    for (int i = 1; i < launches && !rc && outcome.doc; i++) {
        struct measure_outcome later = {0};
        rc = measure_once(profile, task, err, &later);
        if (!rc && later.doc) {
            launches_merge(outcome.doc, later.doc);
            cJSON_Delete(later.doc);
            outcome.status = later.status == MEASURE_NOISY ? MEASURE_NOISY : outcome.status;
        } else if (!rc) {
            measure_outcome_finish(&outcome);
            outcome = later;
        }
    }
    if (rc)
        measure_outcome_finish(&outcome);
    else
        *ret_outcome = outcome;
    return rc;
}

void measure_outcome_finish(struct measure_outcome *outcome) {
    cJSON_Delete(outcome->doc);
    outcome->doc = NULL;
}
