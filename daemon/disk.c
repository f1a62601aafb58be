#include "daemon/disk.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "daemon/disk_usage.h"
#include "daemon/scheduler.h"
#include "daemon/store.h"

enum { LOOK_MS = 2000, REST_MS = 60000 };

/* Each may be a mount of its own, or a link to another disk. */
static const char *const folders[] = {"",      "/supernets", "/datasets", "/models", "/uploads",
                                      "/jobs", "/exports",   "/backups",  NULL};

struct disk {
    struct daemon *daemon;
    uv_timer_t timer;
    uv_work_t work, measuring_work;
    double free_bytes, seen_bytes; /* loop's thread; the pool's while it looks */
    bool looking, look_again, low, closing;
    bool measuring, measure_again;
    uint64_t due_ms; /* on the loop's clock: when it is measured next */
    atomic_bool stop;
    double found[DISK_KINDS]; /* the pool's while it measures */
    uint64_t took_ms;
    pthread_mutex_t mutex; /* of all below */
    double used[DISK_KINDS];
    int64_t measured_us; /* wall clock; 0: not yet */
};

double disk_free_now(const char *data_dir) {
    double least = (double)NAN;
    for (int i = 0; folders[i] != NULL; i++) {
        char path[PATH_SIZE + 32];
        struct statvfs info;
        snprintf(path, sizeof(path), "%s%s", data_dir, folders[i]);
        if (statvfs(path, &info) == 0)
            least = fmin(least, (double)info.f_bavail * (double)info.f_frsize); /* of a number */
    }
    return least;
}

int disk_check_room(const struct daemon *daemon, int64_t bytes, struct err *err) {
    double floor_bytes = (double)daemon->disk_floor_bytes;
    double free_bytes = floor_bytes > 0 ? disk_free_now(daemon->data_dir) : (double)NAN;
    if (isnan(free_bytes) || free_bytes - (double)bytes >= floor_bytes)
        return 0;
    char free_text[DISK_BYTES_TEXT], floor_text[DISK_BYTES_TEXT];
    return err_set(err, ESP_ENOSPACE, NULL,
                   "the daemon's disk is too full to begin anything new: %s are free, %s are to "
                   "stay free (espalierd --disk-floor); espalier prune --dry-run shows what could "
                   "go",
                   disk_bytes_text(free_bytes, free_text),
                   disk_bytes_text(floor_bytes, floor_text));
}

bool disk_is_low(const struct disk *disk) {
    return disk != NULL && disk->low;
}

double disk_free_bytes(const struct disk *disk) {
    return disk != NULL ? disk->free_bytes : (double)NAN;
}

static void run_look(uv_work_t *work) {
    struct disk *disk = work->data;
    disk->seen_bytes = disk_free_now(disk->daemon->data_dir);
}

static void take_look(struct disk *disk) {
    bool low = disk->seen_bytes < (double)disk->daemon->disk_floor_bytes;
    disk->free_bytes = disk->seen_bytes;
    if (low == disk->low)
        return;
    disk->low = low;
    if (low)
        log_warn("%.4g GB of the disk are free, less than --disk-floor: nothing new is begun",
                 disk->free_bytes / 1e9);
    else
        log_info("%.4g GB of the disk are free again: what waits goes on", disk->free_bytes / 1e9);
    if (!low && disk->daemon->scheduler != NULL)
        scheduler_wake(disk->daemon->scheduler, STORE_WAKE_SCHEDULER);
}

static void look_done(uv_work_t *work, int status) {
    struct disk *disk = work->data;
    disk->looking = false;
    if (disk->closing)
        return;
    if (status == 0)
        take_look(disk);
    if (disk->look_again)
        disk_look(disk);
}

void disk_look(struct disk *disk) {
    if (disk == NULL || disk->closing)
        return;
    disk->look_again = disk->looking;
    if (disk->looking)
        return;
    disk->looking = true;
    disk->work.data = disk;
    uv_queue_work(&disk->daemon->loop, &disk->work, run_look, look_done);
}

/* ---- what is used -----------------------------------------------------------------------------
 */

static void run_measure(uv_work_t *work) {
    struct disk *disk = work->data;
    uint64_t begun_ns = uv_hrtime();
    disk_usage_measure(disk->daemon->data_dir, &disk->stop, disk->found);
    disk->took_ms = (uv_hrtime() - begun_ns) / 1000000;
}

static void measure_done(uv_work_t *work, int status) {
    struct disk *disk = work->data;
    disk->measuring = false;
    if (disk->closing || status != 0)
        return;
    pthread_mutex_lock(&disk->mutex);
    memcpy(disk->used, disk->found, sizeof(disk->used));
    disk->measured_us = clock_wall_us();
    pthread_mutex_unlock(&disk->mutex);
    uint64_t rest_ms = 100 * disk->took_ms;
    disk->due_ms = uv_now(&disk->daemon->loop) + (rest_ms > REST_MS ? rest_ms : REST_MS);
    if (disk->measure_again)
        disk_measure(disk);
}

