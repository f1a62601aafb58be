#include "daemon/cli/target.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "daemon/cli/cli.h"

/* err says what is wrong with it. */
static int refuse(const char *path, struct err *err) {
    err->code = ESP_EIO;
    return err_prefix(err, ESP_EIO, "%s cannot be written", path);
}

static int refuse_because(const char *path, int number, struct err *err) {
    err_set(err, ESP_EIO, NULL, "%s", strerror(number));
    return refuse(path, err);
}

/* Of a stream over a writer. */
static ssize_t put(void *context, const char *data, size_t len) {
    struct target *target = context;
    if (target->err.code || file_writer_put(target->writer, data, len, &target->err))
        return 0;
    return (ssize_t)len;
}

/* /dev/stdout and its like lead to what is open already: whoever has that open would not see a file
 * that takes its place. */
static bool names_open_file(const char *path) {
    struct stat info;
    return (!strncmp(path, "/dev/", 5) || !strncmp(path, "/proc/", 6)) && !lstat(path, &info) &&
           S_ISLNK(info.st_mode);
}

static int begin_straight(struct target *target, struct err *err) {
    target->stream = fopen(target->path, "ae");
    return target->stream ? 0 : refuse_because(target->path, errno, err);
}

/* What a new file may be, as this process is told. */
static mode_t new_mode(void) {
    mode_t mask = umask(0);
    umask(mask);
    return 0666 & ~mask;
}

/* is: the file that is there; NULL: none. */
static int begin_beside(struct target *target, const struct stat *is, struct err *err) {
    if (is && access(target->path, W_OK) != 0)
        return refuse_because(target->path, errno, err);
    char *real = is ? realpath(target->path, NULL) : NULL;
    int rc = file_writer_open(real ? real : target->path, err, &target->writer);
    free(real);
    if (rc)
        return refuse(target->path, err);
    target->mode = is ? is->st_mode & 0777 : new_mode();
    target->stream = fopencookie(target, "w", (cookie_io_functions_t){.write = put});
    if (target->stream)
        return 0;
    file_writer_abort(target->writer);
    return err_set(err, ESP_ENOMEM, NULL, "out of memory");
}

int target_begin(struct target *target, const char *path, struct err *err) {
    struct stat info;

    *target = (struct target){.stream = stdout, .path = path};
    if (!path)
        return 0;
    bool there = stat(path, &info) == 0;
    if ((there && !S_ISREG(info.st_mode)) || names_open_file(path))
        return begin_straight(target, err);
    return begin_beside(target, there ? &info : NULL, err);
}

/* Whether all has got to the writer, or to where it is written straight. */
static int close_stream(struct target *target, struct err *err) {
    int number = cli_stream_error(target->stream);

    if (fclose(target->stream) != 0 && number == 0)
        number = errno;
    if (number == 0)
        return 0;
    return err_set(err, ESP_EIO, NULL, "%s",
                   target->err.code ? target->err.message : strerror(number));
}

int target_end(struct target *target, int rc, struct err *err) {
    struct err wrong = {0};

    if (!target->path)
        return rc;
    int broken = close_stream(target, &wrong);
    if (rc || broken || !target->writer) {
        file_writer_abort(target->writer);
    } else {
        broken = file_writer_commit(target->writer, &wrong);
        if (!broken)
            (void)chmod(target->path, target->mode);
    }
    if (rc || !broken)
        return rc;
    *err = wrong;
    return refuse(target->path, err);
}
