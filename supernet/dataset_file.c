#include "supernet/dataset_format.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/utf8.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

enum { READ_CHUNK = 1 << 24, GZ_BUFFER = 1 << 17, NAMES_BYTES_MAX = 1 << 20 };

static int join_path(struct dataset_file *file, const char *folder, const char *name,
                     const char *suffix) {
    int len = snprintf(file->path, sizeof file->path, "%s/%s%s", folder, name, suffix);
    return len > 0 && (size_t)len < sizeof file->path ? 0 : ESP_ELIMIT;
}

static bool is_file(const char *path) {
    struct stat st;
    return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

/* Leaves the path that exists in file->path, or else the plain one. */
static bool find(struct dataset_file *file, const char *folder, const char *name) {
    if (join_path(file, folder, name, ".gz") == 0 && is_file(file->path))
        return true;
    return join_path(file, folder, name, "") == 0 && is_file(file->path);
}

bool dataset_file_exists(const char *folder, const char *name) {
    struct dataset_file file = {0};
    return find(&file, folder, name);
}

int dataset_file_open(struct dataset_file *file, const char *folder, const char *name,
                      struct err *err) {
    *file = (struct dataset_file){0};
    if (join_path(file, folder, name, ".gz") != 0)
        return err_set(err, ESP_ELIMIT, "/path", "the path of %s is too long", name);
    if (!find(file, folder, name))
        return err_set(err, ESP_ENOTFOUND, "/path", "%s (or %s.gz) is not there", file->path, name);
    struct err why = {0};
    int fd = -1, rc = file_open_regular(file->path, &why, &fd);
    if (rc != 0)
        return err_set(err, rc, "/path", "%s", why.message);
    gzFile gz = gzdopen(fd, "rb");
    if (!gz) {
        close(fd);
        return err_set(err, ESP_ENOMEM, NULL, "no memory to read %s", file->path);
    }
    gzbuffer(gz, GZ_BUFFER);
    file->gz = gz;
    return 0;
}

int dataset_file_read(struct dataset_file *file, void *data, size_t bytes, struct err *err,
                      size_t *ret_read) {
    size_t got = 0;
    while (got < bytes) {
        size_t left = bytes - got;
        unsigned ask = left < READ_CHUNK ? (unsigned)left : READ_CHUNK;
        int n = gzread(file->gz, (char *)data + got, ask);
        int code = Z_OK;
        const char *text = gzerror(file->gz, &code);
        if (n > 0)
            got += (size_t)n;
        if (n < 0 || (code != Z_OK && code != Z_STREAM_END && code != Z_BUF_ERROR))
            return err_set(err, code == Z_ERRNO ? ESP_EIO : ESP_ECORRUPT, "/path",
                           "%s is damaged at byte %llu: %s", file->path,
                           (unsigned long long)(file->position + got), text);
        if (n == 0 || (unsigned)n < ask)
            break;
    }
    file->position += got;
    *ret_read = got;
    return 0;
}

int dataset_file_read_exact(struct dataset_file *file, void *data, size_t bytes, struct err *err) {
    size_t got = 0;
    uint64_t end = file->position + bytes;
    int rc = dataset_file_read(file, data, bytes, err, &got);
    if (rc != 0)
        return rc;
    if (got < bytes)
        return err_set(err, ESP_ECORRUPT, "/path", "%s ends at byte %llu of %llu", file->path,
                       (unsigned long long)file->position, (unsigned long long)end);
    return 0;
}

int dataset_file_expect_end(struct dataset_file *file, struct err *err) {
    char byte;
    size_t got = 0;
    int rc = dataset_file_read(file, &byte, 1, err, &got);
    if (rc == 0 && got > 0)
        rc = err_set(err, ESP_ECORRUPT, "/path", "%s goes on behind byte %llu, where it should end",
                     file->path, (unsigned long long)(file->position - 1));
    return rc;
}

void dataset_file_close(struct dataset_file *file) {
    if (file->gz)
        gzclose(file->gz);
    file->gz = NULL;
}

/* Cuts text into names at the ends of its lines, empty ones left out; false when they are not n. */
static bool cut_lines(char *text, int n, char **ret_names) {
    int found = 0;
    char *rest = NULL;
    for (char *line = strtok_r(text, "\r\n", &rest); line; line = strtok_r(NULL, "\r\n", &rest)) {
        if (found == n || !utf8_valid(line, strlen(line)))
            return false;
        if (!(ret_names[found++] = mem_strdup(line)))
            return false;
    }
    return found == n;
}

char **dataset_read_names(const char *folder, const char *name, int n_classes) {
    struct dataset_file file = {0};
    char *text = NULL;
    size_t len = 0;
    char **names = mem_array((size_t)n_classes, sizeof *names);
    bool good = names && join_path(&file, folder, name, "") == 0 && is_file(file.path) &&
                file_read_regular(file.path, NAMES_BYTES_MAX, NULL, &text, &len) == 0 &&
                strlen(text) == len && cut_lines(text, n_classes, names);
    free(text);
    if (good)
        return names;
    dataset_free_names(names, (size_t)n_classes);
    return NULL;
}
