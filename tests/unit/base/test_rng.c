#include "tests/unit/unit.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"

/* The vectors that Random123 publishes with its source (kat_vectors, philox4x32 10). */
static void philox_gives_the_published_answers(void **state) {
    static const struct {
        uint32_t counter[4], key[2], answer[4];
    } vectors[] = {
        {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {{~0u, ~0u, ~0u, ~0u}, {~0u, ~0u}, {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
         {0xa4093822, 0x299f31d0},
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    for (size_t i = 0; i < sizeof(vectors) / sizeof(*vectors); i++) {
        struct rng rng = {0};
        memcpy(rng.counter, vectors[i].counter, sizeof(rng.counter));
        memcpy(rng.key, vectors[i].key, sizeof(rng.key));
        for (int word = 0; word < 4; word++)
            assert_int_equal(rng_u32(&rng), vectors[i].answer[word]);
    }
}

/* Worked out by a Philox of its own in another language: stored runs depend on these bits. */
static void streams_never_change(void **state) {
    static const uint32_t expected[] = {0xd2614dee, 0x09c13f43, 0x14fc78fe, 0x1301b620,
                                        0xb990cea6, 0x06fc9383, 0x1e35c894, 0x2d42d98e};
    struct rng rng = rng_make(0x123456789abcdef0, RNG_SHUFFLE, 0xfedcba9876543210, 7);
    for (int i = 0; i < 8; i++)
        assert_int_equal(rng_u32(&rng), expected[i]);
    rng = rng_make(0x123456789abcdef0, RNG_SHUFFLE, 0xfedcba9876543210, 7);
    assert_true(rng_u64(&rng) == 0xd2614dee09c13f43);
}

static void every_part_of_the_key_makes_another_stream(void **state) {
    struct rng all[] = {
        rng_make(1, RNG_TEST, 2, 3),
        rng_make(2, RNG_TEST, 2, 3),
        rng_make(1 | 1ull << 32, RNG_TEST, 2, 3),
        rng_make(1, RNG_INPUT, 2, 3),
        rng_make(1, RNG_TEST, 3, 3),
        rng_make(1, RNG_TEST, 2 | 1ull << 32, 3),
        rng_make(1, RNG_TEST, 2, 4),
    };
    const size_t n = sizeof(all) / sizeof(*all);
    uint64_t first[sizeof(all) / sizeof(*all)];
    for (size_t i = 0; i < n; i++) {
        first[i] = rng_u64(&all[i]);
        for (size_t j = 0; j < i; j++)
            assert_true(first[i] != first[j]);
    }
}

static void below_is_uniform(void **state) {
    struct rng rng = rng_make(5, RNG_TEST, 0, 0);
    int counts[7] = {0};
    for (int i = 0; i < 70000; i++)
        counts[rng_below(&rng, 7)]++;
    double chi2 = 0;
    for (int i = 0; i < 7; i++)
        chi2 += (counts[i] - 10000.0) * (counts[i] - 10000.0) / 10000.0;
    assert_true(chi2 < 22.46); /* 99.9 % of chi-square with 6 degrees of freedom */
    for (int i = 0; i < 100; i++)
        assert_int_equal(rng_below(&rng, 1), 0);
}

/* With n = 3·2^30 a bare multiplication would give every third value twice as often. */
static void below_has_no_bias_for_large_ranges(void **state) {
    struct rng rng = rng_make(6, RNG_TEST, 0, 0);
    int counts[3] = {0};
    for (int i = 0; i < 30000; i++) {
        uint32_t value = rng_below(&rng, 3u << 30);
        assert_true(value < 3u << 30);
        counts[value % 3]++;
    }
    for (int i = 0; i < 3; i++)
        assert_true(abs(counts[i] - 10000) < 400);
}

static void unit_and_normal_have_their_moments(void **state) {
    enum { N = 200000 };
    struct rng rng = rng_make(7, RNG_TEST, 0, 0);
    double unit = 0, sum = 0, square = 0, fourth = 0;
    for (int i = 0; i < N; i++) {
        double u = rng_unit(&rng), z = rng_normal(&rng);
        assert_true(u >= 0 && u < 1 && isfinite(z));
        unit += u;
        sum += z;
        square += z * z;
        fourth += z * z * z * z;
    }
    assert_true(fabs(unit / N - 0.5) < 0.003);
    assert_true(fabs(sum / N) < 0.01);
    assert_true(fabs(square / N - 1) < 0.015);
    assert_true(fabs(fourth / N - 3) < 0.15);
}

static void shuffle_is_a_uniform_permutation(void **state) {
    int counts[24] = {0};
    struct rng rng = rng_make(8, RNG_TEST, 0, 0);
    for (int i = 0; i < 24000; i++) {
        uint32_t items[4] = {0, 1, 2, 3}, seen = 0;
        rng_shuffle_u32(&rng, items, 4);
        for (int k = 0; k < 4; k++)
            seen |= 1u << items[k];
        assert_int_equal(seen, 15);
        int code = 0;
        for (int k = 0; k < 3; k++) {
            int smaller = 0;
            for (int j = k + 1; j < 4; j++)
                smaller += items[j] < items[k];
            code = code * (4 - k) + smaller;
        }
        counts[code]++;
    }
    double chi2 = 0;
    for (int i = 0; i < 24; i++)
        chi2 += (counts[i] - 1000.0) * (counts[i] - 1000.0) / 1000.0;
    assert_true(chi2 < 49.73); /* 99.9 %, 23 degrees of freedom */
    rng_shuffle_u32(&rng, NULL, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(philox_gives_the_published_answers),
        cmocka_unit_test(streams_never_change),
        cmocka_unit_test(every_part_of_the_key_makes_another_stream),
        cmocka_unit_test(below_is_uniform),
        cmocka_unit_test(below_has_no_bias_for_large_ranges),
        cmocka_unit_test(unit_and_normal_have_their_moments),
        cmocka_unit_test(shuffle_is_a_uniform_permutation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
