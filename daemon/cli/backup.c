/* espalier backup: fetches a backup of a running daemon into a folder. What is being fetched lies
 * in FOLDER.partial; FOLDER is there when all of it is. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "daemon/cli/commands.h"
#include "daemon/cli/manifest.h"

enum { POLL_MS = 200 };

struct fetch {
    struct cli *cli;
    const char *target;
    char partial[MANIFEST_LONG_PATH]; /* TARGET.partial */
    char files[MANIFEST_LONG_PATH];   /* the folder in it that becomes TARGET */
    char older[MANIFEST_LONG_PATH];   /* what an earlier try fetched of another backup; "" */
    char id[64];
    struct manifest_head head;
    int64_t done, fetched, shown_us;
};

/* ---- one file ---------------------------------------------------------------------------------
 */

struct sink {
    struct file_writer *writer;
    struct hash hash;
    int64_t bytes;
    struct err err;
};

static int on_data(void *context, const char *data, size_t len) {
    struct sink *sink = context;

    hash_update(&sink->hash, data, len);
    sink->bytes += (int64_t)len;
    return file_writer_put(sink->writer, data, len, &sink->err);
}

/* file NULL: whatever comes (the manifest, which has a hash of its own). */
static int download(struct fetch *fetch, const char *url, const char *path,
                    const struct manifest_file *file, struct err *err) {
    struct sink sink = {.bytes = 0};
    struct http_response response = {0};
    struct http_request request = {
        .method = "GET", .path = url, .on_data = on_data, .context = &sink};
    char hash[HASH_TEXT_LONG];

    hash_init(&sink.hash);
    int rc = file_writer_open(path, err, &sink.writer);
    if (rc)
        return rc;
    rc = http_client_send(fetch->cli->client, &request, err, &response);
    if (rc && sink.err.code)
        rc = err_set(err, sink.err.code, NULL, "%s", sink.err.message);
    if (!rc && response.status != 200)
        rc = err_set(err, ESP_ENOTFOUND, NULL, "the daemon has no backup %s any more (status %d)",
                     fetch->id, response.status);
    http_response_finish(&response);
    hash_final(&sink.hash, hash);
    if (!rc && file && (sink.bytes != file->bytes || strcmp(hash, file->hash)))
        rc = err_set(err, ESP_ECORRUPT, NULL, "%s came otherwise than it was listed", file->path);
    if (!rc)
        return file_writer_commit(sink.writer, err);
    file_writer_abort(sink.writer);
    return rc;
}

static void show(struct fetch *fetch, bool last) {
    int64_t now = clock_mono_ns() / 1000;

    if (!isatty(STDERR_FILENO) || (!last && now - fetch->shown_us < 200000))
        return;
    fetch->shown_us = now;
    fprintf(stderr, "\r%.1f of %.1f MB%s", (double)fetch->done / 1e6,
            (double)fetch->head.bytes / 1e6, last ? "\n" : "");
}

/* Is there already, or was there in an earlier try, or is fetched. */
static int get_file(void *context, const struct manifest_file *file, struct err *err) {
    struct fetch *fetch = context;
    char path[MANIFEST_LONG_PATH], old[MANIFEST_LONG_PATH], url[MANIFEST_LONG_PATH];

    show(fetch, false);
    fetch->done += file->bytes;
    int has = manifest_has(fetch->files, file, err);
    if (has)
        return has < 0 ? has : 0;
    int rc = manifest_make_parent(fetch->files, file->path, err);
    if (rc)
        return rc;
    snprintf(path, sizeof(path), "%.4096s/%s", fetch->files, file->path);
    has = fetch->older[0] ? manifest_has(fetch->older, file, err) : 0;
    if (has < 0)
        return has;
    snprintf(old, sizeof(old), "%.4096s/%s", fetch->older, file->path);
    if (has && !rename(old, path))
        return 0;
    snprintf(url, sizeof(url), "/api/v1/backups/%s/file?path=%s", fetch->id,
             cli_encode(file->path));
    fetch->fetched += file->bytes;
    return download(fetch, url, path, file, err);
}

/* ---- the daemon's part ------------------------------------------------------------------------
 */

static int wait_until_ready(struct fetch *fetch, struct err *err) {
    for (;;) {
        cJSON *doc = NULL;
        int rc = cli_get_patiently(fetch->cli, err, &doc, "/backups/%s", fetch->id);
        if (rc)
            return rc;
        bool ready = !strcmp(cli_text(doc, "state"), "ready");
        if (!strcmp(cli_text(doc, "state"), "failed"))
            rc = err_set(err, err_code(cli_text(doc, "error.code")), NULL, "%s",
                         cli_text(doc, "error.message"));
        cJSON_Delete(doc);
        if (rc || ready)
            return rc;
        usleep(POLL_MS * 1000);
    }
}

static int begin(struct fetch *fetch, struct err *err) {
    cJSON *doc = NULL, *body = cJSON_CreateObject();
    int rc = cli_send(fetch->cli, "POST", "/backups", body, err, &doc);

    cJSON_Delete(body);
    if (!rc)
        snprintf(fetch->id, sizeof(fetch->id), "%s", cli_text(doc, "id"));
    cJSON_Delete(doc);
    return rc ? rc : wait_until_ready(fetch, err);
}

