/* Records of evaluations on disk: kept apart by key, whole or none, bounded, for several processes.
 */
#include "fixture.h"

#include "base/file.h"
#include "supernet/evaluate_store.h"
#include "supernet/evaluate_trim.h"
#include <fcntl.h>
#include <glob.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

enum { LARGE = 1 << 26 };

struct bed {
    char *root, dir[400];
    struct space *space;
    struct arch arch;
};

static int setup(void **state) {
    struct bed *bed = calloc(1, sizeof *bed);
    bed->root = fixture_make_dir();
    snprintf(bed->dir, sizeof bed->dir, "%s/evaluations", bed->root);
    bed->space = fixture_space(5);
    arch_max(bed->space, &bed->arch);
    *state = bed;
    return 0;
}

static int teardown(void **state) {
    struct bed *bed = *state;
    space_destroy(bed->space);
    fixture_remove_dir(bed->root);
    free(bed);
    return 0;
}

static struct evaluation_store *open_store(const struct bed *bed, int64_t limit) {
    struct evaluation_store *store = NULL;
    assert_int_equal(evaluation_store_open(bed->dir, limit, NULL, &store), 0);
    return store;
}

static struct evaluation_key key_of(const char *checkpoint, int arch) {
    struct evaluation_key key = {.split = SPLIT_VALIDATION,
                                 .recalibrated = true,
                                 .recalibration = {.images = 2000, .batch = 200, .seed = 3}};
    snprintf(key.checkpoint, HASH_TEXT, "%s", checkpoint);
    snprintf(key.arch_id, HASH_TEXT, "a%d", arch);
    snprintf(key.dataset_revision, HASH_TEXT, "d1");
    return key;
}

static void must_keep(const struct evaluation_store *store) {
    if (evaluation_store_failure(store)->code != 0)
        fail_msg("%s", evaluation_store_failure(store)->message);
}

static struct bn_stats *make_stats(const struct bed *bed, float first) {
    struct bn_stats *stats = NULL;
    assert_int_equal(bn_stats_create(bed->space, &bed->arch, NULL, &stats), 0);
    stats->images = 120;
    for (int i = 0; i < stats->n_layers; i++)
        for (int c = 0; c < stats->channels[i]; c++) {
            stats->mean[i][c] = first + (float)(i * 100 + c) / 3;
            stats->variance[i][c] = first + 1 / (float)(i * 100 + c + 1);
        }
    return stats;
}

static void assert_same_stats(const struct bn_stats *a, const struct bn_stats *b) {
    assert_int_equal(a->images, b->images);
    for (int i = 0; i < a->n_layers; i++) {
        size_t size = (size_t)a->channels[i] * sizeof(float);
        assert_memory_equal(a->mean[i], b->mean[i], size);
        assert_memory_equal(a->variance[i], b->variance[i], size);
    }
}

/* The only file that pattern matches below the folder. */
static void only_file(const struct bed *bed, char path[600]) {
    char pattern[500];
    glob_t found;
    snprintf(pattern, sizeof pattern, "%s/*/*", bed->dir);
    assert_int_equal(glob(pattern, 0, NULL, &found), 0);
    assert_int_equal(found.gl_pathc, 1);
    snprintf(path, 600, "%s", found.gl_pathv[0]);
    globfree(&found);
}

static int count_files(const struct bed *bed) {
    char pattern[500];
    glob_t found;
    snprintf(pattern, sizeof pattern, "%s/*/*", bed->dir);
    int n = glob(pattern, 0, NULL, &found) == 0 ? (int)found.gl_pathc : 0;
    globfree(&found);
    return n;
}

