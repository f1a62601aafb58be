/* Tables of measurements from hostile bytes: those before the first zero byte are the networks,
 * those behind it the ops. Refused with an error, or read: then everything is in range. */
#include "latency/laboratory_files.h"
#include "tests/fuzz/fuzz.h"

#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char folder[64], networks_path[96], ops_path[96];

static void require(bool ok) {
    if (!ok)
        abort();
}

static void remove_folder(void) {
    unlink(networks_path);
    unlink(ops_path);
    rmdir(folder);
}

static void make_folder(void) {
    snprintf(folder, sizeof folder, "%s/espalier-fuzz-XXXXXX",
             access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    require(mkdtemp(folder) != NULL);
    snprintf(networks_path, sizeof networks_path, "%s/networks.csv", folder);
    snprintf(ops_path, sizeof ops_path, "%s/ops.csv", folder);
    atexit(remove_folder);
}

static void put_file(const char *path, const void *data, size_t size) {
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    require(fd >= 0 && write(fd, data, size) == (ssize_t)size);
    close(fd);
}

static void check(const struct laboratory_profile *profile) {
    for (size_t i = 0; i < profile->n_networks; i++)
        require(profile->measured_us[i] > 0 && isfinite(profile->measured_us[i]));
    for (size_t i = 0; i < profile->n_networks * profile->n_fleet; i++)
        require(isfinite(profile->fleet_log_us[i]));
    for (int c = 0; c < profile->n_costs; c++)
        for (size_t i = 0; i < profile->n_networks; i++)
            require(profile->costs[c][i] > 0 && isfinite(profile->costs[c][i]));
    for (size_t i = 0; i < profile->n_ops; i++) {
        const struct laboratory_op *op = &profile->ops[i];
        require(op->key < profile->n_keys && (op->sample.us >= 0 || isnan(op->sample.us)) &&
                !isinf(op->sample.us) &&
                (size_t)op->sample.group < profile->n_networks + profile->n_ops);
        require(op->sample.n_features >= 1 && op->sample.n_features <= INTERPOLATION_FEATURES_MAX);
        for (int k = 0; k < op->sample.n_features; k++)
            require(op->sample.features[k] >= 0 && isfinite(op->sample.features[k]));
        require(i == 0 || op[-1].sample.group <= op->sample.group);
    }
}

static void run(const struct laboratory_profile *profile) {
    const struct laboratory_options options = {.n_sizes = 1, .sizes = {3}, .splits = 1};
    struct laboratory_report report;
    struct err err = {0};
    if (profile->n_networks <= 64 && laboratory_run(profile, &options, NULL, &err, &report) < 0)
        require(err.message[0]);
}

int fuzz_one(const uint8_t *data, size_t size) {
    struct laboratory_files *files = NULL;
    struct laboratory_profile profile;
    struct err err = {0};
    if (!folder[0])
        make_folder();
    const uint8_t *zero = size > 0 ? memchr(data, 0, size) : NULL;
    size_t networks = zero ? (size_t)(zero - data) : size;
    put_file(networks_path, data, networks);
    if (zero)
        put_file(ops_path, zero + 1, size - networks - 1);
    const struct laboratory_sources sources = {.networks = networks_path,
                                               .ops = zero ? ops_path : NULL};
    if (laboratory_files_open(&sources, &err, &files) < 0)
        require(err.code < 0 && err.message[0]);
    else
        cJSON_Delete(laboratory_files_columns_to_json(files));
    for (int i = 0; files && i < laboratory_files_profiles(files) && i < 4; i++)
        if (laboratory_files_read(files, i, 1, &err, &profile) == 0) {
            check(&profile);
            run(&profile);
        }
    laboratory_files_close(files);
    return 0;
}
