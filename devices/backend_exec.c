/* exec: a command of the board's owner runs the networks, with whatever runtime it likes. It gets
 * each network as an ONNX file and answers with times. What is run is said on the board alone. */
#include <fcntl.h>
#include <limits.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/memory.h"
#include "base/stats.h"
#include "base/rng.h"
#include "devices/backend.h"
#include "devices/exec.h"
#include "devices/outputs.h"
#include "devices/plausible.h"
#include "devices/reference.h"
#include "runtime/export_onnx.h"

enum {
    PATH_BYTES = 4096,
    PREPARE_MS = 60000, /* writing the networks, computing what they are to give */
    VERSION_S = 20,
    STOCK_WARMUP = 10,
    STOCK_BATCHES =
        3,     /* of one start of a chain or its unit: half of what a brief measurement takes */
    LINKS = 8, /* of the chain that a unit stands in; docs/decisions/0026 */
    LEAST_SHARE = 64,     /* a link takes at least this fraction of its share of the chain */
    PROGRAM_MAX = 4 << 20 /* of a file named in the command, to be hashed */
};

/* Samples that a command which is started for each request has told in one go. */
struct stock {
    double us[EXEC_SAMPLES_MAX];
    double energy_uj; /* of one run */
    int n, at, runs;
};

/* A network as the command gets it. */
struct subject {
    char model[PATH_BYTES], input[PATH_BYTES], output[PATH_BYTES], id[HASH_TEXT];
    int channels, height, width;
    float *expected; /* NULL: not to be checked (any more) */
    size_t n_output;
    double tolerance;
    double output_error;                  /* once it was checked */
    float outputs[PLAUSIBLE_OUTPUTS_MAX]; /* the first ones, likewise */
    struct stock stock;
};

struct exec {
    struct exec_config config;
    char dir[PATH_BYTES - 64];
    struct subject subject, reference;
    struct subject chain; /* the subject LINKS times, if it is a unit and the command chains */
    bool chained;
    bool unit_first;     /* of the last samples of both */
    int n_links, n_lost; /* samples of links so far, and those that the noise was larger than */
    struct exec_process process;
    struct buf arena, answer;
    const struct backend_run *run;
    double spent_us;  /* told by the command */
    double told_uj;   /* of one run, with the latest answer; NaN: it told none */
    double energy_uj; /* of the network's runs so far */
    int64_t until_ns;
};

/* ---- in the worker ----------------------------------------------------------------------------
 */

static void exec_close(void *state) {
    struct exec *exec = state;

    if (!exec)
        return;
    exec_config_finish(&exec->config);
    free(exec);
}

static int make_dir(const char *dir, struct err *err, struct exec *exec) {
    char path[PATH_MAX];
    int rc = file_make_dirs(dir, err);

    if (!rc && (!realpath(dir, path) || strlen(path) >= sizeof(exec->dir)))
        rc = err_set(err, ESP_EINVAL, NULL, "exec: the folder %s cannot be used", dir);
    if (!rc)
        snprintf(exec->dir, sizeof(exec->dir), "%s", path);
    return rc;
}

static int exec_open(const struct backend_options *options, struct err *err, void **ret_state) {
    struct exec *exec = NULL;
    int rc = 0;

    if (!options->config)
        return err_set(err, ESP_EINVAL, NULL,
                       "the back end exec needs --backend-config FILE, see docs/BACKENDS.md");
    exec = mem_array(1, sizeof(*exec));
    if (!exec)
        return err_set(err, ESP_ENOMEM, NULL, "out of memory");
    rc = exec_config_read(options->config, err, &exec->config);
    if (!rc)
        rc = make_dir(options->dir, err, exec);
    if (rc)
        exec_close(exec);
    else
        *ret_state = exec;
    return rc;
}

/* The first line that the owner's version command prints, however it begins. */
static int ask_version(struct exec *exec, struct err *err, struct buf *ret_line) {
    struct exec_process process;
    char *argv[EXEC_ARGS_MAX + 1];
    int n = 0;

    for (; exec->config.version_command[n]; n++)
        argv[n] = (char *)(uintptr_t)exec->config.version_command[n];
    argv[n] = NULL;
    exec_init(&process, exec->dir, true);
    int rc = exec_start(&process, argv, err);
    if (!rc)
        rc = exec_wait(&process, clock_mono_ns() + VERSION_S * INT64_C(1000000000), err);
    if (!rc && process.said.data)
        buf_append(ret_line, process.said.data, strcspn(process.said.data, "\n"));
    if (!rc && (ret_line->len == 0 || ret_line->error))
        rc = err_set(err, ESP_EINVAL, NULL, "it prints no line of at most 200 bytes");
    exec_stop(&process);
    return rc ? err_prefix(err, rc, "version_command") : 0;
}

