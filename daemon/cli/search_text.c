#include "daemon/cli/search_text.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void put_quoted(struct buf *out, const char *text) {
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "_@%+=:,./-";
    if (text[0] && strspn(text, plain) == strlen(text)) {
        buf_puts(out, text);
        return;
    }
    buf_puts(out, "'");
    for (; *text; text++)
        if (*text == '\'')
            buf_puts(out, "'\\''");
        else
            buf_append(out, text, 1);
    buf_puts(out, "'");
}

static void put_option(struct buf *out, const char *option, const char *value) {
    buf_printf(out, " --%s ", option);
    put_quoted(out, value);
}

/* The shortest text of a number that, times so much, is this value again; whole numbers as such. */
static const char *exact_part(double value, double times, char text[32]) {
    double part = value / times;
    if (part == floor(part) && fabs(part) < 1e15) {
        snprintf(text, 32, "%.0f", part);
        return text;
    }
    for (int digits = 1; digits <= 17; digits++) {
        snprintf(text, 32, "%.*g", digits, part);
        if (strtod(text, NULL) * times == value)
            break;
    }
    return text;
}

static const char *exact(double value, char text[32]) {
    return exact_part(value, 1, text);
}

static const char *name_of(const cJSON *names, const char *id) {
    const char *name = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(names, id));
    return name ? name : id;
}

/* "latency@pi4/t2", as read_goal of search create takes it. */
static void put_goal(struct buf *out, const cJSON *goal, const cJSON *names) {
    const char *metric = cli_text(goal, "metric"), *profile = cli_text(goal, "profile");
    buf_puts(out, strcmp(metric, "latency_us") ? metric : "latency");
    if (profile[0])
        buf_printf(out, "@%s", name_of(names, profile));
}

static bool put_objectives(struct buf *out, const cJSON *item, const cJSON *names) {
    struct buf text;
    const cJSON *goal = NULL;
    buf_init(&text, 0);
    cJSON_ArrayForEach(goal, item) {
        bool top1 = !strcmp(cli_text(goal, "metric"), "top1");
        if (strchr(name_of(names, cli_text(goal, "profile")), ',') ||
            strcmp(cli_text(goal, "direction"), top1 ? "maximise" : "minimise") != 0) {
            buf_finish(&text);
            return false;
        }
        buf_puts(&text, goal == item->child ? "" : ",");
        put_goal(&text, goal, names);
    }
    put_option(out, "objectives", text.data ? text.data : "");
    buf_finish(&text);
    return true;
}

static bool put_limits(struct buf *out, const cJSON *item, const cJSON *names) {
    const cJSON *goal = NULL;
    cJSON_ArrayForEach(goal, item) {
        bool least = !strcmp(cli_text(goal, "metric"), "top1");
        double value = cli_number(goal, least ? "min" : "max");
        double other = cli_number(goal, least ? "max" : "min");
        char number[32];
        struct buf text;
        if (isnan(value) || !isnan(other))
            return false;
        bool latency = !strcmp(cli_text(goal, "metric"), "latency_us");
        buf_init(&text, 0);
        put_goal(&text, goal, names);
        buf_printf(&text, "=%s", exact_part(value, latency ? 1000 : 1, number));
        put_option(out, "limit", text.data ? text.data : "");
        buf_finish(&text);
    }
    return true;
}

static bool put_choices(struct buf *out, const char *before, const cJSON *genes) {
    const cJSON *gene = NULL, *value = NULL;
    cJSON_ArrayForEach(gene, genes) {
        char number[32];
        struct buf text;
        if (!strcmp(gene->string, "stages"))
            continue;
        buf_init(&text, 0);
        buf_printf(&text, "%s%s%s=", before, before[0] ? "." : "", gene->string);
        cJSON_ArrayForEach(value, gene) buf_printf(&text, "%s%s", value == gene->child ? "" : ",",
                                                   exact(value->valuedouble, number));
        put_option(out, "subspace", text.data ? text.data : "");
        buf_finish(&text);
    }
    return true;
}

static bool put_subspace(struct buf *out, const cJSON *item, const cJSON *names) {
    const cJSON *stage = NULL;
    put_choices(out, "", item);
    cJSON_ArrayForEach(stage, cli_item(item, "stages")) {
        if (strchr(stage->string, '.'))
            return false;
        put_choices(out, stage->string, stage);
    }
    return true;
}

