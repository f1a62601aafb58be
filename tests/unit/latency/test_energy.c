/* Prices of energy: against boards whose prices are known, closed forms, and the conditions of the
 * minimum worked out here by differences. */
#include "tests/unit/unit.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/rng.h"
#include "latency/energy.h"

enum { N_MAX = 400 };

/* A board with these prices, its networks and noise (of the logarithm). */
struct board {
    double mac_pj, byte_pj, run_uj, noise;
};

static void play(const struct board *board, uint64_t seed, int n, struct energy_network *ret) {
    struct rng rng = rng_make(seed, RNG_TEST, 0, 0);
    for (int i = 0; i < n; i++) {
        double macs = 5e6 * exp(3 * rng_unit(&rng)),
               bytes = 0.05 * macs * exp(1.2 * rng_unit(&rng));
        double uj = (macs * board->mac_pj + bytes * board->byte_pj) * 1e-6 + board->run_uj;
        ret[i] = (struct energy_network){macs, bytes, uj * exp(board->noise * rng_normal(&rng))};
    }
}

static struct energy_report fit(const struct energy_network *networks, int n,
                                struct energy_fit *ret) {
    struct energy_report report;
    struct err err = {0};
    assert_int_equal(energy_fit_networks(networks, (size_t)n, &err, ret, &report), 0);
    assert_int_equal(report.after.n, n);
    return report;
}

static void finds_the_prices_of_a_board(void **state) {
    const struct board board = {35, 60, 900, 0};
    struct energy_network networks[60];
    struct energy_fit found;
    play(&board, 1, 60, networks);
    struct energy_report report = fit(networks, 60, &found);
    assert_true(fabs(found.mac_pj / 35 - 1) < 1e-3);
    assert_true(fabs(found.byte_pj / 60 - 1) < 1e-2);
    assert_true(fabs(found.run_uj / 900 - 1) < 1e-3);
    assert_int_equal(found.n, 60);
    assert_true(report.after.mape < 1e-4 && report.before.mape > 0.3);
}

static void noise_becomes_the_interval(void **state) {
    const struct board board = {35, 60, 900, 0.05};
    struct energy_network networks[N_MAX];
    struct energy_fit found;
    play(&board, 2, N_MAX, networks);
    struct energy_report report = fit(networks, N_MAX, &found);
    assert_true(fabs(found.residual_sd - 0.05) < 0.006);
    /* The mean of |normal| is sqrt(2 / pi) of its deviation. */
    assert_true(fabs(report.after.mape - 0.05 * sqrt(2 / M_PI)) < 0.005);
    assert_true(report.after.coverage > 0.85 && report.after.coverage < 0.96);
    double factor = energy_fit_factor(&found);
    assert_true(factor > exp(1.64 * 0.045) && factor < exp(1.66 * 0.058));
}

/* Few networks of a board that is the literature times a number, with noise: that number is all
 * that is taken, and it is the closed form's. */
static void few_networks_scale_the_literature(void **state) {
    const struct energy_network networks[] = {
        {1e8, 4e6, 11000}, {2e8, 6e6, 19000}, {4e8, 1.1e7, 35500}};
    double r = 0, rr = 0;
    for (int i = 0; i < 3; i++) {
        double share = (networks[i].macs * 4.6 + networks[i].traffic_bytes * 160) * 1e-6 /
                       networks[i].measured_uj;
        r += share;
        rr += share * share;
    }
    struct energy_fit found;
    fit(networks, 3, &found);
    if (isinf(found.strength)) {
        assert_true(fabs(found.mac_pj / (4.6 * r / rr) - 1) < 1e-12);
        assert_true(fabs(found.byte_pj / (160 * r / rr) - 1) < 1e-12);
        assert_true(found.run_uj == 0);
    }
    assert_true(energy_fit_factor(&found) > 1.02); /* three networks promise little */
}

/* On average over boards that are the literature times 10, with few networks: shrunk prices predict
 * new networks better than least squares would, which err by noise in three prices. */
static void shrinkage_helps_where_the_literature_is_right(void **state) {
    const struct board board = {46, 1600, 0, 0.08};
    int strong = 0;
    for (uint64_t seed = 0; seed < 50; seed++) {
        struct energy_network networks[6];
        struct energy_fit found;
        play(&board, 100 + seed, 6, networks);
        fit(networks, 6, &found);
        strong += found.strength >= 0.1;
    }
    assert_true(strong >= 30);
}

