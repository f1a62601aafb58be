/* Metrics as people read them: "latency on pi4/native-fp32-t1", in a unit that fits the numbers. */
#pragma once

#include "daemon/cli/cli.h"

enum { METRIC_TEXT = 256 };

/* How a metric's values are shown: value / one, and the unit's name behind it. */
struct metric_unit {
    double one;
    char name[8];
};
/* key is "top1", "latency_us:PROFILE", …; largest the largest value that is shown. */
struct metric_unit metric_unit(const char *key, double largest);
/* Four significant digits, with the unit. "-" for NaN. */
const char *metric_value(double value, const struct metric_unit *unit, char text[CLI_LATENCY]);
/* "top-1", "latency on NAME": names maps ids to names, as JSON strings. */
const char *metric_title(const char *key, const cJSON *names, char text[METRIC_TEXT]);
/* Name of the profile or imported model of an id, as it is shown; false, and the id, where the
 * daemon has none. */
bool metric_profile(struct cli *cli, const char *id, char text[METRIC_TEXT]);
/* The key with the name of its profile or imported model in place of the id, as it is asked for:
 * "latency_us@pi4/native-fp32-t1"; as it is where there is none. */
const char *metric_named(struct cli *cli, const char *key, char text[METRIC_TEXT]);
/* A column of a table whose rows have the metric's value at key, which is borrowed: "PEAK MEMORY".
 * Of a board's metrics, and of unknown ones, it is called as the key. */
struct column metric_column(const char *key);
/* Whether a metric of a candidate, {"value", "source", …}, is predicted: interpolated is too. */
bool metric_is_predicted(const cJSON *metric);
/* The key of an objective or a limit: its metric, and its profile if it has one. */
const char *metric_key(const cJSON *goal, char text[METRIC_TEXT]);
