#include "daemon/cli/manifest.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/json.h"

enum { FORMAT = 1, LINE_MAX_BYTES = 16384 };

static int corrupt(struct err *err, const char *path, const char *what) {
    return err_set(err, ESP_ECORRUPT, NULL, "%s is no whole list of a backup: %s", path, what);
}

struct reader {
    FILE *file;
    const char *path;
    char *line; /* of getline */
    size_t size;
    struct hash hash;
};

/* The next line; *ret_doc NULL at the end. */
static int next_line(struct reader *reader, struct err *err, cJSON **ret_doc) {
    struct json_limits limits = {.bytes = LINE_MAX_BYTES, .depth = 4, .nodes = 32};
    ssize_t len = getline(&reader->line, &reader->size, reader->file);

    *ret_doc = NULL;
    if (len < 0)
        return ferror(reader->file) ? err_set(err, ESP_EIO, NULL, "cannot read %s", reader->path)
                                    : 0;
    if (len > LINE_MAX_BYTES || reader->line[len - 1] != '\n')
        return corrupt(err, reader->path, "a line does not end");
    if (json_parse(reader->line, (size_t)len - 1, &limits, err, ret_doc))
        return corrupt(err, reader->path, "a line is no JSON");
    return 0;
}

static int open_reader(const char *path, struct err *err, struct reader *reader) {
    struct stat info;

    memset(reader, 0, sizeof(*reader));
    reader->path = path;
    hash_init(&reader->hash);
    if (stat(path, &info) || !S_ISREG(info.st_mode) || !(reader->file = fopen(path, "rbe")))
        return err_set(err, errno == ENOENT || errno == ENOTDIR ? ESP_ENOTFOUND : ESP_EIO, NULL,
                       "%s: no list of a backup", path);
    return 0;
}

static void close_reader(struct reader *reader) {
    if (reader->file)
        fclose(reader->file);
    free(reader->line);
}

static int copy_text(const cJSON *doc, const char *key, char *ret, size_t size, struct err *err) {
    const char *text;
    int rc = json_string(doc, "", key, 1, size - 1, err, &text);

    if (!rc)
        snprintf(ret, size, "%s", text);
    return rc;
}

static int read_head(const cJSON *doc, const char *path, struct err *err,
                     struct manifest_head *head) {
    int64_t format = 0;

    if (json_int(doc, "", "format", 0, INT32_MAX, err, &format))
        return corrupt(err, path, "its first line");
    if (format != FORMAT)
        return err_set(err, ESP_EVERSION, NULL, "%s is of form %lld; this program knows form %d",
                       path, (long long)format, FORMAT);
    if (copy_text(doc, "id", head->id, sizeof(head->id), err) ||
        copy_text(doc, "created_at", head->created_at, sizeof(head->created_at), err) ||
        copy_text(doc, "version", head->version, sizeof(head->version), err) ||
        copy_text(doc, "data_dir", head->data_dir, sizeof(head->data_dir), err) ||
        json_int(doc, "", "schema", 1, INT32_MAX, err, &head->schema))
        return corrupt(err, path, "its first line");
    return 0;
}

static int read_file(const cJSON *doc, const char *path, struct err *err,
                     struct manifest_file *file) {
    if (copy_text(doc, "path", file->path, sizeof(file->path), err) ||
        copy_text(doc, "hash", file->hash, sizeof(file->hash), err) ||
        json_int(doc, "", "bytes", 0, INT64_C(1) << 53, err, &file->bytes))
        return corrupt(err, path, "a file's line");
    return file_stays_below(file->path) ? 0 : corrupt(err, path, "a file's path leads elsewhere");
}

/* The last line tells how many files there were, and the hash of all before. */
static int check_end(const cJSON *doc, struct reader *reader, const struct manifest_head *seen,
                     struct err *err) {
    char hash[HASH_TEXT_LONG], want[HASH_TEXT_LONG];
    int64_t files = -1, bytes = -1;

    hash_final(&reader->hash, hash);
    if (json_int(doc, "", "files", 0, INT64_C(1) << 53, err, &files) ||
        json_int(doc, "", "bytes", 0, INT64_C(1) << 53, err, &bytes) ||
        copy_text(doc, "hash", want, sizeof(want), err) || files != seen->files ||
        bytes != seen->bytes || strcmp(hash, want))
        return corrupt(err, reader->path, "lines were changed");
    return fgetc(reader->file) == EOF ? 0 : corrupt(err, reader->path, "there is more behind it");
}

int manifest_check(const char *path, struct err *err, struct manifest_head *ret_head) {
    struct manifest_head head = {.files = 0};
    struct manifest_file file;
    struct reader reader;
    bool first = true, last = false;
    int rc = open_reader(path, err, &reader);

    while (!rc && !last) {
        cJSON *doc = NULL;
        rc = next_line(&reader, err, &doc);
        if (!rc && !doc)
            rc = corrupt(err, path, "its end is missing");
        last = !rc && !first && json_has(doc, "files");
        if (!rc && first)
            rc = read_head(doc, path, err, &head);
        else if (!rc && last)
            rc = check_end(doc, &reader, &head, err);
        else if (!rc && !(rc = read_file(doc, path, err, &file))) {
            head.files++;
            head.bytes += file.bytes;
        }
        if (!rc && !last)
            hash_update(&reader.hash, reader.line, strlen(reader.line));
        first = false;
        cJSON_Delete(doc);
    }
    close_reader(&reader);
    if (!rc)
        *ret_head = head;
    return rc;
}

int manifest_each(const char *path,
                  int (*each)(void *context, const struct manifest_file *file, struct err *err),
                  void *context, struct err *err) {
    struct manifest_file file;
    struct reader reader;
    cJSON *doc = NULL;
    int rc = open_reader(path, err, &reader);

    if (!rc)
        rc = next_line(&reader, err, &doc); /* the head */
    while (!rc && doc) {
        cJSON_Delete(doc);
        rc = next_line(&reader, err, &doc);
        if (rc || !doc || json_has(doc, "files"))
            break;
        rc = read_file(doc, path, err, &file);
        if (!rc)
            rc = each(context, &file, err);
    }
    cJSON_Delete(doc);
    close_reader(&reader);
    return rc;
}

int manifest_has(const char *folder, const struct manifest_file *file, struct err *err) {
    char path[MANIFEST_LONG_PATH], hash[HASH_TEXT_LONG];
    struct stat info;

    snprintf(path, sizeof(path), "%.4096s/%s", folder, file->path);
    if (lstat(path, &info) || !S_ISREG(info.st_mode) || info.st_size != file->bytes)
        return 0;
    int rc = file_hash(path, err, NULL, hash);
    return rc ? rc : !strcmp(hash, file->hash);
}

int manifest_make_parent(const char *folder, const char *relative, struct err *err) {
    char path[MANIFEST_LONG_PATH];

    snprintf(path, sizeof(path), "%.4096s/%s", folder, relative);
    *strrchr(path, '/') = 0;
    return file_make_dirs(path, err);
}