static double objective(const struct energy_network *networks, int n, double strength,
                        const double p[3]) {
    double r = 0, rr = 0, typical = 0, sum = 0;
    for (int i = 0; i < n; i++) {
        double uj = (networks[i].macs * 4.6 + networks[i].traffic_bytes * 160) * 1e-6;
        r += uj / networks[i].measured_uj;
        rr += pow(uj / networks[i].measured_uj, 2);
        typical += uj / n;
    }
    double scale = r / rr;
    for (int i = 0; i < n; i++)
        sum += pow((networks[i].macs * p[0] * 4.6 + networks[i].traffic_bytes * p[1] * 160) * 1e-6 *
                           scale / networks[i].measured_uj +
                       p[2] * scale * typical / networks[i].measured_uj - 1,
                   2);
    return sum + strength * (pow(p[0] - 1, 2) + pow(p[1] - 1, 2) + pow(p[2], 2));
}

/* No step from the fit makes the objective less, but below 0. */
static void is_the_minimum(void **state) {
    const struct board boards[] = {{50, 10, 5000, 0.03}, {2, 900, 0, 0.1}, {80, 0, 0, 0.05}};
    int bounded = 0, weak = 0;
    for (int k = 0; k < 30; k++) {
        struct energy_network networks[25];
        struct energy_fit found;
        double r = 0, rr = 0, typical = 0;
        play(&boards[k % 3], (uint64_t)k, 25, networks);
        fit(networks, 25, &found);
        if (isinf(found.strength))
            continue;
        for (int i = 0; i < 25; i++) {
            double uj = (networks[i].macs * 4.6 + networks[i].traffic_bytes * 160) * 1e-6;
            r += uj / networks[i].measured_uj;
            rr += pow(uj / networks[i].measured_uj, 2);
            typical += uj / 25;
        }
        double scale = r / rr;
        double p[3] = {found.mac_pj / 4.6 / scale, found.byte_pj / 160 / scale,
                       found.run_uj / scale / typical};
        double least = objective(networks, 25, found.strength, p);
        weak++;
        for (int i = 0; i < 3; i++) {
            assert_true(p[i] >= 0);
            bounded += p[i] == 0;
            for (int sign = -1; sign <= 1; sign += 2) {
                double q[3] = {p[0], p[1], p[2]};
                q[i] += sign * 1e-4;
                assert_true(q[i] < 0 || objective(networks, 25, found.strength, q) >= least);
            }
        }
    }
    assert_true(weak > 10 && bounded > 0);
}

static void refuses_what_cannot_be(void **state) {
    const struct board board = {35, 60, 900, 0.05};
    struct energy_network networks[5];
    struct energy_fit found;
    struct energy_report report;
    struct err err = {0};
    play(&board, 3, 5, networks);
    assert_int_equal(energy_fit_networks(networks, 2, &err, &found, &report), ESP_EMISSING);
    const double bad[] = {0, -1, NAN, INFINITY};
    for (int i = 0; i < 4; i++) {
        struct energy_network worse[5];
        memcpy(worse, networks, sizeof worse);
        worse[3].measured_uj = bad[i];
        assert_int_equal(energy_fit_networks(worse, 5, &err, &found, &report), ESP_EINVAL);
        assert_non_null(strstr(err.message, "network 3"));
        memcpy(worse, networks, sizeof worse);
        worse[1].macs = bad[i];
        assert_int_equal(energy_fit_networks(worse, 5, &err, &found, &report), ESP_EINVAL);
    }
    assert_int_equal(energy_fit_networks(networks, ENERGY_MAX_NETWORKS + 1, &err, &found, &report),
                     ESP_ELIMIT);
}

/* A figure that is absurd spoils one network's error, not the signs or the finiteness of prices. */
static void survives_wild_figures(void **state) {
    const struct board board = {35, 60, 900, 0.05};
    struct energy_network networks[12];
    struct energy_fit found;
    for (int k = 0; k < 2; k++) {
        play(&board, 4, 12, networks);
        networks[5].measured_uj = k == 0 ? 1e12 : 1e-3;
        fit(networks, 12, &found);
        assert_true(isfinite(found.mac_pj) && found.mac_pj >= 0);
        assert_true(isfinite(found.byte_pj) && found.byte_pj >= 0);
        assert_true(energy_fit_apply(&found, 1e7, 1e6) > 0);
    }
    /* Equal networks fix no more than a scale. */
    for (int i = 0; i < 12; i++)
        networks[i] = (struct energy_network){1e7, 1e6, 2060};
    fit(networks, 12, &found);
    assert_true(fabs(energy_fit_apply(&found, 1e7, 1e6) / 2060 - 1) < 1e-9);
    assert_true(fabs(found.mac_pj / 46 - 1) < 1e-6);
}

