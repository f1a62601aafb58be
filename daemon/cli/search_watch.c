/* espalier search watch: the front as it grows, drawn into the terminal; without one, a line now
 * and then. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "daemon/cli/commands.h"
#include "daemon/cli/metric.h"
#include "daemon/cli/plot.h"
#include "daemon/cli/watching.h"

enum { CANDIDATES_PAGE = 5000, ROWS_MAX = 29, LINE_COLUMNS = 1000 };

struct watch {
    struct cli *cli;
    char id[64];
    struct screen screen;
    cJSON *search, *front, *names;
    char keys[2][METRIC_TEXT]; /* of the vertical and the horizontal axis */
    struct plot_point *points; /* of all candidates, in the API's units */
    int n_points, room;
    char cursor[256];
};

/* ---- what is known ------------------------------------------------------------------------- */

static bool room_for(struct watch *watch, int more) {
    if (watch->n_points + more <= watch->room)
        return true;
    int room = 2 * watch->room + more;
    struct plot_point *points = realloc(watch->points, (size_t)room * sizeof(*watch->points));
    if (!points)
        return false;
    watch->points = points;
    watch->room = room;
    return true;
}

static double item_value(const cJSON **item) {
    double value = cJSON_IsNumber(*item) ? (*item)->valuedouble : NAN;
    *item = *item ? (*item)->next : NULL;
    return value;
}

static const cJSON *column_of(const cJSON *doc, const char *key) {
    const cJSON *metrics = cli_item(doc, "columns.metrics");
    const cJSON *values = cli_item(cJSON_GetObjectItemCaseSensitive(metrics, key), "value");
    return values ? values->child : NULL;
}

static void take_page(struct watch *watch, const cJSON *doc) {
    const cJSON *y = column_of(doc, watch->keys[0]), *x = column_of(doc, watch->keys[1]);
    int n = cJSON_GetArraySize(cli_item(doc, "columns.arch_id"));
    if (!room_for(watch, n))
        return;
    for (int i = 0; i < n; i++) {
        double vy = item_value(&y), vx = item_value(&x);
        watch->points[watch->n_points++] = (struct plot_point){vx, vy, PLOT_CLOUD};
    }
}

/* Those that are new or have changed; a changed one is shown where it was, too. */
static int read_candidates(struct watch *watch, struct err *err) {
    for (;;) {
        cJSON *doc = NULL;
        int rc = cli_get(watch->cli, err, &doc, "/searches/%s/candidates?page_size=%d%s%s",
                         cli_encode(watch->id), CANDIDATES_PAGE, watch->cursor[0] ? "&after=" : "",
                         cli_encode(watch->cursor));
        if (rc)
            return rc;
        const cJSON *cursor = cli_item(doc, "cursor");
        take_page(watch, doc);
        if (cJSON_IsNumber(cursor))
            snprintf(watch->cursor, sizeof(watch->cursor), "%.0f", cursor->valuedouble);
        else if (cJSON_IsString(cursor))
            snprintf(watch->cursor, sizeof(watch->cursor), "%s", cursor->valuestring);
        bool more = !cJSON_IsNull(cli_item(doc, "next")) && cli_item(doc, "next");
        cJSON_Delete(doc);
        if (!more)
            return 0;
    }
}

/* A search keeps a front when its strategy is done; until then it is worked out of the candidates,
 * which are too many for that at worst: then there is none to see. */
static void read_growing_front(struct watch *watch) {
    struct err err = {0};
    if (cJSON_GetArraySize(cli_item(watch->front, "items")) > 0 ||
        !strcmp(watch->keys[0], watch->keys[1]))
        return;
    (void)watching_get(watch->cli, &watch->front, &err, "/searches/%s/front?objectives=%s,%s",
                       cli_encode(watch->id), cli_encode(watch->keys[0]),
                       cli_encode(watch->keys[1]));
}

static int refresh(void *context, struct err *err) {
    struct watch *watch = context;
    const char *id = cli_encode(watch->id);
    int rc = watching_get(watch->cli, &watch->search, err, "/searches/%s", id);
    if (rc == 0)
        rc = watching_get(watch->cli, &watch->front, err, "/searches/%s/front", id);
    if (rc == 0)
        read_growing_front(watch);
    if (rc == 0 && watch->screen.terminal)
        rc = read_candidates(watch, err);
    return rc;
}

