/* Folders of images: layouts, what is skipped and refused, the cache file. */
#include "fixture.h"

#include "base/file.h"
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

static int setup(void **state) {
    *state = fixture_make_dir();
    return 0;
}

static int teardown(void **state) {
    fixture_remove_dir(*state);
    return 0;
}

static char *below(const char *dir, const char *name) {
    static char paths[4][1024];
    static int next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", dir, name);
    return path;
}

/* n images in dir/name, made if need be. */
static void fill(const char *dir, const char *name, int n, int side, int value) {
    struct err err = {0};
    char file[32];
    assert_int_equal(file_make_dirs(below(dir, name), &err), 0);
    for (int i = 0; i < n; i++) {
        snprintf(file, sizeof file, "%03d.png", i);
        fixture_write_png(below(dir, name), file, side, side, (uint8_t)(value + i));
    }
}

static struct dataset_options options_for(const char *dir) {
    return (struct dataset_options){.path = dir,
                                    .validation = DATASET_VALIDATION_AUTO,
                                    .split_seed = 1,
                                    .max_skipped = DATASET_SKIPPED_SHARE_DEFAULT};
}

static struct dataset *open_folder(const struct dataset_options *options) {
    struct dataset *dataset = NULL;
    struct err err = {0};
    if (dataset_open(options, &err, &dataset) != 0)
        fail_msg("%s", err.message);
    return dataset;
}

static void assert_refused(const struct dataset_options *options, int code, const char *text) {
    struct dataset *dataset = NULL;
    struct err err = {0};
    int rc = dataset_open(options, &err, &dataset);
    dataset_close(dataset);
    if (rc != code || !strstr(err.message, text))
        fail_msg("code %d, \"%s\": expected %d, \"%s\"", rc, err.message, code, text);
}

static void fill_split(const char *dir) {
    fill(dir, "train/cat", 20, 12, 10);
    fill(dir, "train/Dog", 10, 12, 100);
    fill(dir, "train/\xc3\xa4pfel", 10, 12, 150);
    fill(dir, "test/cat", 3, 12, 50);
    fill(dir, "test/Dog", 2, 12, 60);
}

static void reads_train_and_test(void **state) {
    fill_split(*state);
    struct dataset_options options = options_for(*state);
    struct dataset *dataset = open_folder(&options);
    assert_string_equal(dataset->format, "folder");
    assert_int_equal(dataset->channels, 3);
    assert_int_equal(dataset->height, 12);
    assert_int_equal(dataset->n_classes, 3);
    assert_string_equal(dataset->class_names[0], "Dog"); /* bytewise */
    assert_string_equal(dataset->class_names[1], "cat");
    assert_string_equal(dataset->class_names[2], "\xc3\xa4pfel");
    assert_int_equal(dataset->n[SPLIT_TRAIN], 36);
    assert_int_equal(dataset->n[SPLIT_VALIDATION], 4);
    assert_int_equal(dataset->n[SPLIT_TEST], 5);
    for (int i = 0; i < 40; i++)
        assert_int_equal(dataset->labels[i], i < 10 ? 0 : i < 30 ? 1 : 2);
    assert_int_equal(dataset->index[SPLIT_TEST][0], 40);
    assert_int_equal(dataset->labels[42], 1);
    /* Image 13 is cat/003.png: byte b of row y is 13 + 3 y + b, planes apart. */
    const uint8_t *image = dataset->images + (size_t)13 * 3 * 144;
    for (int c = 0; c < 3; c++)
        for (int y = 0; y < 12; y++)
            for (int x = 0; x < 12; x++)
                assert_int_equal(image[c * 144 + y * 12 + x], 13 + 3 * y + 3 * x + c);
    dataset_close(dataset);
}

/* With sums from the cache the statistics are those of the pixels themselves. */
static void statistics_are_those_of_the_pixels(void **state) {
    fill_split(*state);
    struct dataset_options options = options_for(*state);
    struct dataset *dataset = open_folder(&options);
    for (int c = 0; c < 3; c++) {
        double sum = 0;
        for (size_t i = 0; i < dataset->n[SPLIT_TRAIN]; i++)
            for (size_t j = 0; j < 144; j++)
                sum +=
                    dataset->images[((size_t)dataset->index[SPLIT_TRAIN][i] * 3 + (size_t)c) * 144 +
                                    j];
        assert_true(sum / (36 * 144 * 255.0) - (double)dataset->mean[c] < 1e-6);
        assert_true((double)dataset->mean[c] - sum / (36 * 144 * 255.0) < 1e-6);
    }
    dataset_close(dataset);
}