/* To the bit, also where somebody gave these prices. */
static void literature_is_that_of_cost(void **state) {
    struct rng rng = rng_make(5, RNG_TEST, 0, 0);
    struct energy_fit given;
    struct err err = {0};
    cJSON *doc = cJSON_Parse("{\"mac_pj\":4.6,\"byte_pj\":160}");
    assert_int_equal(energy_fit_given(doc, "", &err, &given), 0);
    cJSON_Delete(doc);
    for (int i = 0; i < 1000; i++) {
        struct cost cost = {.macs = (int64_t)(rng_unit(&rng) * 1e12),
                            .traffic_bytes = (int64_t)(rng_unit(&rng) * 1e10)};
        double uj = (double)cost_energy(&cost, &energy_prices_default) * ENERGY_UJ;
        double macs = (double)cost.macs, bytes = (double)cost.traffic_bytes;
        assert_true(energy_fit_apply(&energy_fit_literature, macs, bytes) == uj);
        assert_true(energy_fit_apply(&given, macs, bytes) == uj);
    }
    assert_true(energy_fit_factor(&energy_fit_literature) == 1);
}

static void given_prices_may_be_off_by_two(void **state) {
    struct energy_fit given, back;
    struct err err = {0};
    cJSON *doc = cJSON_Parse("{\"mac_pj\":2,\"byte_pj\":30}");
    assert_int_equal(energy_fit_given(doc, "", &err, &given), 0);
    assert_true(fabs(energy_fit_factor(&given) - 2) < 1e-4);
    cJSON *told = energy_fit_describe(&given, NULL);
    assert_int_equal(energy_fit_from_json(told, "", &err, &back), 0);
    assert_true(energy_fit_factor(&back) == energy_fit_factor(&given));
    cJSON_Delete(told);
    cJSON_Delete(doc);
}

static void goes_through_json(void **state) {
    struct energy_fit fits[] = {{35.5, 60.25, 900, 12, 0.01, 0.05}, energy_fit_literature}, back;
    struct err err = {0};
    for (int i = 0; i < 2; i++) {
        cJSON *doc = energy_fit_to_json(&fits[i]), *again = NULL;
        char *text = json_print(doc);
        assert_int_equal(json_parse(text, strlen(text), NULL, &err, &again), 0);
        assert_int_equal(energy_fit_from_json(again, "", &err, &back), 0);
        assert_true(back.mac_pj == fits[i].mac_pj && back.byte_pj == fits[i].byte_pj);
        assert_true(back.run_uj == fits[i].run_uj && back.n == fits[i].n);
        assert_true(back.strength == fits[i].strength && back.residual_sd == fits[i].residual_sd);
        free(text);
        cJSON_Delete(doc);
        cJSON_Delete(again);
    }
    static const char *const bad[][2] = {
        {"{\"mac_pj\":-1,\"byte_pj\":1,\"run_uj\":0,\"n\":3,\"residual_sd\":0}", "/p/mac_pj"},
        {"{\"mac_pj\":1,\"run_uj\":0,\"n\":3,\"residual_sd\":0}", "/p/byte_pj"},
        {"{\"mac_pj\":0,\"byte_pj\":0,\"run_uj\":0,\"n\":3,\"residual_sd\":0}", "/p"}};
    for (int i = 0; i < 3; i++) {
        cJSON *doc = cJSON_Parse(bad[i][0]);
        assert_int_equal(energy_fit_from_json(doc, "/p", &err, &back), ESP_EINVAL);
        assert_string_equal(err.pointer, bad[i][1]);
        cJSON_Delete(doc);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_the_prices_of_a_board),
        cmocka_unit_test(noise_becomes_the_interval),
        cmocka_unit_test(few_networks_scale_the_literature),
        cmocka_unit_test(shrinkage_helps_where_the_literature_is_right),
        cmocka_unit_test(is_the_minimum),
        cmocka_unit_test(refuses_what_cannot_be),
        cmocka_unit_test(survives_wild_figures),
        cmocka_unit_test(literature_is_that_of_cost),
        cmocka_unit_test(given_prices_may_be_off_by_two),
        cmocka_unit_test(goes_through_json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
