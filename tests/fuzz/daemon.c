#include "tests/fuzz/daemon.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <sodium.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "daemon/backup_files.h"
#include "daemon/lifecycle.h"
#include "web/web.h"

enum {
    ANSWER_MAX = 4 << 20,
    ANSWER_US = 8000000, /* no answer for so long is a finding */
    STREAM_US = 20000    /* long polls and event streams are left after so long */
};

/* What is set up before the first input is waited for: a lease that is left is given to nobody. */
static int64_t stream_us = ANSWER_US - 1000000;

static struct daemon espalier;
static char folder[64], token[128], lease[64], measurement[64], profile[64], upload[64],
    webhook[64], api_token[128];
static char answer[ANSWER_MAX];

static void require(bool ok, const char *what) {
    if (ok)
        return;
    fprintf(stderr, "%s\n%.2000s\n", what, answer);
    abort();
}

static void remove_folder(void) {
    char command[128];
    snprintf(command, sizeof(command), "rm -rf '%s'", folder);
    if (system(command) != 0)
        fprintf(stderr, "%s is left behind\n", folder);
}

static int dial(void) {
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)web_port(espalier.web)),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    require(fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0, "cannot connect");
    return fd;
}

/* Runs the daemon until it has closed the connection. waits: it may keep it open. */
static size_t hear(int fd, bool waits) {
    size_t len = 0;
    int64_t begin = clock_mono_ns() / 1000;
    for (;;) {
        uv_run(&espalier.loop, UV_RUN_NOWAIT);
        ssize_t n = recv(fd, answer + len, sizeof(answer) - 1 - len, MSG_DONTWAIT);
        if (n > 0)
            len += (size_t)n;
        int64_t waited = clock_mono_ns() / 1000 - begin;
        if (n == 0 || len == sizeof(answer) - 1 || (n < 0 && waits && waited > stream_us))
            break;
        answer[len] = '\0';
        require(waited < ANSWER_US, "no answer");
        if (n < 0)
            usleep(100);
    }
    answer[len] = '\0';
    return len;
}

/* The daemon runs in this thread: what its socket does not take at once waits for it. */
static void say(int fd, const char *bytes, size_t len) {
    for (size_t sent = 0; sent < len;) {
        ssize_t n = send(fd, bytes + sent, len - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n > 0)
            sent += (size_t)n;
        else if (errno != EAGAIN)
            break;
        uv_run(&espalier.loop, UV_RUN_NOWAIT);
    }
}

/* Returns the status, 0 when none came; the answer stays in answer. */
static int ask(const char *line, const char *body, size_t body_len, bool as_worker) {
    struct buf head;
    bool waits = strstr(line, "/lease") != NULL || strstr(line, "/events") != NULL;
    int fd = dial();
    buf_init(&head, 0);
    buf_printf(&head,
               "%s HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/%s\r\nConnection: "
               "close\r\nContent-Length: %zu\r\n%s%s%s\r\n",
               line, strstr(line, "/pieces") != NULL ? "octet-stream" : "json", body_len,
               as_worker ? "Authorization: Bearer " : "", as_worker ? token : "",
               as_worker ? "\r\n" : "");
    buf_append(&head, body, body_len);
    say(fd, head.data, head.len);
    size_t len = hear(fd, waits);
    close(fd);
    buf_finish(&head);
    if (len == 0)
        return 0;
    require(strncmp(answer, "HTTP/1.", 7) == 0, "no HTTP");
    return atoi(answer + 9);
}

/* A member of the last answer's body. */
static void take(const char *path, char *ret, size_t size) {
    const char *body = strstr(answer, "\r\n\r\n");
    cJSON *doc = body != NULL ? cJSON_Parse(body + 4) : NULL;
    const cJSON *item = doc;
    char words[64];
    snprintf(words, sizeof(words), "%s", path);
    for (char *word = strtok(words, "."); word != NULL; word = strtok(NULL, "."))
        item = cJSON_IsArray(item) ? cJSON_GetArrayItem(item, atoi(word))
                                   : cJSON_GetObjectItem(item, word);
    require(cJSON_IsString(item), path);
    snprintf(ret, size, "%s", item->valuestring);
    cJSON_Delete(doc);
}

static void post(const char *line, const char *body, bool as_worker, int status) {
    require(ask(line, body, strlen(body), as_worker) == status, line);
}

/* A board that holds a lease. */
static void enrol(void) {
    char body[1024];
    post("POST /api/v1/tokens", "{\"kind\":\"enrolment\"}", false, 201);
    take("token", token, sizeof(token));
    snprintf(body, sizeof(body),
             "{\"enrolment_token\":\"%s\",\"protocol\":[1],\"machine_id\":\"0123456789\",\"name\":"
             "\"b\",\"worker_version\":\"1\",\"fingerprint\":{},\"profiles\":[{\"runtime\":"
             "\"native\",\"precision\":\"fp32\",\"threads\":1,\"cores\":\"\",\"governor\":\"\","
             "\"fingerprint\":\"f\"}]}",
             token);
    post("POST /api/v1/worker/enrol", body, false, 201);
    take("worker_token", token, sizeof(token));
    take("profiles.0.profile_id", profile, sizeof(profile));
    snprintf(body, sizeof(body),
             "{\"profile\":\"%s\",\"space\":\"fashion_small\",\"archs\":[\"r20 | d1 c16 k3e2 | d1 "
             "c24 k3e2 | d1 c40 k3e2 | d1 c64 k3e2\"]}",
             profile);
    post("POST /api/v1/measurements", body, false, 202);
    post("POST /api/v1/worker/lease", "{\"epoch\":1}", true, 200);
    take("lease_id", lease, sizeof(lease));
    take("items.0.measurement_id", measurement, sizeof(measurement));
    stream_us = STREAM_US;
}

