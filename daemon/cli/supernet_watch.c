/* espalier supernet watch: the curves of a training as they grow. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/memory.h"
#include "daemon/cli/commands.h"
#include "daemon/cli/plot.h"
#include "daemon/cli/series.h"
#include "daemon/cli/watching.h"

enum {
    POINTS = 600, /* of a series, at most, in a picture */
    ALL_POINTS = 100000,
    PICTURE_ROWS_MAX = 36,
    SPARK = 24,
    STATUS_ROWS = 3,
    LEGEND_ROWS = 1,
    LINE_COLUMNS = 1000
};

struct watch {
    struct cli *cli;
    char id[64];
    struct screen screen;
    cJSON *supernet, *job, *metrics; /* job: NULL while there is none */
    bool lines;                      /* --jsonl: points as they come */
    cJSON *steps;                    /* the newest that was printed of each series */
};

static const char shown_series[] = "loss,loss/distillation,learning_rate,images_per_s,top1/largest,"
                                   "top1/random,top1/smallest";

/* ---- what is known ------------------------------------------------------------------------- */

/* What it does now; nothing where the job was pruned, or there has been none. */
static int refresh_job(struct watch *watch, struct err *err) {
    const char *id = cli_text(watch->supernet, "job");
    int rc = id[0] ? watching_get(watch->cli, &watch->job, err, "/jobs/%s", cli_encode(id)) : 0;
    return rc == ESP_ENOTFOUND ? 0 : rc;
}

static int refresh_supernet(struct watch *watch, struct err *err) {
    int rc =
        watching_get(watch->cli, &watch->supernet, err, "/supernets/%s", cli_encode(watch->id));
    return rc ? rc : refresh_job(watch, err);
}

static int refresh(void *context, struct err *err) {
    struct watch *watch = context;
    int rc = refresh_supernet(watch, err);
    return rc ? rc
              : watching_get(watch->cli, &watch->metrics, err,
                             "/supernets/%s/metrics?max_points=%d&series=%s", cli_encode(watch->id),
                             POINTS, cli_encode(shown_series));
}

static bool has_ended(const void *context) {
    const char *state = cli_text(((const struct watch *)context)->supernet, "state");
    return !strcmp(state, "ready") || !strcmp(state, "failed") || !strcmp(state, "canceled");
}

static const cJSON *series_of(const struct watch *watch, const char *name) {
    const cJSON *series = NULL;
    cJSON_ArrayForEach(series,
                       cli_item(watch->metrics, "series")) if (!strcmp(cli_text(series, "name"),
                                                                       name)) return series;
    return NULL;
}

/* Its points in the order of steps, values times scale; NULL where there are none. The caller
 * frees. */
static struct plot_point *points_of(const struct watch *watch, const char *name, double scale,
                                    enum plot_kind kind, int *ret_n) {
    const cJSON *series = series_of(watch, name);
    int n = 0, room = cJSON_GetArraySize(cli_item(series, "step"));
    struct plot_point *points = room ? mem_array((size_t)room, sizeof(*points)) : NULL;
    for (struct series_point at = series_first(series); points && at.step; at = series_next(at))
        points[n++] = (struct plot_point){
            at.step->valuedouble, cJSON_IsNumber(at.value) ? scale * at.value->valuedouble : NAN,
            kind};
    *ret_n = n;
    return points;
}

/* The newest value of a series; NaN: none. */
static double newest(const struct watch *watch, const char *name) {
    const cJSON *values = cli_item(series_of(watch, name), "value");
    const cJSON *last = cJSON_GetArrayItem(values, cJSON_GetArraySize(values) - 1);
    return cJSON_IsNumber(last) ? last->valuedouble : NAN;
}

/* ---- in words ------------------------------------------------------------------------------ */

static const struct {
    const char *series, *name;
} subnets[] = {
    {"top1/largest", "largest"}, {"top1/random", "random"}, {"top1/smallest", "smallest"}};
enum { SUBNETS = sizeof(subnets) / sizeof(subnets[0]) };

static void put_epoch(const cJSON *doc, struct buf *out) {
    if (!isnan(cli_number(doc, "epoch")))
        buf_printf(out, ", epoch %.2f", cli_number(doc, "epoch"));
}

/* "net: training, train 1200 of 5000 steps, epoch 3.20, ETA 1:23"; "net: ready, step 5000, epoch
 * 12.00". */
