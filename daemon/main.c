/* espalierd: options, start and end of the daemon. */
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/cpu.h"
#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/options.h"
#include "base/parallel.h"
#include "base/program.h"
#include "daemon/api.h"
#include "daemon/lifecycle.h"
#include "daemon/openapi.h"
#include "web/tls.h"

enum { JOB_MEMORY_MIN = 64 << 20, FILES_BESIDE_CONNECTIONS = 1024 };

struct settings {
    const char *data_dir, *listen, *job_program, *allow_hosts, *worker_builds, *tls_cert, *tls_key,
        *socket, *webhook_allow;
    struct option_list data_roots;
    int64_t port, threads, connections_per_address, job_memory, job_file_size, upload_size, session,
        disk_floor, table_age, board_patience, webhook_timeout;
    struct webhook_rules webhooks;
    struct retention keep;
    double rate, local_rate;
    bool insecure_lan, tokens_on_loopback, verbose, version, help, routes, openapi, manual;
};

static const char intro[] = "usage: espalierd [options]\n\n"
                            "The Espalier daemon: HTTP API, dashboard, jobs and boards.\n\n";

static const struct options_manual manual = {
    .name = "espalierd",
    .title = "ESPALIERD",
    .date = "November 29, 2026",
    .section = 8,
    .what = "neural architecture search with hardware in the loop",
    .description =
        "The daemon serves the HTTP API and the dashboard, keeps everything in one SQLite "
        "database, "
        "starts the processes that train, evaluate, search and export, and lends measurements to "
        "the workers that run on boards.\n"
        "On loopback everybody is an administrator unless --tokens-on-loopback is given. Beyond it "
        "every request needs a token, which espalier token add makes, and --tls-cert or "
        "--insecure-lan is needed.\n"
        "SIGTERM and SIGINT end it: jobs are stopped at their next checkpoint and go on with the "
        "next start, as they do after a crash.",
    .files = "The data folder holds the database, checkpoints, folders of jobs, uploads and "
             "exports, and, while the daemon runs, its port in the file port and its socket. It "
             "belongs to one daemon at a time.",
    .exits = "0 after an orderly end, 1 when it could not start or go on, 2 for wrong use: options "
             "that cannot be, or a data folder of a newer version.",
    .see = {{"espalier", 1}, {"espalier-worker", 8}}};

/* ---- options --------------------------------------------------------------------------------- */

static const char *default_data_dir(void) {
    static char path[PATH_SIZE];
    const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
    if (state != NULL && *state != '\0')
        snprintf(path, sizeof(path), "%s/espalier", state);
    else
        snprintf(path, sizeof(path), "%s/.local/state/espalier",
                 home != NULL && *home != '\0' ? home : ".");
    return path;
}

static int copy_path(const char *path, const char *what, struct err *err, char ret[PATH_SIZE]) {
    char *resolved = realpath(path, NULL);
    if (resolved == NULL || strlen(resolved) >= PATH_SIZE - 128) {
        free(resolved);
        return err_set(err, ESP_EINVAL, NULL, "%s %s: %s", what, path,
                       resolved == NULL ? strerror(errno) : "the path is too long");
    }
    snprintf(ret, PATH_SIZE, "%s", resolved);
    free(resolved);
    return 0;
}

/* Roots that are not there are left out: the default names a folder of Debian's. */
static int add_roots(struct daemon *daemon, const char *list, struct err *err) {
    char item[PATH_SIZE];
    while (*list != '\0') {
        size_t len = strcspn(list, ":");
        snprintf(item, sizeof(item), "%.*s", (int)len, list);
        list += len + (list[len] == ':');
        if (len == 0)
            continue;
        if (daemon->n_data_roots == DATA_ROOTS_MAX)
            return err_set(err, ESP_ELIMIT, NULL, "more than %d data roots", DATA_ROOTS_MAX);
        if (copy_path(item, "data root", err, daemon->data_roots[daemon->n_data_roots]) == 0)
            daemon->n_data_roots++;
        else
            log_warn("%s", err->message);
    }
    return 0;
}

static int add_all_roots(struct daemon *daemon, const struct option_list *lists, struct err *err) {
    int r = 0;
    for (int i = 0; i < lists->n && r == 0; i++)
        r = add_roots(daemon, lists->items[i], err);
    return r;
}