static void val_beside_test_is_for_choosing(void **state) {
    fill_split(*state);
    fill(*state, "val/cat", 4, 12, 70);
    struct dataset_options options = options_for(*state);
    struct dataset *dataset = open_folder(&options);
    assert_int_equal(dataset->n[SPLIT_TRAIN], 40);
    assert_int_equal(dataset->n[SPLIT_VALIDATION], 4);
    assert_int_equal(dataset->n[SPLIT_TEST], 5);
    assert_int_equal(dataset->images[(size_t)dataset->index[SPLIT_VALIDATION][0] * 432], 70);
    dataset_close(dataset);
}

static void one_folder_is_cut_by_the_seed(void **state) {
    fill(*state, "a", 30, 12, 0);
    fill(*state, "b", 20, 12, 40);
    struct dataset_options options = options_for(*state);
    struct dataset *first = open_folder(&options), *again = open_folder(&options), *other;
    options.split_seed = 2;
    other = open_folder(&options);
    assert_int_equal(first->n[SPLIT_TEST], 5);
    assert_int_equal(first->n[SPLIT_VALIDATION], 4);
    assert_int_equal(first->n[SPLIT_TRAIN], 41);
    int seen[50] = {0};
    for (int s = 0; s < SPLITS; s++)
        for (size_t i = 0; i < first->n[s]; i++)
            seen[first->index[s][i]]++;
    for (int i = 0; i < 50; i++)
        assert_int_equal(seen[i], 1);
    assert_string_equal(first->revision, again->revision);
    assert_string_not_equal(first->revision, other->revision);
    assert_memory_not_equal(first->index[SPLIT_TEST], other->index[SPLIT_TEST], 20);
    dataset_close(first);
    dataset_close(again);
    dataset_close(other);
}

static void damaged_images_are_skipped_and_named(void **state) {
    fill_split(*state);
    char *cat = strdup(below(*state, "train/cat"));
    truncate(below(cat, "004.png"), 60);
    fixture_write_file(cat, "zero.jpg", "", 0);
    fixture_write_file(cat, "text.jpeg", "no image", 8);
    fixture_write_file(cat, "notes.txt", "ignored", 7);
    fixture_write_file(cat, "bad\xff.png", "x", 1);
    assert_int_equal(symlink("000.png", below(cat, "link.png")), 0);
    assert_int_equal(mkfifo(below(cat, "pipe.png"), 0600), 0);
    assert_int_equal(mkdir(below(cat, "folder.png"), 0700), 0);
    fixture_write_png(cat, "tiny.png", 5, 5, 1);
    struct dataset_options options = options_for(*state);
    assert_refused(&options, ESP_ECORRUPT, "8 of 52 images cannot be used (15.4 %, at most 5.0 %");
    options.max_skipped = 0.2;
    struct dataset *dataset = open_folder(&options);
    assert_int_equal(dataset->n[SPLIT_TRAIN] + dataset->n[SPLIT_VALIDATION], 39);
    assert_int_equal(dataset->skipped.n, 8);
    assert_int_equal(dataset->skipped.n_files, 52);
    static const char *const rows[][2] = {{"train/cat/bad\\xff.png", "UTF-8"},
                                          {"train/cat/folder.png", "no regular file"},
                                          {"train/cat/link.png", "symbolic link"},
                                          {"train/cat/pipe.png", "no regular file"},
                                          {"train/cat/zero.jpg", "empty"},
                                          {"train/cat/004.png", "ends early"},
                                          {"train/cat/text.jpeg", "neither JPEG nor PNG"},
                                          {"train/cat/tiny.png", "5x5 pixels, too few for the 12"}};
    for (size_t i = 0; i < 8; i++) {
        assert_string_equal(dataset->skipped.first[i].name, rows[i][0]);
        if (!strstr(dataset->skipped.first[i].reason, rows[i][1]))
            fail_msg("%s: %s", rows[i][0], dataset->skipped.first[i].reason);
    }
    dataset_close(dataset);
    free(cat);
}