/* The first two objectives are the axes; their profiles have names. */
static void choose_axes(struct watch *watch) {
    const cJSON *goals = cli_item(watch->search, "objectives");
    for (int i = 0; i < 2; i++) {
        const cJSON *goal = cJSON_GetArrayItem(goals, i);
        const char *profile = cli_text(goal, "profile");
        char name[METRIC_TEXT];
        metric_key(goal ? goal : cJSON_GetArrayItem(goals, 0), watch->keys[i]);
        if (profile[0] && metric_profile(watch->cli, profile, name))
            cJSON_AddStringToObject(watch->names, profile, name);
    }
}

static bool has_ended(const void *context) {
    const struct watch *watch = context;
    const char *state = cli_text(watch->search, "state");
    return !strcmp(state, "done") || !strcmp(state, "failed") || !strcmp(state, "canceled");
}

/* ---- the picture --------------------------------------------------------------------------- */

static void put_status(const struct watch *watch, struct buf *out, int width) {
    const cJSON *search = watch->search;
    double budget = cli_number(search, "evaluations");
    double hypervolume = cli_number(search, "hypervolume");
    char text[512], of[32] = "", volume[48] = "";

    if (!isnan(budget))
        snprintf(of, sizeof(of), " of %.0f", budget);
    if (!isnan(hypervolume))
        snprintf(volume, sizeof(volume), ", hypervolume %.6g", hypervolume);
    snprintf(text, sizeof(text), "%.80s: %s%s%s, %.0f%s evaluations, %d on the front%s",
             cli_text(search, "name"), cli_text(search, "state"),
             cli_text(search, "stage")[0] ? ", " : "", cli_text(search, "stage"),
             cli_number(search, "evaluations_done"), of,
             cJSON_GetArraySize(cli_item(watch->front, "items")), volume);
    cli_blank_controls(text);
    screen_put_line(out, text, width);
}

static const cJSON *metric_of(const cJSON *item, const char *key) {
    return cJSON_GetObjectItemCaseSensitive(cli_item(item, "metrics"), key);
}

/* The candidates, then the front, in the units of the axes. The caller frees. */
static struct plot_point *make_points(const struct watch *watch, const struct metric_unit units[2],
                                      int *ret_n) {
    const cJSON *items = cli_item(watch->front, "items"), *item = NULL;
    int n = watch->n_points + cJSON_GetArraySize(items), i = 0;
    struct plot_point *points = mem_array((size_t)n + 1, sizeof(*points));
    if (!points)
        return NULL;
    for (; i < watch->n_points; i++)
        points[i] = (struct plot_point){watch->points[i].x / units[1].one,
                                        watch->points[i].y / units[0].one, PLOT_CLOUD};
    cJSON_ArrayForEach(item, items) {
        const cJSON *y = metric_of(item, watch->keys[0]), *x = metric_of(item, watch->keys[1]);
        bool predicted = metric_is_predicted(x) || metric_is_predicted(y);
        points[i++] = (struct plot_point){cli_number(x, "value") / units[1].one,
                                          cli_number(y, "value") / units[0].one,
                                          predicted ? PLOT_PREDICTED : PLOT_MEASURED};
    }
    *ret_n = n;
    return points;
}

static double largest_of(const struct watch *watch, int axis) {
    const cJSON *item = NULL;
    double largest = 0;
    for (int i = 0; i < watch->n_points; i++)
        largest = fmax(largest, axis ? watch->points[i].x : watch->points[i].y);
    cJSON_ArrayForEach(item, cli_item(watch->front, "items")) largest =
        fmax(largest, cli_number(metric_of(item, watch->keys[axis]), "value"));
    return largest;
}

