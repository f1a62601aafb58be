#include "daemon/cli/watching.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json.h"

enum {
    DRAW_US = 250000,    /* between two pictures at least */
    PAUSES = 4,          /* and so many times what it took to ask for one */
    QUIET_US = 10000000, /* between two lines without a terminal */
    AGAIN_US = 500000,   /* until the daemon is asked again when it was gone */
    AWAY_MAX = 120,      /* times */
    EVENT_MAX = 1 << 20, /* bytes of a line of the stream; longer ones are passed over */
    PATH_SIZE = 2048,
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

struct watching {
    const struct watched *of;
    struct http_client *stream; /* beside cli's, which asks while this one listens */
    char event_id[32], path[256];
    int lines;                            /* of the picture on the screen */
    int64_t shown_us, asked_us, pause_us; /* until the next picture: the longer the more it took */
    char told[64];                        /* the stage of the newest line */
    bool dirty;
    struct buf line; /* of the stream, as far as it has come */
};

static int refresh(struct watching *watching, struct err *err) {
    int64_t begun_us = clock_wall_us();
    int rc = watching->of->refresh(watching->of->context, err);
    watching->dirty = false;
    watching->asked_us = clock_wall_us();
    watching->pause_us = PAUSES * (watching->asked_us - begun_us);
    if (watching->pause_us < DRAW_US)
        watching->pause_us = DRAW_US;
    return rc;
}

/* ---- what is shown ------------------------------------------------------------------------- */

static int count_lines(const char *text) {
    int n = 0;
    for (; *text; text++)
        n += *text == '\n';
    return n;
}

/* Over the picture before. */
static void draw(struct watching *watching) {
    struct buf out;
    int columns, rows;

    screen_size(&columns, &rows);
    buf_init(&out, 0);
    if (watching->lines > 0)
        buf_printf(&out, "\033[%dA\r\033[J", watching->lines);
    watching->of->draw(watching->of->context, &out, columns - 1, rows - 1);
    if (!out.error && out.data) {
        watching->lines = count_lines(out.data);
        fwrite(out.data, 1, out.len, stdout);
        fflush(stdout);
    }
    buf_finish(&out);
    watching->shown_us = clock_wall_us();
}

/* Without a terminal: when the stage changes, then every ten seconds. */
static void tell(struct watching *watching, bool last) {
    const char *stage = watching->of->stage(watching->of->context);
    int64_t now = clock_wall_us();
    struct buf out;
    if (!last && !strcmp(stage, watching->told) && now - watching->shown_us < QUIET_US)
        return;
    snprintf(watching->told, sizeof(watching->told), "%.63s", stage);
    watching->shown_us = now;
    buf_init(&out, 0);
    watching->of->tell(watching->of->context, &out);
    fputs(out.data ? out.data : "", stdout);
    fflush(stdout);
    buf_finish(&out);
}

static void show(struct watching *watching, bool last) {
    if (watching->of->silent)
        return;
    if (watching->of->screen->terminal)
        draw(watching);
    else
        tell(watching, last);
}

/* ---- events -------------------------------------------------------------------------------- */

/* Whether data is about what is watched; what cannot be told is. */
static bool is_ours(const struct watched *of, const char *text, size_t len) {
    cJSON *data = NULL;
    if (json_parse(text, len, NULL, NULL, &data) != 0)
        return true;
    const char *about[] = {cli_text(data, of->belonging), cli_text(data, "id"),
                           cli_text(data, "subject")};
    bool ours = false, named = false;
    for (size_t i = 0; i < sizeof(about) / sizeof(about[0]); i++) {
        ours = ours || !strcmp(about[i], of->id);
        named = named || about[i][0];
    }
    ours = ours || !named;
    cJSON_Delete(data);
    return ours;
}

static void take_line(struct watching *watching) {
    const char *line = watching->line.data ? watching->line.data : "";
    size_t len = strlen(line);
    if (!strncmp(line, "id:", 3))
        snprintf(watching->event_id, sizeof(watching->event_id), "%.30s",
                 line + 3 + strspn(line + 3, " "));
    else if (!strncmp(line, "data:", 5) && is_ours(watching->of, line + 5, len - 5))
        watching->dirty = true;
    buf_clear(&watching->line);
}

/* 0: on with the stream. */
static int on_data(void *context, const char *data, size_t len) {
    struct watching *watching = context;
    struct err err = {0};
    alarm(SILENCE_S);
    for (size_t i = 0; i < len; i++)
        if (data[i] == '\n')
            take_line(watching);
        else if (data[i] != '\r' && watching->line.len < EVENT_MAX)
            buf_append(&watching->line, &data[i], 1);
    if (stopped)
        return 1;
    if (!watching->dirty)
        return 0;
    if (clock_wall_us() - watching->asked_us < watching->pause_us) {
        alarm((unsigned)(watching->pause_us / 1000000) + 1); /* it may be the last for long */
        return 0;
    }
    if (refresh(watching, &err) != 0)
        return 1; /* whoever reads the stream asks again */
    if (watching->of->has_ended(watching->of->context))
        return 1;
    show(watching, false);
    return 0;
}

/* Listens until the end, the daemon is gone, or it is interrupted. True: it was heard. */
static bool listen_once(struct watching *watching) {
    struct http_request request = {.method = "GET",
                                   .path = watching->path,
                                   .last_event_id =
                                       watching->event_id[0] ? watching->event_id : NULL,
                                   .on_data = on_data,
                                   .context = watching,
                                   .stop = &hung_up};
    struct http_response response = {0};
    struct err err = {0};
    buf_clear(&watching->line);
    hung_up = stopped;
    alarm(SILENCE_S);
    int rc = http_client_send(watching->stream, &request, &err, &response);
    alarm(0);
    bool heard = rc == 0 ? response.status == 200 : err.code == ESP_ECANCELED;
    http_response_finish(&response);
    return heard;
}

/* A daemon that restarts goes on with its work, and this with looking at it. */
static int watch_it(struct watching *watching) {
    const struct watched *of = watching->of;
    for (int away = 0;;) {
        struct err err = {0};
        int rc = refresh(watching, &err);
        if (stopped) {
            fprintf(stderr, "\nthe %s goes on; come back to it with: espalier %s watch %s\n",
                    of->what, of->noun, of->id);
            return CLI_INTERRUPTED;
        }
        if (rc != 0 && (err.code != ESP_EUNREACHABLE || ++away > AWAY_MAX))
            return cli_fail(&err);
        if (rc == 0) {
            bool ended = of->has_ended(of->context);
            show(watching, ended);
            if (ended)
                return of->end(of->context);
            away = listen_once(watching) ? 0 : away + 1;
        }
        if (away > 0 && !stopped)
            clock_sleep_us(AGAIN_US);
    }
}

int watching_get(struct cli *cli, cJSON **doc, struct err *err, const char *format, ...) {
    char path[PATH_SIZE];
    cJSON *now = NULL;
    va_list args;

    va_start(args, format);
    int len = vsnprintf(path, sizeof(path), format, args);
    va_end(args);
    int rc = len < PATH_SIZE ? cli_get(cli, err, &now, "%s", path)
                             : err_set(err, ESP_ELIMIT, NULL, "the request is too long");
    if (rc)
        return rc;
    cJSON_Delete(*doc);
    *doc = now;
    return 0;
}

int watching_run(struct cli *cli, const struct watched *watched) {
    struct watching watching = {.of = watched};
    struct sigaction action = {.sa_handler = on_interrupt}, silence = {.sa_handler = on_silence};
    struct sigaction before, before_alarm;
    struct err err = {0};

    if (cli_connect(cli, &err, &watching.stream))
        return cli_fail(&err);
    *watched->screen = screen_look();
    watched->screen->terminal &= !watched->silent;
    snprintf(watching.path, sizeof(watching.path), "/api/v1/events?topics=%s", watched->topics);
    buf_init(&watching.line, 0);
    sigaction(SIGINT, &action, &before);
    sigaction(SIGALRM, &silence, &before_alarm);
    cli->stop = &stopped; /* also while the daemon is asked */
    int code = watch_it(&watching);
    cli->stop = NULL;
    sigaction(SIGALRM, &before_alarm, NULL);
    sigaction(SIGINT, &before, NULL);
    http_client_destroy(watching.stream);
    buf_finish(&watching.line);
    return code;
}
