#include "devices/heat.h"

#include <math.h>

static const int64_t second_ns = 1000000000;

static bool is_hot(const struct heat_gate *gate, double temperature_c) {
    double limit = gate->limits.limit_c - (gate->waiting ? HEAT_COOLER_C : 0);
    return gate->limits.limit_c > 0 && !isnan(temperature_c) && temperature_c > limit;
}

enum heat_word heat_ask(struct heat_gate *gate, double temperature_c, int64_t now_ns) {
    if (!is_hot(gate, temperature_c)) {
        gate->waiting = gate->in_vain = false;
        return HEAT_GO;
    }
    if (!gate->waiting) {
        if (gate->in_vain && now_ns - gate->vain_ns < HEAT_AGAIN_S * second_ns)
            return HEAT_HOT;
        gate->waiting = true;
        gate->since_ns = now_ns;
    }
    if (now_ns - gate->since_ns < gate->limits.longest_s * second_ns)
        return HEAT_WAIT;
    gate->waiting = false;
    gate->in_vain = true;
    gate->vain_ns = now_ns;
    return HEAT_HOT;
}
