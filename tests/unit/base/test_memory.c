#include "tests/unit/unit.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/memory.h"

static bool all_zero(const unsigned char *bytes, size_t len) {
    for (size_t i = 0; i < len; i++)
        if (bytes[i])
            return false;
    return true;
}

static void arrays_are_zeroed_and_sizes_checked(void **state) {
    unsigned char *array = mem_array(1000, 3);
    assert_true(all_zero(array, 3000));
    free(array);
    assert_null(mem_array(SIZE_MAX / 2, 3));
    void *none = mem_array(0, 8);
    assert_non_null(none);
    free(none);
}

static void aligned_arrays_are_aligned(void **state) {
    for (size_t count = 0; count < 300; count += 7) {
        unsigned char *array = mem_aligned(count, 5);
        assert_non_null(array);
        assert_int_equal((uintptr_t)array % MEM_ALIGN, 0);
        assert_true(all_zero(array, count * 5));
        free(array);
    }
    assert_null(mem_aligned(SIZE_MAX / 2, 3));
    assert_null(mem_aligned(SIZE_MAX, 1));
    assert_null(mem_strdup(NULL));
}

/* Large ones stand on whole huge pages, so that the kernel can give such pages. */
static void large_arrays_stand_on_huge_pages(void **state) {
    const size_t huge = (size_t)2 << 20, sizes[] = {2 * huge, 2 * huge + 64, 5 * huge - 1};
    for (int i = 0; i < 3; i++) {
        unsigned char *array = mem_aligned(sizes[i], 1);
        assert_non_null(array);
        assert_int_equal((uintptr_t)array % huge, 0);
        assert_true(all_zero(array, sizes[i]));
        memset(array, 1, sizes[i]);
        free(array);
    }
}

static void pages_are_zeroed_and_sizes_checked(void **state) {
    const size_t sizes[] = {0, 1, 4096, 4097, ((size_t)5 << 20) + 3};
    for (int i = 0; i < 5; i++) {
        unsigned char *pages = mem_pages(sizes[i]);
        assert_non_null(pages);
        assert_int_equal((uintptr_t)pages % MEM_ALIGN, 0);
        assert_true(all_zero(pages, sizes[i]));
        memset(pages, 1, sizes[i]);
        mem_pages_free(pages, sizes[i]);
    }
    assert_null(mem_pages(SIZE_MAX));
    assert_null(mem_pages(PTRDIFF_MAX));
    mem_pages_free(NULL, 4096);
}

static void arena_pieces_do_not_overlap(void **state) {
    struct arena arena;
    arena_init(&arena, 0);
    unsigned char *pieces[200];
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < 200; i++) {
            size_t bytes = i * 97 + 1;
            pieces[i] = arena_alloc(&arena, bytes);
            assert_int_equal((uintptr_t)pieces[i] % MEM_ALIGN, 0);
            assert_true(all_zero(pieces[i], bytes));
            memset(pieces[i], (int)i + 1, bytes);
        }
        for (size_t i = 0; i < 200; i++)
            for (size_t at = 0; at < i * 97 + 1; at++)
                assert_int_equal(pieces[i][at], (unsigned char)(i + 1));
        arena_reset(&arena);
        assert_int_equal(arena.used, 0);
    }
    arena_finish(&arena);
}

static void arena_keeps_its_memory_over_a_reset(void **state) {
    struct arena arena;
    arena_init(&arena, 0);
    assert_non_null(arena_alloc(&arena, 1 << 20));
    const struct arena_chunk *before = arena.chunks;
    for (int i = 0; i < 10; i++) {
        arena_reset(&arena);
        assert_non_null(arena_alloc(&arena, 1 << 20));
        assert_ptr_equal(arena.chunks, before);
    }
    arena_finish(&arena);
}

static void arena_refuses_what_is_past_its_limit(void **state) {
    struct arena arena;
    arena_init(&arena, 1000);
    assert_non_null(arena_alloc(&arena, 900));
    assert_null(arena_alloc(&arena, 65));
    assert_null(arena_alloc(&arena, SIZE_MAX));
    arena_reset(&arena);
    assert_non_null(arena_alloc(&arena, 960));
    assert_null(arena_alloc(&arena, 1));
    arena_finish(&arena);
    arena_init(&arena, 0);
    assert_null(arena_alloc(&arena, SIZE_MAX - 10));
    assert_null(arena_alloc(&arena, PTRDIFF_MAX - 70));
    arena_finish(&arena);
}

static void buffers_grow_and_stay_terminated(void **state) {
    struct buf buf;
    buf_init(&buf, 0);
    assert_null(buf.data);
    for (int i = 0; i < 1000; i++)
        buf_printf(&buf, "%d,", i);
    buf_append(&buf, "a\0b", 3);
    buf_puts(&buf, "");
    assert_int_equal(buf.error, 0);
    assert_int_equal(buf.len, 3893);
    assert_int_equal(buf.data[buf.len], '\0');
    assert_memory_equal(buf.data, "0,1,2,", 6);
    buf_clear(&buf);
    assert_string_equal(buf.data, "");
    buf_finish(&buf);
}

static void buffer_errors_stick(void **state) {
    struct buf buf;
    buf_init(&buf, 10);
    buf_puts(&buf, "12345");
    buf_puts(&buf, "678901");
    assert_int_equal(buf.error, ESP_ELIMIT);
    assert_string_equal(buf.data, "12345");
    buf_puts(&buf, "6");
    buf_printf(&buf, "%d", 7);
    assert_string_equal(buf.data, "12345");
    assert_null(buf_take(&buf));
    assert_int_equal(buf.error, ESP_ELIMIT);
    buf_clear(&buf);
    buf_puts(&buf, "1234567890");
    assert_int_equal(buf.error, 0);
    buf_printf(&buf, "%s", "1");
    assert_int_equal(buf.error, ESP_ELIMIT);
    buf_finish(&buf);
}

static void take_hands_the_text_over(void **state) {
    struct buf buf;
    buf_init(&buf, 0);
    char *empty = buf_take(&buf);
    assert_string_equal(empty, "");
    free(empty);
    buf_puts(&buf, "one");
    char *one = buf_take(&buf);
    assert_null(buf.data);
    buf_puts(&buf, "two");
    assert_string_equal(one, "one");
    assert_string_equal(buf.data, "two");
    free(one);
    buf_finish(&buf);
}

static void sizes_read_well(void **state) {
    static const struct {
        int64_t bytes;
        const char *text;
    } rows[] = {{0, "0 bytes"},
                {1023, "1023 bytes"},
                {65536, "64 KiB"},
                {256 << 20, "256 MiB"},
                {INT64_C(3435973837), "3.2 GiB"},
                {INT64_C(200) << 30, "200 GiB"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char text[32];
        mem_format_bytes(rows[i].bytes, text);
        assert_string_equal(text, rows[i].text);
    }
    assert_true(mem_machine_bytes() > 64 << 20);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arrays_are_zeroed_and_sizes_checked),
        cmocka_unit_test(aligned_arrays_are_aligned),
        cmocka_unit_test(large_arrays_stand_on_huge_pages),
        cmocka_unit_test(pages_are_zeroed_and_sizes_checked),
        cmocka_unit_test(arena_pieces_do_not_overlap),
        cmocka_unit_test(arena_keeps_its_memory_over_a_reset),
        cmocka_unit_test(arena_refuses_what_is_past_its_limit),
        cmocka_unit_test(buffers_grow_and_stay_terminated),
        cmocka_unit_test(buffer_errors_stick),
        cmocka_unit_test(take_hands_the_text_over),
        cmocka_unit_test(sizes_read_well),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