/* "top-1 (%) by latency on pi4 (ms)", and what the marks are. */
static void put_legend(const struct watch *watch, const struct plot *plot,
                       const struct metric_unit units[2], struct buf *out) {
    char titles[2][METRIC_TEXT], text[4 * METRIC_TEXT];
    for (int i = 0; i < 2; i++)
        metric_title(watch->keys[i], watch->names, titles[i]);
    snprintf(text, sizeof(text), "%s%s%s%s by %s%s%s%s", titles[0], units[0].name[0] ? " (" : "",
             units[0].name, units[0].name[0] ? ")" : "", titles[1], units[1].name[0] ? " (" : "",
             units[1].name, units[1].name[0] ? ")" : "");
    cli_blank_controls(text);
    screen_put_line(out, text, plot->width);
    plot_put_mark(out, plot, PLOT_MEASURED);
    buf_puts(out, " measured  ");
    plot_put_mark(out, plot, PLOT_PREDICTED);
    buf_puts(out, plot->width >= 40 ? " predicted  " : " predicted");
    if (plot->width >= 40) {
        plot_put_mark(out, plot, PLOT_CLOUD);
        buf_puts(out, " looked at");
    }
    buf_puts(out, "\n");
}

static void draw(const void *context, struct buf *out, int columns, int rows) {
    const struct watch *watch = context;
    const struct metric_unit units[2] = {metric_unit(watch->keys[0], largest_of(watch, 0)),
                                         metric_unit(watch->keys[1], largest_of(watch, 1))};
    struct plot plot = {.utf8 = watch->screen.utf8, .colours = watch->screen.colours};

    plot.width = columns;
    plot.height = (rows > ROWS_MAX ? ROWS_MAX : rows) - 3;
    struct plot_point *points = make_points(watch, units, &plot.n_points);
    plot.points = points;
    put_status(watch, out, plot.width);
    if (points && plot.width >= PLOT_WIDTH_MIN && plot.height >= PLOT_HEIGHT_MIN) {
        plot_put(out, &plot);
        put_legend(watch, &plot, units, out);
    }
    free(points);
}

static void tell(const void *context, struct buf *out) {
    put_status(context, out, LINE_COLUMNS);
}

static const char *stage_of(const void *context) {
    return cli_text(((const struct watch *)context)->search, "stage");
}

static int tell_end(const void *context) {
    const struct watch *watch = context;
    struct err err = {0};
    cJSON *job = NULL;
    cli_print_plain(watch->cli, watch->search);
    if (!strcmp(cli_text(watch->search, "state"), "done"))
        return CLI_OK;
    (void)cli_get(watch->cli, &err, &job, "/jobs/%s", cli_encode(cli_text(watch->search, "job")));
    int code = cli_say_failed("the search", cli_text(watch->search, "state"), job);
    cJSON_Delete(job);
    return code;
}

static int watch_run(struct cli *cli, int argc, char **argv) {
    const struct option_row rows[] = {CLI_COMMON_ROWS(cli)};
    struct watch watch = {.cli = cli};
    struct watched watched = {.what = "search",
                              .noun = "search",
                              .id = watch.id,
                              .screen = &watch.screen,
                              .topics = "search,candidates,generation,front",
                              .belonging = "search",
                              .refresh = refresh,
                              .has_ended = has_ended,
                              .end = tell_end,
                              .draw = draw,
                              .tell = tell,
                              .stage = stage_of,
                              .context = &watch};
    struct err err = {0};
    int first = 0, code = cli_start(cli, rows, argc, argv, (struct cli_words){1, 1}, &first);

    if (code >= 0)
        return code;
    watched.silent = cli_is_plain(cli);
    if (cli_get(cli, &err, &watch.search, "/searches/%s", cli_encode(argv[first])))
        return cli_fail(&err);
    snprintf(watch.id, sizeof(watch.id), "%s", cli_text(watch.search, "id"));
    watch.names = cJSON_CreateObject();
    choose_axes(&watch);
    code = watching_run(cli, &watched);
    cJSON_Delete(watch.search);
    cJSON_Delete(watch.front);
    cJSON_Delete(watch.names);
    free(watch.points);
    return code;
}

const struct cli_command cli_search_watch = {"search", "watch", "SEARCH",
                                             "its front as it grows, in the terminal", watch_run};
