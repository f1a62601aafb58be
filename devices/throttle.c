#include "devices/throttle.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "devices/sysfs.h"

enum {
    LINE_BYTES = 64,
    COOLING_MAX = 64,
    FIRMWARE_NOW = 0xf /* under-voltage, capped, throttled, soft limit: now; higher bits: ever */
};

static double read_of_core(const struct throttle_watch *watch, int core, const char *name) {
    char path[128];
    snprintf(path, sizeof(path), "devices/system/cpu/cpu%d/%s", core, name);
    return sysfs_number(watch->root, path, 10);
}

/* Throttling that the kernel has counted, of the cores and of their packages; NaN: it does not. */
static double count(const struct throttle_watch *watch) {
    static const char *const names[] = {"thermal_throttle/core_throttle_count",
                                        "thermal_throttle/package_throttle_count"};
    double sum = NAN;
    for (int i = 0; i < watch->n_cores; i++)
        for (int k = 0; k < 2; k++) {
            double n = read_of_core(watch, watch->cores[i], names[k]);
            if (!isnan(n))
                sum = isnan(sum) ? n : sum + n;
        }
    return sum;
}

static double firmware(const struct throttle_watch *watch) {
    return sysfs_number(watch->root, "devices/platform/soc/soc:firmware/get_throttled", 16);
}

/* The highest state of the processors' cooling devices: above 0 the kernel holds them back now.
 * NaN: there are none. Those of fans, and of what only injects idle time when asked, say nothing.
 */
static double cooling_state(const struct throttle_watch *watch) {
    static const char *const processors[] = {"Processor", "thermal-cpufreq", "cpufreq-cpu"};
    double highest = NAN;
    for (int i = 0; i < COOLING_MAX; i++) {
        char path[96], type[LINE_BYTES];
        snprintf(path, sizeof(path), "class/thermal/cooling_device%d/type", i);
        if (!sysfs_line(watch->root, path, type, sizeof(type)))
            continue;
        snprintf(path, sizeof(path), "class/thermal/cooling_device%d/cur_state", i);
        for (size_t k = 0; k < sizeof(processors) / sizeof(*processors); k++)
            if (strncmp(type, processors[k], strlen(processors[k])) == 0)
                highest = fmax(highest, sysfs_number(watch->root, path, 10));
    }
    return highest;
}

static double frequency_khz(const struct throttle_watch *watch, int i) {
    return read_of_core(watch, watch->cores[i], "cpufreq/scaling_cur_freq");
}

bool throttle_open(const char *root, const struct throttle_cores *cores,
                   struct throttle_watch *ret) {
    *ret = (struct throttle_watch){.n_cores = cores->n, .root = ""};
    if (strlen(root) >= sizeof(ret->root))
        return false;
    strcpy(ret->root, root);
    ret->by_frequency = cores->n > 0 && cores->n <= cores->threads;
    if (cores->n == 0)
        ret->n_cores = (int)sysconf(_SC_NPROCESSORS_CONF);
    if (ret->n_cores > THROTTLE_CORES_MAX)
        ret->n_cores = THROTTLE_CORES_MAX;
    for (int i = 0; i < ret->n_cores; i++)
        ret->cores[i] = cores->n > 0 ? cores->numbers[i] : i;
    ret->counted = count(ret);
    return !isnan(ret->counted) || !isnan(firmware(ret)) || !isnan(cooling_state(ret)) ||
           (ret->by_frequency && !isnan(frequency_khz(ret, 0)));
}

static bool slower_than_before(struct throttle_watch *watch) {
    bool slower = false;
    for (int i = 0; watch->by_frequency && i < watch->n_cores; i++) {
        double khz = frequency_khz(watch, i);
        if (isnan(khz))
            continue;
        watch->highest_khz[i] = fmax(watch->highest_khz[i], khz);
        slower = slower || khz < THROTTLE_SHARE * watch->highest_khz[i];
    }
    return slower;
}

bool throttle_looks_slowed(struct throttle_watch *watch) {
    double counted = count(watch), word = firmware(watch);
    bool slowed = counted > watch->counted; /* false where either is NaN */
    watch->counted = counted;
    if (!isnan(word) && ((unsigned long)word & FIRMWARE_NOW) != 0)
        slowed = true;
    if (cooling_state(watch) > 0) /* false for NaN */
        slowed = true;
    return slower_than_before(watch) || slowed;
}

bool throttle_holds_back(const char *root) {
    struct throttle_watch watch = {.n_cores = 0};
    if (strlen(root) >= sizeof(watch.root))
        return false;
    strcpy(watch.root, root);
    return cooling_state(&watch) > 0;
}
