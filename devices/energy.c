#include "devices/energy.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "devices/sysfs.h"

enum { INDEX_MAX = 64, LINE_BYTES = 128 };

static double read_number(const char *path) {
    return sysfs_number("", path, 10);
}

static void add_counter(struct energy_meter *meter, const char *path, double range_uj) {
    double now = read_number(path);

    if (isnan(now) || meter->n == ENERGY_COUNTERS_MAX || strlen(path) >= ENERGY_PATH_MAX)
        return;
    struct energy_counter *counter = &meter->counters[meter->n++];
    snprintf(counter->path, sizeof(counter->path), "%s", path);
    counter->last_uj = now;
    counter->range_uj = range_uj > 0 ? range_uj : NAN;
}

/* The packages; what they consist of (cores, memory) is named below them, and not counted twice. */
static bool open_powercap(const char *root, struct energy_meter *meter) {
    char path[ENERGY_PATH_MAX], name[LINE_BYTES];

    for (int i = 0; i < INDEX_MAX; i++) {
        snprintf(path, sizeof(path), "%.400s/class/powercap/intel-rapl:%d/name", root, i);
        if (!sysfs_line("", path, name, sizeof(name)) || strncmp(name, "package", 7) != 0)
            continue;
        snprintf(path, sizeof(path), "%.400s/class/powercap/intel-rapl:%d/max_energy_range_uj",
                 root, i);
        double range = read_number(path);
        snprintf(path, sizeof(path), "%.400s/class/powercap/intel-rapl:%d/energy_uj", root, i);
        add_counter(meter, path, range);
    }
    if (meter->n > 0)
        strcpy(meter->source, "powercap");
    return meter->n > 0;
}

/* A chip's first counter of energy, else its first reading of power. */
static bool open_chip(const char *folder, struct energy_meter *meter) {
    static const char *const powers[] = {"power1_average", "power1_input"};
    char path[ENERGY_PATH_MAX];

    snprintf(path, sizeof(path), "%.480s/energy1_input", folder);
    add_counter(meter, path, NAN);
    for (int i = 0; i < 2 && meter->n == 0 && !meter->power_path[0]; i++) {
        snprintf(path, sizeof(path), "%.480s/%s", folder, powers[i]);
        if (!isnan(read_number(path)))
            memcpy(meter->power_path, path, sizeof(path));
    }
    return meter->n > 0 || meter->power_path[0];
}

static bool open_hwmon(const char *root, const char *wanted, struct energy_meter *meter) {
    char folder[ENERGY_PATH_MAX], path[ENERGY_PATH_MAX + 16], name[LINE_BYTES];

    for (int i = 0; i < INDEX_MAX; i++) {
        snprintf(folder, sizeof(folder), "%.400s/class/hwmon/hwmon%d", root, i);
        snprintf(path, sizeof(path), "%s/name", folder);
        if (!sysfs_line("", path, name, sizeof(name)) || (wanted && strcmp(name, wanted) != 0) ||
            !open_chip(folder, meter))
            continue;
        snprintf(meter->source, sizeof(meter->source), "%.*s", ENERGY_NAME_MAX, name);
        return true;
    }
    return false;
}

bool energy_open(const char *root, const char *wanted, struct energy_meter *ret_meter) {
    *ret_meter = (struct energy_meter){.n = 0, .last_uw = NAN};
    if (wanted && !strcmp(wanted, "none"))
        return false;
    if (!wanted || !strcmp(wanted, "powercap"))
        if (open_powercap(root, ret_meter))
            return true;
    return open_hwmon(root, wanted, ret_meter);
}

/* What a counter has gone on by. One that is below its last value has begun anew, once. */
static double advance(struct energy_counter *counter) {
    double now = read_number(counter->path), gone = now - counter->last_uj;

    if (gone < 0)
        gone += counter->range_uj;
    counter->last_uj = now;
    return gone >= 0 ? gone : NAN;
}

static double integrate(struct energy_meter *meter, int64_t now_ns) {
    double uw = read_number(meter->power_path);
    double gone = isnan(meter->last_uw) && meter->last_ns == 0
                      ? 0
                      : (uw + meter->last_uw) / 2 * (double)(now_ns - meter->last_ns) / 1e9;

    meter->last_uw = uw;
    meter->last_ns = now_ns;
    return isnan(uw) ? NAN : gone;
}

double energy_read(struct energy_meter *meter, int64_t now_ns) {
    for (int i = 0; i < meter->n; i++)
        meter->total_uj += advance(&meter->counters[i]);
    if (meter->n == 0)
        meter->total_uj += integrate(meter, now_ns);
    return meter->total_uj;
}