/* The programs and scripts that the command names: another text is another revision. */
static void add_programs(const struct exec *exec, cJSON *doc) {
    cJSON *programs = cJSON_AddObjectToObject(doc, "programs");
    char *data = NULL, hash[HASH_TEXT];
    size_t len = 0;

    for (int i = 0; exec->config.command[i]; i++) {
        const char *word = exec->config.command[i];
        if (word[0] != '/' || json_has(programs, word) ||
            file_read(word, PROGRAM_MAX, NULL, &data, &len))
            continue;
        hash_text(data, len, hash);
        cJSON_AddStringToObject(programs, word, hash);
        free(data);
    }
}

static int exec_describe(void *state, cJSON *fingerprint, struct err *err,
                         struct backend_profile *ret) {
    struct exec *exec = state;
    cJSON *doc = cJSON_AddObjectToObject(fingerprint, "exec");
    struct buf version;
    int rc = 0;

    snprintf(ret->runtime, sizeof(ret->runtime), "%s", exec->config.runtime);
    snprintf(ret->precision, sizeof(ret->precision), "%s", exec->config.precision);
    cJSON_DeleteItemFromObjectCaseSensitive(fingerprint, "runtime_revision");
    cJSON_AddItemToObject(doc, "config", cJSON_Duplicate(exec->config.doc, true));
    add_programs(exec, doc);
    buf_init(&version, 200);
    if (exec->config.version_command[0])
        rc = ask_version(exec, err, &version);
    if (!rc && version.len > 0)
        cJSON_AddStringToObject(doc, "version", version.data);
    if (exec->config.chain)
        cJSON_AddNumberToObject(fingerprint, "chain", LINKS);
    buf_finish(&version);
    return rc;
}

static int64_t exec_patience_ms(const void *state) {
    const struct exec *exec = state;
    return PREPARE_MS + (int64_t)(exec->config.timeout_s * 1000);
}

/* ---- in the measuring process: networks as files ----------------------------------------------
 */

static int write_floats(const char *path, const float *data, size_t n, struct err *err) {
    return file_write_atomic(path, data, n * sizeof(*data), err);
}

/* Where the command finds the network of that name, and what it looks like. */
static void subject_name(const struct exec *exec, const char *name, const struct graph *graph,
                         struct subject *s) {
    const struct tensor_shape *in = &graph->tensors[0];

    s->channels = in->channels;
    s->height = in->height;
    s->width = in->width;
    s->tolerance = exec->config.tolerance;
    snprintf(s->model, sizeof(s->model), "%s/%s.onnx", exec->dir, name);
    snprintf(s->input, sizeof(s->input), "%s/%s.input", exec->dir, name);
    snprintf(s->output, sizeof(s->output), "%s/%s.output", exec->dir, name);
    unlink(s->output);
    graph_id(graph, "fp32", s->id);
}

/* A random image, also as the file that the command reads; the caller frees it. */
static int make_input(const struct subject *s, uint64_t seed, struct err *err, float **ret_input) {
    size_t n = (size_t)s->channels * (size_t)s->height * (size_t)s->width;
    struct rng rng = rng_make(seed, RNG_INPUT, 0, 0);
    float *input = mem_array(n, sizeof(*input));

    if (!input)
        return err_set(err, ESP_ENOMEM, NULL, "out of memory");
    for (size_t i = 0; i < n; i++)
        input[i] = (float)rng_normal(&rng);
    *ret_input = input;
    return write_floats(s->input, input, n, err);
}

static int subject_create(const struct exec *exec, const char *name, const struct graph *graph,
                          uint64_t seed, struct subject *s) {
    struct plan_weights *weights = NULL;
    struct err *err = exec->run->err;
    float *input = NULL;

    subject_name(exec, name, graph, s);
    int rc = make_input(s, seed, err, &input);
    if (!rc)
        rc = plan_weights_random(graph, seed, err, &weights);
    if (!rc)
        rc = export_onnx(graph, weights, NULL, s->model, err);
    if (!rc && exec->config.check_outputs)
        rc = outputs_expect(graph, weights, input, err, &s->expected, &s->n_output);
    plan_weights_destroy(weights);
    free(input);
    return rc;
}

