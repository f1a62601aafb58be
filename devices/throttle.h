/* Whether the board slowed itself down: the kernel's counters of thermal throttling, the firmware's
 * word where it has one (Raspberry Pi), processors as cooling devices that the kernel has engaged,
 * and the frequency after each batch beside the highest one. Files below a root in place of /sys,
 * so that tests can play a board. */
#pragma once

#include <stdbool.h>

enum { THROTTLE_CORES_MAX = 64, THROTTLE_ROOT_MAX = 400 };

/* What the measurement is pinned to, and how many threads it has. */
struct throttle_cores {
    const int *numbers;
    int n; /* 0: it runs wherever the system puts it */
    int threads;
};

struct throttle_watch {
    char root[THROTTLE_ROOT_MAX];
    int n_cores, cores[THROTTLE_CORES_MAX];
    bool by_frequency;
    double counted;                         /* events so far, of all cores */
    double highest_khz[THROTTLE_CORES_MAX]; /* seen after a batch; 0: none */
};

/* Frequencies are looked at only where each core has a thread to run: one that idles is slow for
 * that. Returns whether the board tells anything of the kind. */
bool throttle_open(const char *root, const struct throttle_cores *cores,
                   struct throttle_watch *ret);
/* Looked at after a batch: whether the board slowed down since the last look. A frequency counts
 * that is below THROTTLE_SHARE of the highest one. */
#define THROTTLE_SHARE 0.9
bool throttle_looks_slowed(struct throttle_watch *watch);
/* Whether the kernel holds the processors back now, by its cooling devices. */
bool throttle_holds_back(const char *root);
