#include "daemon/job/journal.h"

#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FILE_MAX = 256 << 20, SHRINK_BYTES = 256 << 10 };

static const struct json_limits line_limits = {16 << 20, 32, 2000000};

struct pending {
    uint64_t seq;
    char *line;
};

struct journal {
    char *path; /* NULL: in memory only */
    int fd;     /* -1 then, and when the file was lost */
    uint64_t last;
    int64_t ordinal;
    size_t bytes;  /* of the file */
    bool unsynced; /* it has lines that may not be on the disk yet */
    struct pending *items;
    size_t n, capacity;
};

static int no_memory(struct err *err) {
    return err_set(err, ESP_ENOMEM, NULL, "no memory for the job's events");
}

/* Takes line, also on failure. */
static int keep(struct journal *journal, uint64_t seq, char *line) {
    if (line && journal->n == journal->capacity) {
        size_t capacity = journal->capacity ? 2 * journal->capacity : 32;
        struct pending *items = realloc(journal->items, capacity * sizeof *items);
        if (items) {
            journal->items = items;
            journal->capacity = capacity;
        }
    }
    if (!line || journal->n == journal->capacity) {
        free(line);
        return ESP_ENOMEM;
    }
    journal->items[journal->n++] = (struct pending){seq, line};
    journal->last = seq > journal->last ? seq : journal->last;
    return 0;
}

/* A mark line holds numbers only. */
static int read_line(struct journal *journal, const char *line, size_t len, bool *ret_good) {
    cJSON *doc = NULL;
    int64_t seq = 0, ordinal = 0;
    int rc = 0;
    *ret_good = json_parse(line, len, &line_limits, NULL, &doc) == 0 &&
                json_int(doc, "", "seq", 0, INT64_C(1) << 53, NULL, &seq) == 0 &&
                json_int_opt(doc, "", "ordinal", 0, INT64_C(1) << 53, NULL, &ordinal) == 0;
    if (*ret_good && json_has(doc, "kind"))
        rc = keep(journal, (uint64_t)seq, strndup(line, len + 1)); /* with its newline */
    else if (*ret_good && (uint64_t)seq > journal->last)
        journal->last = (uint64_t)seq;
    if (*ret_good && ordinal > journal->ordinal)
        journal->ordinal = ordinal;
    cJSON_Delete(doc);
    return rc;
}

/* Returns the bytes of whole lines in *ret_good: what follows was torn by a crash. */
static int read_lines(struct journal *journal, const char *text, size_t len, size_t *ret_good) {
    size_t at = 0;
    while (at < len) {
        const char *end = memchr(text + at, '\n', len - at);
        bool good = false;
        if (!end)
            break;
        int rc = read_line(journal, text + at, (size_t)(end - text) - at, &good);
        if (rc != 0)
            return rc;
        if (!good)
            break;
        at = (size_t)(end - text) + 1;
    }
    *ret_good = at;
    return 0;
}

static int open_file(struct journal *journal, const char *path, struct err *err) {
    char *text = NULL;
    size_t len = 0;
    journal->fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (journal->fd < 0)
        return err_set(err, errno == ENOSPC ? ESP_ENOSPACE : ESP_EIO, NULL, "cannot open %s: %s",
                       path, strerror(errno));
    int rc = file_read(path, FILE_MAX, err, &text, &len);
    if (rc != 0)
        return rc;
    rc = read_lines(journal, text, len, &journal->bytes);
    free(text);
    if (rc != 0)
        return no_memory(err);
    if (journal->bytes < len && ftruncate(journal->fd, (off_t)journal->bytes) != 0)
        return err_set(err, ESP_EIO, NULL, "cannot shorten %s: %s", path, strerror(errno));
    return 0;
}

int journal_open(const char *path, struct err *err, struct journal **ret_journal) {
    struct journal *journal = mem_array(1, sizeof *journal);
    if (!journal)
        return no_memory(err);
    journal->fd = -1;
    journal->path = path ? mem_strdup(path) : NULL;
    if (path && !journal->path) {
        journal_close(journal);
        return no_memory(err);
    }
    int rc = path ? open_file(journal, path, err) : 0;
    if (rc != 0) {
        journal_close(journal);
        return rc;
    }
    *ret_journal = journal;
    return 0;
}