static int add_hosts(struct daemon *daemon, const char *list, struct err *err) {
    static char text[2048];
    int n = 0;
    snprintf(text, sizeof(text), "%s", list);
    for (char *item = strtok(text, ","); item != NULL; item = strtok(NULL, ",")) {
        if (n == ALLOWED_HOSTS_MAX)
            return err_set(err, ESP_ELIMIT, NULL, "more than %d names", ALLOWED_HOSTS_MAX);
        daemon->hosts[n++] = item;
    }
    return 0;
}

/* Workers for boards lie beside this program in a build folder, or where they are installed. A
 * folder that is asked for must be there. */
static int find_worker_builds(struct daemon *daemon, const char *asked, struct err *err) {
    char self[PATH_SIZE];
    if (asked != NULL)
        return copy_path(asked, "folder of workers", err, daemon->build_folders[0]);
    program_folder(self, sizeof(self));
    snprintf(daemon->build_folders[0], PATH_SIZE, "%.900s", self);
    snprintf(daemon->build_folders[1], PATH_SIZE, "%.900s/../libexec/espalier", self);
    return 0;
}

/* Beside this program in a build folder, or installed. */
static int find_job_program(const char *asked, struct err *err, char ret[PATH_SIZE]) {
    static const char *const places[] = {"job/espalier-job", "espalier-job",
                                         "../libexec/espalier/espalier-job", NULL};
    if (asked != NULL)
        return copy_path(asked, "job program", err, ret);
    int r = program_find(places, err, ret, PATH_SIZE);
    return r == ESP_ENOTFOUND
               ? err_set(err, r, NULL, "espalier-job was not found: name it by --job-program")
               : r;
}

/* Nobody asked for the one in the data folder, so it may be missing where paths are too long. */
static int choose_socket(struct daemon *daemon, const char *asked, struct err *err) {
    daemon->socket_by_default = strcmp(asked, "default") == 0;
    if (strlen(asked) >= PATH_SIZE)
        return err_set(err, ESP_EINVAL, NULL, "--socket: the path is too long");
    if (daemon->socket_by_default)
        snprintf(daemon->socket_path, PATH_SIZE, "%.1000s/socket", daemon->data_dir);
    else
        snprintf(daemon->socket_path, PATH_SIZE, "%s", strcmp(asked, "none") == 0 ? "" : asked);
    return 0;
}

static int apply_settings(struct daemon *daemon, const struct settings *s, struct err *err) {
    daemon->address = s->listen;
    daemon->port = s->port;
    daemon->tokens_on_loopback = s->tokens_on_loopback;
    daemon->rate = s->rate;
    daemon->local_rate = s->local_rate;
    daemon->insecure_lan = s->insecure_lan;
    daemon->connections_per_address = s->connections_per_address;
    daemon->threads = s->threads > 0 ? (int)s->threads : parallel_cores();
    daemon->job_memory_bytes = s->job_memory > 0 ? s->job_memory : mem_machine_bytes() / 4 * 3;
    daemon->job_file_bytes = s->job_file_size;
    daemon->upload_bytes = s->upload_size;
    daemon->disk_floor_bytes = s->disk_floor;
    daemon->session_us = s->session;
    daemon->retention = s->keep;
    daemon->table_age_us = s->table_age;
    daemon->board_patience_us = s->board_patience;
    daemon->webhook_rules = s->webhooks;
    daemon->webhook_timeout_us = s->webhook_timeout;
    if (s->job_memory > 0 && s->job_memory < JOB_MEMORY_MIN)
        return err_set(err, ESP_EINVAL, NULL, "--job-memory: no job works with less than 64 MiB");
    if (!web_is_loopback_address(s->listen) && !s->insecure_lan && s->tls_cert == NULL)
        return err_set(err, ESP_EINVAL, NULL,
                       "listening on %s would send tokens over the net as plain text: name a "
                       "certificate by --tls-cert and --tls-key, or say --insecure-lan",
                       s->listen);
    if ((s->tls_cert == NULL) != (s->tls_key == NULL))
        return err_set(err, ESP_EINVAL, NULL, "--tls-cert and --tls-key belong together");
    int r = s->tls_cert == NULL ? 0 : web_tls_read(s->tls_cert, s->tls_key, err, &daemon->tls);
    if (r == 0)
        r = file_make_dirs(s->data_dir, err);
    if (r == 0)
        r = copy_path(s->data_dir, "data folder", err, daemon->data_dir);
    if (r == 0)
        r = choose_socket(daemon, s->socket, err);
    if (r == 0)
        r = find_job_program(s->job_program, err, daemon->job_program);
    if (r == 0)
        r = find_worker_builds(daemon, s->worker_builds, err);
    if (r == 0)
        r = add_all_roots(daemon, &s->data_roots, err);
    if (r == 0)
        r = add_roots(daemon, daemon->data_dir, err);
    if (r == 0 && s->allow_hosts != NULL)
        r = add_hosts(daemon, s->allow_hosts, err);
    if (r == 0 && s->webhook_allow != NULL &&
        (r = webhook_ranges_parse(s->webhook_allow, err, &daemon->webhook_ranges)) != 0)
        err_prefix(err, r, "--webhook-allow");
    return r;
}

