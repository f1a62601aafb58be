#include "devices/throttle.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    LINE_BYTES = 64,
    FIRMWARE_NOW = 0xf /* under-voltage, capped, throttled, soft limit: now; higher bits: ever */
};

/* NaN: cannot be read, or is no number. */
static double read_number(const struct throttle_watch *watch, const char *path, int base) {
    char whole[THROTTLE_ROOT_MAX + 128], text[LINE_BYTES], *end = NULL;
    snprintf(whole, sizeof(whole), "%s/%s", watch->root, path);
    FILE *file = fopen(whole, "re");
    bool ok = file && fgets(text, sizeof(text), file);

    if (file)
        fclose(file);
    if (!ok)
        return NAN;
    unsigned long value = strtoul(text, &end, base);
    return end == text ? NAN : (double)value;
}

static double read_of_core(const struct throttle_watch *watch, int core, const char *name) {
    char path[128];
    snprintf(path, sizeof(path), "devices/system/cpu/cpu%d/%s", core, name);
    return read_number(watch, path, 10);
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
    return read_number(watch, "devices/platform/soc/soc:firmware/get_throttled", 16);
}

static double frequency_khz(const struct throttle_watch *watch, int i) {
    return read_of_core(watch, watch->cores[i], "cpufreq/scaling_cur_freq");
}

bool throttle_open(const char *root, const int *cores, int n_cores, struct throttle_watch *ret) {
    *ret = (struct throttle_watch){.n_cores = 1};
    if (strlen(root) >= sizeof(ret->root))
        return false;
    strcpy(ret->root, root);
    if (n_cores > 0)
        ret->n_cores = n_cores < THROTTLE_CORES_MAX ? n_cores : THROTTLE_CORES_MAX;
    for (int i = 0; n_cores > 0 && i < ret->n_cores; i++)
        ret->cores[i] = cores[i];
    ret->counted = count(ret);
    return !isnan(ret->counted) || !isnan(firmware(ret)) || !isnan(frequency_khz(ret, 0));
}

static bool slower_than_before(struct throttle_watch *watch) {
    bool slower = false;
    for (int i = 0; i < watch->n_cores; i++) {
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
    return slower_than_before(watch) || slowed;
}