static void a_loop_of_links_ends(void **state) {
    fill_split(*state);
    assert_int_equal(symlink("..", below(*state, "train/loop")), 0);
    assert_int_equal(symlink("/etc", below(*state, "train/outside")), 0);
    struct dataset_options options = options_for(*state);
    struct dataset *dataset = open_folder(&options);
    assert_int_equal(dataset->n_classes, 3);
    dataset_close(dataset);
}

static void what_cannot_be_learnt_is_refused(void **state) {
    struct dataset_options options = options_for(*state);
    assert_refused(&options, ESP_EUNSUPPORTED, "no files of a known format");
    options.format = "folder";
    assert_refused(&options, ESP_EINVAL, "0 class folders");
    fill(*state, "one", 5, 12, 0);
    assert_refused(&options, ESP_EINVAL, "1 class folder: one class cannot be learnt");
    mkdir(below(*state, "two"), 0700);
    assert_refused(&options, ESP_EINVAL, "class folder two/ holds no images");
    fixture_write_file(below(*state, "two"), "a.png", "x", 1);
    options.max_skipped = 1;
    assert_refused(&options, ESP_ECORRUPT, "none of the images of class two can be used");
    fill(*state, "\xff\xfe", 3, 12, 0);
    assert_refused(&options, ESP_EINVAL, "is not UTF-8");
    options.side = 2000;
    assert_refused(&options, ESP_EINVAL, "side 2000");
}

static void an_unknown_test_class_is_refused(void **state) {
    fill_split(*state);
    fill(*state, "test/horse", 1, 12, 0);
    struct dataset_options options = options_for(*state);
    assert_refused(&options, ESP_EINVAL, "test/horse is a class that");
}

static void the_side_follows_the_files_or_the_option(void **state) {
    fill(*state, "a", 11, 40, 0);
    fill(*state, "b", 10, 24, 0);
    fixture_write_png(below(*state, "b"), "wide.png", 90, 30, 0);
    struct dataset_options options = options_for(*state);
    struct dataset *dataset = open_folder(&options);
    assert_int_equal(dataset->height, 40); /* 11 of 22 have 40, 11 less: the upper middle */
    assert_int_equal(dataset->n_enlarged, 11);
    dataset_close(dataset);
    options.side = 20;
    dataset = open_folder(&options);
    assert_int_equal(dataset->width, 20);
    assert_int_equal(dataset->n_enlarged, 0);
    dataset_close(dataset);
}

static struct stat stat_of(const char *path) {
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    return st;
}

static void the_cache_is_used_until_the_source_changes(void **state) {
    char *cache = fixture_make_dir();
    fill_split(*state);
    struct dataset_options options = options_for(*state);
    options.cache_dir = below(cache, "deep/er");
    const char *path = strdup(below(cache, "deep/er/images.cache"));
    options.cache_dir = strdup(options.cache_dir);
    struct dataset *first = open_folder(&options);
    struct stat made = stat_of(path);
    struct dataset *second = open_folder(&options);
    assert_int_equal(stat_of(path).st_ino, made.st_ino);
    assert_string_equal(first->revision, second->revision);
    assert_non_null(second->map);
    dataset_close(second);
    fixture_write_png(below(*state, "train/cat"), "003.png", 12, 12, 99);
    second = open_folder(&options);
    assert_int_not_equal(stat_of(path).st_ino, made.st_ino);
    assert_string_not_equal(first->revision, second->revision);
    assert_int_equal(second->images[13 * 432], 99);
    assert_int_equal(first->images[13 * 432], 13); /* the old file stays mapped */
    dataset_close(first);
    dataset_close(second);
    fixture_remove_dir(cache);
    free((void *)options.cache_dir);
    free((void *)path);
}

