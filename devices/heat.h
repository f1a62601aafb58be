/* Whether a board is cool enough to be measured. Pure: temperature and time are given. Source: the
 * gate of HW-NAS-Bench's successors on a Raspberry Pi (60 °C, on at 55 °C), with an end to waiting.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* What a person may set. */
struct heat_limits {
    double limit_c;    /* above it is waited; 0: never */
    int64_t longest_s; /* of one wait; then it is measured all the same, and called hot */
};
enum { HEAT_LIMIT_C = 60, HEAT_COOLER_C = 5, HEAT_LONGEST_S = 60, HEAT_AGAIN_S = 600 };

enum { HEAT_ZONES_MAX = 32, HEAT_TRIP_MARGIN_C = 5 };
/* A thermal zone as the kernel tells it. */
struct heat_zone {
    char type[32];
    double temperature_c;
    double trip_c; /* the lowest point at which the kernel does something against heat; NaN: none */
};
/* Not the sensor of a radio, a battery or a disk, nor one that says what no board can have. */
bool heat_zone_matters(const struct heat_zone *zone);
/* A trip point that means something, of the type that the kernel gives it: fans ("active") may run.
 */
bool heat_trip_matters(const char *type, double temperature_c);
/* How hot the hottest zone is, on the scale of a zone without trip points: one whose trip point
 * lies less than HEAT_TRIP_MARGIN_C above the limit is as much hotter as its own limit is lower.
 * NaN: no zone matters. */
double heat_of_zones(const struct heat_zone *zones, int n, double limit_c);

struct heat_gate {
    struct heat_limits limits;
    bool waiting;
    bool in_vain; /* the last wait was, at vain_ns: a board that idles above the limit is not waited
                     for again within HEAT_AGAIN_S */
    int64_t since_ns, vain_ns;
};

enum heat_word {
    HEAT_GO,   /* measure */
    HEAT_WAIT, /* ask again soon */
    HEAT_HOT   /* measure, and say that it was hot */
};
/* Asked before a measurement, and again while it says HEAT_WAIT. A wait ends HEAT_COOLER_C below
 * the limit. temperature_c NaN: the board cannot tell. now_ns: of a clock that goes on. */
enum heat_word heat_ask(struct heat_gate *gate, double temperature_c, int64_t now_ns);
/* The measurement that was waited for is not wanted any more: the next wait is one of its own. */
void heat_break_off(struct heat_gate *gate);
