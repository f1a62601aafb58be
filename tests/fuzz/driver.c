/* Runs a fuzz target without libFuzzer: every file of the corpus as it is, then mutations of them
 * from a fixed seed, so that a finding comes again. The input at work is written to a file when the
 * process dies.
 *
 * usage: fuzz_NAME CORPUS_FOLDER [ITERATIONS [SEED]]      fuzz_NAME FILE      (one input, to look
 * at a finding) */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/rng.h"
#include "tests/fuzz/fuzz.h"

enum {
    FILES_MAX = 256,
    INPUT_MAX = 1 << 16,
    ITERATIONS = 20000,
    SECONDS_MAX = 4, /* scripts/fuzz takes its time */
    SECONDS_EACH = 10
};

struct input {
    uint8_t *data;
    size_t size;
};

static struct input corpus[FILES_MAX];
static size_t corpus_files;
static struct input current; /* what fuzz_one is looking at */
static char finding[256];    /* where it is written to */

/* Only what a signal handler may call. */
static void save_current(void) {
    int fd = open(finding, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return;
    ssize_t put = write(fd, current.data, current.size);
    static const char text[] = "\n# the input is in the file named above\n";
    if (put == (ssize_t)current.size && write(STDOUT_FILENO, "# ", 2) == 2 &&
        write(STDOUT_FILENO, finding, strlen(finding)) > 0)
        put = write(STDOUT_FILENO, text, sizeof(text) - 1);
    close(fd);
}

static void on_signal(int number) {
    save_current();
    signal(number, SIG_DFL);
    raise(number);
}

/* The sanitizers end a process in their own way. */
extern void __sanitizer_set_death_callback(void (*callback)(void)) __attribute__((weak));

static void watch(const char *program) {
    const char *slash = strrchr(program, '/');
    snprintf(finding, sizeof(finding), "%.200s.finding", slash ? slash + 1 : program);
    signal(SIGABRT, on_signal);
    signal(SIGALRM, on_signal);
    if (__sanitizer_set_death_callback) {
        __sanitizer_set_death_callback(save_current);
        return;
    }
    signal(SIGSEGV, on_signal);
    signal(SIGBUS, on_signal);
    signal(SIGFPE, on_signal);
}

/* The copy has exactly the input's size, so that reading one byte too far is seen. */
static void run(const uint8_t *data, size_t size) {
    current.data = malloc(size ? size : 1);
    if (!current.data)
        abort();
    current.size = size;
    memcpy(current.data, data, size);
    alarm(SECONDS_EACH);
    fuzz_one(current.data, size);
    alarm(0);
    free(current.data);
    current = (struct input){0};
}

static bool load(const char *path) {
    char *data;
    size_t size;
    struct err err = {0};
    if (corpus_files == FILES_MAX || file_read(path, INPUT_MAX, &err, &data, &size) < 0) {
        printf("# %s: %s\n", path, err.code ? err.message : "too many files");
        return false;
    }
    corpus[corpus_files++] = (struct input){(uint8_t *)data, size};
    return true;
}

/* In the order of their names, for the seed's sake. */
static bool load_folder(const char *folder) {
    struct dirent **names;
    int count = scandir(folder, &names, NULL, alphasort);
    bool good = count >= 0;
    for (int i = 0; i < count; i++) {
        char path[4096];
        snprintf(path, sizeof(path), "%s/%s", folder, names[i]->d_name);
        if (names[i]->d_name[0] != '.')
            good = load(path) && good;
        free(names[i]);
    }
    if (count >= 0)
        free(names);
    return good;
}

static size_t pick(struct rng *rng, size_t below) {
    return below ? rng_below(rng, (uint32_t)below) : 0;
}

/* Puts len bytes in at position at, as far as there is room. */
static size_t insert(uint8_t *data, size_t size, size_t at, const uint8_t *bytes, size_t len) {
    if (len > INPUT_MAX - size)
        len = INPUT_MAX - size;
    memmove(data + at + len, data + at, size - at);
    memcpy(data + at, bytes, len);
    return size + len;
}

static size_t erase(uint8_t *data, size_t size, size_t at, size_t len) {
    if (len > size - at)
        len = size - at;
    memmove(data + at, data + at + len, size - at - len);
    return size - len;
}

/* Lengths and counts live at such values. */
static size_t set_number(struct rng *rng, uint8_t *data, size_t size, size_t at) {
    static const uint64_t numbers[] = {0,          1,          0x7f,       0x80,       0xff,
                                       0x7fff,     0xffff,     0x10000,    0x7fffffff, 0x80000000,
                                       0xffffffff, 1ull << 32, 1ull << 53, INT64_MAX,  UINT64_MAX};
    static const size_t widths[] = {1, 2, 4, 8};
    uint64_t number = numbers[pick(rng, sizeof(numbers) / sizeof(*numbers))];
    size_t width = widths[pick(rng, 4)];
    if (width <= size - at)
        memcpy(data + at, &number, width);
    return size;
}

/* A piece of another input of the corpus, or of this one, in the place of what stood there or
 * beside it. */
static size_t graft(struct rng *rng, uint8_t *data, size_t size, size_t at) {
    const struct input *other = &corpus[pick(rng, corpus_files)];
    size_t from = pick(rng, other->size), len = pick(rng, other->size - from + 1);
    if (rng_below(rng, 2))
        size = erase(data, size, at, len);
    return insert(data, size, at < size ? at : size, other->data + from, len);
}

static size_t repeat(struct rng *rng, uint8_t *data, size_t size, size_t at) {
    uint8_t piece[64];
    size_t len = 1 + pick(rng, sizeof(piece) - 1);
    if (len > size - at)
        len = size - at;
    memcpy(piece, data + at, len);
    for (size_t times = pick(rng, 200); times > 0; times--)
        size = insert(data, size, at, piece, len);
    return size;
}

static size_t mutate_once(struct rng *rng, uint8_t *data, size_t size) {
    size_t at = pick(rng, size);
    uint8_t byte = (uint8_t)rng_u32(rng);
    if (size == 0)
        return insert(data, size, 0, &byte, 1);
    switch (rng_below(rng, 8)) {
    case 0:
        data[at] ^= (uint8_t)(1u << rng_below(rng, 8));
        return size;
    case 1:
        data[at] = byte;
        return size;
    case 2:
        return insert(data, size, at, &byte, 1);
    case 3:
        return erase(data, size, at, 1 + pick(rng, 16));
    case 4:
        return set_number(rng, data, size, at);
    case 5:
        return repeat(rng, data, size, at);
    case 6:
        return rng_below(rng, 8) ? size : at; /* cut off */
    default:
        return graft(rng, data, size, at);
    }
}

/* Iteration i does not depend on those before it. Stops early on a slow machine; returns how many
 * were run. */
static int run_mutations(int iterations, uint64_t seed) {
    static uint8_t data[INPUT_MAX];
    int64_t end = clock_mono_ns() + SECONDS_MAX * 1000000000ll;
    int i = 0;
    for (; i < iterations && clock_mono_ns() < end; i++) {
        struct rng rng = rng_make(seed, RNG_TEST, (uint64_t)i, 0);
        const struct input *from = &corpus[pick(&rng, corpus_files)];
        size_t size = from->size;
        memcpy(data, from->data, size);
        for (uint32_t times = 1 + rng_below(&rng, 6); times > 0; times--)
            size = mutate_once(&rng, data, size);
        run(data, size);
    }
    return i;
}

int main(int argc, char **argv) {
    struct stat st;
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (argc < 2 || stat(argv[1], &st) < 0) {
        fprintf(stderr, "usage: %s CORPUS_FOLDER [ITERATIONS [SEED]] | FILE\n", argv[0]);
        return 2;
    }
    watch(argv[0]);
    bool loaded = S_ISDIR(st.st_mode) ? load_folder(argv[1]) : load(argv[1]);
    bool single = !S_ISDIR(st.st_mode);
    int iterations = argc > 2 ? atoi(argv[2]) : ITERATIONS;
    printf("1..%d\n", single ? 1 : 2);
    for (size_t i = 0; i < corpus_files; i++)
        run(corpus[i].data, corpus[i].size);
    printf("%sok 1 - corpus of %zu inputs\n", loaded && corpus_files > 0 ? "" : "not ",
           corpus_files);
    if (!single && corpus_files > 0) {
        int done = run_mutations(iterations, argc > 3 ? strtoull(argv[3], NULL, 10) : 1);
        printf("%sok 2 - mutations: %d\n", done > 0 ? "" : "not ", done);
    }
    for (size_t i = 0; i < corpus_files; i++)
        free(corpus[i].data);
    return 0;
}
