/* Expected digests are those of Python's hashlib.blake2b. */
#include "tests/unit/unit.h"

#include <string.h>

#include "base/clock.h"
#include "base/cpu.h"
#include "base/hash.h"

static void digests_are_blake2b(void **state) {
    char text[HASH_TEXT], longer[HASH_TEXT_LONG];
    hash_text("", 0, text);
    assert_string_equal(text, "cae66941d9efbd404e4d88758ea67670");
    hash_text("abc", 3, text);
    assert_string_equal(text, "cf4ab791c62b8d2b2109c90275287816");
    hash_text_long("espalier", 8, longer);
    assert_string_equal(longer, "e6728615d7f1b70176d28f3df68d439c7740b6b73e21d45ed0d6a19f4d7fb3d6");
}

static void pieces_give_the_digest_of_the_whole(void **state) {
    static unsigned char data[100000];
    char text[HASH_TEXT_LONG];
    struct hash hash;
    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (unsigned char)(i % 251);
    hash_init(&hash);
    for (size_t at = 0, step = 1; at < sizeof(data); at += step, step = step * 2 + 1) {
        if (step > sizeof(data) - at)
            step = sizeof(data) - at;
        hash_update(&hash, data + at, step);
    }
    hash_final(&hash, text);
    assert_string_equal(text, "916cfaa800ee55811e82095babeb88ea29c9ef8a36e8d7e20c7b772c344c9e1c");
}

static void tokens_are_long_and_differ(void **state) {
    char one[64], two[64];
    hash_random_token("esp_", one, sizeof(one));
    hash_random_token("esp_", two, sizeof(two));
    assert_memory_equal(one, "esp_", 4);
    assert_int_equal(strlen(one), 47);
    assert_int_equal(
        strspn(one, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"), 47);
    assert_string_not_equal(one, two);
}

static void times_are_written_in_utc(void **state) {
    char text[32];
    clock_format_utc(1769860800123456, text, sizeof(text));
    assert_string_equal(text, "2026-01-31T12:00:00.123456Z");
    clock_format_utc(0, text, sizeof(text));
    assert_string_equal(text, "1970-01-01T00:00:00.000000Z");
    clock_format_utc(-1, text, sizeof(text));
    assert_string_equal(text, "1969-12-31T23:59:59.999999Z");
    assert_true(clock_wall_us() > 1700000000000000);
}

static void sleeping_takes_its_time(void **state) {
    int64_t start = clock_mono_ns();
    clock_sleep_us(3000);
    assert_true(clock_mono_ns() - start >= 2900000);
    clock_sleep_us(0);
    clock_sleep_us(-5);
}

static void the_mask_hides_flags(void **state) {
    uint32_t all = cpu_flags();
    cpu_set_mask(0);
    assert_int_equal(cpu_flags(), 0);
    cpu_set_mask(CPU_SSE2);
    assert_int_equal(cpu_flags(), all & CPU_SSE2);
    cpu_set_mask(UINT32_MAX);
    assert_int_equal(cpu_flags(), all);
#if defined(__x86_64__)
    assert_true(all & CPU_SSE2);
#endif
    assert_true(strlen(cpu_model_name()) > 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(digests_are_blake2b),
        cmocka_unit_test(pieces_give_the_digest_of_the_whole),
        cmocka_unit_test(tokens_are_long_and_differ),
        cmocka_unit_test(times_are_written_in_utc),
        cmocka_unit_test(sleeping_takes_its_time),
        cmocka_unit_test(the_mask_hides_flags),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
