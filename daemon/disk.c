#include "daemon/disk.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

#include "base/log.h"
#include "base/memory.h"
#include "daemon/scheduler.h"
#include "daemon/store.h"

enum { LOOK_MS = 2000 };

/* Each may be a mount of its own, or a link to another disk. */
static const char *const folders[] = {"",      "/supernets", "/datasets", "/models", "/uploads",
                                      "/jobs", "/exports",   "/backups",  NULL};

struct disk {
    struct daemon *daemon;
    uv_timer_t timer;
    uv_work_t work;
    double free_bytes, seen_bytes; /* loop's thread; the pool's while it looks */
    bool looking, look_again, low, closing, closed;
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
    return err_set(err, ESP_ENOSPACE, NULL,
                   "the daemon's disk is too full to begin anything new: %.4g GB are free, %.4g GB "
                   "are to stay free (espalierd --disk-floor); espalier prune --dry-run shows what "
                   "could go",
                   free_bytes / 1e9, floor_bytes / 1e9);
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

static void free_when_closed(struct disk *disk) {
    if (disk->closed && !disk->looking)
        free(disk);
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
    if (disk->closing) {
        free_when_closed(disk);
        return;
    }
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

static void on_timer(uv_timer_t *timer) {
    disk_look(timer->data);
}

int disk_create(struct daemon *daemon, struct err *err, struct disk **ret_disk) {
    struct disk *disk = mem_array(1, sizeof(*disk));
    if (disk == NULL)
        return err_set(err, ESP_ENOMEM, NULL, "out of memory");
    disk->daemon = daemon;
    disk->seen_bytes = disk_free_now(daemon->data_dir); /* nothing waits for the loop yet */
    take_look(disk);
    uv_timer_init(&daemon->loop, &disk->timer);
    disk->timer.data = disk;
    uv_timer_start(&disk->timer, on_timer, LOOK_MS, LOOK_MS);
    *ret_disk = disk;
    return 0;
}

static void on_closed(uv_handle_t *handle) {
    struct disk *disk = handle->data;
    disk->closed = true;
    free_when_closed(disk);
}

void disk_destroy(struct disk *disk) {
    if (disk == NULL)
        return;
    disk->closing = true;
    uv_close((uv_handle_t *)&disk->timer, on_closed);
}
