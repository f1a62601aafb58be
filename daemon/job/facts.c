#include "daemon/job/facts.h"

#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/map.h"
#include "base/memory.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FILE_MAX = 256 << 20, FACTS_MAX = 1 << 20 };
#define US_MAX 1e12
#define UJ_MAX 1e12

struct fact_score {
    char arch_id[HASH_TEXT];
    enum dataset_split split;
    struct score score;
};

struct facts {
    int fd; /* -1: in memory only */
    off_t bytes;
    struct fact_score *scores;
    size_t n_scores, scores_capacity;
    struct map by_arch;
    struct measured *measured;
    size_t n_measured, measured_capacity;
    struct map by_request;
    struct pace *paces;
    size_t n_paces, paces_capacity;
};

static int no_memory(struct err *err) {
    return err_set(err, ESP_ENOMEM, NULL, "no memory for what the search has found out");
}

struct lookup {
    const struct facts *facts;
    const char *arch_id;
    enum dataset_split split;
};

static bool is_score(const void *context, uint32_t item) {
    const struct lookup *lookup = context;
    const struct fact_score *known = &lookup->facts->scores[item];
    return known->split == lookup->split && strcmp(known->arch_id, lookup->arch_id) == 0;
}

const struct score *facts_score(const struct facts *facts, const char *arch_id,
                                enum dataset_split split) {
    struct lookup lookup = {facts, arch_id, split};
    int64_t at = map_find(&facts->by_arch, map_hash(arch_id, strlen(arch_id)), is_score, &lookup);
    return at < 0 ? NULL : &facts->scores[at].score;
}

const struct measured *facts_measured(const struct facts *facts, int64_t request) {
    /* Numbers of one length have hashes of their own. */
    int64_t at = map_find(&facts->by_request, map_hash(&request, sizeof request), NULL, NULL);
    return at < 0 ? NULL : &facts->measured[at];
}

const struct pace *facts_pace(const struct facts *facts, int64_t generation) {
    for (size_t i = facts->n_paces; i > 0; i--)
        if (facts->paces[i - 1].generation == generation)
            return &facts->paces[i - 1];
    return NULL;
}

/* Room for one more of size bytes. */
static bool reserve(void *array, size_t n, size_t *capacity, size_t size) {
    void **items = array;
    if (n < *capacity)
        return true;
    size_t more = *capacity ? 2 * *capacity : 64;
    void *grown = n < FACTS_MAX ? reallocarray(*items, more, size) : NULL;
    if (grown) {
        *items = grown;
        *capacity = more;
    }
    return grown;
}

static int keep_score(struct facts *facts, const struct fact_score *score) {
    if (!reserve(&facts->scores, facts->n_scores, &facts->scores_capacity, sizeof *score))
        return ESP_ENOMEM;
    int rc = map_add(&facts->by_arch, map_hash(score->arch_id, strlen(score->arch_id)),
                     (uint32_t)facts->n_scores);
    if (rc == 0)
        facts->scores[facts->n_scores++] = *score;
    return rc;
}

static int keep_measured(struct facts *facts, const struct measured *measured) {
    if (facts_measured(facts, measured->request))
        return 0;
    if (!reserve(&facts->measured, facts->n_measured, &facts->measured_capacity, sizeof *measured))
        return ESP_ENOMEM;
    int rc = map_add(&facts->by_request, map_hash(&measured->request, sizeof measured->request),
                     (uint32_t)facts->n_measured);
    if (rc == 0)
        facts->measured[facts->n_measured++] = *measured;
    return rc;
}

static int keep_pace(struct facts *facts, const struct pace *pace) {
    if (!reserve(&facts->paces, facts->n_paces, &facts->paces_capacity, sizeof *pace))
        return ESP_ENOMEM;
    facts->paces[facts->n_paces++] = *pace;
    return 0;
}

/* --- the file --- */

static int write_line(struct facts *facts, cJSON *doc, struct err *err) {
    char *text = doc ? json_print(doc) : NULL, *line = NULL;
    cJSON_Delete(doc);
    int len = text ? asprintf(&line, "%s\n", text) : -1;
    free(text);
    if (len < 0)
        return no_memory(err);
    ssize_t written = facts->fd < 0 ? len : write(facts->fd, line, (size_t)len);
    int number = errno;
    free(line);
    if (written == len && facts->fd >= 0 && fdatasync(facts->fd) != 0) {
        written = -1;
        number = errno;
    }
    if (written == len) {
        facts->bytes += len;
        return 0;
    }
    /* Half a line would hide those behind it. */
    if (ftruncate(facts->fd, facts->bytes) != 0)
        number = errno;
    return err_set(err, written >= 0 || number == ENOSPC ? ESP_ENOSPACE : ESP_EIO, NULL,
                   "cannot write what the search has found out: %s",
                   written >= 0 ? "the disk is full" : strerror(number));
}

