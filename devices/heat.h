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
