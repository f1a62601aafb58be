/* espalier search create, clone, extend. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/nearest.h"
#include "daemon/cli/commands.h"

struct search_options {
    const char *supernet, *checkpoint, *dataset, *space, *predictor, *objectives, *profile,
        *strategy, *baseline, *accuracy, *method, *warm_start_file;
    int64_t time_us, patience, evaluations, population, seed, initial, measure, measurements,
        calibrate, known, rounds;
    const char *choice;
    double max_latency_ms, max_macs, max_params, max_memory_kb; /* NaN: no limit */
    struct option_list limits, options, warm_start, subspace;
    bool clone; /* only what is given goes into the body */
};

static cJSON *objective(const char *metric, const char *direction, const char *profile) {
    cJSON *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "metric", metric);
    cJSON_AddStringToObject(o, "direction", direction);
    if (profile)
        cJSON_AddStringToObject(o, "profile", profile);
    return o;
}

static void add_bound(cJSON *constraints, const char *metric, const char *profile,
                      const char *bound, double value) {
    if (isnan(value))
        return;
    cJSON *c = cJSON_CreateObject();
    cJSON_AddStringToObject(c, "metric", metric);
    if (profile)
        cJSON_AddStringToObject(c, "profile", profile);
    cJSON_AddNumberToObject(c, bound, value);
    cJSON_AddItemToArray(constraints, c);
}

static void add_limit(cJSON *constraints, const char *metric, const char *profile, double max) {
    add_bound(constraints, metric, profile, "max", max);
}

/* "latency@pi4/t2", "macs": what people say of a metric. */
struct goal {
    char metric[64], profile[256]; /* profile "" */
};

/* Of the client's own word for a metric, which the daemon does not know; all others are its. */
static int refuse_slip(const char *metric) {
    static const char known[] = "latency";
    bool is_known = !strncmp(metric, known, strlen(known)) &&
                    (!metric[strlen(known)] || metric[strlen(known)] == '_');
    return !is_known && nearest_is_slip(metric, nearest_distance(metric, known))
               ? cli_usage("there is no metric \"%s\"; did you mean \"%s\"?", metric, known)
               : CLI_OK;
}

/* len bytes of text. What they mean the daemon says. */
static int read_goal(const char *text, size_t len, struct goal *ret) {
    const char *at = memchr(text, '@', len);
    size_t name = at ? (size_t)(at - text) : len, rest = at ? len - name - 1 : 0;

    if (name == 0 || name >= sizeof(ret->metric) || rest >= sizeof(ret->profile))
        return cli_usage("\"%.100s\" is no metric", text);
    snprintf(ret->metric, sizeof(ret->metric), "%.*s", (int)name, text);
    snprintf(ret->profile, sizeof(ret->profile), "%.*s", (int)rest, at ? at + 1 : "");
    if (!strcmp(ret->metric, "latency"))
        strcpy(ret->metric, "latency_us");
    return refuse_slip(ret->metric);
}

/* "latency@pi4=0.4" in ms, "macs=3e6", "top1=0.9": at most, or for top-1 at least. */
static int add_limits(const struct option_list *texts, cJSON *constraints) {
    for (int i = 0; i < texts->n; i++) {
        const char *equals = strrchr(texts->items[i], '=');
        struct goal goal;
        char *end = NULL;
        double value = equals ? strtod(equals + 1, &end) : 0;
        if (!equals || end == equals + 1 || *end || !isfinite(value))
            return cli_usage("--limit: \"%.100s\" is not METRIC=NUMBER", texts->items[i]);
        int code = read_goal(texts->items[i], (size_t)(equals - texts->items[i]), &goal);
        if (code != CLI_OK)
            return code;
        bool least = !strcmp(goal.metric, "top1"), latency = !strcmp(goal.metric, "latency_us");
        add_bound(constraints, goal.metric, goal.profile[0] ? goal.profile : NULL,
                  least ? "min" : "max", latency ? value * 1000 : value);
    }
    return CLI_OK;
}