static void put_state(const struct watch *watch, struct buf *out) {
    const cJSON *supernet = watch->supernet, *progress = cli_item(watch->job, "progress");
    double done = cli_number(progress, "done"), total = cli_number(progress, "total");
    buf_printf(out, "%.80s: %s", cli_text(supernet, "name"), cli_text(supernet, "state"));
    if (has_ended(watch)) {
        if (!isnan(cli_number(supernet, "step")))
            buf_printf(out, ", step %.0f", cli_number(supernet, "step"));
        put_epoch(supernet, out);
        return;
    }
    if (cli_text(progress, "phase")[0])
        buf_printf(out, ", %s", cli_text(progress, "phase"));
    if (!isnan(done) && !isnan(total))
        buf_printf(out, " %.0f of %.0f %s", done, total, cli_text(progress, "unit"));
    put_epoch(progress, out);
    cli_put_eta(out, ", ", cli_number(progress, "eta_s"));
}

static void put_losses(const struct watch *watch, struct buf *out) {
    double loss = newest(watch, "loss"), teacher = newest(watch, "loss/distillation");
    const char *gap = "";
    if (!isnan(loss)) {
        buf_printf(out, "loss %.3f", loss);
        gap = ", ";
    }
    if (!isnan(teacher)) {
        buf_printf(out, "%sby the teacher %.3f", gap, teacher);
        gap = ", ";
    }
    for (int i = 0; i < SUBNETS; i++) {
        double top1 = newest(watch, subnets[i].series);
        if (isnan(top1))
            continue;
        buf_printf(out, "%s%s %.2f %%", gap, subnets[i].name, 100 * top1);
        gap = ", ";
    }
}

/* The rate and the speed, on a screen with the way that they went. */
static void put_pace(const struct watch *watch, bool bars, struct buf *out) {
    static const struct {
        const char *series, *format;
    } rows[] = {{"learning_rate", "learning rate %.3g"}, {"images_per_s", "%.0f images/s"}};
    const char *gap = "";
    for (int i = 0; i < 2; i++) {
        double values[POINTS + 1];
        int n = 0;
        struct plot_point *points = points_of(watch, rows[i].series, 1, PLOT_CLOUD, &n);
        for (int k = 0; k < n && k <= POINTS; k++)
            values[k] = points[k].y;
        if (n > 0) {
            buf_puts(out, gap);
            buf_printf(out, rows[i].format, newest(watch, rows[i].series));
            gap = bars ? "   " : ", ";
        }
        if (n > 0 && bars) {
            buf_puts(out, " ");
            plot_put_spark(out, values, n <= POINTS ? n : POINTS + 1, SPARK, watch->screen.utf8);
        }
        free(points);
    }
}

static void put_pace_with_bars(const struct watch *watch, struct buf *out) {
    put_pace(watch, true, out);
}

static void put_pace_in_words(const struct watch *watch, struct buf *out) {
    put_pace(watch, false, out);
}

/* One line of these parts, with commas between. */
static void put_line(const struct watch *watch, struct buf *out, int columns,
                     void (*const *parts)(const struct watch *watch, struct buf *out), int n) {
    struct buf line, part;
    buf_init(&line, 0);
    for (int i = 0; i < n; i++) {
        buf_init(&part, 0);
        parts[i](watch, &part);
        if (part.len > 0)
            buf_printf(&line, "%s%s", line.len ? ", " : "", part.data);
        buf_finish(&part);
    }
    if (line.data)
        cli_blank_controls(line.data);
    screen_put_line(out, line.data ? line.data : "", columns);
    buf_finish(&line);
}

static void (*const said[])(const struct watch *watch, struct buf *out) = {put_state, put_losses,
                                                                           put_pace_in_words};
static void (*const shown[STATUS_ROWS])(const struct watch *watch, struct buf *out) = {
    put_state, put_losses, put_pace_with_bars};

static void tell(const void *context, struct buf *out) {
    put_line(context, out, LINE_COLUMNS, said, sizeof(said) / sizeof(said[0]));
}

static const char *stage_of(const void *context) {
    const struct watch *watch = context;
    const char *phase = cli_text(watch->job, "progress.phase");
    return !has_ended(watch) && phase[0] ? phase : cli_text(watch->supernet, "state");
}

/* ---- the picture --------------------------------------------------------------------------- */