static int take_score(struct facts *facts, const cJSON *doc) {
    struct fact_score fact = {0};
    const char *id = "";
    int split = 0;
    if (json_string(doc, "", "arch_id", 1, HASH_TEXT - 1, NULL, &id) != 0 ||
        json_enum(doc, "", "split", dataset_split_names, NULL, &split) != 0 ||
        json_real(doc, "", "top1", 0, 1, NULL, &fact.score.top1) != 0 ||
        json_real(doc, "", "loss", 0, 1e9, NULL, &fact.score.loss) != 0 ||
        json_int(doc, "", "images", 1, INT64_C(1) << 40, NULL, &fact.score.images) != 0)
        return ESP_ECORRUPT;
    snprintf(fact.arch_id, sizeof fact.arch_id, "%s", id);
    fact.split = (enum dataset_split)split;
    return keep_score(facts, &fact);
}

static int take_measured(struct facts *facts, const cJSON *doc) {
    struct measured m = {0};
    const char *refusal = "";
    if (json_int(doc, "", "request", 1, INT64_C(1) << 40, NULL, &m.request) != 0 ||
        json_bool(doc, "", "accepted", NULL, &m.accepted) != 0 ||
        json_real(doc, "", "median_us", 0, US_MAX, NULL, &m.median_us) != 0 ||
        json_real(doc, "", "low_us", 0, US_MAX, NULL, &m.low_us) != 0 ||
        json_real(doc, "", "high_us", 0, US_MAX, NULL, &m.high_us) != 0 ||
        json_real(doc, "", "sd_us", 0, US_MAX, NULL, &m.sd_us) != 0 ||
        json_real_opt(doc, "", "energy_uj", 0, UJ_MAX, NULL, &m.energy_uj) != 0 ||
        json_string_opt(doc, "", "refusal", 0, REFUSAL_MAX - 1, NULL, &refusal) != 0 ||
        json_bool_opt(doc, "", "no_board", NULL, &m.no_board) != 0)
        return ESP_ECORRUPT;
    snprintf(m.refusal, sizeof m.refusal, "%s", refusal);
    return keep_measured(facts, &m);
}

static int take_pace(struct facts *facts, const cJSON *doc) {
    static const int64_t max = INT64_C(1) << 40;
    struct pace p = {0};
    if (json_int(doc, "", "generation", 0, max, NULL, &p.generation) != 0 ||
        json_real(doc, "", "seconds", 0, 1e9, NULL, &p.seconds) != 0 ||
        json_int(doc, "", "scored", 0, max, NULL, &p.scored) != 0 ||
        json_int(doc, "", "evaluations", 0, max, NULL, &p.evaluations) != 0)
        return ESP_ECORRUPT;
    return keep_pace(facts, &p);
}

static int take_line(struct facts *facts, const char *identity, const cJSON *doc, struct err *err) {
    const char *saved = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(doc, "identity"));
    if (saved)
        return strcmp(saved, identity) == 0
                   ? 0
                   : err_set(err, ESP_EMISMATCH, NULL,
                             "this search began with another checkpoint, data set or body, or "
                             "with an older version of its strategy: start a new one");
    int rc = ESP_ECORRUPT;
    if (json_has(doc, "arch_id"))
        rc = take_score(facts, doc);
    else if (json_has(doc, "request"))
        rc = take_measured(facts, doc);
    else if (json_has(doc, "generation"))
        rc = take_pace(facts, doc);
    return rc == 0 ? 0 : err_set(err, rc, NULL, "what the search has found out cannot be read");
}

/* Sets facts->bytes to the end of the last good line. */
static int read_lines(struct facts *facts, const char *identity, const char *text,
                      struct err *err) {
    const char *end;
    struct err why = {0};
    int rc = 0;
    for (const char *at = text; rc == 0 && (end = strchr(at, '\n')); at = end + 1) {
        cJSON *doc = NULL;
        bool whole = json_parse(at, (size_t)(end - at), &json_limits_default, &why, &doc) == 0;
        rc = whole ? take_line(facts, identity, doc, &why) : ESP_ECORRUPT;
        cJSON_Delete(doc);
        if (rc == 0)
            facts->bytes = end + 1 - text;
    }
    if (rc == ESP_ECORRUPT) {
        log_warn("%s: found out again from byte %lld on", why.message, (long long)facts->bytes);
        rc = 0;
    }
    return rc == 0 ? 0 : err_set(err, rc, NULL, "%s", why.message);
}

