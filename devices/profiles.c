#include "devices/profiles.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/json.h"
#include "base/memory.h"
#include "devices/board.h"

enum { WORD_MAX = 1024, THREADS_MAX = 256 };

/* ---- what is asked for ------------------------------------------------------------------------
 */

/* Members of one profile; "" or NULL where it says nothing. */
struct words {
    char threads[WORD_MAX], cores[WORD_MAX], backend[WORD_MAX], config[WORD_MAX];
};

/* "name=value" of len bytes. */
static int read_word(const char *text, size_t len, struct err *err, struct words *words) {
    const struct {
        const char *name;
        char *value;
    } rows[] = {{"threads", words->threads},
                {"cores", words->cores},
                {"backend", words->backend},
                {"backend-config", words->config}};
    const char *equals = memchr(text, '=', len);

    for (size_t i = 0; equals && i < sizeof(rows) / sizeof(*rows); i++) {
        size_t name = (size_t)(equals - text), value = len - name - 1;
        if (strlen(rows[i].name) != name || memcmp(rows[i].name, text, name) != 0)
            continue;
        if (value == 0 || value >= WORD_MAX || rows[i].value[0])
            break;
        memcpy(rows[i].value, equals + 1, value);
        rows[i].value[value] = 0;
        return 0;
    }
    return err_set(err, ESP_EINVAL, NULL,
                   "profile: \"%.*s\" is not one of threads=, cores=, backend= and "
                   "backend-config= with a value, once each",
                   (int)(len < 100 ? len : 100), text);
}

static void fill(char *value, const char *fallback) {
    if (!value[0] && fallback)
        snprintf(value, WORD_MAX, "%s", fallback);
}

/* Another back end than the one that the configuration was said for does not get it. */
static void fill_missing(struct words *words, const struct profile_options *options) {
    const char *backend = options->backend ? options->backend : "native";
    bool same = !words->backend[0] || !strcmp(words->backend, backend);

    fill(words->threads, options->threads ? options->threads : "1");
    fill(words->cores, options->cores);
    fill(words->backend, backend);
    if (same)
        fill(words->config, options->backend_config);
}

static int read_cores(const char *text, struct err *err, struct profile_wish *wish) {
    if (!text[0])
        return 0;
    if (strlen(text) > PROFILE_CORES_MAX)
        return err_set(err, ESP_EINVAL, NULL, "cores: a list has at most %d characters",
                       PROFILE_CORES_MAX);
    int n = board_parse_cores(text, wish->cores, MEASURE_CORES_MAX, err);
    if (n < 0)
        return n;
    wish->n_cores = n;
    snprintf(wish->cores_text, sizeof(wish->cores_text), "%s", text);
    return 0;
}

static int add_wish(const struct words *words, int threads, struct err *err,
                    struct profile_wishes *wishes) {
    struct profile_wish wish = {.threads = threads};
    int rc = read_cores(words->cores, err, &wish);

    if (!rc && wishes->n == PROFILES_MAX)
        rc = err_set(err, ESP_EINVAL, NULL, "a worker offers at most %d profiles", PROFILES_MAX);
    if (!rc && strlen(words->backend) > BACKEND_NAME_MAX)
        rc = err_set(err, ESP_EINVAL, NULL, "there is no back end \"%.60s…\"", words->backend);
    if (!rc && words->config[0] && !(wish.backend_config = mem_strdup(words->config)))
        rc = err_set(err, ESP_ENOMEM, NULL, "out of memory");
    if (rc)
        return rc;
    snprintf(wish.backend, sizeof(wish.backend), "%s", words->backend);
    wishes->items[wishes->n++] = wish;
    return 0;
}

/* A profile for each number of threads. */
static int add_wishes(const struct words *words, struct err *err, struct profile_wishes *wishes) {
    const char *at = words->threads;

    for (bool more = true; more;) {
        char *end = NULL;
        long threads = *at >= '0' && *at <= '9' ? strtol(at, &end, 10) : 0;
        if (threads < 1 || threads > THREADS_MAX || (*end && *end != ','))
            return err_set(err, ESP_EINVAL, NULL,
                           "threads: \"%.60s\" is not a number from 1 to %d, or several such as "
                           "1,2",
                           words->threads, THREADS_MAX);
        int rc = add_wish(words, (int)threads, err, wishes);
        if (rc)
            return rc;
        more = *end == ',';
        at = end + 1;
    }
    return 0;
}