/* The objective that text[0..len) names: "top1", "macs", "latency@PROFILE", "latency" on fallback.
 */
static int add_objective(const char *text, size_t len, const char *fallback, cJSON *objectives) {
    static const char latency[] = "latency";
    const size_t n = sizeof(latency) - 1;
    char word[256], *profile;
    snprintf(word, sizeof(word), "%.*s", (int)len, text);
    profile = strchr(word, '@');
    if (profile)
        *profile++ = '\0';
    bool is_latency = strncmp(word, latency, n) == 0 && (!word[n] || !strcmp(word + n, "_us"));
    cJSON_AddItemToArray(objectives, objective(is_latency ? "latency_us" : word,
                                               strcmp(word, "top1") ? "minimise" : "maximise",
                                               profile || !is_latency ? profile : fallback));
    return refuse_slip(word);
}

static int add_objectives(const struct search_options *o, cJSON *objectives) {
    if (!o->objectives) {
        cJSON_AddItemToArray(objectives, objective("top1", "maximise", NULL));
        cJSON_AddItemToArray(objectives, o->profile
                                             ? objective("latency_us", "minimise", o->profile)
                                             : objective("macs", "minimise", NULL));
        return CLI_OK;
    }
    int code = CLI_OK;
    for (const char *at = o->objectives; code == CLI_OK && *at;) {
        size_t len = strcspn(at, ",");
        code = add_objective(at, len, o->profile, objectives);
        at += len + (at[len] == ',');
    }
    return code;
}

static int search_goals(const struct search_options *o, cJSON *objectives, cJSON *constraints) {
    int code = add_objectives(o, objectives);
    if (code != CLI_OK)
        return code;
    add_limit(constraints, "latency_us", o->profile, o->max_latency_ms * 1000);
    add_limit(constraints, "macs", NULL, o->max_macs);
    add_limit(constraints, "params", NULL, o->max_params);
    add_limit(constraints, "peak_activation_bytes", NULL, o->max_memory_kb * 1000);
    return add_limits(&o->limits, constraints);
}

/* "mutation=0.2". What they mean, and what is no number, the daemon says. */
static int add_options(const struct option_list *texts, cJSON *body) {
    cJSON *options = texts->n ? cJSON_AddObjectToObject(body, "strategy_options") : NULL;
    for (int i = 0; i < texts->n; i++) {
        const char *equals = strchr(texts->items[i], '=');
        char name[64], *end = NULL;
        int len = equals ? (int)(equals - texts->items[i]) : 0;
        if (len == 0 || len >= (int)sizeof(name) || !equals[1])
            return cli_usage("--option: \"%.100s\" is not NAME=NUMBER", texts->items[i]);
        snprintf(name, sizeof(name), "%.*s", len, texts->items[i]);
        if (cJSON_GetObjectItemCaseSensitive(options, name))
            return cli_usage("--option: %s is given twice", name);
        double value = strtod(equals + 1, &end);
        if (*end || !isfinite(value))
            cJSON_AddStringToObject(options, name, equals + 1);
        else
            cJSON_AddNumberToObject(options, name, value);
    }
    return CLI_OK;
}

/* "3,5": numbers; what is none the daemon refuses. */
static cJSON *read_values(const char *text) {
    cJSON *list = cJSON_CreateArray();
    for (const char *at = text; *at;) {
        char word[32], *end;
        size_t len = strcspn(at, ",");
        snprintf(word, sizeof(word), "%.*s", (int)(len < 31 ? len : 31), at);
        double value = strtod(word, &end);
        cJSON_AddItemToArray(list, *end || end == word ? cJSON_CreateString(word)
                                                       : cJSON_CreateNumber(value));
        at += len + (at[len] == ',');
    }
    return list;
}

/* The object with that name in doc, made if it is not there. */
static cJSON *object_in(cJSON *doc, const char *name) {
    cJSON *object = cJSON_GetObjectItemCaseSensitive(doc, name);
    return object ? object : cJSON_AddObjectToObject(doc, name);
}