/* Any byte that is changed is noticed, and the cache made anew. */
static void a_damaged_cache_is_made_anew(void **state) {
    char *cache = fixture_make_dir();
    fill_split(*state);
    struct dataset_options options = options_for(*state);
    options.cache_dir = cache;
    const char *path = strdup(below(cache, "images.cache"));
    struct dataset *first = open_folder(&options);
    off_t size = stat_of(path).st_size;
    static const int places[] = {0, 8, 4096, 5000, -1, -20, -60, -90, -96, -200, -1500};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        off_t at = places[i] < 0 ? size + places[i] : places[i];
        ino_t before = stat_of(path).st_ino;
        char byte;
        int fd = open(path, O_RDWR);
        assert_int_equal(pread(fd, &byte, 1, at), 1);
        byte ^= 0x20;
        assert_int_equal(pwrite(fd, &byte, 1, at), 1);
        close(fd);
        struct dataset *again = open_folder(&options);
        assert_string_equal(again->revision, first->revision);
        if (places[i] != -1) /* of the zeros at the end nothing hangs */
            assert_int_not_equal(stat_of(path).st_ino, before);
        dataset_close(again);
    }
    assert_int_equal(truncate(path, size / 2), 0);
    struct dataset *again = open_folder(&options);
    assert_string_equal(again->revision, first->revision);
    dataset_close(again);
    dataset_close(first);
    fixture_remove_dir(cache);
    free((void *)path);
}

static void a_full_disk_leaves_nothing(void **state) {
    char *cache = fixture_make_dir();
    fill_split(*state);
    struct dataset_options options = options_for(*state);
    options.cache_dir = cache;
    struct rlimit old, small;
    getrlimit(RLIMIT_FSIZE, &old);
    signal(SIGXFSZ, SIG_IGN);
    small = (struct rlimit){10000, old.rlim_max};
    setrlimit(RLIMIT_FSIZE, &small);
    assert_refused(&options, ESP_ENOSPACE, "--job-file-size");
    small.rlim_cur = 20000; /* room for the 19,440 bytes of pixels, not for all of the file */
    setrlimit(RLIMIT_FSIZE, &small);
    assert_refused(&options, ESP_ENOSPACE, "images.cache");
    setrlimit(RLIMIT_FSIZE, &old);
    assert_int_equal(rmdir(cache), 0);
    free(cache);
}

static bool stop_soon(void *context, size_t done, size_t total) {
    return ++*(int *)context > 0;
}

static void decoding_can_be_stopped(void **state) {
    char *cache = fixture_make_dir();
    int calls = 0;
    fill_split(*state);
    struct dataset_options options = options_for(*state);
    options.cache_dir = cache;
    options.progress = stop_soon;
    options.context = &calls;
    assert_refused(&options, ESP_ECANCELED, "stopped");
    assert_int_equal(rmdir(cache), 0);
    free(cache);
}

/* Another process that holds the half-made file is waited for. */
static void two_jobs_make_it_once(void **state) {
    char *cache = fixture_make_dir();
    fill_split(*state);
    struct dataset_options options = options_for(*state);
    options.cache_dir = cache;
    pid_t child = fork();
    struct dataset *dataset = NULL;
    struct err err = {0};
    int rc = dataset_open(&options, &err, &dataset);
    if (child == 0)
        _exit(rc == 0 && dataset->n[SPLIT_TEST] == 5 ? 0 : 1);
    int status = -1;
    assert_int_equal(rc, 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    dataset_close(dataset);
    fixture_remove_dir(cache);
}

static void threads_change_nothing(void **state) {
    fill_split(*state);
    struct dataset_options options = options_for(*state);
    struct dataset *one = open_folder(&options);
    assert_int_equal(parallel_create(3, &options.pool), 0);
    struct dataset *three = open_folder(&options);
    assert_string_equal(one->revision, three->revision);
    parallel_destroy(options.pool);
    dataset_close(one);
    dataset_close(three);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(reads_train_and_test),
        TEST(statistics_are_those_of_the_pixels),
        TEST(val_beside_test_is_for_choosing),
        TEST(one_folder_is_cut_by_the_seed),
        TEST(damaged_images_are_skipped_and_named),
        TEST(a_loop_of_links_ends),
        TEST(what_cannot_be_learnt_is_refused),
        TEST(an_unknown_test_class_is_refused),
        TEST(the_side_follows_the_files_or_the_option),
        TEST(the_cache_is_used_until_the_source_changes),
        TEST(a_damaged_cache_is_made_anew),
        TEST(a_full_disk_leaves_nothing),
        TEST(decoding_can_be_stopped),
        TEST(two_jobs_make_it_once),
        TEST(threads_change_nothing),
    };
    return cmocka_run_group_tests_name("supernet-folder", tests, NULL, NULL);
}