static void what_was_put_is_found_by_the_next(void **state) {
    struct bed *bed = *state;
    struct evaluation_store *store = open_store(bed, LARGE);
    struct evaluation_key key = key_of("c1", 1);
    struct score put = {1.0 / 3, 0.123456789012345678, 5000}, found = {0};
    struct bn_stats *stats = make_stats(bed, 0.1f), *read = make_stats(bed, 0);
    assert_false(evaluation_store_score(store, &key, &found));
    assert_false(evaluation_store_stats(store, &key, read));
    evaluation_store_put_score(store, &key, &put);
    evaluation_store_put_stats(store, &key, stats);
    must_keep(store);
    evaluation_store_close(store);
    store = open_store(bed, LARGE);
    assert_true(evaluation_store_score(store, &key, &found));
    assert_true(found.top1 == put.top1 && found.loss == put.loss && found.images == put.images);
    key.split = SPLIT_TEST; /* the statistics are those of every split */
    assert_false(evaluation_store_score(store, &key, &found));
    assert_true(evaluation_store_stats(store, &key, read));
    assert_same_stats(stats, read);
    bn_stats_destroy(stats);
    bn_stats_destroy(read);
    evaluation_store_close(store);
}

static void keys_that_differ_have_records_of_their_own(void **state) {
    struct bed *bed = *state;
    struct evaluation_store *store = open_store(bed, LARGE);
    struct evaluation_key keys[12];
    int n = 0;
    for (; n < 12; n++)
        keys[n] = key_of("c1", 1);
    keys[1] = key_of("c2", 1); /* trained on */
    keys[2] = key_of("c1", 2);
    keys[3].dataset_revision[1] = '2';
    keys[4].split = SPLIT_TEST;
    keys[5].limit = 7;
    keys[6].recalibrated = false;
    keys[7].recalibration.images++;
    keys[8].recalibration.batch++;
    keys[9].recalibration.seed++;
    keys[10].recalibration.augment.pad++;
    keys[11].recalibration.augment.flip = true;
    for (int i = 0; i < n; i++) {
        struct score score = {i / 100.0, i, i + 1}, found;
        assert_false(evaluation_store_score(store, &keys[i], &found));
        evaluation_store_put_score(store, &keys[i], &score);
    }
    must_keep(store);
    for (int i = 0; i < n; i++) {
        struct score found;
        assert_true(evaluation_store_score(store, &keys[i], &found));
        assert_int_equal(found.images, i + 1);
    }
    evaluation_store_close(store);
}

/* Every byte matters, and every length. */
static void a_damaged_record_is_none_and_is_written_anew(void **state) {
    struct bed *bed = *state;
    struct evaluation_store *store = open_store(bed, LARGE);
    struct evaluation_key key = key_of("c1", 1);
    struct score put = {0.5, 1, 10}, found;
    char path[600], *bytes;
    size_t len;
    evaluation_store_put_score(store, &key, &put);
    only_file(bed, path);
    assert_int_equal(file_read(path, 1 << 20, NULL, &bytes, &len), 0);
    for (size_t i = 0; i < len; i++) {
        bytes[i] ^= 4;
        assert_int_equal(file_write_atomic(path, bytes, len, NULL), 0);
        assert_false(evaluation_store_score(store, &key, &found));
        bytes[i] ^= 4;
    }
    for (size_t cut = 0; cut < len; cut += 5) {
        assert_int_equal(file_write_atomic(path, bytes, cut, NULL), 0);
        assert_false(evaluation_store_score(store, &key, &found));
    }
    evaluation_store_put_score(store, &key, &put);
    must_keep(store);
    assert_true(evaluation_store_score(store, &key, &found));
    free(bytes);
    evaluation_store_close(store);
}

/* A record under another's name: the key decides, not the name. */
static void a_record_of_another_key_is_none(void **state) {
    struct bed *bed = *state;
    struct evaluation_store *store = open_store(bed, LARGE);
    struct evaluation_key key = key_of("c1", 1), other = key_of("c1", 2);
    struct score put = {0.5, 1, 10}, found;
    char path[600], there[600], *bytes;
    size_t len;
    evaluation_store_put_score(store, &key, &put);
    only_file(bed, path);
    assert_int_equal(file_read(path, 1 << 20, NULL, &bytes, &len), 0);
    assert_int_equal(unlink(path), 0);
    evaluation_store_put_score(store, &other, &put);
    only_file(bed, there);
    assert_int_equal(file_write_atomic(there, bytes, len, NULL), 0);
    assert_false(evaluation_store_score(store, &other, &found));
    free(bytes);
    evaluation_store_close(store);
}