/* "kernel_sizes=3,5", or of one stage "stage2.depths=2". */
static int add_subspace(const struct option_list *texts, cJSON *body) {
    cJSON *subspace = texts->n ? cJSON_AddObjectToObject(body, "subspace") : NULL;
    for (int i = 0; i < texts->n; i++) {
        const char *equals = strchr(texts->items[i], '=');
        char name[96];
        int len = equals ? (int)(equals - texts->items[i]) : 0;
        if (len == 0 || len >= (int)sizeof(name) || !equals[1])
            return cli_usage("--subspace: \"%.100s\" is not GENE=VALUES", texts->items[i]);
        snprintf(name, sizeof(name), "%.*s", len, texts->items[i]);
        char *gene = strchr(name, '.');
        cJSON *of = subspace;
        if (gene) {
            *gene++ = '\0';
            of = object_in(object_in(subspace, "stages"), name);
        } else {
            gene = name;
        }
        if (cJSON_GetObjectItemCaseSensitive(of, gene))
            return cli_usage("--subspace: %.*s is given twice", len, texts->items[i]);
        cJSON_AddItemToObject(of, gene, read_values(equals + 1));
    }
    return CLI_OK;
}

static void add_accuracy(const struct search_options *o, cJSON *body) {
    if (!o->predictor) {
        cli_put_text(body, "accuracy", o->accuracy);
        return;
    }
    cJSON *accuracy = cJSON_AddObjectToObject(body, "accuracy");
    cJSON_AddStringToObject(accuracy, "predictor", o->predictor);
}

/* A line of the file is an arch; empty ones are passed over. */
static int add_arch_lines(const char *path, cJSON *archs) {
    char line[4096];
    FILE *file = strcmp(path, "-") ? fopen(path, "r") : stdin;
    if (!file) {
        fprintf(stderr, "espalier: cannot open %s\n", path);
        return CLI_FAILURE;
    }
    while (fgets(line, sizeof(line), file)) {
        line[strcspn(line, "\r\n")] = 0;
        if (line[0])
            cJSON_AddItemToArray(archs, cJSON_CreateString(line));
    }
    bool failed = ferror(file) != 0;
    if (file != stdin)
        fclose(file);
    if (!failed)
        return CLI_OK;
    fprintf(stderr, "espalier: cannot read %s\n", path);
    return CLI_FAILURE;
}

static int add_warm_start(const struct search_options *o, cJSON *body) {
    if (o->warm_start.n == 0 && !o->warm_start_file)
        return CLI_OK;
    cJSON *warm = cJSON_AddObjectToObject(body, "warm_start");
    if (o->warm_start.n > 0)
        cJSON_AddItemToObject(warm, "searches",
                              cJSON_CreateStringArray(o->warm_start.items, o->warm_start.n));
    return o->warm_start_file
               ? add_arch_lines(o->warm_start_file, cJSON_AddArrayToObject(warm, "archs"))
               : CLI_OK;
}

/* Without any, a clone has those of the search that it is made of. */
static int add_goals(const struct search_options *o, cJSON *body) {
    cJSON *objectives = cJSON_AddArrayToObject(body, "objectives"),
          *constraints = cJSON_AddArrayToObject(body, "constraints");
    int code = search_goals(o, objectives, constraints);
    if (o->clone && !o->objectives && !o->profile)
        cJSON_DeleteItemFromObjectCaseSensitive(body, "objectives");
    if (o->clone && cJSON_GetArraySize(constraints) == 0)
        cJSON_DeleteItemFromObjectCaseSensitive(body, "constraints");
    return code;
}

