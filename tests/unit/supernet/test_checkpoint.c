#include "fixture.h"

#include "base/file.h"
#include "base/json.h"
#include "supernet/checkpoint_format.h"
#include "supernet/checkpoint_store.h"
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

struct place {
    char *dir, path[600];
    struct space *space;
    struct supernet *supernet;
};

/* Weights that are no round numbers, and momentum in half of the tensors. */
static void fill(struct supernet *supernet, uint64_t seed) {
    for (int i = 0; i < supernet->n_tensors; i++) {
        struct tensor *tensor = &supernet->tensors[i];
        struct rng rng = rng_make(seed, RNG_TEST, 0, (uint32_t)i);
        for (size_t j = 0; j < tensor->count; j++) {
            tensor->data[j] = (float)rng_normal(&rng);
            if (tensor->momentum && i % 2)
                tensor->momentum[j] = (float)rng_normal(&rng);
        }
    }
}

static int setup(void **state) {
    struct place *place = calloc(1, sizeof *place);
    struct err err = {0};
    place->dir = fixture_make_dir();
    snprintf(place->path, sizeof place->path, "%s/a.ckpt", place->dir);
    place->space = fixture_space(5);
    assert_int_equal(supernet_create(place->space, 1, &err, &place->supernet), 0);
    fill(place->supernet, 1);
    *state = place;
    return 0;
}

static int teardown(void **state) {
    struct place *place = *state;
    supernet_destroy(place->supernet);
    space_destroy(place->space);
    fixture_remove_dir(place->dir);
    free(place);
    return 0;
}

static struct checkpoint_summary write_with(const struct place *place,
                                            const struct checkpoint_notes *notes) {
    struct checkpoint_summary summary = {0};
    struct err err = {0};
    if (checkpoint_write(place->path, place->supernet, notes, &err, &summary) != 0)
        fail_msg("%s", err.message);
    return summary;
}

/* Opens and reads into a new supernet. */
static int load(const char *path, struct err *err, struct supernet **ret_supernet) {
    struct checkpoint *checkpoint = NULL;
    int rc = checkpoint_open(path, err, &checkpoint);
    if (rc == 0)
        rc = checkpoint_load(checkpoint, err, ret_supernet);
    checkpoint_close(checkpoint);
    return rc;
}

static void assert_equal_weights(const struct supernet *a, const struct supernet *b) {
    assert_int_equal(a->n_tensors, b->n_tensors);
    for (int i = 0; i < a->n_tensors; i++) {
        size_t bytes = a->tensors[i].count * sizeof(float);
        assert_string_equal(a->tensors[i].name, b->tensors[i].name);
        assert_memory_equal(a->tensors[i].data, b->tensors[i].data, bytes);
        if (a->tensors[i].momentum)
            assert_memory_equal(a->tensors[i].momentum, b->tensors[i].momentum, bytes);
    }
}

static void what_is_written_is_read(void **state) {
    struct place *place = *state;
    struct err err = {0};
    struct checkpoint *checkpoint = NULL;
    struct supernet *supernet = NULL;
    cJSON *training = cJSON_Parse("{\"step\": 7, \"loss\": 0.1}");
    cJSON *history = cJSON_Parse("[1, 2.5]");
    struct checkpoint_notes notes = {"0123456789abcdef0123456789abcdef", training, history};
    struct checkpoint_summary summary = write_with(place, &notes);
    if (checkpoint_open(place->path, &err, &checkpoint) != 0)
        fail_msg("%s", err.message);
    assert_string_equal(checkpoint->summary.id, summary.id);
    assert_int_equal(checkpoint->summary.bytes, summary.bytes);
    assert_string_equal(checkpoint->dataset_revision, notes.dataset_revision);
    assert_string_equal(checkpoint->space->fingerprint, place->space->fingerprint);
    assert_true(cJSON_Compare(checkpoint->training, training, true));
    assert_true(cJSON_Compare(checkpoint->history, history, true));
    assert_int_equal(checkpoint_verify(checkpoint, &err), 0);
    if (checkpoint_load(checkpoint, &err, &supernet) != 0)
        fail_msg("%s", err.message);
    assert_equal_weights(place->supernet, supernet);
    checkpoint_close(checkpoint);
    supernet_destroy(supernet);
    cJSON_Delete(training);
    cJSON_Delete(history);
}

