#include "daemon/cli/metric.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *metric, *title, *unit; /* unit of one; "" where prefixes are taken */
    double one;
    const char *head; /* of a column; NULL: a board's, which tells more than a word */
    enum cell_kind cell;
} metrics[] = {
    {"top1", "top-1", "%", 0.01, "TOP-1 (VALIDATION)", CELL_TEXT},
    {"loss", "validation loss", "", 1, "LOSS (VALIDATION)", CELL_REAL},
    {"latency_us", "latency", "us", 1, NULL, CELL_TEXT},
    {"energy_uj", "energy", "uJ", 1, NULL, CELL_TEXT},
    {"macs", "MACs", "", 1, "MACS", CELL_MACS},
    {"params", "parameters", "", 1, "PARAMS", CELL_MACS},
    {"peak_activation_bytes", "peak activation memory", "B", 1, "PEAK MEMORY", CELL_BYTES},
    {"peak_simple_bytes", "peak memory of a simple runtime", "B", 1, "PEAK MEMORY, UNFUSED",
     CELL_BYTES},
    {"model_bytes", "size of the model", "B", 1, "MODEL SIZE", CELL_BYTES},
    {"traffic_bytes", "memory traffic", "B", 1, "TRAFFIC", CELL_BYTES},
    {.metric = NULL}};

static int find(const char *key) {
    size_t len = strcspn(key, ":@");
    int i = 0;
    while (metrics[i].metric &&
           (strlen(metrics[i].metric) != len || strncmp(metrics[i].metric, key, len) != 0))
        i++;
    return i;
}

struct metric_unit metric_unit(const char *key, double largest) {
    static const char *const prefixes[] = {"", "k", "M", "G", "T"};
    struct metric_unit unit = {1, ""};
    int i = find(key), power = 0;

    if (!metrics[i].metric)
        return unit;
    unit.one = metrics[i].one;
    snprintf(unit.name, sizeof(unit.name), "%s", metrics[i].unit);
    if (!strcmp(unit.name, "%"))
        return unit;
    for (; fabs(largest) >= 1000 * unit.one && power < 4; power++)
        unit.one *= 1000;
    if (unit.name[0] == 'u') { /* of a millionth: then thousandths, then whole ones */
        static const char *const small[] = {"u", "m", "", "k", "M"};
        snprintf(unit.name, sizeof(unit.name), "%s%s", small[power], metrics[i].unit + 1);
    } else {
        snprintf(unit.name, sizeof(unit.name), "%s%s", prefixes[power], metrics[i].unit);
    }
    return unit;
}

const char *metric_value(double value, const struct metric_unit *unit, char text[CLI_LATENCY]) {
    const struct cli_unit plain = {unit->name, unit->one};
    size_t len;

    if (!isfinite(value))
        return "-";
    cli_latency(value, &plain, text);
    len = strlen(text);
    if (strchr(text, '.')) /* 3 and 12.5 for what is just that */
        while (text[len - 1] == '0' || text[len - 1] == '.') {
            bool point = text[--len] == '.';
            text[len] = 0;
            if (point)
                break;
        }
    snprintf(text + len, CLI_LATENCY - len, "%s%s", unit->name[0] ? " " : "", unit->name);
    return text;
}

const char *metric_title(const char *key, const cJSON *names, char text[METRIC_TEXT]) {
    const char *of = strpbrk(key, ":@");
    const char *name =
        of ? cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(names, of + 1)) : NULL;
    int i = find(key);

    snprintf(text, METRIC_TEXT, "%.80s%s%.150s", metrics[i].metric ? metrics[i].title : key,
             metrics[i].metric && of ? " on " : "",
             !of || !metrics[i].metric ? ""
             : name                    ? name
                                       : of + 1);
    return text;
}

bool metric_profile(struct cli *cli, const char *id, char text[METRIC_TEXT]) {
    struct err err = {0};
    cJSON *doc = NULL;

    (void)cli_get(cli, &err, &doc, "/%s/%s", strncmp(id, "pf_", 3) ? "models" : "profiles",
                  cli_encode(id));
    bool found = cli_text(doc, "name")[0];
    snprintf(text, METRIC_TEXT, "%.150s", found ? cli_shown(cli_text(doc, "name")) : id);
    cJSON_Delete(doc);
    return found;
}

const char *metric_named(struct cli *cli, const char *key, char text[METRIC_TEXT]) {
    const char *id = strchr(key, ':');
    char profile[METRIC_TEXT];

    if (id && metric_profile(cli, id + 1, profile))
        snprintf(text, METRIC_TEXT, "%.*s@%.150s", (int)(id - key < 80 ? id - key : 80), key,
                 profile);
    else
        snprintf(text, METRIC_TEXT, "%.250s", key);
    return text;
}

struct column metric_column(const char *key) {
    int i = find(key);
    return metrics[i].metric && metrics[i].head
               ? (struct column){metrics[i].head, key, metrics[i].cell}
               : (struct column){key, key, CELL_REAL};
}

bool metric_is_predicted(const cJSON *metric) {
    const char *source = cli_text(metric, "source");
    return !strcmp(source, "predicted") || !strcmp(source, "interpolated");
}

const char *metric_key(const cJSON *goal, char text[METRIC_TEXT]) {
    const char *profile = cli_text(goal, "profile");
    snprintf(text, METRIC_TEXT, "%.80s%s%.150s", cli_text(goal, "metric"), profile[0] ? ":" : "",
             profile);
    return text;
}