/* *ret_code: of what the options say. */
static cJSON *search_body(const struct search_options *o, const char *name, int *ret_code) {
    cJSON *body = cJSON_CreateObject();

    cJSON_AddStringToObject(body, "name", name);
    cli_put_text(body, "supernet", o->supernet);
    cli_put_text(body, "checkpoint", o->checkpoint);
    cli_put_text(body, "dataset", o->dataset);
    cli_put_text(body, "space", o->space);
    *ret_code = add_goals(o, body);
    cli_put_text(body, "strategy", o->strategy);
    if (*ret_code == CLI_OK)
        *ret_code = add_options(&o->options, body);
    if (*ret_code == CLI_OK)
        *ret_code = add_subspace(&o->subspace, body);
    if (o->baseline && !strcmp(o->baseline, "none"))
        cJSON_AddNullToObject(body, "baseline");
    else if (o->baseline)
        cJSON_AddStringToObject(body, "baseline", o->baseline);
    if (*ret_code == CLI_OK)
        *ret_code = add_warm_start(o, body);
    add_accuracy(o, body);
    cli_put_text(body, "method", o->method);
    cli_put_int(body, "evaluations", o->evaluations);
    if (o->time_us != CLI_UNSET)
        cli_put_real(body, "time_budget_s", (double)o->time_us / 1e6);
    cli_put_int(body, "patience", o->patience);
    cli_put_int(body, "measurements", o->measurements);
    cli_put_int(body, "rounds", o->rounds);
    cli_put_int(body, "population", o->population);
    cli_put_int(body, "seed", o->seed);
    cli_put_int(body, "initial_evaluations", o->initial);
    cli_put_int(body, "measure_front", o->measure);
    cli_put_int(body, "calibration_nets", o->calibrate);
    cli_put_text(body, "calibration_choice", o->choice);
    cli_put_int(body, "known_networks", o->known);
    return body;
}

static int send(struct cli *cli, const struct search_options *o, char *const *words) {
    char path[256] = "/searches";
    struct err err = {0};
    const cJSON *note;
    cJSON *doc = NULL;
    int code, rc = 0;
    cJSON *body = search_body(o, words[o->clone ? 1 : 0], &code);

    if (o->clone)
        snprintf(path, sizeof(path), "/searches/%.200s/clone", cli_encode(words[0]));
    if (code == CLI_OK)
        rc = cli_send(cli, "POST", path, body, &err, &doc);
    cJSON_Delete(body);
    if (code != CLI_OK)
        return code;
    if (rc)
        return cli_fail(&err);
    cJSON_ArrayForEach(note, cli_item(doc, "search.notes"))
        fprintf(stderr, "espalier: note: %s\n", note->valuestring);
    return cli_started(cli, doc, "search");
}