void journal_close(struct journal *journal) {
    if (!journal)
        return;
    if (journal->fd >= 0)
        close(journal->fd);
    for (size_t i = 0; i < journal->n; i++)
        free(journal->items[i].line);
    free(journal->items);
    free(journal->path);
    free(journal);
}

uint64_t journal_last(const struct journal *journal) {
    return journal->last;
}

int64_t journal_ordinal(const struct journal *journal) {
    return journal->ordinal;
}

/* Half a line, or one that is not known to be on the disk, would be taken for an event by the next
 * attempt. */
static int give_up_text(struct journal *journal, int number, struct err *err) {
    int code = number == ENOSPC || number == EFBIG ? ESP_ENOSPACE : ESP_EIO;
    if (journal->fd >= 0 && ftruncate(journal->fd, (off_t)journal->bytes) != 0)
        code = ESP_EIO;
    return err_set(err, code, NULL, "cannot write the job's events: %s", strerror(number));
}

static int append_text(struct journal *journal, const char *text, bool later, struct err *err) {
    size_t len = strlen(text);
    if (journal->fd < 0)
        return give_up_text(journal, EBADF, err);
    for (size_t done = 0; done < len;) {
        ssize_t n = write(journal->fd, text + done, len - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return give_up_text(journal, errno, err);
        done += (size_t)n;
    }
    if (!later && fdatasync(journal->fd) != 0)
        return give_up_text(journal, errno, err);
    journal->unsynced = later;
    journal->bytes += len;
    return 0;
}

/* Only the numbers are needed when all is acknowledged. A file that cannot be replaced stays. */
static void shrink(struct journal *journal) {
    char mark[96];
    if (journal->fd < 0 || journal->n > 0 || journal->bytes < SHRINK_BYTES)
        return;
    int len = snprintf(mark, sizeof mark, "{\"seq\":%" PRIu64 ",\"ordinal\":%" PRId64 "}\n",
                       journal->last, journal->ordinal);
    if (file_write_atomic(journal->path, mark, (size_t)len, NULL) != 0)
        return;
    close(journal->fd); /* of the old file */
    journal->fd = open(journal->path, O_WRONLY | O_APPEND | O_CLOEXEC);
    journal->bytes = (size_t)len;
}

void journal_acknowledge(struct journal *journal, uint64_t seq) {
    size_t gone = 0;
    while (gone < journal->n && journal->items[gone].seq <= seq)
        free(journal->items[gone++].line);
    if (gone > 0)
        memmove(journal->items, journal->items + gone,
                (journal->n - gone) * sizeof *journal->items);
    journal->n -= gone;
    journal->last = seq > journal->last ? seq : journal->last;
    if (gone > 0)
        shrink(journal);
}

static char *make_line(uint64_t seq, const struct journal_event *event) {
    char *line = NULL, ordinal[48] = "";
    if (event->ordinal > 0)
        snprintf(ordinal, sizeof ordinal, ",\"ordinal\":%" PRId64, event->ordinal);
    return asprintf(&line, "{\"seq\":%" PRIu64 "%s,\"kind\":\"%s\",\"data\":%s}\n", seq, ordinal,
                    event->kind, event->data_text) < 0
               ? NULL
               : line;
}

int journal_append(struct journal *journal, const struct journal_event *event, struct err *err,
                   const char **ret_line) {
    uint64_t seq = journal->last + 1;
    char *line = make_line(seq, event);
    if (!line)
        return no_memory(err);
    int rc = journal->path ? append_text(journal, line, event->later, err) : 0;
    if (rc != 0 && !event->last) {
        free(line);
        return rc;
    }
    if (keep(journal, seq, line) != 0)
        return no_memory(err);
    if (event->ordinal > journal->ordinal)
        journal->ordinal = event->ordinal;
    *ret_line = line;
    return 0;
}

int journal_sync(struct journal *journal, struct err *err) {
    if (!journal->unsynced)
        return 0;
    if (journal->fd < 0 || fdatasync(journal->fd) != 0)
        return give_up_text(journal, journal->fd < 0 ? EBADF : errno, err);
    journal->unsynced = false;
    return 0;
}

const char *journal_pending(const struct journal *journal, size_t i) {
    return i < journal->n ? journal->items[i].line : NULL;
}