/* A search "s" that has ended, as one on a supernet that nobody trained cannot come to be. */
static void add_search(void) {
    static const char search[] =
        "INSERT INTO searches (id, name, space, space_fingerprint, state, stage, body, "
        "evaluations_done, result, created_us) SELECT 'se_1', 's', space, space_fingerprint, "
        "'done', 'final', '{\"supernet\":\"n\",\"objectives\":[{\"metric\":\"top1\","
        "\"direction\":\"maximise\"},{\"metric\":\"macs\",\"direction\":\"minimise\"}],"
        "\"strategy\":\"nsga2\",\"evaluations\":100,\"population\":16,\"seed\":1}', 100, '{}', 1 "
        "FROM supernets WHERE name = 'n'";
    char path[128];
    sqlite3 *db = NULL;
    snprintf(path, sizeof(path), "%s/" BACKUP_DATABASE, folder);
    require(sqlite3_open(path, &db) == SQLITE_OK && sqlite3_busy_timeout(db, 5000) == SQLITE_OK &&
                sqlite3_exec(db, search, NULL, NULL, NULL) == SQLITE_OK && sqlite3_changes(db) == 1,
            "no search");
    sqlite3_close(db);
}

/* What bodies name: an upload, a person's token, a file below the data root, a supernet "n", a
 * webhook, a search "s". */
static void prepare(void) {
    char path[128], body[256];
    post("POST /api/v1/uploads", "{}", false, 201);
    take("id", upload, sizeof(upload));
    post("POST /api/v1/tokens", "{\"kind\":\"api\",\"scope\":\"read\"}", false, 201);
    take("token", api_token, sizeof(api_token));
    snprintf(path, sizeof(path), "%s/table.csv", folder);
    FILE *file = fopen(path, "w");
    require(file != NULL && fputs("a,b\n1,2\n", file) >= 0 && fclose(file) == 0, "no file");
    snprintf(body, sizeof(body), "{\"name\":\"n\",\"space\":\"fashion_small\",\"path\":\"%s\"}",
             path);
    post("POST /api/v1/imports", body, false, 202);
    post("POST /api/v1/webhooks", "{\"url\":\"https://hook.invalid/x\"}", false, 201);
    take("id", webhook, sizeof(webhook));
    add_search();
}

static void start(void) {
    struct err err = {0};
    strcpy(folder, "/tmp/espalier-fuzz-XXXXXX");
    require(sodium_init() >= 0 && mkdtemp(folder) != NULL, "no folder");
    atexit(remove_folder);
    log_set_level(LOG_NOTHING);
    snprintf(espalier.data_dir, sizeof(espalier.data_dir), "%s", folder);
    snprintf(espalier.data_roots[espalier.n_data_roots++], PATH_SIZE, "%s", folder);
    strcpy(espalier.job_program, "/bin/false");
    espalier.address = "127.0.0.1";
    espalier.connections_per_address = 1000;
    espalier.threads = 1;
    espalier.upload_bytes = 1 << 20;
    espalier.session_us = INT64_C(3600) * 1000000;
    espalier.retention = retention_default;
    uv_loop_init(&espalier.loop);
    if (daemon_start(&espalier, &err) != 0)
        require(false, err.message);
    prepare();
    enrol();
}

/* Puts the ids of this process where the input names them. */
static void fill(struct buf *out, const char *text, size_t len) {
    static const struct {
        const char *word, *value;
    } words[] = {{"PROFILE_ID", profile}, {"LEASE_ID", lease},      {"MEASUREMENT_ID", measurement},
                 {"UPLOAD_ID", upload},   {"API_TOKEN", api_token}, {"DATA_DIR", folder},
                 {"WEBHOOK_ID", webhook}};
    for (size_t i = 0; i < len;) {
        size_t taken = 1;
        const char *value = NULL;
        for (size_t w = 0; w < sizeof(words) / sizeof(*words); w++) {
            size_t n = strlen(words[w].word);
            if (i + n <= len && memcmp(text + i, words[w].word, n) == 0) {
                value = words[w].value;
                taken = n;
            }
        }
        if (value != NULL)
            buf_puts(out, value);
        else
            buf_append(out, text + i, 1);
        i += taken;
    }
}

static bool is_plain(const char *line) {
    for (; *line != '\0'; line++)
        if ((unsigned char)*line < 0x20 || (unsigned char)*line > 0x7e)
            return false;
    return true;
}

void daemon_fuzz(const uint8_t *data, size_t size, int as_worker) {
    struct buf line, body;
    if (folder[0] == '\0')
        start();
    const uint8_t *end = size > 0 ? memchr(data, '\n', size) : NULL;
    if (end == NULL || end - data > 2000)
        return;
    buf_init(&line, 0);
    buf_init(&body, 0);
    fill(&line, (const char *)data, (size_t)(end - data));
    fill(&body, (const char *)end + 1, size - (size_t)(end - data) - 1);
    if (line.data != NULL && is_plain(line.data)) {
        int status = ask(line.data, body.data != NULL ? body.data : "", body.len, as_worker != 0);
        require(status != 500, "the daemon failed");
    }
    buf_finish(&line);
    buf_finish(&body);
}

void daemon_fuzz_raw(const uint8_t *data, size_t size) {
    if (folder[0] == '\0')
        start();
    int fd = dial();
    say(fd, (const char *)data, size);
    shutdown(fd, SHUT_WR);
    size_t len = hear(fd, true);
    close(fd);
    require(len == 0 || strncmp(answer, "HTTP/1.", 7) == 0, "no HTTP");
    require(len == 0 || strncmp(answer + 8, " 500 ", 5) != 0, "the daemon failed");
}