static int open_file(struct facts *facts, const char *path, const char *identity, struct err *err) {
    char *text = NULL;
    size_t len = 0;
    facts->fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (facts->fd < 0)
        return err_set(err, errno == ENOSPC ? ESP_ENOSPACE : ESP_EIO, NULL, "cannot open %s: %s",
                       path, strerror(errno));
    int rc = file_read(path, FILE_MAX, err, &text, &len);
    if (rc == 0)
        rc = read_lines(facts, identity, text, err);
    free(text);
    if (rc == 0 && ftruncate(facts->fd, facts->bytes) != 0)
        rc = err_set(err, ESP_EIO, NULL, "cannot shorten %s: %s", path, strerror(errno));
    if (rc == 0 && facts->bytes == 0) {
        cJSON *doc = cJSON_CreateObject();
        cJSON_AddStringToObject(doc, "identity", identity);
        rc = write_line(facts, doc, err);
    }
    return rc;
}

int facts_open(const char *path, const char *identity, struct err *err, struct facts **ret_facts) {
    struct facts *facts = mem_array(1, sizeof *facts);
    if (!facts)
        return no_memory(err);
    facts->fd = -1;
    map_init(&facts->by_arch);
    map_init(&facts->by_request);
    int rc = path ? open_file(facts, path, identity, err) : 0;
    if (rc != 0) {
        facts_close(facts);
        return rc;
    }
    *ret_facts = facts;
    return 0;
}

void facts_close(struct facts *facts) {
    if (!facts)
        return;
    if (facts->fd >= 0)
        close(facts->fd);
    map_finish(&facts->by_arch);
    map_finish(&facts->by_request);
    free(facts->scores);
    free(facts->measured);
    free(facts->paces);
    free(facts);
}

int facts_add_score(struct facts *facts, const char *arch_id, enum dataset_split split,
                    const struct score *score, struct err *err) {
    struct fact_score fact = {.split = split, .score = *score};
    cJSON *doc = cJSON_CreateObject();
    snprintf(fact.arch_id, sizeof fact.arch_id, "%s", arch_id);
    cJSON_AddStringToObject(doc, "arch_id", arch_id);
    cJSON_AddStringToObject(doc, "split", dataset_split_names[split]);
    cJSON_AddNumberToObject(doc, "top1", score->top1);
    cJSON_AddNumberToObject(doc, "loss", score->loss);
    cJSON_AddNumberToObject(doc, "images", (double)score->images);
    int rc = write_line(facts, doc, err);
    if (rc == 0 && keep_score(facts, &fact) != 0)
        rc = no_memory(err);
    return rc;
}

int facts_add_measured(struct facts *facts, const struct measured *measured, struct err *err) {
    cJSON *doc = cJSON_CreateObject();
    cJSON_AddNumberToObject(doc, "request", (double)measured->request);
    cJSON_AddBoolToObject(doc, "accepted", measured->accepted);
    if (measured->no_board)
        cJSON_AddTrueToObject(doc, "no_board");
    if (measured->refusal[0])
        cJSON_AddStringToObject(doc, "refusal", measured->refusal);
    cJSON_AddNumberToObject(doc, "median_us", measured->median_us);
    cJSON_AddNumberToObject(doc, "low_us", measured->low_us);
    cJSON_AddNumberToObject(doc, "high_us", measured->high_us);
    cJSON_AddNumberToObject(doc, "sd_us", measured->sd_us);
    if (measured->energy_uj > 0)
        cJSON_AddNumberToObject(doc, "energy_uj", measured->energy_uj);
    int rc = write_line(facts, doc, err);
    if (rc == 0 && keep_measured(facts, measured) != 0)
        rc = no_memory(err);
    return rc;
}

int facts_add_pace(struct facts *facts, const struct pace *pace, struct err *err) {
    cJSON *doc = cJSON_CreateObject();
    cJSON_AddNumberToObject(doc, "generation", (double)pace->generation);
    cJSON_AddNumberToObject(doc, "seconds", pace->seconds);
    cJSON_AddNumberToObject(doc, "scored", (double)pace->scored);
    cJSON_AddNumberToObject(doc, "evaluations", (double)pace->evaluations);
    int rc = write_line(facts, doc, err);
    if (rc == 0 && keep_pace(facts, pace) != 0)
        rc = no_memory(err);
    return rc;
}
