/* espalier-worker: the program on a board. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cpu.h"
#include "base/log.h"
#include "base/options.h"
#include "devices/worker.h"

static volatile sig_atomic_t stop;

static void on_signal(int number) {
    stop = 1;
}

static const char intro[] =
    "usage: espalier-worker --daemon URL --enrol TOKEN [options]   the first time\n"
    "       espalier-worker [options]                              from then on\n\n"
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

int main(int argc, char **argv) {
    struct worker_options options = {.salt = ""};
    bool help = false, version = false, verbose = false;
    int64_t cpu_mask = -1;
    struct err err = {0};
    int rest = 0;
    const struct option_row rows[] = {
        {"daemon", 'd', OPTION_TEXT, NULL, 0, 0, "", "address of the daemon, http://HOST:PORT",
         &options.daemon_url},
        {"enrol", 'e', OPTION_TEXT, NULL, 0, 0, "", "enrolment token, needed the first time",
         &options.enrol_token},
        {"name", 'n', OPTION_TEXT, NULL, 1, 63, "", "name of this board (default: the host's name)",
         &options.name},
        {"state-dir", 0, OPTION_TEXT, NULL, 0, 0, "",
         "identity and unsent results (default: ~/.local/state/espalier-worker)",
         &options.state_dir},
        {"threads", 't', OPTION_INT, "1", 1, 256, "", "threads a network runs with",
         &options.threads},
        {"cores", 'c', OPTION_TEXT, NULL, 0, 0, "",
         "pin measurements to these cores, such as 0,2-3", &options.cores},
        {"memory-limit", 0, OPTION_SIZE, "0", 0, 1e15, "bytes",
         "address space of a measurement (0: no limit)", &options.memory_limit_bytes},
        {"salt", 0, OPTION_TEXT, NULL, 0, 63, "", "tells several boards on one machine apart",
         &options.salt},
        {"ca-file", 0, OPTION_TEXT, NULL, 0, 0, "", "certificate authorities for https",
         &options.ca_file},
        {"pinned-key", 0, OPTION_TEXT, NULL, 0, 0, "",
         "public key that the daemon must show, sha256//…", &options.pinned_key},
        {"insecure-lan", 0, OPTION_FLAG, NULL, 0, 0, "", "allow plain http beyond this machine",
         &options.insecure_lan},
        {"once", 0, OPTION_FLAG, NULL, 0, 0, "", "end when there is nothing left to measure",
         &options.once},
        {"cpu-mask", 0, OPTION_INT, "-1", -1, 255, "",
         "instruction sets that may be used, bits of base/cpu.h", &cpu_mask},
        {"verbose", 'v', OPTION_FLAG, NULL, 0, 0, "", "log more", &verbose},
        {"version", 'V', OPTION_FLAG, NULL, 0, 0, "", "print the version", &version},
        {"help", 'h', OPTION_FLAG, NULL, 0, 0, "", "this text", &help},
        {NULL}};

    if (options_parse(rows, argc, argv, false, &err, &rest) || rest < argc) {
        fprintf(stderr, "espalier-worker: %s\n",
                err.code ? err.message : "words that are no options");
        return 2;
    }
    if (help) {
        fputs(intro, stdout);
        options_print_help(rows);
        return 0;
    }
    if (version) {
        puts("espalier-worker " ESP_VERSION);
        return 0;
    }
    log_set_level(verbose ? LOG_DEBUG : LOG_INFO);
    cpu_set_mask((uint32_t)cpu_mask);
    if (!options.state_dir)
        options.state_dir = default_state_dir();
    struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    signal(SIGPIPE, SIG_IGN);
    int rc = worker_run(&options, &stop, &err);
    if (rc) {
        log_error("%s", err.message);
        return rc == ESP_EUNAUTHORIZED ? 3 : 1;
    }
    return 0;
}
