/* How much energy the board has used, by its own sensors: processor packages of powercap (RAPL), or
 * a chip of hwmon that tells energy or power. Files below a root in place of /sys, so that tests
 * can play a board. Figures are of the whole sensor, idle power included. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum { ENERGY_COUNTERS_MAX = 8, ENERGY_PATH_MAX = 512, ENERGY_NAME_MAX = 64 };

struct energy_counter {
    char path[ENERGY_PATH_MAX];
    double last_uj, range_uj; /* range: where it begins anew at 0; NaN: never */
};

struct energy_meter {
    char source[ENERGY_NAME_MAX + 1]; /* "powercap", or the chip's name; "": there is none */
    int n;                            /* counters, which are summed; 0: power */
    struct energy_counter counters[ENERGY_COUNTERS_MAX];
    char power_path[ENERGY_PATH_MAX]; /* microwatts */
    double last_uw;
    int64_t last_ns;
    double total_uj;
};

/* root: "/sys", or what is played. wanted: "powercap", the name of a hwmon chip, "none"; NULL:
 * powercap, else the first chip that tells. Returns whether there is a sensor that can be read. */
bool energy_open(const char *root, const char *wanted, struct energy_meter *ret_meter);
/* Energy since energy_open in microjoules, of which only differences mean anything: counters that
 * began anew are followed once between two calls; power counts as the mean of two readings. now_ns:
 * of any clock that goes on. NaN from the first reading that fails. */
double energy_read(struct energy_meter *meter, int64_t now_ns);