/* ---- start and end ----------------------------------------------------------------------------
 */

static uv_signal_t signals[2];
static bool stopping;

static void close_all(struct daemon *daemon) {
    daemon_close(daemon);
    for (int i = 0; i < 2; i++)
        if (uv_handle_get_type((uv_handle_t *)&signals[i]) == UV_SIGNAL)
            uv_close((uv_handle_t *)&signals[i], NULL);
}

static void on_signal(uv_signal_t *handle, int number) {
    struct daemon *daemon = handle->data;
    if (stopping) {
        log_warn("stopped at once: running work is lost back to its last checkpoint");
        _exit(1);
    }
    stopping = true;
    log_info("stopping (signal %d)", number);
    daemon_stop(daemon, close_all);
}

static void say_hello(const struct daemon *daemon) {
    log_info("espalierd " ESP_VERSION ": http%s://%s%s%s:%d, data in %s",
             daemon->tls != NULL ? "s" : "", strchr(daemon->address, ':') != NULL ? "[" : "",
             daemon->address, strchr(daemon->address, ':') != NULL ? "]" : "",
             web_port(daemon->web), daemon->data_dir);
    if (daemon->web_socket != NULL)
        log_info("listening on %s as well", daemon->socket_path);
    if (daemon->tls != NULL)
        log_info("clients that pin this daemon's key: --pinned-key %s", daemon->tls->pin);
}

static void watch_signals(struct daemon *daemon) {
    static const int numbers[2] = {SIGTERM, SIGINT};
    for (int i = 0; i < 2; i++) {
        uv_signal_init(&daemon->loop, &signals[i]);
        signals[i].data = daemon;
        uv_signal_start(&signals[i], on_signal, numbers[i]);
    }
}

static int run(struct daemon *daemon, const struct settings *s, struct err *err) {
    char lock_path[PATH_SIZE + 32];
    int lock = -1;
    int r = apply_settings(daemon, s, err);
    if (r != 0)
        return r;
    snprintf(lock_path, sizeof(lock_path), "%s/espalierd.lock", daemon->data_dir);
    r = file_lock(lock_path, err, &lock);
    if (r == ESP_EBUSY)
        return err_set(err, r, NULL, "another espalierd uses %s", daemon->data_dir);
    if (r != 0)
        return r;
    snprintf(lock_path, sizeof(lock_path), "%s/restore.partial", daemon->data_dir);
    if (file_exists(lock_path)) {
        close(lock);
        return err_set(err, ESP_EINVAL, NULL,
                       "the restore of a backup was broken off in %s: run it again, or empty the "
                       "folder",
                       daemon->data_dir);
    }
    daemon->started_us = clock_wall_us();
    uv_loop_init(&daemon->loop);
    watch_signals(daemon);
    r = daemon_start(daemon, err);
    if (r == 0)
        say_hello(daemon);
    else
        close_all(daemon);
    uv_run(&daemon->loop, UV_RUN_DEFAULT);
    uv_loop_close(&daemon->loop);
    daemon_finish(daemon);
    web_tls_destroy(daemon->tls);
    close(lock);
    return r;
}

static int print_routes(void) {
    for (int noun = 0; api_nouns[noun] != NULL; noun++)
        for (const struct api_route *route = api_nouns[noun]; route->method != NULL; route++)
            printf("%s %s%s%s\n", route->method, route->path, route->query != NULL ? " ?" : "",
                   route->query != NULL ? route->query : "");
    return 0;
}

static int print_openapi(void) {
    struct err err = {0};
    char *text = NULL;
    if (openapi_print(&err, &text) != 0) {
        fprintf(stderr, "espalierd: %s\n", err.message);
        return 1;
    }
    puts(text);
    free(text);
    return 0;
}

