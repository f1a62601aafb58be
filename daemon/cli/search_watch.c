/* espalier search watch: the front as it grows, drawn into the terminal; without one, a line now
 * and then. */
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/memory.h"
#include "daemon/cli/commands.h"
#include "daemon/cli/metric.h"
#include "daemon/cli/plot.h"
#include "daemon/cli/screen.h"

enum {
    DRAW_US = 250000,    /* between two pictures at least */
    PAUSES = 4,          /* and so many times what it took to ask for one */
    QUIET_US = 10000000, /* between two lines without a terminal */
    AGAIN_US = 500000,   /* until the daemon is asked again when it was gone */
    AWAY_MAX = 120,      /* times */
    EVENT_MAX = 1 << 20, /* bytes of a line of the stream; longer ones are passed over */
    CANDIDATES_PAGE = 5000,
    ROWS_MAX = 30,
    SILENCE_S = 40 /* of a stream that says something every 15 s: it is broken */
};

static volatile sig_atomic_t stopped;
static volatile sig_atomic_t hung_up; /* whoever listens is to listen no longer */

static void on_interrupt(int number) {
    stopped = 1;
    hung_up = 1;
}

static void on_silence(int number) {
    hung_up = 1;
}

struct watch {
    struct cli *cli;
    struct http_client *stream; /* beside cli's, which asks while this one listens */
    char id[64], event_id[32];
    struct screen screen;
    cJSON *search, *front, *names;
    char keys[2][METRIC_TEXT]; /* of the vertical and the horizontal axis */
    struct plot_point *points; /* of all candidates, in the API's units */
    int n_points, room;
    char cursor[256];
    int lines;                            /* of the picture on the screen */
    int64_t drawn_us, asked_us, pause_us; /* until the next picture: the longer the more it took */
    char told[64];                        /* the stage of the newest line */
    bool dirty;
    struct buf line; /* of the stream, as far as it has come */
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

static int replace(struct watch *watch, cJSON **doc, const char *part, struct err *err) {
    cJSON *now = NULL;
    int rc = cli_get(watch->cli, err, &now, "/searches/%s%s", cli_encode(watch->id), part);
    if (rc)
        return rc;
    cJSON_Delete(*doc);
    *doc = now;
    return 0;
}

/* A search keeps a front when its strategy is done; until then it is worked out of the candidates,
 * which are too many for that at worst: then there is none to see. */
static void read_growing_front(struct watch *watch) {
    char part[3 * METRIC_TEXT];
    struct err err = {0};
    if (cJSON_GetArraySize(cli_item(watch->front, "items")) > 0 ||
        !strcmp(watch->keys[0], watch->keys[1]))
        return;
    snprintf(part, sizeof(part), "/front?objectives=%s,%s", cli_encode(watch->keys[0]),
             cli_encode(watch->keys[1]));
    (void)replace(watch, &watch->front, part, &err);
}

static int refresh(struct watch *watch, struct err *err) {
    int64_t begun_us = clock_wall_us();
    int rc = replace(watch, &watch->search, "", err);
    if (rc == 0)
        rc = replace(watch, &watch->front, "/front", err);
    if (rc == 0)
        read_growing_front(watch);
    if (rc == 0 && watch->screen.terminal)
        rc = read_candidates(watch, err);
    watch->dirty = false;
    watch->asked_us = clock_wall_us();
    watch->pause_us = PAUSES * (watch->asked_us - begun_us);
    if (watch->pause_us < DRAW_US)
        watch->pause_us = DRAW_US;
    return rc;
}

/* The first two objectives are the axes; their profiles have names. */
static void choose_axes(struct watch *watch) {
    const cJSON *goals = cli_item(watch->search, "objectives");
    for (int i = 0; i < 2; i++) {
        const cJSON *goal = cJSON_GetArrayItem(goals, i);
        const char *profile = cli_text(goal, "profile");
        struct err err = {0};
        cJSON *doc = NULL;
        metric_key(goal ? goal : cJSON_GetArrayItem(goals, 0), watch->keys[i]);
        if (profile[0] && cli_get(watch->cli, &err, &doc, "/profiles/%s", cli_encode(profile)) == 0)
            cJSON_AddStringToObject(watch->names, profile, cli_text(doc, "name"));
        cJSON_Delete(doc);
    }
}

static bool has_ended(const struct watch *watch) {
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
        bool predicted = !strcmp(cli_text(x, "source"), "predicted") ||
                         !strcmp(cli_text(y, "source"), "predicted");
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

static int count_lines(const char *text) {
    int n = 0;
    for (; *text; text++)
        n += *text == '\n';
    return n;
}

/* Over the picture before. */
static void draw(struct watch *watch) {
    const struct metric_unit units[2] = {metric_unit(watch->keys[0], largest_of(watch, 0)),
                                         metric_unit(watch->keys[1], largest_of(watch, 1))};
    struct plot plot = {.utf8 = watch->screen.utf8, .colours = watch->screen.colours};
    struct buf out;
    int columns, rows;

    screen_size(&columns, &rows);
    plot.width = columns - 1;
    plot.height = (rows > ROWS_MAX ? ROWS_MAX : rows) - 4;
    struct plot_point *points = make_points(watch, units, &plot.n_points);
    plot.points = points;
    buf_init(&out, 0);
    if (watch->lines > 0)
        buf_printf(&out, "\033[%dA\r\033[J", watch->lines);
    put_status(watch, &out, plot.width);
    if (points && plot.width >= PLOT_WIDTH_MIN && plot.height >= PLOT_HEIGHT_MIN) {
        plot_put(&out, &plot);
        put_legend(watch, &plot, units, &out);
    }
    if (!out.error && out.data) {
        watch->lines = count_lines(out.data);
        fwrite(out.data, 1, out.len, stdout);
        fflush(stdout);
    }
    buf_finish(&out);
    free(points);
    watch->drawn_us = clock_wall_us();
}

/* Without a terminal: when the stage changes, then every ten seconds. */
static void tell(struct watch *watch, bool last) {
    const char *stage = cli_text(watch->search, "stage");
    int64_t now = clock_wall_us();
    struct buf out;
    if (!last && !strcmp(stage, watch->told) && now - watch->drawn_us < QUIET_US)
        return;
    snprintf(watch->told, sizeof(watch->told), "%s", stage);
    watch->drawn_us = now;
    buf_init(&out, 0);
    put_status(watch, &out, 1000);
    fputs(out.data ? out.data : "", stdout);
    fflush(stdout);
    buf_finish(&out);
}

static void show(struct watch *watch, bool last) {
    if (watch->screen.terminal)
        draw(watch);
    else
        tell(watch, last);
}

/* ---- events -------------------------------------------------------------------------------- */

/* Whether data is about this search; what cannot be told is. */
static bool is_ours(const struct watch *watch, const char *text, size_t len) {
    cJSON *data = NULL;
    if (json_parse(text, len, NULL, NULL, &data) != 0)
        return true;
    const char *search = cli_text(data, "search"), *id = cli_text(data, "id");
    bool ours = !strcmp(search, watch->id) || !strcmp(id, watch->id) || (!search[0] && !id[0]);
    cJSON_Delete(data);
    return ours;
}

static void take_line(struct watch *watch) {
    const char *line = watch->line.data ? watch->line.data : "";
    size_t len = strlen(line);
    if (!strncmp(line, "id:", 3))
        snprintf(watch->event_id, sizeof(watch->event_id), "%.30s",
                 line + 3 + strspn(line + 3, " "));
    else if (!strncmp(line, "data:", 5) && is_ours(watch, line + 5, len - 5))
        watch->dirty = true;
    buf_clear(&watch->line);
}

/* 0: on with the stream. */
static int on_data(void *context, const char *data, size_t len) {
    struct watch *watch = context;
    struct err err = {0};
    alarm(SILENCE_S);
    for (size_t i = 0; i < len; i++)
        if (data[i] == '\n')
            take_line(watch);
        else if (data[i] != '\r' && watch->line.len < EVENT_MAX)
            buf_append(&watch->line, &data[i], 1);
    if (stopped)
        return 1;
    if (!watch->dirty || clock_wall_us() - watch->asked_us < watch->pause_us)
        return 0;
    if (refresh(watch, &err) != 0)
        return 1; /* whoever reads the stream asks again */
    if (has_ended(watch))
        return 1;
    show(watch, false);
    return 0;
}

/* Listens until the search has ended, the daemon is gone, or it is interrupted. True: it was
 * heard. */
static bool listen_once(struct watch *watch) {
    struct http_request request = {.method = "GET",
                                   .path = "/api/v1/events?topics=search,candidates,generation,"
                                           "front",
                                   .last_event_id = watch->event_id[0] ? watch->event_id : NULL,
                                   .on_data = on_data,
                                   .context = watch,
                                   .stop = &hung_up};
    struct http_response response = {0};
    struct err err = {0};
    buf_clear(&watch->line);
    hung_up = stopped;
    alarm(SILENCE_S);
    int rc = http_client_send(watch->stream, &request, &err, &response);
    alarm(0);
    bool heard = rc == 0 ? response.status == 200 : err.code == ESP_ECANCELED;
    http_response_finish(&response);
    return heard;
}

static int end_code(const struct watch *watch) {
    struct err err = {0};
    cJSON *job = NULL;
    if (!strcmp(cli_text(watch->search, "state"), "done"))
        return CLI_OK;
    if (cli_get(watch->cli, &err, &job, "/jobs/%s", cli_encode(cli_text(watch->search, "job"))) ==
        0)
        fprintf(stderr, "espalier: the search %s%s%s\n",
                !strcmp(cli_text(watch->search, "state"), "failed") ? "failed" : "was cancelled",
                cli_text(job, "error.message")[0] ? ": " : "", cli_text(job, "error.message"));
    cJSON_Delete(job);
    return CLI_JOB_FAILED;
}

/* A daemon that restarts goes on with the search, and this with looking at it. */
static int watch_it(struct watch *watch) {
    for (int away = 0;;) {
        struct err err = {0};
        int rc = refresh(watch, &err);
        if (stopped) {
            fprintf(stderr,
                    "\nthe search goes on; come back to it with: espalier search watch %s\n",
                    watch->id);
            return CLI_INTERRUPTED;
        }
        if (rc != 0 && (err.code != ESP_EUNREACHABLE || ++away > AWAY_MAX))
            return cli_fail(&err);
        if (rc == 0) {
            bool ended = has_ended(watch);
            show(watch, ended);
            if (ended)
                return end_code(watch);
            away = listen_once(watch) ? 0 : away + 1;
        }
        if (away > 0 && !stopped)
            clock_sleep_us(AGAIN_US);
    }
}

static int watch_run(struct cli *cli, int argc, char **argv) {
    const struct option_row rows[] = {CLI_COMMON_ROWS(cli)};
    struct watch watch = {.cli = cli};
    struct sigaction action = {.sa_handler = on_interrupt}, silence = {.sa_handler = on_silence};
    struct sigaction before;
    struct err err = {0};
    int first = 0, code = cli_start(cli, rows, argc, argv, (struct cli_words){1, 1}, &first);

    if (code >= 0)
        return code;
    watch.screen = screen_look();
    if (cli_get(cli, &err, &watch.search, "/searches/%s", cli_encode(argv[first])) ||
        cli_connect(cli, &err, &watch.stream)) {
        cJSON_Delete(watch.search);
        return cli_fail(&err);
    }
    snprintf(watch.id, sizeof(watch.id), "%s", cli_text(watch.search, "id"));
    watch.names = cJSON_CreateObject();
    buf_init(&watch.line, 0);
    choose_axes(&watch);
    sigaction(SIGINT, &action, &before);
    sigaction(SIGALRM, &silence, NULL);
    code = watch_it(&watch);
    sigaction(SIGINT, &before, NULL);
    http_client_destroy(watch.stream);
    cJSON_Delete(watch.search);
    cJSON_Delete(watch.front);
    cJSON_Delete(watch.names);
    buf_finish(&watch.line);
    free(watch.points);
    return code;
}

const struct cli_command cli_search_watch = {"search", "watch", "SEARCH",
                                             "its front as it grows, in the terminal", watch_run};
