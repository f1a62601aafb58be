/* espalier-worker: the program on a board. */
#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cpu.h"
#include "base/log.h"
#include "base/options.h"
#include "devices/board.h"
#include "devices/worker.h"

enum { TOKEN_BYTES = 256 };

static volatile sig_atomic_t stop;

static void on_signal(int number) {
    stop = 1;
}

static const char intro[] =
    "usage: ESPALIER_ENROL_TOKEN=TOKEN espalier-worker --daemon URL [options]   the first time\n"
    "       espalier-worker [options]                                           from then on\n\n"
    "Measures networks on this board for an Espalier daemon. It only dials out.\n\n";

static const char *default_state_dir(void) {
    static char path[1024];
    const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");

    if (state && *state)
        snprintf(path, sizeof(path), "%s/espalier-worker", state);
    else
        snprintf(path, sizeof(path), "%s/.local/state/espalier-worker", home && *home ? home : ".");
    return path;
}

struct arguments {
    struct worker_options options;
    bool help, version, manual, verbose, enrol_only;
    const char *enrol_file;
    int64_t cpu_mask;
};

static const struct options_manual manual = {
    .name = "espalier-worker",
    .title = "ESPALIER-WORKER",
    .date = "November 29, 2026",
    .section = 8,
    .what = "measures networks on a board for espalierd",
    .description =
        "The worker enrols once with a token that the daemon gave out, leases measurements, runs "
        "each in a process of its own, and reports its samples. It only dials out, so a board "
        "behind a router will do.\n"
        "espalier device add prints the line that installs it on a board as a service. A network "
        "that crashes, hangs or needs too much memory costs its measurement, not the worker.\n"
        "SIGTERM and SIGINT end it: what it holds is given back.",
    .files =
        "The state folder holds the board's identity with its secret, which only its owner can "
        "read, and results that the daemon has not taken yet.",
    .exits = "0 after an orderly end, 1 when it could not start or go on, 2 for wrong use.",
    .see = {{"espalier", 1}, {"espalierd", 8}}};

/* Returns -1 to go on, else the exit status. */
static int parse(int argc, char **argv, struct arguments *a) {
    const struct option_row rows[] = {
        {"daemon", 'd', OPTION_TEXT, NULL, 0, 0, "", "address of the daemon, http://HOST:PORT",
         &a->options.daemon_url},
        {"enrol", 'e', OPTION_TEXT, NULL, 0, 0, "",
         "enrolment token, needed the first time; unseen by others in $ESPALIER_ENROL_TOKEN",
         &a->options.enrol_token},
        {"enrol-file", 0, OPTION_TEXT, NULL, 0, 0, "",
         "file that holds the enrolment token; -: standard input", &a->enrol_file},
        {"enrol-only", 0, OPTION_FLAG, NULL, 0, 0, "",
         "end as soon as the daemon knows this board, and print its id and its profiles'",
         &a->enrol_only},
        {"name", 'n', OPTION_TEXT, NULL, 1, 63, "", "name of this board (default: the host's name)",
         &a->options.name},
        {"state-dir", 0, OPTION_TEXT, NULL, 0, 0, "",
         "identity and unsent results (default: ~/.local/state/espalier-worker)",
         &a->options.state_dir},
        {"threads", 't', OPTION_TEXT, "1", 1, 1023, "",
         "threads a network runs with; 1,2: a profile for each", &a->options.profile.threads},
        {"cores", 'c', OPTION_TEXT, NULL, 0, PROFILE_CORES_MAX, "",
         "pin measurements to these cores, such as 0,2-3", &a->options.profile.cores},
        {"backend", 'b', OPTION_TEXT, "native", 1, 63, "",
         "what runs the networks: native, exec (a command of yours), sim (a simulated board)",
         &a->options.profile.backend},
        {"backend-config", 0, OPTION_TEXT, NULL, 0, 1023, "",
         "exec: its file; sim: a file, or name=value,…; see docs/BACKENDS.md",
         &a->options.profile.backend_config},
        {"profile", 'p', OPTION_LIST, NULL, 0, 0, "",
         "offer this profile, the first one by default; again, or behind a semicolon: one more. "
         "Words of threads=, cores=, backend=, backend-config=; what is left out is as the options "
         "of these names say",
         &a->options.profile.profiles},
        {"energy-sensor", 0, OPTION_TEXT, NULL, 1, 63, "",
         "that tells the board's energy: powercap, the name of a hwmon chip, none (default: "
         "powercap, else the first chip that tells)",
         &a->options.profile.sensors.energy},
        {"sysfs-root", 0, OPTION_TEXT, "/sys", 1, 399, "", "where sensors are read, for tests",
         &a->options.profile.sensors.root},
        {"max-temperature", 0, OPTION_REAL, "60", 0, 200, "degrees C",
         "wait until the board is cooler before a measurement, and call it hot when it does not "
         "get so (0: never)",
         &a->options.heat.limit_c},
        {"cool-down", 0, OPTION_INT, "60", 0, 3600, "seconds", "wait for that at most",
         &a->options.heat.longest_s},
        {"memory-limit", 0, OPTION_SIZE, "0", 0, 1e15, "bytes",
         "address space of a measurement (0: no limit)", &a->options.memory_limit_bytes},
        {"macs-limit", 0, OPTION_INT, "20000000000", 0, 1e15, "",
         "multiply-adds of a network that this board takes (0: any number)",
         &a->options.macs_limit},
        {"salt", 0, OPTION_TEXT, NULL, 0, 63, "", "tells several boards on one machine apart",
         &a->options.salt},
        {"ca-file", 0, OPTION_TEXT, NULL, 0, 0, "", "certificate authorities for https",
         &a->options.ca_file},
        {"pinned-key", 0, OPTION_TEXT, NULL, 0, 0, "",
         "public key that the daemon must show, sha256//…", &a->options.pinned_key},
        {"insecure-lan", 0, OPTION_FLAG, NULL, 0, 0, "", "allow plain http beyond this machine",
         &a->options.insecure_lan},
        {"once", 0, OPTION_FLAG, NULL, 0, 0, "", "end when there is nothing left to measure",
         &a->options.once},
        {"cpu-mask", 0, OPTION_INT, "-1", -1, 255, "",
         "instruction sets that may be used, bits of base/cpu.h", &a->cpu_mask},
        {"verbose", 'v', OPTION_FLAG, NULL, 0, 0, "", "log more", &a->verbose},
        {"manual", 0, OPTION_FLAG, NULL, 0, 0, "", "print the manual page, for man -l -",
         &a->manual},
        {"version", 'V', OPTION_FLAG, NULL, 0, 0, "", "print the version", &a->version},
        {"help", 'h', OPTION_FLAG, NULL, 0, 0, "", "this text", &a->help},
        {NULL}};

    struct err err = {0};
    int rest = 0;

    if (options_parse(rows, argc, argv, false, &err, &rest) || rest < argc) {
        fprintf(stderr, "espalier-worker: %s\n",
                err.code ? err.message : "words that are no options");
        return 2;
    }
    if (a->help) {
        fputs(intro, stdout);
        options_print_help(rows);
    } else if (a->manual) {
        options_print_manual(&manual, rows);
    } else if (a->version) {
        puts("espalier-worker " ESP_VERSION);
    }
    return a->help || a->manual || a->version ? 0 : -1;
}

