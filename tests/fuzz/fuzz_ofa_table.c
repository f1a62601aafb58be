/* Latency tables of once-for-all from hostile bytes: refused with an error, or a table of
 * latencies. */
#include "latency/ofa_table.h"
#include "tests/fuzz/fuzz.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char path[64];
static struct space *space;

static void require(bool ok) {
    if (!ok)
        abort();
}

static void finish(void) {
    unlink(path);
    space_destroy(space);
}

static void start(void) {
    const char *text = space_builtin_text("ofa_mbv3_w12");
    snprintf(path, sizeof path, "%s/espalier-fuzz-XXXXXX",
             access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    int fd = mkstemp(path);
    require(fd >= 0 && text && space_parse(text, strlen(text), NULL, &space) == 0);
    close(fd);
    atexit(finish);
}

int fuzz_one(const uint8_t *data, size_t size) {
    struct latency_table *table;
    struct ofa_table_report report;
    struct err err = {0};
    if (!space)
        start();
    int fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);
    require(fd >= 0 && write(fd, data, size) == (ssize_t)size);
    close(fd);
    if (ofa_table_read(path, space, &err, &report, &table) < 0) {
        require(err.code < 0 && err.message[0]);
        return 0;
    }
    require(table->n == report.entries && report.entries > 0);
    for (int i = 0; i < table->n; i++)
        require(table->entries[i].low_us > 0 &&
                table->entries[i].low_us <= table->entries[i].median_us &&
                table->entries[i].median_us <= table->entries[i].high_us);
    latency_table_destroy(table);
    return 0;
}