/* The unit LINKS times, with weights of their own: equal ones a runtime might compute once. */
static int chain_create(const struct exec *exec, const struct graph *unit, uint64_t seed,
                        struct subject *s) {
    struct plan_weights *weights[LINKS] = {NULL};
    struct err *err = exec->run->err;
    float *input = NULL;
    char alone[HASH_TEXT + 8];

    subject_name(exec, "chain", unit, s);
    snprintf(alone, sizeof(alone), "%s x%d", s->id, LINKS);
    hash_text(alone, strlen(alone), s->id);
    if (export_onnx_in_a_row(unit))
        s->tolerance *= LINKS; /* each link works on the errors of those before it */
    int rc = make_input(s, seed, err, &input);
    for (int i = 0; i < LINKS && !rc; i++)
        rc = plan_weights_random(unit, seed + (uint64_t)i, err, &weights[i]);
    if (!rc)
        rc = export_onnx_chain(unit, weights, LINKS, s->model, err);
    if (!rc && exec->config.check_outputs)
        rc = outputs_expect_chain(unit, weights, LINKS, input, err, &s->expected, &s->n_output);
    for (int i = 0; i < LINKS; i++)
        plan_weights_destroy(weights[i]);
    free(input);
    return rc;
}

/* ---- in the measuring process: the command ------------------------------------------------------
 */

/* Once for each network, behind its first request. */
static int check_output(const struct exec *exec, struct subject *s) {
    char *data = NULL;
    size_t len = 0, want = s->n_output * sizeof(float);
    int rc = file_read(s->output, want, NULL, &data, &len);

    if (rc || len != want)
        rc = err_set(exec->run->err, ESP_EINVAL, NULL,
                     "the command wrote no %zu bytes of outputs to the file \"output\"", want);
    else
        rc = outputs_compare((const float *)(const void *)data, s->expected, s->n_output,
                             s->tolerance, exec->run->err, &s->output_error);
    if (!rc)
        memcpy(s->outputs, data, len < sizeof(s->outputs) ? len : sizeof(s->outputs));
    free(data);
    free(s->expected);
    s->expected = NULL;
    unlink(s->output);
    return rc;
}

/* A process that is there for the request: the one before, if it has not ended. */
static int ready(struct exec *exec, const struct exec_request *request) {
    struct err *err = exec->run->err;
    char *argv[EXEC_ARGS_MAX + 1];
    bool ended = true;
    int rc = exec_ended(&exec->process, err, &ended);

    if (rc || !ended)
        return rc;
    rc = exec_request_arguments(request, exec->config.command, &exec->arena, err, argv);
    return rc ? rc : exec_start(&exec->process, argv, err);
}

static int ask(struct exec *exec, const struct exec_request *request, double *ret_us) {
    struct err *err = exec->run->err;
    int64_t deadline_ns = clock_mono_ns() + (int64_t)(exec->config.timeout_s * 1e9);
    char *line = exec_request_print(request);
    int rc = line ? ready(exec, request) : ESP_ENOMEM;

    if (!rc)
        rc = exec_ask(&exec->process, line, deadline_ns, err, &exec->answer);
    if (!rc)
        rc = exec_answer_read(exec->answer.data, exec->answer.len, request->samples, err, ret_us,
                              &exec->told_uj);
    if (!rc && exec->config.once)
        rc = exec_wait(&exec->process, deadline_ns, err);
    free(line);
    return rc;
}

static int request_samples(struct exec *exec, struct subject *s, int runs, int samples,
                           double *ret_us) {
    struct exec_request request = {.model = s->model,
                                   .model_id = s->id,
                                   .input = s->input,
                                   .output = s->expected ? s->output : NULL,
                                   .channels = s->channels,
                                   .height = s->height,
                                   .width = s->width,
                                   .threads = exec->run->profile->threads,
                                   .runs = runs,
                                   .samples = samples};

    if (exec->run->tick(exec->run->tick_context))
        return ESP_ECANCELED;
    if (clock_mono_ns() > exec->until_ns)
        return err_set(exec->run->err, ESP_ETIMEOUT, NULL,
                       "the command took more than %g s for a measurement",
                       exec->config.measurement_s);
    int rc = ask(exec, &request, ret_us);
    return !rc && s->expected ? check_output(exec, s) : rc;
}

