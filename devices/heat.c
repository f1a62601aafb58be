#include "devices/heat.h"

#include <math.h>
#include <string.h>

static const int64_t second_ns = 1000000000;

enum { PLAUSIBLE_LEAST_C = -55, PLAUSIBLE_MOST_C = 150, TRIP_LEAST_C = 20 };

static bool is_plausible(double temperature_c) {
    return temperature_c >= PLAUSIBLE_LEAST_C && temperature_c <= PLAUSIBLE_MOST_C; /* no NaN */
}

bool heat_zone_matters(const struct heat_zone *zone) {
    static const char *const others[] = {"iwlwifi", "ath",     "mt76", "mt79", "bat",
                                         "BAT",     "charger", "pch_", "nvme"};
    for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++)
        if (strncmp(zone->type, others[i], strlen(others[i])) == 0)
            return false;
    return is_plausible(zone->temperature_c);
}

bool heat_trip_matters(const char *type, double temperature_c) {
    bool acts =
        strcmp(type, "passive") == 0 || strcmp(type, "hot") == 0 || strcmp(type, "critical") == 0;
    return acts && is_plausible(temperature_c) && temperature_c > TRIP_LEAST_C;
}

double heat_of_zones(const struct heat_zone *zones, int n, double limit_c) {
    double hottest = NAN;
    for (int i = 0; i < n; i++) {
        double own_limit_c = fmin(limit_c, zones[i].trip_c - HEAT_TRIP_MARGIN_C);
        if (heat_zone_matters(&zones[i]))
            hottest = fmax(hottest, zones[i].temperature_c + limit_c - own_limit_c);
    }
    return hottest;
}

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

void heat_break_off(struct heat_gate *gate) {
    gate->waiting = false;
}