/* What has a default when a search is created has that of the other search when it is cloned. */
static int begin(struct cli *cli, int argc, char **argv, bool clone) {
    struct search_options o = {.max_latency_ms = CLI_UNSET_REAL,
                               .max_macs = CLI_UNSET_REAL,
                               .max_params = CLI_UNSET_REAL,
                               .max_memory_kb = CLI_UNSET_REAL,
                               .time_us = CLI_UNSET,
                               .patience = CLI_UNSET,
                               .measurements = CLI_UNSET,
                               .rounds = CLI_UNSET,
                               .evaluations = CLI_UNSET,
                               .population = CLI_UNSET,
                               .seed = CLI_UNSET,
                               .initial = CLI_UNSET,
                               .measure = CLI_UNSET,
                               .calibrate = CLI_UNSET,
                               .known = CLI_UNSET,
                               .clone = clone};
    const struct option_row rows[] = {
        {"supernet", 's', OPTION_TEXT, NULL, 0, 0, "", "supernet whose subnets are searched",
         &o.supernet},
        {"checkpoint", 'c', OPTION_TEXT, NULL, 0, 0, "",
         "score them by the weights of this checkpoint (default: the newest)", &o.checkpoint},
        {"dataset", 'd', OPTION_TEXT, NULL, 0, 0, "",
         "score them on this data set, of as many classes (default: the supernet's)", &o.dataset},
        {"profile", 'p', OPTION_TEXT, NULL, 0, 0, "",
         "minimise latency on this profile, a board's default one, or an imported latency model "
         "(default: MACs)",
         &o.profile},
        {"predictor", 0, OPTION_TEXT, NULL, 0, 0, "",
         "imported accuracy predictor; then no supernet is needed", &o.predictor},
        {"space", 0, OPTION_TEXT, NULL, 0, 0, "",
         "space to search without a supernet (default: the predictor's)", &o.space},
        {"objectives", 0, OPTION_TEXT, NULL, 1, 4000, "",
         "in place of top1 and latency: such as top1 or top1,latency@PROFILE,params; loss is that "
         "on the validation images, with --accuracy evaluated; "
         "PROFILE: also BOARD, or BOARD/WORDS such as pi4/t2",
         &o.objectives},
        {"limit", 0, OPTION_LIST, NULL, 0, 0, "",
         "hard limit, such as latency@pi4/t2=0.4 (ms), macs=3e6 or top1=0.9 (at least); may be "
         "given again",
         &o.limits},
        {"max-latency", 0, OPTION_REAL, NULL, 0, 0, "ms", "hard limit", &o.max_latency_ms},
        {"max-macs", 0, OPTION_REAL, NULL, 0, 0, "", "hard limit", &o.max_macs},
        {"max-params", 0, OPTION_REAL, NULL, 0, 0, "", "hard limit", &o.max_params},
        {"max-memory", 0, OPTION_REAL, NULL, 0, 0, "kB", "hard limit of the peak activation memory",
         &o.max_memory_kb},
        {"strategy", 0, OPTION_TEXT, NULL, 0, 0, "",
         "its name: espalier search strategies (default: nsga2, or linas where accuracy is "
         "evaluated)",
         &o.strategy},
        {"option", 0, OPTION_LIST, NULL, 0, 0, "",
         "option of the strategy, such as mutation=0.2 (espalier search strategies); may be given "
         "again",
         &o.options},
        {"subspace", 0, OPTION_LIST, NULL, 0, 0, "",
         "search a part of the space, such as kernel_sizes=3,5 or resolutions=224, of one stage "
         "stage2.depths=2; may be given again",
         &o.subspace},
        {"warm-start", 0, OPTION_LIST, NULL, 0, 0, "",
         "begin with the front of this earlier search over the same space; may be given again",
         &o.warm_start},
        {"warm-start-file", 0, OPTION_TEXT, NULL, 0, 0, "",
         "begin with the subnets of this file, one a line (-: standard input)", &o.warm_start_file},
        {"baseline", 0, OPTION_TEXT, NULL, 0, 0, "",
         "beside it at equal budget, or none (default: random beside another strategy)",
         &o.baseline},
        {"accuracy", 0, OPTION_TEXT, NULL, 0, 0, "",
         "predicted (default) or evaluated: each candidate's, by the supernet", &o.accuracy},
        {"method", 'm', OPTION_TEXT, clone ? NULL : "full", 0, 0, "",
         "of measurements: full, or brief (half a second each)", &o.method},
        {"evaluations", 'n', OPTION_INT, NULL, 0, 0, "", "budget (default: 4000)", &o.evaluations},
        {"time", 't', OPTION_DURATION, NULL, 0, 0, "",
         "search about this long in place of --evaluations", &o.time_us},
        {"patience", 0, OPTION_INT, NULL, 0, 0, "",
         "end after so many evaluations without growth of the front (default: none)", &o.patience},
        {"population", 0, OPTION_INT, clone ? NULL : "64", 0, 0, "", "of a generation",
         &o.population},
        {"seed", 0, OPTION_INT, clone ? NULL : "1", 0, 0, "", "of the search", &o.seed},
        {"initial-evaluations", 0, OPTION_INT, clone ? NULL : "64", 0, 0, "",
         "subnets evaluated to fit the accuracy predictor", &o.initial},
        {"measure-front", 0, OPTION_INT, clone ? NULL : "24", 0, 0, "",
         "candidates measured on the board at the end", &o.measure},
        {"calibration-nets", 0, OPTION_INT, clone ? NULL : "12", 0, 0, "",
         "networks measured before the search, to calibrate latencies on", &o.calibrate},
        {"calibration-choice", 0, OPTION_TEXT, clone ? NULL : "useful", 1, 15, "",
         "of them: useful (most is known of all others after them) or spread (over the range of "
         "MACs)",
         &o.choice},
        {"known-networks", 0, OPTION_INT, clone ? NULL : "128", 0, 0, "",
         "calibrations begin with so many networks at most that a board has measured before, 0: "
         "none",
         &o.known},
        {"rounds", 0, OPTION_INT, clone ? NULL : "1", 0, 0, "",
         "of searching and having the front measured, in the same budget: from one to the next "
         "predictions become better",
         &o.rounds},
        {"measurements", 0, OPTION_INT, NULL, 0, 0, "",
         "boards are asked for no more than so many, two for each network (default: any number)",
         &o.measurements},
        CLI_WAIT_ROWS(cli),
        CLI_COMMON_ROWS(cli)};
    struct cli_words words = {clone ? 2 : 1, clone ? 2 : 1};
    int first = 0, code = cli_start(cli, rows, argc, argv, words, &first);

    if (code >= 0)
        return code;
    if (!clone && !o.supernet && !o.predictor)
        return cli_usage("--supernet is needed, or --predictor");
    if (o.predictor && o.accuracy && strcmp(o.accuracy, "predicted") != 0)
        return cli_usage("--accuracy %.40s and --predictor exclude each other: by a predictor the "
                         "accuracy of every candidate is predicted; with --supernet that of the "
                         "front is evaluated at the end",
                         o.accuracy);
    if (!isnan(o.max_latency_ms) && !o.profile)
        return cli_usage("--max-latency needs --profile");
    if (o.time_us != CLI_UNSET && o.evaluations != CLI_UNSET)
        return cli_usage("--time and --evaluations exclude each other");
    return send(cli, &o, argv + first);
}