/* Shells and systemd give 1,024 for the sake of select(), which is not called here. */
static void allow_files(void) {
    struct rlimit limit;
    const rlim_t wanted = CONNECTIONS_MAX + FILES_BESIDE_CONNECTIONS;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= wanted)
        return;
    limit.rlim_cur = limit.rlim_max < wanted ? limit.rlim_max : wanted;
    setrlimit(RLIMIT_NOFILE, &limit);
}

/* What will be no better with the next start (options, half a restore, a newer database) is 2,
 * which packaging/espalierd.service does not try again. */
static int exit_code(const struct err *err) {
    return err->code == ESP_EINVAL || err->code == ESP_ELIMIT || err->code == ESP_EVERSION ? 2 : 1;
}

int main(int argc, char **argv) {
    static struct daemon daemon;
    struct settings s = {.data_dir = NULL};
    struct err err = {0};
    int rest = 0;
    const struct option_row rows[] = {
        {"data-dir", 'd', OPTION_TEXT, NULL, 0, 0, "",
         "where everything is kept (default: ~/.local/state/espalier)", &s.data_dir},
        {"listen", 'l', OPTION_TEXT, "127.0.0.1", 0, 0, "", "address to listen on", &s.listen},
        {"port", 'p', OPTION_INT, "8080", 0, 65535, "",
         "port; 0: any free one, written to port in the data folder", &s.port},
        {"data-root", 'r', OPTION_LIST, "/usr/share", 0, 0, "",
         "folder below which data sets may lie; several times, or with colons between (always: the "
         "data folder)",
         &s.data_roots},
        {"job-program", 0, OPTION_TEXT, NULL, 0, 0, "", "espalier-job (default: the installed one)",
         &s.job_program},
        {"worker-builds", 0, OPTION_TEXT, NULL, 0, 0, "",
         "folder of the workers for boards (default: beside espalierd, or the installed one)",
         &s.worker_builds},
        {"threads", 't', OPTION_INT, "0", 0, 256, "", "threads of a job; 0: one for each core",
         &s.threads},
        {"job-memory", 0, OPTION_SIZE, "0", 0, 1e15, "bytes",
         "memory that a job may take; 0: three quarters of the machine's", &s.job_memory},
        {"job-file-size", 0, OPTION_SIZE, "16GiB", 1 << 20, 1e15, "bytes",
         "size of a file that a job may write", &s.job_file_size},
        {"upload-size", 0, OPTION_SIZE, "20GiB", 1 << 20, 1e15, "bytes",
         "size of a folder that a client may upload", &s.upload_size},
        {"disk-floor", 0, OPTION_SIZE, "1GiB", 0, 1e15, "bytes",
         "of the disk that stay free: below, nothing new is begun and jobs wait; 0: none",
         &s.disk_floor},
        {"session-time", 0, OPTION_DURATION, "7d", 60e6, 3.2e13, "",
         "how long a browser stays signed in", &s.session},
        {"keep-events", 0, OPTION_INT, "20000", 1000, 1e7, "rows",
         "the newest events that are kept", &s.keep.events},
        {"keep-transitions", 0, OPTION_INT, "100000", 1000, 1e8, "rows",
         "the newest steps of state machines that are kept", &s.keep.transitions},
        {"keep-points", 0, OPTION_INT, "20000", 1000, 1e7, "points",
         "of a training curve; of a longer one every second older point goes", &s.keep.points},
        {"keep-samples", 0, OPTION_DURATION, "90d", 86400e6, 3.2e15, "",
         "raw samples of boards that no table, search or calibration uses", &s.keep.samples_us},
        {"keep-evaluations", 0, OPTION_DURATION, "180d", 86400e6, 3.2e15, "",
         "evaluations of networks on no front, not pinned, not exported", &s.keep.evaluations_us},
        {"keep-jobs", 0, OPTION_DURATION, "30d", 3600e6, 3.2e15, "",
         "folders of jobs with their logs, after their end", &s.keep.jobs_us},
        {"keep-deliveries", 0, OPTION_DURATION, "30d", 3600e6, 3.2e15, "",
         "deliveries of webhooks, after their end", &s.keep.deliveries_us},
        {"webhook-allow", 0, OPTION_TEXT, NULL, 0, 0, "",
         "ranges such as 10.1.0.0/16,::1 that webhooks may go to besides public addresses",
         &s.webhook_allow},
        {"webhook-timeout", 0, OPTION_DURATION, "10s", 1e5, 3e8, "",
         "within which a receiver of webhooks must have answered", &s.webhook_timeout},
        {"webhook-retry", 0, OPTION_DURATION, "5s", 1e4, 3.6e9, "",
         "until the second attempt at a delivery; then four times as long each, at most 6 hours",
         &s.webhooks.retry_us},
        {"webhook-attempts", 0, OPTION_INT, "9", 1, WEBHOOK_ATTEMPTS_MAX, "",
         "at a delivery, then it is given up", &s.webhooks.attempts},
        {"table-age", 0, OPTION_DURATION, "90d", 0, 3.2e15, "",
         "from which entries of latency tables are measured again, a few at a time; 0: never",
         &s.table_age},
        {"board-patience", 0, OPTION_DURATION, "15m", 1e6, 3.2e12, "",
         "after which a search that hears from no board goes on without those that owe answers",
         &s.board_patience},
        {"allow-host", 0, OPTION_TEXT, NULL, 0, 0, "",
         "further names that clients may call this daemon by, separated by commas", &s.allow_hosts},
        {"connections-per-address", 0, OPTION_INT, "256", 4, CONNECTIONS_MAX, "",
         "connections that one address may hold", &s.connections_per_address},
        {"socket", 0, OPTION_TEXT, "default", 0, 0, "",
         "file to listen on as well, for its owner alone, who needs no token there; default: that "
         "called socket in the data folder; none",
         &s.socket},
        {"tokens-on-loopback", 0, OPTION_FLAG, NULL, 0, 0, "",
         "a token is needed on this machine too, but for the socket", &s.tokens_on_loopback},
        {"rate-limit", 0, OPTION_REAL, "200", 0, 1e6, "requests/s",
         "of a token, or of an address without one, not of workers; twice as many at once; 0: any",
         &s.rate},
        {"rate-limit-loopback", 0, OPTION_REAL, "0", 0, 1e6, "requests/s",
         "the same on this machine", &s.local_rate},
        {"tls-cert", 0, OPTION_TEXT, NULL, 0, 0, "",
         "PEM file of the certificate, with its chain: HTTPS instead of HTTP", &s.tls_cert},
        {"tls-key", 0, OPTION_TEXT, NULL, 0, 0, "", "PEM file of its private key", &s.tls_key},
        {"insecure-lan", 0, OPTION_FLAG, NULL, 0, 0, "",
         "listen beyond this machine without TLS; every request needs a token then",
         &s.insecure_lan},
        {"verbose", 'v', OPTION_FLAG, NULL, 0, 0, "", "log more", &s.verbose},
        {"routes", 0, OPTION_FLAG, NULL, 0, 0, "",
         "print the routes of the HTTP API with their parameters", &s.routes},
        {"openapi", 0, OPTION_FLAG, NULL, 0, 0, "", "print the HTTP API as an OpenAPI document",
         &s.openapi},
        {"manual", 0, OPTION_FLAG, NULL, 0, 0, "", "print the manual page, for man -l -",
         &s.manual},
        {"version", 'V', OPTION_FLAG, NULL, 0, 0, "", "print the version", &s.version},
        {"help", 'h', OPTION_FLAG, NULL, 0, 0, "", "this text", &s.help},
        {.name = NULL}};
    if (sodium_init() < 0 || options_parse(rows, argc, argv, false, &err, &rest) != 0 ||
        rest < argc) {
        fprintf(stderr, "espalierd: %s; see --help\n",
                err.code != 0 ? err.message : "it takes no arguments");
        return 2;
    }
    if (s.help) {
        fputs(intro, stdout);
        options_print_help(rows);
        return 0;
    }
    if (s.manual) {
        options_print_manual(&manual, rows);
        return 0;
    }
    if (s.version)
        return printf("espalierd " ESP_VERSION "\n") < 0;
    if (s.routes)
        return print_routes();
    if (s.openapi)
        return print_openapi();
    log_set_level(s.verbose ? LOG_DEBUG : LOG_INFO);
    if (s.data_dir == NULL)
        s.data_dir = default_data_dir();
    allow_files();
    if (run(&daemon, &s, &err) != 0) {
        log_error("%s", err.message);
        return exit_code(&err);
    }
    return 0;
}