/* Without the white space around it. *ret_token static. */
static int read_token(const char *path, struct err *err, const char **ret_token) {
    static char text[TOKEN_BYTES];
    FILE *file = strcmp(path, "-") ? fopen(path, "r") : stdin;
    size_t len = file ? fread(text, 1, sizeof(text) - 1, file) : 0;
    bool failed = !file || ferror(file);
    int number = errno;

    if (file && file != stdin)
        fclose(file);
    if (failed)
        return err_set(err, ESP_EIO, NULL, "the enrolment token cannot be read: %s: %s", path,
                       strerror(number));
    text[len] = 0;
    const char *start = text + strspn(text, " \t\r\n");
    text[start - text + (ptrdiff_t)strcspn(start, " \t\r\n")] = 0;
    if (!*start)
        return err_set(err, ESP_EINVAL, NULL, "there is no enrolment token in %s", path);
    *ret_token = start;
    return 0;
}

/* By option, file or environment; what runs networks for us does not inherit it. */
static int find_token(struct arguments *a, struct err *err) {
    static char text[TOKEN_BYTES];
    const char *given = getenv("ESPALIER_ENROL_TOKEN");
    int rc = 0;

    if (!a->options.enrol_token && a->enrol_file) {
        rc = read_token(a->enrol_file, err, &a->options.enrol_token);
    } else if (!a->options.enrol_token && given && *given) {
        snprintf(text, sizeof(text), "%s", given);
        a->options.enrol_token = text;
    }
    unsetenv("ESPALIER_ENROL_TOKEN");
    return rc;
}

static void catch_signals(void) {
    struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    signal(SIGPIPE, SIG_IGN);
}

/* 3: this board needs a new enrolment token. */
static int exit_status(int rc) {
    switch (rc) {
    case 0:
        return 0;
    case ESP_EUNAUTHORIZED:
    case ESP_EGONE:
    case ESP_EFORBIDDEN:
        return 3;
    }
    return 1;
}

static int run(const struct arguments *a, struct err *err) {
    struct worker_names names;

    if (!a->enrol_only)
        return worker_run(&a->options, &stop, err);
    int rc = worker_enrol(&a->options, &stop, err, &names);
    if (rc)
        return rc;
    fputs(names.device, stdout);
    for (int i = 0; i < names.n_profiles; i++)
        printf(" %s", names.profiles[i]);
    putchar('\n');
    return 0;
}

int main(int argc, char **argv) {
    struct arguments a = {.options = {.salt = ""}, .cpu_mask = -1};
    struct err err = {0};
    int status = parse(argc, argv, &a);

    if (status >= 0)
        return status;
    log_set_level(a.verbose ? LOG_DEBUG : LOG_INFO);
    cpu_set_mask((uint32_t)a.cpu_mask);
    board_set_sysfs(a.options.profile.sensors.root);
    if (!a.options.state_dir)
        a.options.state_dir = default_state_dir();
    catch_signals();
    int rc = find_token(&a, &err);
    if (rc == 0)
        rc = run(&a, &err);
    if (rc != 0)
        log_error("%s%s%s", err.message, err.pointer[0] ? " at " : "", err.pointer);
    return exit_status(rc);
}