/* Whether samples more have to be asked for. */
static bool needs_stock(const struct stock *stock, int runs, int samples) {
    return stock->runs != runs || stock->n - stock->at < samples;
}

/* Starting a command and loading a network may take seconds: it is asked for as many samples as may
 * be needed soon. */
static int from_stock(struct exec *exec, struct subject *s, int runs, int samples, double *ret_us) {
    struct stock *stock = &s->stock;
    int rc = 0;

    if (needs_stock(stock, runs, samples)) {
        stock->n = samples == 1 ? STOCK_WARMUP : EXEC_SAMPLES_MAX;
        stock->at = 0;
        stock->runs = runs;
        rc = request_samples(exec, s, runs, stock->n, stock->us);
        stock->energy_uj = exec->told_uj;
    }
    exec->told_uj = stock->energy_uj;
    if (!rc)
        memcpy(ret_us, stock->us + stock->at, (size_t)samples * sizeof(*ret_us));
    stock->at += samples;
    return rc;
}

static int take_whole(struct exec *exec, struct subject *s, int runs, int samples, double *ret_us) {
    int rc = exec->config.once && s != &exec->reference
                 ? from_stock(exec, s, runs, samples, ret_us)
                 : request_samples(exec, s, runs, samples, ret_us);

    for (int i = 0; i < samples && !rc; i++)
        exec->spent_us += ret_us[i] * runs;
    return rc;
}

/* Both halves to their common level, in proportion: what lies in the middle of the time between
 * them. */
static void level_halves(double *us, int half) {
    double before = stats_median(us, (size_t)half), after = stats_median(us + half, (size_t)half);
    double factor = before > 0 && after > 0 ? sqrt(after / before) : 1;
    for (int i = 0; i < half; i++) {
        us[i] *= factor;
        us[half + i] /= factor;
    }
}

/* The chain is started before the unit and again behind it, so that a machine that becomes faster
 * or slower meanwhile is the same to both. */
static int fill_stocks(struct exec *exec, int runs, int samples) {
    struct stock *chain = &exec->chain.stock, *unit = &exec->subject.stock;
    int wanted = STOCK_BATCHES * samples, most = EXEC_SAMPLES_MAX / 2;
    int half = samples == 1 ? STOCK_WARMUP / 2 : wanted < most ? wanted : most;
    int rc = request_samples(exec, &exec->chain, runs, half, chain->us);
    chain->energy_uj = exec->told_uj / 2;
    if (!rc)
        rc = request_samples(exec, &exec->subject, runs, 2 * half, unit->us);
    unit->energy_uj = exec->told_uj;
    if (!rc)
        rc = request_samples(exec, &exec->chain, runs, half, chain->us + half);
    chain->energy_uj += exec->told_uj / 2;
    if (rc)
        return rc;
    level_halves(chain->us, half);
    chain->n = unit->n = 2 * half;
    chain->at = unit->at = 0;
    chain->runs = unit->runs = runs;
    return 0;
}

/* Samples of the chain and of the unit alone. Of a command that goes on, who comes first changes
 * from one time to the next. */
static int take_pair(struct exec *exec, int runs, int samples, double *ret_chain_us,
                     double *ret_unit_us, double *ret_chain_uj) {
    int rc = 0;
    if (exec->config.once && needs_stock(&exec->chain.stock, runs, samples))
        rc = fill_stocks(exec, runs, samples);
    exec->unit_first = !exec->unit_first;
    if (!rc && exec->unit_first)
        rc = take_whole(exec, &exec->subject, runs, samples, ret_unit_us);
    double unit_uj = exec->told_uj;
    if (!rc)
        rc = take_whole(exec, &exec->chain, runs, samples, ret_chain_us);
    *ret_chain_uj = exec->told_uj;
    if (!rc && !exec->unit_first) {
        rc = take_whole(exec, &exec->subject, runs, samples, ret_unit_us);
        unit_uj = exec->told_uj;
    }
    exec->told_uj = unit_uj;
    return rc;
}

/* A unit's time: by how much a chain of them takes longer than one, for each link more. What a run
 * costs beside its units (its start, its image, its output) is in both and falls out. A difference
 * that the noise has eaten counts as next to nothing, which a median gets over. */