/* Up to the end of text or a semicolon, which *ret_rest points to. */
static int read_profile(const char *text, const struct profile_options *options, struct err *err,
                        struct profile_wishes *wishes, const char **ret_rest) {
    static const char blanks[] = " \t\r\n";
    struct words words = {.threads = ""};
    bool any = false;
    int rc = 0;

    for (text += strspn(text, blanks); *text && *text != ';' && !rc; text += strspn(text, blanks)) {
        size_t len = strcspn(text, " \t\r\n;");
        rc = read_word(text, len, err, &words);
        text += len;
        any = true;
    }
    *ret_rest = text;
    if (rc || !any)
        return rc;
    fill_missing(&words, options);
    return add_wishes(&words, err, wishes);
}

int profile_wishes_read(const struct profile_options *options, struct err *err,
                        struct profile_wishes *ret_wishes) {
    int rc = 0;

    *ret_wishes = (struct profile_wishes){.n = 0};
    for (int i = 0; i < options->profiles.n && !rc; i++) {
        const char *at = options->profiles.items[i];
        rc = read_profile(at, options, err, ret_wishes, &at);
        while (!rc && *at == ';')
            rc = read_profile(at + 1, options, err, ret_wishes, &at);
    }
    if (rc || ret_wishes->n > 0)
        return rc;
    struct words words = {.threads = ""};
    fill_missing(&words, options);
    return add_wishes(&words, err, ret_wishes);
}

void profile_wishes_finish(struct profile_wishes *wishes) {
    for (int i = 0; i < wishes->n; i++)
        free(wishes->items[i].backend_config);
    wishes->n = 0;
}

/* ---- profiles ---------------------------------------------------------------------------------
 */

/* What the board's owner can change while the worker runs, of the profile's first core. */
struct owners_choice {
    char governor[PROFILE_GOVERNOR_MAX], range[64];
};

static const char *word_of(const cJSON *environment, const char *key) {
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(environment, key));
    return text ? text : "";
}

/* A range is not believed while the kernel holds the board back, unless there is no other: since
 * Linux 5.4 its own limit against heat shows there. */
static void read_choice(const struct worker_profile *p, struct owners_choice *ret) {
    int core = p->measure.n_cores > 0 ? p->measure.cores[0] : 0;
    const char *range = word_of(p->environment, "frequency_range_khz");

    board_governor(core, ret->governor, sizeof(ret->governor));
    if (range[0] && board_held_back())
        snprintf(ret->range, sizeof(ret->range), "%s", range);
    else
        board_frequency_range(core, ret->range, sizeof(ret->range));
}

static void set_word(cJSON *environment, const char *key, const char *text) {
    cJSON_DeleteItemFromObjectCaseSensitive(environment, key);
    if (text[0])
        cJSON_AddStringToObject(environment, key, text);
}

static void take_choice(struct worker_profile *p) {
    struct owners_choice choice;

    read_choice(p, &choice);
    set_word(p->environment, "governor", choice.governor);
    set_word(p->environment, "frequency_range_khz", choice.range);
}

static bool differs(const struct worker_profile *p) {
    struct owners_choice choice;

    read_choice(p, &choice);
    return strcmp(choice.governor, word_of(p->environment, "governor")) != 0 ||
           strcmp(choice.range, word_of(p->environment, "frequency_range_khz")) != 0;
}

bool worker_profiles_differ(const struct worker_profiles *profiles) {
    for (int i = 0; i < profiles->n; i++)
        if (!profiles->items[i].traits.simulated && differs(&profiles->items[i]))
            return true;
    return false;
}

void worker_profiles_look_again(struct worker_profiles *profiles) {
    for (int i = 0; i < profiles->n; i++)
        if (!profiles->items[i].traits.simulated)
            take_choice(&profiles->items[i]);
}

static int open_profile(const struct profile_wish *wish, const char *dir, struct err *err,
                        struct worker_profile *p) {
    struct backend_options options = {
        .config = wish->backend_config, .dir = dir, .threads = wish->threads};
    const struct backend *backend = NULL;
    int rc = backend_find(wish->backend, err, &backend);

    p->measure.threads = wish->threads;
    p->measure.n_cores = wish->n_cores;
    memcpy(p->measure.cores, wish->cores, sizeof(wish->cores));
    memcpy(p->cores, wish->cores_text, sizeof(p->cores));
    if (!rc)
        rc = backend->open(&options, err, &p->measure.backend_state);
    if (rc)
        return rc;
    p->measure.backend = backend;
    p->environment = board_fingerprint();
    if (!p->environment)
        return err_set(err, ESP_ENOMEM, NULL, "out of memory");
    take_choice(p);
    return backend->describe(p->measure.backend_state, p->environment, err, &p->traits);
}