struct curve {
    const char *series, *name;
    enum plot_kind line, mark; /* mark PLOT_KINDS: none */
};
struct chart {
    const char *title;
    double scale; /* of its values */
    const struct curve *curves;
    int n;
};

static const struct curve losses[] = {
    {"loss/distillation", "by the teacher", PLOT_CLOUD, PLOT_KINDS},
    {"loss", "by labels", PLOT_CURVE, PLOT_KINDS}};
static const struct curve accuracies[] = {{"top1/smallest", "smallest", PLOT_CLOUD, PLOT_PREDICTED},
                                          {"top1/random", "random", PLOT_CLOUD, PLOT_BETWEEN},
                                          {"top1/largest", "largest", PLOT_CLOUD, PLOT_MEASURED}};
static const struct chart charts[] = {{"loss by step: ", 1, losses, 2},
                                      {"top-1 (%) of subnets by step: ", 100, accuracies, 3}};
enum { CHARTS = 2, JOINED_MAX = 2 * 1024 + POINTS };

static bool has_points(const struct watch *watch, const struct chart *chart) {
    for (int i = 0; i < chart->n; i++)
        if (!isnan(newest(watch, chart->curves[i].series)))
            return true;
    return false;
}

/* The curve's own points, as dots of the line or as marks, and those between them. */
static int add_curve(const struct watch *watch, const struct chart *chart, int i,
                     struct plot_point *ret_points) {
    const struct curve *curve = &chart->curves[i];
    int n = 0;
    enum plot_kind kind = curve->mark == PLOT_KINDS ? curve->line : curve->mark;
    struct plot_point *points = points_of(watch, curve->series, chart->scale, kind, &n);
    if (n > POINTS + 1)
        n = POINTS + 1;
    if (n > 0)
        memcpy(ret_points, points, (size_t)n * sizeof(*points));
    int joined = n > 0 ? plot_join(points, n, curve->line, JOINED_MAX, ret_points + n) : 0;
    free(points);
    return n + joined;
}

/* The title, and the marks of those curves that there are. */
static void put_legend(const struct watch *watch, const struct chart *chart,
                       const struct plot *plot, struct buf *out) {
    int width = (int)strlen(chart->title);
    buf_puts(out, chart->title);
    for (int i = chart->n - 1; i >= 0; i--) {
        const struct curve *curve = &chart->curves[i];
        int more = (int)strlen(curve->name) + 4;
        if (isnan(newest(watch, curve->series)) || width + more > plot->width)
            continue;
        width += more;
        plot_put_mark(out, plot, curve->mark == PLOT_KINDS ? curve->line : curve->mark);
        buf_printf(out, " %s  ", curve->name);
    }
    buf_puts(out, "\n");
}

static void put_chart(const struct watch *watch, const struct chart *chart, struct plot *plot,
                      struct buf *out) {
    size_t room = (size_t)chart->n * (POINTS + 1 + JOINED_MAX);
    struct plot_point *points = mem_array(room, sizeof(*points));
    if (!points)
        return;
    plot->n_points = 0;
    for (int i = 0; i < chart->n; i++)
        plot->n_points += add_curve(watch, chart, i, points + plot->n_points);
    plot->points = points;
    put_legend(watch, chart, plot, out);
    plot_put(out, plot);
    free(points);
}

/* The charts share what rows there are; where these are few the last that has points is shown
 * alone. */
static void draw(const void *context, struct buf *out, int columns, int rows) {
    const struct watch *watch = context;
    struct plot plot = {.width = columns,
                        .utf8 = watch->screen.utf8,
                        .colours = watch->screen.colours,
                        .linear = true};
    int n = 0, left = (rows < PICTURE_ROWS_MAX ? rows : PICTURE_ROWS_MAX) - STATUS_ROWS;

    for (int i = 0; i < STATUS_ROWS; i++)
        put_line(watch, out, columns, &shown[i], 1);
    for (int i = 0; i < CHARTS; i++)
        n += has_points(watch, &charts[i]);
    if (n > 1 && left / n - LEGEND_ROWS < PLOT_HEIGHT_MIN)
        n = 1;
    plot.height = n ? left / n - LEGEND_ROWS : 0;
    if (plot.height < PLOT_HEIGHT_MIN || columns < PLOT_WIDTH_MIN)
        return;
    for (int i = CHARTS - 1, k = 0; i >= 0 && k < n; i--)
        if (has_points(watch, &charts[i])) {
            put_chart(watch, &charts[i], &plot, out);
            k++;
        }
}

