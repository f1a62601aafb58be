#include "daemon/joblog.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"

enum { LOG_MAX = 8 << 20, LOG_KEPT = 1 << 20 };

struct trim {
    uv_work_t work;
    char path[1200];
};

static void keep_tail(int fd, off_t size) {
    static const char note[] = "... (earlier lines were dropped)\n";
    char *tail = malloc(LOG_KEPT);
    if (tail == NULL)
        return;
    ssize_t n = pread(fd, tail, LOG_KEPT, size - LOG_KEPT);
    const char *line = n > 0 ? memchr(tail, '\n', (size_t)n) : NULL;
    if (line != NULL && ftruncate(fd, 0) == 0) {
        ssize_t kept = write(fd, note, sizeof(note) - 1);
        if (kept > 0)
            kept = write(fd, line + 1, (size_t)(tail + n - line - 1));
        (void)kept; /* a full disk shortens the log further */
    }
    free(tail);
}

static void trim(uv_work_t *work) {
    struct trim *t = work->data;
    struct stat info;
    int fd = open(t->path, O_RDWR | O_APPEND | O_CLOEXEC);
    if (fd < 0)
        return;
    if (fstat(fd, &info) == 0 && info.st_size > LOG_MAX)
        keep_tail(fd, info.st_size);
    close(fd);
}

static void trimmed(uv_work_t *work, int status) {
    free(work->data);
}

void joblog_trim(uv_loop_t *loop, const char *dir) {
    struct trim *t = mem_array(1, sizeof(*t));
    if (t == NULL)
        return;
    t->work.data = t;
    snprintf(t->path, sizeof(t->path), "%s/log", dir);
    if (uv_queue_work(loop, &t->work, trim, trimmed) != 0)
        free(t);
}