static void the_id_follows_the_content(void **state) {
    struct place *place = *state;
    struct checkpoint_notes notes = {0};
    struct checkpoint_summary a = write_with(place, &notes), b = write_with(place, &notes), c;
    assert_string_equal(a.id, b.id);
    place->supernet->tensors[3].data[0] += 1;
    c = write_with(place, &notes);
    assert_string_not_equal(a.id, c.id);
}

static void any_damage_is_noticed(void **state) {
    struct place *place = *state;
    struct checkpoint_notes notes = {0};
    char *bytes;
    size_t len;
    struct err err = {0};
    write_with(place, &notes);
    assert_int_equal(file_read(place->path, 1 << 24, &err, &bytes, &len), 0);
    struct rng rng = rng_make(9, RNG_TEST, 0, 0);
    for (int i = 0; i < 300; i++) {
        size_t at = i < CHECKPOINT_PREFIX ? (size_t)i : rng_below(&rng, (uint32_t)len);
        struct supernet *supernet = NULL;
        char before = bytes[at];
        bytes[at] = (char)(before ^ (1 << rng_below(&rng, 8)));
        fixture_write_file(place->dir, "a.ckpt", bytes, len);
        int rc = load(place->path, &err, &supernet);
        if (rc != ESP_ECORRUPT && rc != ESP_EVERSION && rc != ESP_ELIMIT)
            fail_msg("byte %zu of %zu changed: %d", at, len, rc);
        assert_null(supernet);
        assert_non_null(strstr(err.message, "a.ckpt"));
        bytes[at] = before;
    }
    free(bytes);
}

static void truncation_is_noticed(void **state) {
    struct place *place = *state;
    struct checkpoint_notes notes = {0};
    struct rng rng = rng_make(10, RNG_TEST, 0, 0);
    for (int i = 0; i < 60; i++) {
        struct supernet *supernet = NULL;
        struct err err = {0};
        struct checkpoint_summary summary = write_with(place, &notes);
        size_t len = i < 20 ? (size_t)i * 5 : rng_below(&rng, (uint32_t)summary.bytes);
        fixture_truncate(place->dir, "a.ckpt", len);
        assert_int_equal(load(place->path, &err, &supernet), ESP_ECORRUPT);
        if (!strstr(err.message, "truncated"))
            fail_msg("cut to %zu bytes: %s", len, err.message);
    }
}

static void other_files_are_refused(void **state) {
    struct place *place = *state;
    struct supernet *supernet = NULL;
    struct err err = {0};
    char text[256] = "PK\3\4";
    fixture_write_file(place->dir, "a.ckpt", text, sizeof text);
    assert_int_equal(load(place->path, &err, &supernet), ESP_ECORRUPT);
    assert_non_null(strstr(err.message, "is no checkpoint"));
    memcpy(text, CHECKPOINT_MAGIC "\2", 9);
    fixture_write_file(place->dir, "a.ckpt", text, sizeof text);
    assert_int_equal(load(place->path, &err, &supernet), ESP_EVERSION);
    assert_non_null(strstr(err.message, "has version 2; this program reads version 1"));
    remove(place->path);
    assert_int_equal(load(place->path, &err, &supernet), ESP_ENOTFOUND);
}

static void another_space_is_refused(void **state) {
    struct place *place = *state;
    struct checkpoint_notes notes = {0};
    struct checkpoint *checkpoint = NULL;
    struct err err = {0};
    struct space *other = fixture_space(6);
    write_with(place, &notes);
    assert_int_equal(checkpoint_open(place->path, &err, &checkpoint), 0);
    assert_int_equal(checkpoint_require_space(checkpoint, place->space, &err), 0);
    assert_int_equal(checkpoint_require_space(checkpoint, other, &err), ESP_EMISMATCH);
    assert_string_equal(err.pointer, "/space");
    struct supernet *supernet = NULL;
    assert_int_equal(supernet_create(other, 0, &err, &supernet), 0);
    assert_int_equal(checkpoint_restore(checkpoint, supernet, &err), ESP_EMISMATCH);
    supernet_destroy(supernet);
    checkpoint_close(checkpoint);
    space_destroy(other);
}