static void statistics_of_another_shape_are_none(void **state) {
    struct bed *bed = *state;
    struct evaluation_store *store = open_store(bed, LARGE);
    struct evaluation_key key = key_of("c1", 1);
    struct bn_stats *stats = make_stats(bed, 0.1f), *smaller = NULL;
    struct arch smallest;
    arch_min(bed->space, &smallest);
    assert_int_equal(bn_stats_create(bed->space, &smallest, NULL, &smaller), 0);
    evaluation_store_put_stats(store, &key, stats);
    must_keep(store);
    assert_false(evaluation_store_stats(store, &key, smaller));
    bn_stats_destroy(stats);
    bn_stats_destroy(smaller);
    evaluation_store_close(store);
}

static void what_was_not_used_for_longest_goes_first(void **state) {
    struct bed *bed = *state;
    enum { ROOM = 40 };
    struct evaluation_store *store = open_store(bed, ROOM * 4096);
    struct score score = {0.5, 1, 10}, found;
    for (int i = 0; i < 3 * ROOM; i++) {
        struct evaluation_key key = key_of(i % 2 ? "c1" : "c2", i), favourite = key_of("c2", 0);
        evaluation_store_put_score(store, &key, &score);
        usleep(2000); /* times of files may be that coarse */
        assert_true(evaluation_store_score(store, &favourite, &found));
        assert_true(count_files(bed) <= ROOM);
    }
    must_keep(store);
    struct evaluation_key last = key_of("c1", 3 * ROOM - 1), early = key_of("c1", 1);
    assert_true(evaluation_store_score(store, &last, &found));
    assert_false(evaluation_store_score(store, &early, &found));
    assert_true(count_files(bed) >= ROOM / 2);
    int64_t bytes;
    assert_int_equal(evaluation_trim(bed->dir, 0, NULL, &bytes), 0);
    assert_int_equal(bytes, 0);
    assert_int_equal(count_files(bed), 0);
    evaluation_store_close(store);
}

/* One writes and trims while others read: a record is whole or none. */
static int use_store(const struct bed *bed, int rounds) {
    struct evaluation_store *store = open_store(bed, 24 * 4096);
    int known = 0;
    for (int i = 0; i < rounds; i++) {
        struct evaluation_key key = key_of("c1", i % 32);
        struct score score = {(i % 32) / 32.0, i % 32, i % 32 + 1}, found;
        if (!evaluation_store_score(store, &key, &found))
            evaluation_store_put_score(store, &key, &score);
        else if (found.top1 != score.top1 || found.loss != score.loss ||
                 found.images != score.images)
            return 2;
        else
            known++;
    }
    evaluation_store_close(store);
    return known > 0 ? 0 : 3;
}

static void several_processes_may_use_it(void **state) {
    struct bed *bed = *state;
    pid_t children[3];
    for (int i = 0; i < 3; i++) {
        children[i] = fork();
        assert_true(children[i] >= 0);
        if (children[i] == 0)
            _exit(use_store(bed, 300));
    }
    for (int i = 0; i < 3; i++) {
        int status;
        assert_int_equal(waitpid(children[i], &status, 0), children[i]);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 0);
    }
}

static void what_cannot_be_written_is_told_and_no_more(void **state) {
    struct bed *bed = *state;
    struct evaluation_store *store = open_store(bed, LARGE);
    struct evaluation_key key = key_of("c1", 1);
    struct score score = {0.5, 1, 10}, found;
    fixture_write_file(bed->root, "evaluations", "in the way", 10);
    evaluation_store_put_score(store, &key, &score);
    assert_int_not_equal(evaluation_store_failure(store)->code, 0);
    assert_non_null(strstr(evaluation_store_failure(store)->message, "evaluations"));
    assert_false(evaluation_store_score(store, &key, &found));
    evaluation_store_close(store);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(what_was_put_is_found_by_the_next),
        TEST(keys_that_differ_have_records_of_their_own),
        TEST(a_damaged_record_is_none_and_is_written_anew),
        TEST(a_record_of_another_key_is_none),
        TEST(statistics_of_another_shape_are_none),
        TEST(what_was_not_used_for_longest_goes_first),
        TEST(several_processes_may_use_it),
        TEST(what_cannot_be_written_is_told_and_no_more),
    };
    return cmocka_run_group_tests_name("supernet-evaluate_store", tests, NULL, NULL);
}
