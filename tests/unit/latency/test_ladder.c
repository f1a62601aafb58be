#include "tests/unit/unit.h"

#include <math.h>
#include <string.h>

#include "base/rng.h"
#include "latency/ladder.h"

enum { N = 120, KINDS = 3 };

/* Networks of three kinds of units, on a board that takes scale[k] of the table's time for each. */
struct board {
    double shares[N][KINDS], sum[N], measured[N], likeness[N * N];
    uint32_t order[N];
    struct ladder_networks networks;
};

static void make_board(struct board *board, const double scale[KINDS], double noise) {
    struct rng rng = rng_make(7, RNG_TEST, 0, 0);
    for (int i = 0; i < N; i++) {
        double total = 0, scaled = 0;
        for (int k = 0; k < KINDS; k++)
            total += board->shares[i][k] = 0.05 + rng_unit(&rng);
        for (int k = 0; k < KINDS; k++) {
            board->shares[i][k] /= total;
            scaled += scale[k] * board->shares[i][k];
        }
        board->sum[i] = 1000 * exp(1.5 * rng_unit(&rng));
        board->measured[i] = (board->sum[i] * scaled + 200) * exp(noise * rng_normal(&rng));
        board->order[i] = (uint32_t)i;
    }
    ladder_likeness(board->shares[0], N, KINDS, board->likeness);
    board->networks = (struct ladder_networks){.n = N,
                                               .sum_us = board->sum,
                                               .measured_us = board->measured,
                                               .likeness = {[LADDER_KINDS] = board->likeness}};
}

static double error_of(const struct board *board, const struct ladder *ladder,
                       enum ladder_rung rung, size_t known) {
    double error = 0;
    for (size_t i = known; i < N; i++)
        error +=
            fabs(log(ladder_predict(ladder, rung, i) / board->measured[i])) / (double)(N - known);
    return error;
}

static struct ladder *fitted(const struct board *board, size_t known) {
    struct ladder *ladder;
    assert_int_equal(ladder_fit(&board->networks, board->order, known, NULL, &ladder), 0);
    return ladder;
}

static void likeness_is_centred_and_scaled(void **state) {
    const double features[] = {1, 0, 0, 1, 2, 2};
    double likeness[9], trace = 0;
    ladder_likeness(features, 3, 2, likeness);
    for (int i = 0; i < 3; i++) {
        double row = 0;
        for (int j = 0; j < 3; j++) {
            row += likeness[3 * i + j];
            assert_true(likeness[3 * i + j] == likeness[3 * j + i]);
        }
        assert_true(fabs(row) < 1e-12);
        trace += likeness[4 * i];
    }
    assert_true(fabs(trace - 3) < 1e-12);
    /* (0, -1), (-1, 0), (1, 1) around the mean; mean square length 4 / 3. */
    assert_true(fabs(likeness[0] - 0.75) < 1e-12);
    assert_true(fabs(likeness[1] - 0) < 1e-12);
    assert_true(fabs(likeness[2] + 0.75) < 1e-12);
    ladder_likeness((const double[]){3, 3}, 2, 1, likeness);
    assert_true(likeness[0] == 0 && likeness[1] == 0);
}

static void kinds_of_their_own_scale_are_found(void **state) {
    static struct board board;
    make_board(&board, (const double[]){0.7, 1.1, 1.9}, 0.01);
    struct ladder *ladder = fitted(&board, 40);
    assert_int_equal(ladder_chosen(ladder), LADDER_KINDS);
    assert_true(error_of(&board, ladder, LADDER_KINDS, 40) <
                0.6 * error_of(&board, ladder, LADDER_LINE, 40));
    assert_true(ladder_loss(ladder, LADDER_KINDS) < 0.6 * ladder_loss(ladder, LADDER_LINE));
    assert_true(ladder_interval_factor(ladder, LADDER_KINDS) <
                ladder_interval_factor(ladder, LADDER_LINE));
    assert_true(isinf(ladder_loss(ladder, LADDER_FLEET)));
    ladder_destroy(ladder);
}

/* Where kinds are alike the rung above is taken by chance alone, seldom, and costs little. */
static void the_line_stays_where_kinds_are_alike(void **state) {
    static struct board board;
    int stayed = 0;
    make_board(&board, (const double[]){1.3, 1.3, 1.3}, 0.02);
    for (size_t known = 5; known < 65; known++) {
        struct ladder *ladder = fitted(&board, known);
        enum ladder_rung chosen = ladder_chosen(ladder);
        stayed += chosen == LADDER_LINE;
        assert_true(error_of(&board, ladder, chosen, 65) <
                    1.25 * error_of(&board, ladder, LADDER_LINE, 65));
        ladder_destroy(ladder);
    }
    assert_true(stayed >= 50);
}

