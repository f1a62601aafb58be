#include "daemon/cli/upload.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/memory.h"

enum { DEPTH_MAX = 8, PATH_BYTES = 1025, FULL_PATH = 8192, PIECE_MAX = 1 << 20, TRIES = 3 };

struct upload {
    struct cli *cli;
    const char *root;
    char id[64];
    bool resumed;
    char *piece; /* [PIECE_MAX] */
    int64_t files, bytes, told_us;
};

static void tell(struct upload *upload, bool last) {
    int64_t now = clock_mono_ns() / 1000;
    if (!last && now - upload->told_us < 1000000)
        return;
    upload->told_us = now;
    fprintf(stderr, "%s%lld files, %.1f MB%s", isatty(2) ? "\r" : "", (long long)upload->files,
            (double)upload->bytes / 1e6, isatty(2) && !last ? "" : "\n");
}

/* One exchange with the daemon; what the network lost is tried again. */
static int exchange(struct upload *upload, const struct http_request *request, struct err *err,
                    cJSON **ret_doc) {
    struct http_response response = {0};
    int rc = 0;
    for (int i = 0; i < TRIES; i++) {
        rc = http_client_send(upload->cli->client, request, err, &response);
        if (rc != ESP_EUNREACHABLE && rc != ESP_ETIMEOUT)
            break;
        sleep(1U << i);
    }
    if (rc != 0)
        return rc;
    cJSON *doc = response.body ? cJSON_ParseWithLength(response.body, response.len) : NULL;
    if (response.status >= 400) {
        const char *detail = cJSON_GetStringValue(cJSON_GetObjectItem(doc, "detail"));
        rc = err_set(err, response.status == 409 ? ESP_ECONFLICT : ESP_EIO, NULL, "%s",
                     detail ? detail : "the daemon refused a piece");
        cJSON_Delete(doc);
    } else {
        *ret_doc = doc;
    }
    http_response_finish(&response);
    return rc;
}

static int64_t remote_bytes(struct upload *upload, const char *path) {
    struct err err = {0};
    cJSON *doc = NULL;
    if (cli_get(upload->cli, &err, &doc, "/uploads/%s?path=%s", upload->id, cli_encode(path)) != 0)
        return 0;
    int64_t bytes = (int64_t)cJSON_GetNumberValue(cJSON_GetObjectItem(doc, "file_bytes"));
    cJSON_Delete(doc);
    return bytes;
}

/* A piece that arrived although its answer was lost shows as the size that it leads to. */
static int send_piece(struct upload *upload, const char *path, int64_t offset, size_t len,
                      struct err *err) {
    char where[FULL_PATH];
    cJSON *doc = NULL;
    snprintf(where, sizeof(where), "/api/v1/uploads/%s/pieces?path=%s&offset=%lld", upload->id,
             cli_encode(path), (long long)offset);
    struct http_request request = {.method = "POST",
                                   .path = where,
                                   .body = upload->piece,
                                   .body_len = len,
                                   .content_type = "application/octet-stream",
                                   .timeout_ms = 120000};
    int rc = exchange(upload, &request, err, &doc);
    if (rc == ESP_ECONFLICT && remote_bytes(upload, path) == offset + (int64_t)len)
        rc = 0;
    cJSON_Delete(doc);
    return rc;
}

static int send_open(struct upload *upload, int fd, const char *path, struct err *err) {
    int64_t offset = upload->resumed ? remote_bytes(upload, path) : 0;
    struct stat st;
    if (fstat(fd, &st) == 0 && offset > st.st_size)
        offset = 0;
    bool whole = upload->resumed && offset > 0 && offset == st.st_size;
    upload->bytes += offset;
    while (!whole) {
        ssize_t len = pread(fd, upload->piece, PIECE_MAX, offset);
        if (len < 0)
            return err_set(err, ESP_EIO, NULL, "cannot read %s: %s", path, strerror(errno));
        if (len == 0 && offset > 0)
            break;
        int rc = send_piece(upload, path, offset, (size_t)len, err);
        if (rc != 0)
            return rc;
        offset += len;
        upload->bytes += len;
        tell(upload, false);
        whole = len == 0;
    }
    upload->files++;
    return 0;
}

static int send_folder(struct upload *upload, int fd, const char *path, int depth, struct err *err);