/* Rewrites the header by change and puts the right checksum over it. */
static void forge(const struct place *place, void (*change)(cJSON *header)) {
    char *bytes;
    size_t len;
    struct err err = {0};
    struct checkpoint_notes notes = {0};
    cJSON *header = NULL;
    write_with(place, &notes);
    assert_int_equal(file_read(place->path, 1 << 24, &err, &bytes, &len), 0);
    uint32_t header_len;
    memcpy(&header_len, bytes + 12, sizeof header_len);
    assert_int_equal(
        json_parse(bytes + CHECKPOINT_PREFIX, header_len, &json_limits_default, &err, &header), 0);
    change(header);
    char *text = json_print_canonical(header);
    size_t text_len = strlen(text), rest = len - CHECKPOINT_PREFIX - header_len;
    char *forged = malloc(CHECKPOINT_PREFIX + text_len + rest + 1);
    uint32_t numbers[2] = {CHECKPOINT_VERSION, (uint32_t)text_len};
    memcpy(forged, CHECKPOINT_MAGIC, 8);
    memcpy(forged + 8, numbers, sizeof numbers);
    hash_text_long(text, text_len, forged + 16);
    memcpy(forged + CHECKPOINT_PREFIX, text, text_len);
    memcpy(forged + CHECKPOINT_PREFIX + text_len, bytes + CHECKPOINT_PREFIX + header_len, rest);
    fixture_write_file(place->dir, "a.ckpt", forged, CHECKPOINT_PREFIX + text_len + rest);
    free(forged);
    free(text);
    free(bytes);
    cJSON_Delete(header);
}

static cJSON *section(cJSON *header, int i) {
    return cJSON_GetArrayItem(cJSON_GetObjectItem(header, "sections"), i);
}

static void set(cJSON *object, const char *key, cJSON *value) {
    cJSON_ReplaceItemInObjectCaseSensitive(object, key, value);
}

static void repeat_a_section(cJSON *header) {
    cJSON *copy = cJSON_Duplicate(section(header, 0), 1);
    cJSON_ReplaceItemInArray(cJSON_GetObjectItem(header, "sections"), 2, copy);
}

static void drop_a_section(cJSON *header) {
    cJSON_DeleteItemFromArray(cJSON_GetObjectItem(header, "sections"), 1);
}

static void rename_a_section(cJSON *header) {
    set(section(header, 0), "name", cJSON_CreateString("elsewhere.weight"));
}

static void transpose_a_section(cJSON *header) {
    static const int dims[] = {3, 3, 1, 8};
    set(section(header, 0), "dims", cJSON_CreateIntArray(dims, 4));
}

static void relabel_the_codec(cJSON *header) {
    set(section(header, 0), "codec", cJSON_CreateString("zstd"));
}

static void use_an_unknown_codec(cJSON *header) {
    set(section(header, 0), "codec", cJSON_CreateString("lz9"));
}

static void point_far_away(cJSON *header) {
    set(section(header, 0), "offset", cJSON_CreateNumber(4503599627370496.0));
}

static void use_a_negative_place(cJSON *header) {
    set(section(header, 0), "offset", cJSON_CreateNumber(-8));
}

static void use_a_broken_space(cJSON *header) {
    set(cJSON_GetObjectItem(header, "space"), "stages", cJSON_CreateArray());
}

static void use_another_fingerprint(cJSON *header) {
    set(header, "fingerprint", cJSON_CreateString("00000000000000000000000000000000"));
}

static void forget_the_sections(cJSON *header) {
    cJSON_DeleteItemFromObject(header, "sections");
}

/* Headers that stand under a good checksum and yet lie. */
static void lies_are_noticed(void **state) {
    static const struct {
        void (*change)(cJSON *header);
        int code;
        const char *text;
    } lies[] = {
        {repeat_a_section, ESP_ECORRUPT, "twice"},
        {drop_a_section, ESP_EMISMATCH, "sections, the supernet"},
        {rename_a_section, ESP_EMISMATCH, "elsewhere.weight"},
        {transpose_a_section, ESP_EMISMATCH, "with that shape"},
        {relabel_the_codec, ESP_ECORRUPT, "does not unpack"},
        {use_an_unknown_codec, ESP_ECORRUPT, "/sections/0/codec"},
        {point_far_away, ESP_ECORRUPT, "truncated"},
        {use_a_negative_place, ESP_ECORRUPT, "/sections/0/offset"},
        {use_a_broken_space, ESP_ECORRUPT, "/stages"},
        {use_another_fingerprint, ESP_ECORRUPT, "fingerprint"},
        {forget_the_sections, ESP_ECORRUPT, "/sections"},
    };
    struct place *place = *state;
    for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
        struct supernet *supernet = NULL;
        struct err err = {0};
        forge(place, lies[i].change);
        int rc = load(place->path, &err, &supernet);
        assert_null(supernet);
        if (rc != lies[i].code || !strstr(err.message, lies[i].text))
            fail_msg("lie %zu: %d, %s", i, rc, err.message);
    }
}

