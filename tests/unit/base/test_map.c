#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "base/map.h"

static bool same(const void *context, uint32_t item) {
    const uint64_t *wanted = context;
    return *wanted == item;
}

static void finds_what_was_added(void **state) {
    struct map map;
    map_init(&map);
    assert_int_equal(map_find(&map, 1, NULL, NULL), -1);
    for (uint64_t i = 0; i < 10000; i++)
        assert_int_equal(map_add(&map, map_hash(&i, sizeof i), (uint32_t)i), 0);
    for (uint64_t i = 0; i < 10000; i++)
        assert_int_equal(map_find(&map, map_hash(&i, sizeof i), same, &i), i);
    uint64_t absent = 10000;
    assert_int_equal(map_find(&map, map_hash(&absent, sizeof absent), same, &absent), -1);
    map_finish(&map);
}

static void tells_equal_hashes_apart(void **state) {
    struct map map;
    map_init(&map);
    for (uint32_t i = 0; i < 100; i++)
        assert_int_equal(map_add(&map, 7, i), 0);
    for (uint64_t i = 0; i < 100; i++)
        assert_int_equal(map_find(&map, 7, same, &i), i);
    uint64_t absent = 100;
    assert_int_equal(map_find(&map, 7, same, &absent), -1);
    map_clear(&map);
    assert_int_equal(map_find(&map, 7, NULL, NULL), -1);
    assert_int_equal(map.n, 0);
    map_finish(&map);
}

static void hash_depends_on_every_byte_and_the_length(void **state) {
    unsigned char key[24] = {0};
    uint64_t seen[25];
    int n = 0;
    seen[n++] = map_hash(key, sizeof key);
    for (size_t i = 0; i < sizeof key; i++) {
        key[i] = 1;
        seen[n++] = map_hash(key, sizeof key);
        key[i] = 0;
    }
    for (int i = 0; i < n; i++)
        for (int j = 0; j < i; j++)
            assert_true(seen[i] != seen[j]);
    assert_true(map_hash(key, 3) != map_hash(key, 4));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_what_was_added),
        cmocka_unit_test(tells_equal_hashes_apart),
        cmocka_unit_test(hash_depends_on_every_byte_and_the_length),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