static bool put_strategy_options(struct buf *out, const cJSON *item, const cJSON *names) {
    const cJSON *option = NULL;
    cJSON_ArrayForEach(option, item) {
        char text[128], number[32];
        snprintf(text, sizeof(text), "%.64s=%s", option->string,
                 exact(option->valuedouble, number));
        put_option(out, "option", text);
    }
    return true;
}

static bool put_accuracy(struct buf *out, const cJSON *item, const cJSON *names) {
    if (cJSON_IsString(item))
        put_option(out, "accuracy", item->valuestring);
    else
        put_option(out, "predictor", name_of(names, cli_text(item, "predictor")));
    return true;
}

static bool put_warm_start(struct buf *out, const cJSON *item, const cJSON *names) {
    const cJSON *search = NULL;
    if (cJSON_GetArraySize(cli_item(item, "archs")) > 0)
        return false;
    cJSON_ArrayForEach(search, cli_item(item, "searches"))
        put_option(out, "warm-start", name_of(names, cJSON_GetStringValue(search)));
    return true;
}

static bool put_time(struct buf *out, const cJSON *item, const cJSON *names) {
    char number[32];
    buf_printf(out, " --time %ss", exact(item->valuedouble, number));
    return true;
}

/* Members whose option is their value as it is, and those that need a word of their own. */
static const struct {
    const char *member, *option;
    bool (*put)(struct buf *out, const cJSON *item, const cJSON *names);
} members[] = {{"name", NULL, NULL},
               {"supernet", "supernet", NULL},
               {"space", "space", NULL},
               {"checkpoint", "checkpoint", NULL},
               {"dataset", "dataset", NULL},
               {"objectives", NULL, put_objectives},
               {"constraints", NULL, put_limits},
               {"accuracy", NULL, put_accuracy},
               {"strategy", "strategy", NULL},
               {"strategy_options", NULL, put_strategy_options},
               {"subspace", NULL, put_subspace},
               {"baseline", "baseline", NULL},
               {"evaluations", "evaluations", NULL},
               {"time_budget_s", NULL, put_time},
               {"rounds", "rounds", NULL},
               {"population", "population", NULL},
               {"seed", "seed", NULL},
               {"patience", "patience", NULL},
               {"initial_evaluations", "initial-evaluations", NULL},
               {"measure_front", "measure-front", NULL},
               {"measurements", "measurements", NULL},
               {"calibration_nets", "calibration-nets", NULL},
               {"calibration_choice", "calibration-choice", NULL},
               {"known_networks", "known-networks", NULL},
               {"method", "method", NULL},
               {"warm_start", NULL, put_warm_start}};
enum { N_MEMBERS = sizeof(members) / sizeof(members[0]) };

static bool known(const char *member) {
    for (int i = 0; i < N_MEMBERS; i++)
        if (!strcmp(members[i].member, member))
            return true;
    return false;
}

static bool put_member(struct buf *out, int i, const cJSON *item, const cJSON *names) {
    char number[32];
    if (cJSON_IsNull(item)) { /* no baseline; all else that is null has its default */
        if (!strcmp(members[i].member, "baseline"))
            put_option(out, "baseline", "none");
        return true;
    }
    if (members[i].put)
        return members[i].put(out, item, names);
    if (!members[i].option)
        return true;
    put_option(out, members[i].option,
               cJSON_IsNumber(item) ? exact(item->valuedouble, number)
                                    : name_of(names, cJSON_GetStringValue(item)));
    return true;
}

bool search_command(struct buf *out, const cJSON *request, const cJSON *names) {
    struct buf text;
    const cJSON *item = NULL;
    bool whole = cli_text(request, "name")[0] != '-';

    buf_init(&text, 0);
    buf_puts(&text, "espalier search create ");
    put_quoted(&text, cli_text(request, "name"));
    cJSON_ArrayForEach(item, request) whole = whole && known(item->string);
    for (int i = 0; i < N_MEMBERS && whole; i++) {
        item = cJSON_GetObjectItemCaseSensitive(request, members[i].member);
        whole = !item || put_member(&text, i, item, names);
    }
    if (whole)
        buf_append(out, text.data, text.len);
    buf_finish(&text);
    return whole;
}