static int create_run(struct cli *cli, int argc, char **argv) {
    return begin(cli, argc, argv, false);
}

static int clone_run(struct cli *cli, int argc, char **argv) {
    return begin(cli, argc, argv, true);
}

static int extend_run(struct cli *cli, int argc, char **argv) {
    int64_t evaluations = CLI_UNSET, patience = CLI_UNSET;
    const struct option_row rows[] = {
        {"evaluations", 'n', OPTION_INT, NULL, 0, 0, "",
         "budget in all, those that it has had included (needed)", &evaluations},
        {"patience", 0, OPTION_INT, NULL, 0, 0, "",
         "from now on; 0: none ends it (needed where its patience has ended it)", &patience},
        CLI_WAIT_ROWS(cli),
        CLI_COMMON_ROWS(cli)};
    char path[256];
    struct err err = {0};
    cJSON *doc = NULL;
    int first = 0, code = cli_start(cli, rows, argc, argv, (struct cli_words){1, 1}, &first);

    if (code >= 0)
        return code;
    if (evaluations == CLI_UNSET)
        return cli_usage("--evaluations is needed: how many it is to have in all");
    cJSON *body = cJSON_CreateObject();
    cli_put_int(body, "evaluations", evaluations);
    if (patience == 0)
        cJSON_AddNullToObject(body, "patience");
    else
        cli_put_int(body, "patience", patience);
    snprintf(path, sizeof(path), "/searches/%.200s/extend", cli_encode(argv[first]));
    int rc = cli_send(cli, "POST", path, body, &err, &doc);
    cJSON_Delete(body);
    return rc ? cli_fail(&err) : cli_started(cli, doc, "search");
}

const struct cli_command cli_search_create = {
    "search", "create", "NAME", "search a supernet or a space for its Pareto front", create_run};
const struct cli_command cli_search_clone = {"search", "clone", "SEARCH NAME",
                                             "the same search again, but for what the options say",
                                             clone_run};
const struct cli_command cli_search_extend = {
    "search", "extend", "SEARCH", "more evaluations for a search that is done", extend_run};