static const char *governor_of(const struct worker_profile *p) {
    return word_of(p->environment, "governor");
}

static bool same_key(const struct worker_profile *a, const struct worker_profile *b) {
    return !strcmp(a->traits.runtime, b->traits.runtime) &&
           !strcmp(a->traits.precision, b->traits.precision) &&
           a->measure.threads == b->measure.threads && !strcmp(a->cores, b->cores) &&
           !strcmp(governor_of(a), governor_of(b));
}

static int check_beside(const struct worker_profiles *profiles, int i, struct err *err) {
    const struct worker_profile *p = &profiles->items[i];

    for (int k = 0; k < i; k++) {
        if (same_key(p, &profiles->items[k]))
            return err_set(
                err, ESP_EINVAL, NULL,
                "profiles %d and %d are the same to the daemon (%s, %s, %d threads%s%s): "
                "give one another runtime, precision, number of threads or cores",
                k + 1, i + 1, p->traits.runtime, p->traits.precision, p->measure.threads,
                p->cores[0] ? ", cores " : "", p->cores);
        if (p->traits.simulated != profiles->items[k].traits.simulated)
            return err_set(err, ESP_EINVAL, NULL,
                           "profiles %d and %d: a simulated board is no profile of a real one",
                           k + 1, i + 1);
    }
    return 0;
}

int worker_profiles_open(const struct profile_options *options, const char *dir,
                         int64_t memory_limit_bytes, struct err *err,
                         struct worker_profiles *ret_profiles) {
    struct profile_wishes wishes;
    char path[IDENTITY_PATH_SIZE];
    int rc = profile_wishes_read(options, err, &wishes);

    ret_profiles->n = 0;
    for (int i = 0; i < wishes.n && !rc; i++) {
        struct worker_profile *p = &ret_profiles->items[ret_profiles->n++];
        *p = (struct worker_profile){.measure = {.memory_limit_bytes = memory_limit_bytes}};
        snprintf(path, sizeof(path), i ? "%.*s-%d" : "%.*s", IDENTITY_PATH_SIZE - 32, dir, i + 1);
        rc = open_profile(&wishes.items[i], path, err, p);
        if (rc && wishes.n > 1)
            err_prefix(err, rc, "profile %d", i + 1);
        if (!rc && !p->traits.simulated)
            p->measure.sensors = &options->sensors;
        if (!rc)
            rc = check_beside(ret_profiles, i, err);
    }
    profile_wishes_finish(&wishes);
    return rc;
}

void worker_profiles_close(struct worker_profiles *profiles) {
    for (int i = 0; i < profiles->n; i++) {
        struct worker_profile *p = &profiles->items[i];
        if (p->measure.backend)
            p->measure.backend->close(p->measure.backend_state);
        cJSON_Delete(p->environment);
    }
    profiles->n = 0;
}

void worker_profile_fingerprint(const struct worker_profile *p, char ret_hash[HASH_TEXT]) {
    cJSON *whole = cJSON_Duplicate(p->environment, true);

    cJSON_AddNumberToObject(whole, "threads", p->measure.threads);
    cJSON_AddStringToObject(whole, "pinned_cores", p->cores);
    char *text = json_print_canonical(whole);
    hash_text(text ? text : "", text ? strlen(text) : 0, ret_hash);
    free(text);
    cJSON_Delete(whole);
}

cJSON *worker_profile_describe(const struct worker_profile *p) {
    cJSON *doc = cJSON_CreateObject();
    char hash[HASH_TEXT];

    cJSON_AddStringToObject(doc, "runtime", p->traits.runtime);
    cJSON_AddStringToObject(doc, "precision", p->traits.precision);
    cJSON_AddNumberToObject(doc, "threads", p->measure.threads);
    cJSON_AddStringToObject(doc, "cores", p->cores);
    cJSON_AddStringToObject(doc, "governor", governor_of(p));
    worker_profile_fingerprint(p, hash);
    cJSON_AddStringToObject(doc, "fingerprint", hash);
    return doc;
}

const struct worker_profile *worker_profile_find(const struct worker_profiles *profiles,
                                                 const char *id) {
    for (int i = 0; i < profiles->n; i++)
        if (!strcmp(profiles->items[i].id, id))
            return &profiles->items[i];
    return NULL;
}