/* A real failed write: the kernel refuses to let the file grow. */
static void a_full_disk_leaves_the_old_one(void **state) {
    struct place *place = *state;
    struct checkpoint_notes notes = {0};
    struct checkpoint_summary before = write_with(place, &notes), after;
    struct err err = {0};
    struct rlimit old, small;
    struct checkpoint *checkpoint = NULL;
    fill(place->supernet, 2);
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    small = (struct rlimit){(rlim_t)before.bytes / 2, old.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    int rc = checkpoint_write(place->path, place->supernet, &notes, &err, &after);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    assert_int_equal(rc, ESP_ENOSPACE);
    assert_int_equal(checkpoint_open(place->path, &err, &checkpoint), 0);
    assert_string_equal(checkpoint->summary.id, before.id);
    assert_int_equal(checkpoint_verify(checkpoint, &err), 0);
    checkpoint_close(checkpoint);
}

static struct checkpoint_store make_store(const struct place *place) {
    struct checkpoint_store store = {.interval = 10, .keep = 2};
    snprintf(store.dir, sizeof store.dir, "%s", place->dir);
    return store;
}

static void save(const struct place *place, uint64_t step, bool best) {
    struct checkpoint_store store = make_store(place);
    char text[64];
    snprintf(text, sizeof text, "{\"step\": %d}", (int)step);
    cJSON *training = cJSON_Parse(text);
    struct checkpoint_notes notes = {.training = training};
    struct checkpoint_summary summary;
    struct err err = {0};
    if (checkpoint_store_save(&store, step, place->supernet, &notes, &err, &summary) != 0 ||
        (best && checkpoint_store_mark_best(&store, step, &err) != 0))
        fail_msg("%s", err.message);
    cJSON_Delete(training);
}

static bool has(const struct place *place, const char *name) {
    char path[700];
    snprintf(path, sizeof path, "%s/%s", place->dir, name);
    return file_exists(path);
}

static int step_in(const char *dir, const char *name) {
    char path[700];
    struct checkpoint *checkpoint = NULL;
    struct err err = {0};
    snprintf(path, sizeof path, "%s/%s", dir, name);
    assert_int_equal(checkpoint_open(path, &err, &checkpoint), 0);
    int step = cJSON_GetObjectItem(checkpoint->training, "step")->valueint;
    checkpoint_close(checkpoint);
    return step;
}

static void the_store_keeps_the_last_and_the_best(void **state) {
    struct place *place = *state;
    save(place, 0, false);
    save(place, 10, true);
    save(place, 20, false);
    save(place, 25, false); /* stopped here once */
    assert_false(has(place, "step-000000000.ckpt"));
    assert_true(has(place, "step-000000010.ckpt"));
    assert_true(has(place, "step-000000025.ckpt"));
    save(place, 30, false);
    assert_false(has(place, "step-000000010.ckpt"));
    assert_true(has(place, "step-000000020.ckpt"));
    assert_false(has(place, "step-000000025.ckpt"));
    assert_int_equal(step_in(place->dir, "best.ckpt"), 10);
    save(place, 40, true);
    assert_int_equal(step_in(place->dir, "best.ckpt"), 40);
}

static int newest_step(const char *dir, int *ret_code, struct err *ret_skipped) {
    struct checkpoint *checkpoint = NULL;
    struct err err = {0};
    *ret_code = checkpoint_store_newest(dir, &err, ret_skipped, &checkpoint);
    int step = checkpoint ? cJSON_GetObjectItem(checkpoint->training, "step")->valueint : -1;
    checkpoint_close(checkpoint);
    return step;
}

/* -1: there is none. */
static int regular_step(const struct place *place, uint64_t step, uint64_t proof) {
    struct checkpoint_store store = make_store(place);
    struct checkpoint *checkpoint = NULL;
    struct err err = {0};
    if (checkpoint_store_regular(&store, step, proof, &err, &checkpoint) != 0)
        return -1;
    int found = cJSON_GetObjectItem(checkpoint->training, "step")->valueint;
    checkpoint_close(checkpoint);
    return found;
}

static void what_is_gone_back_to_has_stood_for_some_steps(void **state) {
    struct place *place = *state;
    save(place, 10, false);
    save(place, 20, true);
    save(place, 23, false);
    assert_int_equal(regular_step(place, 28, 8), 20);
    assert_int_equal(regular_step(place, 27, 8), 10);
    assert_int_equal(regular_step(place, 20, 8), 10);
    assert_int_equal(regular_step(place, 20, 0), 20);
    assert_int_equal(regular_step(place, 23, 14), 10); /* none has: the oldest */
    assert_int_equal(regular_step(place, 9, 8), -1);
    fixture_truncate(place->dir, "step-000000010.ckpt", 5000);
    assert_int_equal(regular_step(place, 20, 8), 20);
    struct checkpoint_store store = make_store(place);
    checkpoint_store_forget(&store, 10);
    assert_true(has(place, "step-000000010.ckpt") && has(place, "best.ckpt"));
    assert_false(has(place, "step-000000020.ckpt") || has(place, "step-000000023.ckpt"));
}

static void damaged_ones_are_passed_over(void **state) {
    struct place *place = *state;
    struct err skipped;
    int rc;
    assert_int_equal(newest_step(place->dir, &rc, &skipped), -1);
    assert_int_equal(rc, ESP_ENOTFOUND);
    save(place, 10, false);
    save(place, 20, false);
    save(place, 23, false);
    assert_int_equal(newest_step(place->dir, &rc, &skipped), 23);
    assert_int_equal(skipped.code, 0);
    assert_int_equal(regular_step(place, 22, 0), 20);
    fixture_truncate(place->dir, "step-000000023.ckpt", 5000);
    assert_int_equal(newest_step(place->dir, &rc, &skipped), 20);
    assert_non_null(strstr(skipped.message, "step-000000023.ckpt is truncated"));
    fixture_truncate(place->dir, "step-000000020.ckpt", 3);
    fixture_truncate(place->dir, "step-000000010.ckpt", 0);
    assert_int_equal(newest_step(place->dir, &rc, &skipped), -1);
    assert_int_equal(rc, ESP_ECORRUPT);
}

/* Gone on with from 20, a training is stopped before it comes to the damaged one again. */
static void what_is_saved_before_a_damaged_one_stays(void **state) {
    struct place *place = *state;
    struct err skipped;
    int rc;
    save(place, 10, false);
    save(place, 20, false);
    save(place, 30, false);
    fixture_truncate(place->dir, "step-000000030.ckpt", 5000);
    save(place, 25, false);
    assert_int_equal(newest_step(place->dir, &rc, &skipped), 25);
    assert_int_equal(skipped.code, 0);
    assert_true(has(place, "step-000000020.ckpt"));
    assert_false(has(place, "step-000000030.ckpt"));
}

/* Over /dev/shm, in a mount namespace of this process. */
static int mount_small_disk(int64_t bytes) {
    char size[64];
    snprintf(size, sizeof size, "size=%lld", (long long)bytes);
    if (unshare(CLONE_NEWNS | (geteuid() == 0 ? 0 : CLONE_NEWUSER)) < 0)
        return -1;
    if (mount("none", "/dev/shm", NULL, MS_PRIVATE, NULL) < 0)
        return -1;
    return mount("small", "/dev/shm", "tmpfs", 0, size);
}

/* Room for three and a half: two regular ones and the best leave none for the next. 0: as expected.
 */
static int fill_small_disk(struct place *place, int64_t bytes) {
    struct place small = *place;
    struct checkpoint_store store;
    struct checkpoint_notes notes = {0};
    struct checkpoint_summary summary;
    struct err err = {0};
    small.dir = "/dev/shm";
    store = make_store(&small);
    if (mount_small_disk(7 * bytes / 2) < 0)
        return 77;
    save(&small, 10, true);
    save(&small, 20, false);
    save(&small, 30, false);
    save(&small, 40, false); /* in the place of 20, which was to be kept until it stood */
    if (has(&small, "step-000000020.ckpt") || step_in("/dev/shm", "best.ckpt") != 10)
        return 1;
    if (!has(&small, "step-000000030.ckpt") || step_in("/dev/shm", "step-000000040.ckpt") != 40)
        return 2;
    checkpoint_store_forget(&store, 30); /* of what is left nothing can go */
    int fd = open("/dev/shm/other", O_WRONLY | O_CREAT, 0600);
    if (fd < 0)
        return 3;
    while (write(fd, &small, sizeof small) > 0) {
    }
    close(fd);
    int rc = checkpoint_store_save(&store, 50, small.supernet, &notes, &err, &summary);
    if (rc != ESP_ENOSPACE || !strstr(err.message, "step-000000050.ckpt"))
        return 4;
    return step_in("/dev/shm", "step-000000030.ckpt") == 30 &&
                   step_in("/dev/shm", "best.ckpt") == 10 && !has(&small, "step-000000050.ckpt")
               ? 0
               : 5;
}

static int try_save(const struct place *place, const struct checkpoint_store *store,
                    uint64_t step) {
    struct checkpoint_notes notes = {0};
    struct checkpoint_summary summary;
    return checkpoint_store_save(store, step, place->supernet, &notes, NULL, &summary);
}

static void fill_disk(const char *path) {
    char block[512] = {0};
    int fd = open(path, O_WRONLY | O_CREAT, 0600);
    while (fd >= 0 && write(fd, block, sizeof block) > 0) {
    }
    close(fd);
}

/* Room for four and a half. The training goes on from 20. 0: as expected. */
static int keep_what_is_stood_on(struct place *place, int64_t bytes) {
    struct place small = *place;
    small.dir = "/dev/shm";
    struct checkpoint_store store = make_store(&small);
    store.keep = 9;
    store.standing = 20;
    if (mount_small_disk(9 * bytes / 2) < 0)
        return 77;
    for (uint64_t step = 10; step <= 40; step += 10)
        if (try_save(&small, &store, step) != 0)
            return 1;
    /* one of a cancel: the newest regular one stays beside it */
    if (try_save(&small, &store, 45) != 0 || has(&small, "step-000000010.ckpt") ||
        has(&small, "step-000000030.ckpt") || !has(&small, "step-000000020.ckpt") ||
        !has(&small, "step-000000040.ckpt"))
        return 2;
    if (try_save(&small, &store, 50) != 0)
        return 3;
    /* the newest is damaged, and 20 was read in its place */
    fixture_truncate(small.dir, "step-000000050.ckpt", 5000);
    fill_disk("/dev/shm/other");
    if (try_save(&small, &store, 60) != 0 || has(&small, "step-000000040.ckpt") ||
        !has(&small, "step-000000020.ckpt"))
        return 4;
    fill_disk("/dev/shm/another");
    if (try_save(&small, &store, 70) != ESP_ENOSPACE || !has(&small, "step-000000020.ckpt") ||
        !has(&small, "step-000000060.ckpt"))
        return 5;
    return 0;
}

static void assert_on_small_disk(struct place *place, int (*act)(struct place *, int64_t)) {
    struct checkpoint_notes notes = {0};
    int64_t bytes = write_with(place, &notes).bytes;
    int status;
    pid_t child = fork();
    if (child == 0)
        _exit(act(place, bytes));
    waitpid(child, &status, 0);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == 77)
        skip(); /* not allowed to mount */
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void older_ones_make_room_on_a_full_disk(void **state) {
    assert_on_small_disk(*state, fill_small_disk);
}

static void what_is_stood_on_makes_no_room(void **state) {
    assert_on_small_disk(*state, keep_what_is_stood_on);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(what_is_written_is_read),
        TEST(the_id_follows_the_content),
        TEST(any_damage_is_noticed),
        TEST(truncation_is_noticed),
        TEST(other_files_are_refused),
        TEST(another_space_is_refused),
        TEST(lies_are_noticed),
        TEST(a_full_disk_leaves_the_old_one),
        TEST(the_store_keeps_the_last_and_the_best),
        TEST(what_is_gone_back_to_has_stood_for_some_steps),
        TEST(damaged_ones_are_passed_over),
        TEST(what_is_saved_before_a_damaged_one_stays),
        TEST(older_ones_make_room_on_a_full_disk),
        TEST(what_is_stood_on_makes_no_room),
    };
    return cmocka_run_group_tests_name("supernet-checkpoint", tests, NULL, NULL);
}
