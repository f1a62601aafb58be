#include "supernet/checkpoint_store.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { STEPS_MAX = 4096 };

static const char best_name[] = "best.ckpt";

void checkpoint_store_name(uint64_t step, char ret_name[64]) {
    snprintf(ret_name, 64, "step-%09" PRIu64 ".ckpt", step);
}

static void path_of(const char *dir, uint64_t step, char ret_path[1024]) {
    char name[64];
    checkpoint_store_name(step, name);
    snprintf(ret_path, 1024, "%s/%s", dir, name);
}

static bool step_of(const char *name, uint64_t *ret_step) {
    char expected[64];
    if (sscanf(name, "step-%" SCNu64, ret_step) != 1)
        return false;
    checkpoint_store_name(*ret_step, expected);
    return strcmp(name, expected) == 0;
}

static int descending(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x < y) - (x > y);
}

/* Steps of the checkpoints in the folder, newest first; their number. */
static int list_steps(const char *dir, uint64_t ret_steps[STEPS_MAX]) {
    DIR *handle = opendir(dir);
    int n = 0;
    if (!handle)
        return 0;
    for (struct dirent *entry; n < STEPS_MAX && (entry = readdir(handle));)
        n += step_of(entry->d_name, &ret_steps[n]);
    closedir(handle);
    qsort(ret_steps, (size_t)n, sizeof *ret_steps, descending);
    return n;
}

static bool is_regular(const struct checkpoint_store *store, uint64_t step) {
    return step >= store->first && (step - store->first) % store->interval == 0;
}

/* All but the newest of up to a step, so many regular ones, and that of another step; how many are
 * gone. Later ones are of a course that was given up: damaged, or gone back from. */
static int prune(const struct checkpoint_store *store, uint64_t step, int keep, uint64_t other) {
    uint64_t steps[STEPS_MAX];
    int n = list_steps(store->dir, steps), regular = 0, gone = 0;
    bool newest = true;
    for (int i = 0; i < n; i++) {
        bool counts = steps[i] <= step && is_regular(store, steps[i]);
        bool first = steps[i] <= step && newest;
        regular += counts;
        newest &= !first;
        if (first || steps[i] == other || (counts && regular <= keep))
            continue;
        char path[1024];
        path_of(store->dir, steps[i], path);
        gone += unlink(path) == 0;
    }
    return gone;
}

int checkpoint_store_save(const struct checkpoint_store *store, uint64_t step,
                          const struct supernet *supernet, const struct checkpoint_notes *notes,
                          struct err *err, struct checkpoint_summary *ret_summary) {
    char path[1024];
    path_of(store->dir, step, path);
    struct err failure = {0};
    int rc = checkpoint_write(path, supernet, notes, &failure, ret_summary);
    if (rc == ESP_ENOSPACE && prune(store, step, 1, store->standing) > 0)
        rc = checkpoint_write(path, supernet, notes, &failure, ret_summary);
    if (rc != 0)
        return err_set(err, rc, failure.pointer, "%s", failure.message);
    prune(store, step, store->keep, step);
    return 0;
}

/* Under a name of its own first, so that the old best is replaced in one move. */
int checkpoint_store_mark_best(const struct checkpoint_store *store, uint64_t step,
                               struct err *err) {
    char path[1024], link_path[1024], best_path[1024];
    path_of(store->dir, step, path);
    snprintf(link_path, sizeof link_path, "%s/%s.partial", store->dir, best_name);
    snprintf(best_path, sizeof best_path, "%s/%s", store->dir, best_name);
    unlink(link_path);
    if (link(path, link_path) != 0 || rename(link_path, best_path) != 0)
        return err_set(err, errno == ENOSPC ? ESP_ENOSPACE : ESP_EIO, NULL, "cannot name %s: %s",
                       best_path, strerror(errno));
    return 0;
}

static int open_whole(const char *path, struct err *err, struct checkpoint **ret_checkpoint) {
    struct checkpoint *checkpoint = NULL;
    int rc = checkpoint_open(path, err, &checkpoint);
    if (rc == 0)
        rc = checkpoint_verify(checkpoint, err);
    if (rc != 0) {
        checkpoint_close(checkpoint);
        return rc;
    }
    *ret_checkpoint = checkpoint;
    return 0;
}

/* The first of n steps whose file is whole. Only damage is passed over. */
static int open_first(const char *dir, const uint64_t *steps, int n, struct err *err,
                      struct err *ret_skipped, struct checkpoint **ret_checkpoint) {
    int rc = ESP_ENOTFOUND;
    for (int i = 0; i < n; i++) {
        char path[1024];
        struct err reason = {0};
        path_of(dir, steps[i], path);
        rc = open_whole(path, &reason, ret_checkpoint);
        if (rc == 0)
            return 0;
        if (rc != ESP_ECORRUPT)
            return err_set(err, rc, reason.pointer, "%s", reason.message);
        if (ret_skipped->code == 0)
            *ret_skipped = reason;
    }
    if (rc == ESP_ENOTFOUND)
        return err_set(err, rc, NULL, "there is no checkpoint in %s", dir);
    return err_set(err, rc, NULL, "no checkpoint in %s is whole; the newest: %s", dir,
                   ret_skipped->message);
}

int checkpoint_store_newest(const char *dir, struct err *err, struct err *ret_skipped,
                            struct checkpoint **ret_checkpoint) {
    uint64_t steps[STEPS_MAX];
    struct err skipped = {0};
    int rc = open_first(dir, steps, list_steps(dir, steps), err, &skipped, ret_checkpoint);
    *ret_skipped = skipped;
    return rc;
}

/* Those at least proof steps before `step`, newest first, then the others, oldest first. */
static int order_regular(const struct checkpoint_store *store, uint64_t step, uint64_t proof,
                         uint64_t steps[STEPS_MAX]) {
    uint64_t found[STEPS_MAX];
    int all = list_steps(store->dir, found), n = 0;
    for (int i = 0; i < all; i++)
        if (found[i] <= step && step - found[i] >= proof && is_regular(store, found[i]))
            steps[n++] = found[i];
    for (int i = all - 1; i >= 0; i--)
        if (found[i] <= step && step - found[i] < proof && is_regular(store, found[i]))
            steps[n++] = found[i];
    return n;
}

int checkpoint_store_regular(const struct checkpoint_store *store, uint64_t step, uint64_t proof,
                             struct err *err, struct checkpoint **ret_checkpoint) {
    uint64_t steps[STEPS_MAX];
    struct err skipped = {0};
    int n = order_regular(store, step, proof, steps);
    return open_first(store->dir, steps, n, err, &skipped, ret_checkpoint);
}

void checkpoint_store_forget(const struct checkpoint_store *store, uint64_t step) {
    uint64_t steps[STEPS_MAX];
    int n = list_steps(store->dir, steps);
    for (int i = 0; i < n && steps[i] > step; i++) {
        char path[1024];
        path_of(store->dir, steps[i], path);
        unlink(path);
    }
}