/* A try that was broken off goes on where the daemon still has that backup. */
static int take_up(struct fetch *fetch, struct err *err) {
    char path[MANIFEST_LONG_PATH], moved[MANIFEST_LONG_PATH];
    struct err ignored = {0};

    snprintf(fetch->files, sizeof(fetch->files), "%.4096s/files", fetch->partial);
    snprintf(moved, sizeof(moved), "%.4096s/older", fetch->partial);
    snprintf(path, sizeof(path), "%.4096s/" MANIFEST_NAME, fetch->files);
    if (!manifest_check(path, &ignored, &fetch->head)) {
        snprintf(fetch->id, sizeof(fetch->id), "%s", fetch->head.id);
        if (!wait_until_ready(fetch, &ignored))
            return 0;
    }
    if (file_exists(fetch->files) && !file_exists(moved) && rename(fetch->files, moved))
        return err_set(err, ESP_EIO, NULL, "cannot rename %s", fetch->files);
    snprintf(fetch->older, sizeof(fetch->older), "%.4096s", file_exists(moved) ? moved : "");
    int rc = file_remove_tree(fetch->files, err);
    if (!rc)
        rc = file_make_dirs(fetch->files, err);
    if (!rc)
        rc = begin(fetch, err);
    return rc;
}

static int get_manifest(struct fetch *fetch, struct err *err) {
    char path[MANIFEST_LONG_PATH], url[256];

    snprintf(path, sizeof(path), "%.4096s/" MANIFEST_NAME, fetch->files);
    snprintf(url, sizeof(url), "/api/v1/backups/%.60s/file", fetch->id);
    if (file_exists(path))
        return manifest_check(path, err, &fetch->head);
    int rc = download(fetch, url, path, NULL, err);
    return rc ? rc : manifest_check(path, err, &fetch->head);
}

static int sync_parent(const char *path, struct err *err) {
    char folder[MANIFEST_LONG_PATH];

    snprintf(folder, sizeof(folder), "%.4096s", path);
    char *slash = strrchr(folder, '/');
    if (slash)
        slash[slash == folder] = 0;
    return file_sync_folder(slash ? folder : ".", err);
}

/* Under a lock on the folder of what is being fetched. */
static int fetch_all(struct fetch *fetch, struct err *err) {
    char manifest[MANIFEST_LONG_PATH], path[256];
    int rc = take_up(fetch, err);

    if (!rc)
        rc = get_manifest(fetch, err);
    snprintf(manifest, sizeof(manifest), "%.4096s/" MANIFEST_NAME, fetch->files);
    if (!rc)
        rc = manifest_each(manifest, get_file, fetch, err);
    if (!rc)
        show(fetch, true);
    if (!rc && rename(fetch->files, fetch->target))
        rc = err_set(err, errno == ENOTEMPTY || errno == EEXIST ? ESP_ECONFLICT : ESP_EIO, NULL,
                     "cannot make %s: %s", fetch->target, strerror(errno));
    if (!rc)
        rc = sync_parent(fetch->target, err);
    if (rc)
        return rc;
    file_remove_tree(fetch->partial, NULL);
    snprintf(path, sizeof(path), "/backups/%.60s", fetch->id);
    struct err ignored = {0}; /* the daemon removes it by itself after two days */
    cli_send(fetch->cli, "DELETE", path, NULL, &ignored, NULL);
    return 0;
}

static void print_done(struct fetch *fetch) {
    cJSON *doc = cJSON_CreateObject();

    cJSON_AddStringToObject(doc, "id", fetch->id);
    cJSON_AddStringToObject(doc, "path", fetch->target);
    cJSON_AddStringToObject(doc, "created_at", fetch->head.created_at);
    cJSON_AddNumberToObject(doc, "schema", (double)fetch->head.schema);
    cJSON_AddNumberToObject(doc, "files", (double)fetch->head.files);
    cJSON_AddNumberToObject(doc, "bytes", (double)fetch->head.bytes);
    cJSON_AddNumberToObject(doc, "fetched_bytes", (double)fetch->fetched);
    if (!cli_print_plain(fetch->cli, doc))
        printf("%s: %lld files, %.1f MB, as of %s\n", fetch->target, (long long)fetch->head.files,
               (double)fetch->head.bytes / 1e6, fetch->head.created_at);
    cJSON_Delete(doc);
}

static int run(struct cli *cli, int argc, char **argv) {
    const struct option_row rows[] = {CLI_COMMON_ROWS(cli)};
    struct fetch *fetch = NULL;
    struct err err = {0};
    char lock[MANIFEST_LONG_PATH];
    int first = 0, fd = -1,
        code = cli_start(cli, rows, argc, argv, (struct cli_words){1, 1}, &first);

    if (code >= 0)
        return code;
    size_t len = strlen(argv[first]);
    while (len > 1 && argv[first][len - 1] == '/')
        argv[first][--len] = 0;
    if (len > 4000)
        return cli_usage("the folder's path is too long");
    if (file_exists(argv[first])) {
        err_set(&err, ESP_ECONFLICT, NULL, "%s is there already", argv[first]);
        return cli_fail(&err);
    }
    if (!(fetch = calloc(1, sizeof(*fetch))))
        return CLI_FAILURE;
    fetch->cli = cli;
    fetch->target = argv[first];
    snprintf(fetch->partial, sizeof(fetch->partial), "%.4096s.partial", argv[first]);
    snprintf(lock, sizeof(lock), "%.4096s/lock", fetch->partial);
    int rc = file_make_dirs(fetch->partial, &err);
    if (!rc && (rc = file_lock(lock, &err, &fd)) == ESP_EBUSY)
        err_set(&err, ESP_ECONFLICT, NULL, "another backup goes to %s just now", argv[first]);
    if (!rc)
        rc = fetch_all(fetch, &err);
    code = rc ? cli_fail(&err) : CLI_OK;
    if (!rc)
        print_done(fetch);
    if (fd >= 0)
        close(fd);
    free(fetch);
    return code;
}

const struct cli_command cli_backup = {"backup", NULL, "FOLDER",
                                       "copy everything that the running daemon has", run};