static int take_links(struct exec *exec, int runs, int samples, double *ret_us) {
    double chain_us[EXEC_SAMPLES_MAX], chain_uj, link_us;
    int turns = (runs + LINKS - 1) / LINKS;
    int rc = take_pair(exec, turns, samples, chain_us, ret_us, &chain_uj);

    if (rc)
        return rc;
    for (int i = 0; i < samples; i++) {
        double least_us = chain_us[i] / LINKS / LEAST_SHARE;
        link_us = (chain_us[i] - ret_us[i]) / (LINKS - 1);
        exec->n_lost += samples > 1 && link_us < least_us;
        ret_us[i] = fmax(link_us, least_us);
    }
    exec->n_links += samples > 1 ? samples : 0;
    exec->told_uj = (chain_uj - exec->told_uj) / (LINKS - 1);
    return 0;
}

static int take(void *context, bool reference, int runs, int samples, double *ret_us) {
    struct exec *exec = context;
    int rc = reference       ? take_whole(exec, &exec->reference, runs, samples, ret_us)
             : exec->chained ? take_links(exec, runs, samples, ret_us)
                             : take_whole(exec, &exec->subject, runs, samples, ret_us);

    if (!rc && !reference)
        exec->energy_uj += exec->told_uj * runs * samples;
    return rc;
}

static double energy_uj(void *context) {
    return ((struct exec *)context)->energy_uj;
}

/* Time passes as the command tells it: starting it and talking to it are no part of it. */
static int64_t now_ns(void *context) {
    return (int64_t)(((struct exec *)context)->spent_us * 1e3);
}

/* Ends the process group when this process ends, however it does: the command may have children
 * that nobody else would end. It waits for the end of a pipe that this process alone can write to.
 */
static int set_guard(void) {
    int ends[2];
    char nothing;

    if (pipe2(ends, O_CLOEXEC))
        return ESP_EIO;
    pid_t guard = fork();
    if (guard == 0) {
        close(ends[1]);
        close(3); /* to the worker, which waits for its end */
        while (read(ends[0], &nothing, 1) > 0)
            ;
        kill(0, SIGKILL);
        _exit(0);
    }
    close(ends[0]);
    return guard < 0 ? ESP_EIO : 0;
}

static int exec_begin(void *state, const struct backend_run *run,
                      struct sampler_source *ret_source) {
    struct exec *exec = state;
    struct graph *reference = NULL;
    const struct graph *graph = run->task->graph;
    int rc = set_guard();

    exec->run = run;
    if (!rc)
        rc = reference_graph(run->err, &reference);
    if (!rc)
        rc = subject_create(exec, "reference", reference, REFERENCE_SEED, &exec->reference);
    if (!rc)
        rc = subject_create(exec, "model", graph, run->task->seed, &exec->subject);
    exec->chained = exec->config.chain && graph->n_units == 1;
    if (!rc && exec->chained)
        rc = chain_create(exec, graph, run->task->seed, &exec->chain);
    exec_init(&exec->process, exec->dir, false);
    buf_init(&exec->arena, EXEC_ARGS_MAX * PATH_BYTES);
    buf_init(&exec->answer, EXEC_ANSWER_MAX);
    exec->until_ns = clock_mono_ns() + (int64_t)(exec->config.measurement_s * 1e9);
    if (!rc)
        *ret_source = (struct sampler_source){
            .take = take,
            .now_ns = now_ns,
            .energy_uj = exec->config.board_energy && !exec->chained ? NULL : energy_uj,
            .context = exec};
    return rc;
}

static int exec_end(void *state, const struct backend_run *run, cJSON *result) {
    struct exec *exec = state;

    exec_stop(&exec->process);
    if (exec->n_lost > exec->n_links / 4)
        return err_set(run->err, ESP_EIO, NULL,
                       "in %d of %d samples a chain of %d took no longer than the unit alone: the "
                       "noise is larger, or the command's runtime leaves links out",
                       exec->n_lost, exec->n_links, LINKS);
    if (exec->config.check_outputs)
        outputs_tell(result, exec->subject.outputs, exec->subject.n_output,
                     exec->subject.output_error, exec->config.tolerance);
    if (exec->config.peak_gmacs > 0)
        cJSON_AddNumberToObject(result, "peak_gmacs", exec->config.peak_gmacs);
    if (exec->config.steady)
        cJSON_AddBoolToObject(result, "steady", true);
    return 0;
}

const struct backend backend_exec = {.name = "exec",
                                     .summary = "a command of the board's owner",
                                     .open = exec_open,
                                     .close = exec_close,
                                     .describe = exec_describe,
                                     .patience_ms = exec_patience_ms,
                                     .begin = exec_begin,
                                     .end = exec_end};