void disk_measure(struct disk *disk) {
    if (disk == NULL || disk->closing)
        return;
    disk->measure_again = disk->measuring;
    if (disk->measuring)
        return;
    disk->measuring = true;
    disk->measuring_work.data = disk;
    uv_queue_work(&disk->daemon->loop, &disk->measuring_work, run_measure, measure_done);
}

/* Returns the sum; NaN: not measured yet. */
static double copy_usage(struct disk *disk, double ret_used[DISK_KINDS], int64_t *ret_at_us) {
    double sum = 0;
    pthread_mutex_lock(&disk->mutex);
    memcpy(ret_used, disk->used, sizeof(disk->used));
    *ret_at_us = disk->measured_us;
    pthread_mutex_unlock(&disk->mutex);
    for (int i = 0; i < DISK_KINDS; i++)
        sum += ret_used[i];
    return *ret_at_us != 0 ? sum : (double)NAN;
}

cJSON *disk_usage_describe(struct disk *disk) {
    double used[DISK_KINDS];
    int64_t at_us;
    char at[40];
    double sum = copy_usage(disk, used, &at_us);
    cJSON *doc = cJSON_CreateObject();
    clock_format_utc(at_us, at, sizeof(at));
    cJSON_AddItemToObject(doc, "measured_at",
                          at_us != 0 ? cJSON_CreateString(at) : cJSON_CreateNull());
    cJSON_AddNumberToObject(doc, "bytes", sum); /* NaN is null */
    cJSON *kinds = cJSON_AddArrayToObject(doc, "kinds");
    for (int i = 0; i < DISK_KINDS && at_us != 0; i++) {
        cJSON *kind = cJSON_CreateObject();
        cJSON_AddStringToObject(kind, "kind", disk_kind_names[i]);
        cJSON_AddNumberToObject(kind, "bytes", used[i]);
        cJSON_AddItemToArray(kinds, kind);
    }
    return doc;
}

const char *disk_bytes_text(double bytes, char ret[DISK_BYTES_TEXT]) {
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB"};
    int i = 0;
    for (; bytes >= 999.5 && i < 4; i++)
        bytes /= 1000;
    snprintf(ret, DISK_BYTES_TEXT, "%.3g %s", bytes, units[i]);
    return ret;
}

void disk_usage_words(struct disk *disk, char *ret, size_t size) {
    enum { NAMED = 3 };
    double used[DISK_KINDS];
    int64_t at_us;
    double sum = copy_usage(disk, used, &at_us);
    ret[0] = '\0';
    if (at_us == 0)
        return;
    char bytes[DISK_BYTES_TEXT];
    snprintf(ret, size, "%s used", disk_bytes_text(sum, bytes));
    for (int n = 0; n < NAMED; n++) {
        int most = 0;
        for (int i = 1; i < DISK_KINDS; i++)
            most = used[i] > used[most] ? i : most;
        size_t len = strlen(ret);
        snprintf(ret + len, size - len, "%s %s %s", n == 0 ? ":" : ",", disk_kind_names[most],
                 disk_bytes_text(used[most], bytes));
        used[most] = -1;
    }
}

static void on_timer(uv_timer_t *timer) {
    struct disk *disk = timer->data;
    disk_look(disk);
    if (!disk->measuring && uv_now(timer->loop) >= disk->due_ms)
        disk_measure(disk);
}

int disk_create(struct daemon *daemon, struct err *err, struct disk **ret_disk) {
    struct disk *disk = mem_array(1, sizeof(*disk));
    if (disk == NULL)
        return err_set(err, ESP_ENOMEM, NULL, "out of memory");
    disk->daemon = daemon;
    disk->seen_bytes = disk_free_now(daemon->data_dir); /* nothing waits for the loop yet */
    take_look(disk);
    pthread_mutex_init(&disk->mutex, NULL);
    disk_measure(disk);
    uv_timer_init(&daemon->loop, &disk->timer);
    disk->timer.data = disk;
    uv_timer_start(&disk->timer, on_timer, LOOK_MS, LOOK_MS);
    *ret_disk = disk;
    return 0;
}

void disk_close(struct disk *disk) {
    if (disk == NULL)
        return;
    disk->closing = true;
    atomic_store(&disk->stop, true);
    uv_close((uv_handle_t *)&disk->timer, NULL);
}

void disk_destroy(struct disk *disk) {
    if (disk == NULL)
        return;
    pthread_mutex_destroy(&disk->mutex);
    free(disk);
}