/* ---- as JSON ------------------------------------------------------------------------------- */

/* The newest step of a series that was printed; -1: none. */
static double printed(const struct watch *watch, const char *name) {
    const cJSON *step = cJSON_GetObjectItemCaseSensitive(watch->steps, name);
    return step ? step->valuedouble : -1;
}

static void print_point(const char *series, struct series_point point) {
    cJSON *row = cJSON_CreateObject();
    cJSON_AddStringToObject(row, "series", series);
    cJSON_AddItemToObject(row, "step", cJSON_Duplicate(point.step, true));
    cJSON_AddItemToObject(row, "epoch", cJSON_Duplicate(point.epoch, true));
    cJSON_AddItemToObject(row, "value", cJSON_Duplicate(point.value, true));
    char *text = json_print(row);
    puts(text ? text : "null");
    free(text);
    cJSON_Delete(row);
}

/* Those points that are new. */
static void print_series(struct watch *watch, const cJSON *series) {
    const char *name = cli_text(series, "name");
    double last = printed(watch, name);
    for (struct series_point at = series_first(series); at.step; at = series_next(at)) {
        if (at.step->valuedouble <= last)
            continue;
        print_point(name, at);
        last = at.step->valuedouble;
    }
    cJSON_DeleteItemFromObjectCaseSensitive(watch->steps, name);
    cJSON_AddNumberToObject(watch->steps, name, last);
}

/* Points come in the order of their steps, those of a step one by one, accuracies last: the newest
 * step is asked for again. */
static int refresh_lines(void *context, struct err *err) {
    struct watch *watch = context;
    const cJSON *step = NULL, *series = NULL;
    double newest_step = 0;
    int rc = refresh_supernet(watch, err);
    cJSON_ArrayForEach(step, watch->steps) newest_step = fmax(newest_step, step->valuedouble);
    if (rc == 0)
        rc = watching_get(watch->cli, &watch->metrics, err,
                          "/supernets/%s/metrics?max_points=%d&after=%.0f", cli_encode(watch->id),
                          ALL_POINTS, newest_step - 1);
    if (rc)
        return rc;
    cJSON_ArrayForEach(series, cli_item(watch->metrics, "series")) print_series(watch, series);
    fflush(stdout);
    return 0;
}

/* Nothing until the end, which is printed as JSON. */
static int refresh_quietly(void *context, struct err *err) {
    return refresh_supernet(context, err);
}

/* ---- the command --------------------------------------------------------------------------- */

static int tell_end(const void *context) {
    const struct watch *watch = context;
    const char *state = cli_text(watch->supernet, "state");
    if (!watch->lines)
        cli_print_plain(watch->cli, watch->supernet);
    return !strcmp(state, "ready") ? CLI_OK : cli_say_failed("the training", state, watch->job);
}

static int watch_run(struct cli *cli, int argc, char **argv) {
    const struct option_row rows[] = {CLI_COMMON_ROWS(cli)};
    struct watch watch = {.cli = cli};
    struct watched watched = {.what = "training",
                              .noun = "supernet",
                              .id = watch.id,
                              .screen = &watch.screen,
                              .topics = "supernet,metric,progress",
                              .belonging = "supernet",
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
    watch.lines = cli_streams(cli) && cli->jsonl;
    watched.silent = cli_is_plain(cli);
    if (watched.silent)
        watched.refresh = watch.lines ? refresh_lines : refresh_quietly;
    if (cli_get(cli, &err, &watch.supernet, "/supernets/%s", cli_encode(argv[first])))
        return cli_fail(&err);
    snprintf(watch.id, sizeof(watch.id), "%.63s", cli_text(watch.supernet, "id"));
    watch.steps = cJSON_CreateObject();
    code = watching_run(cli, &watched);
    cJSON_Delete(watch.supernet);
    cJSON_Delete(watch.job);
    cJSON_Delete(watch.metrics);
    cJSON_Delete(watch.steps);
    return code;
}

const struct cli_command cli_supernet_watch = {
    "supernet", "watch", "SUPERNET",
    "the curves of its training as they grow, in the terminal; --jsonl: its points as they come",
    watch_run};