/* Of four networks each is judged by what three say: the line at most. */
static void few_networks_take_no_rung_above_the_line(void **state) {
    static struct board board;
    make_board(&board, (const double[]){0.7, 1.1, 1.9}, 0.01);
    for (size_t first = 0; first < N - 4; first++)
        for (size_t known = 3; known <= 4; known++) {
            struct ladder *ladder;
            assert_int_equal(ladder_fit(&board.networks, board.order + first, known, NULL, &ladder),
                             0);
            assert_true(ladder_chosen(ladder) <= LADDER_LINE);
            ladder_destroy(ladder);
        }
}

static void a_right_sum_is_left_alone(void **state) {
    static struct board board;
    make_board(&board, (const double[]){1, 1, 1}, 0);
    for (int i = 0; i < N; i++)
        board.measured[i] = board.sum[i];
    struct ladder *ladder = fitted(&board, 12);
    assert_int_equal(ladder_chosen(ladder), LADDER_SUM);
    assert_true(ladder_predict(ladder, LADDER_SUM, N - 1) == board.sum[N - 1]);
    ladder_destroy(ladder);
}

/* The left out errors of the ladder are what a caller gets who leaves the networks out itself, of a
 * table's sum and of what stands in for it. */
static void check_losses(bool stand_in) {
    static struct board board;
    enum { KNOWN = 8 };
    double loss = 0;
    make_board(&board, (const double[]){0.8, 1.0, 1.4}, 0.05);
    board.networks.stand_in = stand_in;
    struct ladder *whole = fitted(&board, KNOWN);
    for (int out = 0; out < KNOWN; out++) {
        uint32_t others[KNOWN - 1];
        struct ladder *ladder;
        for (int i = 0, n = 0; i < KNOWN; i++)
            if (i != out)
                others[n++] = (uint32_t)i;
        assert_int_equal(ladder_fit(&board.networks, others, KNOWN - 1, NULL, &ladder), 0);
        loss += fabs(log(board.measured[out] / ladder_predict(ladder, LADDER_LINE, (size_t)out))) /
                KNOWN;
        ladder_destroy(ladder);
    }
    assert_true(fabs(loss - ladder_loss(whole, LADDER_LINE)) < 1e-12);
    ladder_destroy(whole);
}

static void losses_are_out_of_sample(void **state) {
    check_losses(false);
    check_losses(true);
}

/* In whatever unit it is, and whatever networks that are not known take. */
static void a_stand_in_gets_its_scale_of_known_networks(void **state) {
    static struct board board;
    make_board(&board, (const double[]){0.8, 1.0, 1.4}, 0.05);
    board.networks.stand_in = true;
    struct ladder *ladder = fitted(&board, 12);
    double sum = ladder_predict(ladder, LADDER_SUM, N - 1),
           line = ladder_predict(ladder, LADDER_LINE, N - 1),
           kinds = ladder_predict(ladder, LADDER_KINDS, N - 1), logs = 0;
    for (int i = 0; i < 12; i++)
        logs += log(board.measured[i] / board.sum[i]) / 12;
    assert_true(fabs(sum / (exp(logs) * board.sum[N - 1]) - 1) < 1e-9);
    ladder_destroy(ladder);
    for (int i = 0; i < N; i++) {
        board.sum[i] *= 1e-4;
        board.measured[i] *= i < 12 ? 1 : 1000;
    }
    ladder = fitted(&board, 12);
    assert_true(fabs(ladder_predict(ladder, LADDER_SUM, N - 1) / sum - 1) < 1e-9);
    assert_true(fabs(ladder_predict(ladder, LADDER_LINE, N - 1) / line - 1) < 1e-9);
    assert_true(fabs(ladder_predict(ladder, LADDER_KINDS, N - 1) / kinds - 1) < 1e-9);
    ladder_destroy(ladder);
}

static void too_few_networks_are_refused(void **state) {
    static struct board board;
    struct ladder *ladder;
    struct err err = {0};
    make_board(&board, (const double[]){1, 1, 1}, 0.01);
    assert_int_equal(ladder_fit(&board.networks, board.order, 2, &err, &ladder), ESP_EINVAL);
    assert_string_equal(err.message, "calibrations are fitted on 3 to 1000 networks");
    board.measured[1] = NAN;
    assert_int_equal(ladder_fit(&board.networks, board.order, 5, &err, &ladder), ESP_EINVAL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(likeness_is_centred_and_scaled),
        cmocka_unit_test(kinds_of_their_own_scale_are_found),
        cmocka_unit_test(the_line_stays_where_kinds_are_alike),
        cmocka_unit_test(few_networks_take_no_rung_above_the_line),
        cmocka_unit_test(a_right_sum_is_left_alone),
        cmocka_unit_test(losses_are_out_of_sample),
        cmocka_unit_test(a_stand_in_gets_its_scale_of_known_networks),
        cmocka_unit_test(too_few_networks_are_refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
