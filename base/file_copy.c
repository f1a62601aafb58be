#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/memory.h"

enum { PIECE_BYTES = 256 * 1024 };

/* One piece; 0 at the end. */
static int read_piece(int fd, const char *path, char *piece, struct err *err, size_t *ret_len) {
    ssize_t got;
    do {
        got = read(fd, piece, PIECE_BYTES);
    } while (got < 0 && errno == EINTR);
    if (got < 0)
        return err_set(err, ESP_EIO, NULL, "cannot read %s: %s", path, strerror(errno));
    *ret_len = (size_t)got;
    return 0;
}

/* writer NULL: only hashes. */
static int run_through(int fd, const char *path, struct file_writer *writer, struct err *err,
                       int64_t *ret_bytes, char ret_hash[HASH_TEXT_LONG]) {
    char *piece = mem_array(PIECE_BYTES, 1);
    struct hash hash;
    int64_t bytes = 0;
    size_t len = 1;
    int r = piece == NULL ? err_set(err, ESP_ENOMEM, NULL, "out of memory") : 0;
    hash_init(&hash);
    while (r == 0 && len > 0) {
        r = read_piece(fd, path, piece, err, &len);
        if (r == 0 && len > 0 && writer != NULL)
            r = file_writer_put(writer, piece, len, err);
        if (r == 0)
            hash_update(&hash, piece, len);
        bytes += (int64_t)len;
    }
    free(piece);
    if (r == 0 && ret_bytes != NULL)
        *ret_bytes = bytes;
    if (r == 0 && ret_hash != NULL)
        hash_final(&hash, ret_hash);
    return r;
}

int file_hash(const char *path, struct err *err, int64_t *ret_bytes,
              char ret_hash[HASH_TEXT_LONG]) {
    int fd = -1;
    int r = file_open_regular(path, err, &fd);
    if (r != 0)
        return r;
    r = run_through(fd, path, NULL, err, ret_bytes, ret_hash);
    close(fd);
    return r;
}

int file_copy(const char *from, const char *to, struct err *err, int64_t *ret_bytes,
              char ret_hash[HASH_TEXT_LONG]) {
    struct file_writer *writer = NULL;
    int fd = -1;
    int r = file_open_regular(from, err, &fd);
    if (r != 0)
        return r;
    r = file_writer_open(to, err, &writer);
    if (r == 0)
        r = run_through(fd, from, writer, err, ret_bytes, ret_hash);
    close(fd);
    if (r == 0)
        return file_writer_commit(writer, err);
    file_writer_abort(writer);
    return r;
}

int file_sync_folder(const char *path, struct err *err) {
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int r = fd < 0 || fsync(fd) != 0
                ? err_set(err, ESP_EIO, NULL, "cannot sync %s: %s", path, strerror(errno))
                : 0;
    if (fd >= 0)
        close(fd);
    return r;
}