static int send_entry(struct upload *upload, int at, const char *path, const char *name, int depth,
                      struct err *err) {
    struct stat st;
    int rc = 0;
    if (fstatat(at, name, &st, AT_SYMLINK_NOFOLLOW) != 0 ||
        (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode)))
        return 0;
    int fd = openat(at, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return err_set(err, ESP_EIO, NULL, "cannot open %s: %s", path, strerror(errno));
    if (S_ISDIR(st.st_mode))
        return send_folder(upload, fd, path, depth + 1, err);
    rc = send_open(upload, fd, path, err);
    close(fd);
    return rc;
}

static int join(const char *folder, const char *name, char ret[PATH_BYTES], struct err *err) {
    int len = snprintf(ret, PATH_BYTES, "%s%s%s", folder, folder[0] ? "/" : "", name);
    return len < PATH_BYTES ? 0 : err_set(err, ESP_ELIMIT, NULL, "%s: its path is too long", name);
}

/* Takes fd. */
static int send_folder(struct upload *upload, int fd, const char *path, int depth,
                       struct err *err) {
    char below[PATH_BYTES];
    int rc = depth > DEPTH_MAX ? err_set(err, ESP_ELIMIT, NULL, "%s is more than %d folders deep",
                                         path, DEPTH_MAX)
                               : 0;
    DIR *dir = rc == 0 ? fdopendir(fd) : NULL;
    if (!dir)
        close(fd);
    for (struct dirent *entry; rc == 0 && dir && (entry = readdir(dir));)
        if (entry->d_name[0] != '.' && (rc = join(path, entry->d_name, below, err)) == 0)
            rc = send_entry(upload, dirfd(dir), below, entry->d_name, depth, err);
    if (dir)
        closedir(dir);
    return rc;
}

static int begin(struct upload *upload, const char *resume, struct err *err) {
    cJSON *doc = NULL, *body = cJSON_CreateObject();
    int rc = resume ? cli_get(upload->cli, err, &doc, "/uploads/%s", cli_encode(resume))
                    : cli_send(upload->cli, "POST", "/uploads", body, err, &doc);
    cJSON_Delete(body);
    if (rc == 0)
        snprintf(upload->id, sizeof(upload->id), "%s", cli_text(doc, "id"));
    cJSON_Delete(doc);
    return rc;
}

int cli_upload(struct cli *cli, const char *folder, const char *resume, struct err *err,
               char ret_id[64]) {
    struct upload upload = {.cli = cli, .root = folder, .resumed = resume != NULL};
    const char *slash = strrchr(folder, '/');
    struct stat st;
    int fd = open(folder, O_RDONLY | O_NONBLOCK | O_CLOEXEC), rc;
    if (fd >= 0 && (fstat(fd, &st) != 0 || (!S_ISDIR(st.st_mode) && !S_ISREG(st.st_mode)))) {
        close(fd);
        return err_set(err, ESP_EINVAL, NULL, "%s is no folder and no file", folder);
    }
    if (fd < 0)
        return err_set(err, ESP_ENOTFOUND, NULL, "cannot open %s: %s", folder, strerror(errno));
    upload.piece = mem_array(PIECE_MAX, 1);
    rc = upload.piece ? begin(&upload, resume, err)
                      : err_set(err, ESP_ENOMEM, NULL, "out of memory");
    if (rc == 0 && S_ISREG(st.st_mode)) {
        rc = send_open(&upload, fd, slash ? slash + 1 : folder, err);
        close(fd);
    } else if (rc == 0) {
        rc = send_folder(&upload, fd, "", 0, err);
    } else {
        close(fd);
    }
    if (rc != 0 && upload.id[0])
        err_prefix(err, rc, "after %lld files (go on with --upload --resume %s within a day)",
                   (long long)upload.files, upload.id);
    else
        tell(&upload, true);
    free(upload.piece);
    if (rc == 0)
        memcpy(ret_id, upload.id, sizeof(upload.id));
    return rc;
}

int cli_add_source(struct cli *cli, const char *path, bool upload, struct err *err, cJSON *body) {
    char id[64], *whole;
    if (upload) {
        int rc = cli_upload(cli, path, NULL, err, id);
        if (rc == 0)
            cJSON_AddStringToObject(body, "upload", id);
        return rc;
    }
    whole = realpath(path, NULL);
    cJSON_AddStringToObject(body, "path", whole ? whole : path);
    free(whole);
    return 0;
}
