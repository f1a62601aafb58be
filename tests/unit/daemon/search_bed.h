/* A search job's surroundings: a data set, a supernet and a table in folders of their own, and the
 * daemon and the board, which the test plays in a thread. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <cjson/cJSON.h>
#include <stdbool.h>

#include "latency/table.h"
#include "space/space.h"

enum { EVENTS_MAX = 10000, LINE_MAX = 1 << 22 };

struct world {
    char *data_dir, *supernet_dir, *job_dir;
    char checkpoint[256];
    struct space *space;
    struct latency_table *table;
};

#define OBJECTIVES                                                                                 \
    "\"objectives\":[{\"metric\":\"top1\",\"direction\":\"maximise\"},"                            \
    "{\"metric\":\"latency_us\",\"profile\":\"pf_1\",\"direction\":\"minimise\"}]"
extern const char evaluated_body[], predicted_body[];

struct daemon {
    const struct world *world;
    const char *kind; /* of the job; NULL: a search */
    int events_fd, messages_fd;
    int stop_after; /* events of this attempt, then cancel; 0: never */
    bool has_board;
    const char *gone;   /* a profile whose board is gone: no answer of its is any good */
    const char *silent; /* one whose board does not answer */
    double second;      /* a second take is so many times the first; 0: equal */
    bool once_only;     /* second takes fail */
    bool once_half;     /* those of half of the networks */
    int fails_until;    /* requests up to this number fail */
    int fails_from;     /* requests from this number on fail; 0: none */
    double watts;       /* what the board tells of energy: so many microjoules a microsecond */
    double scattered;   /* half of the networks take so much longer, half so much less */
    int received;
    int evaluated, reused;    /* scores, as the latest progress says; -1: it said nothing */
    double fraction;          /* of the latest progress of this attempt */
    bool fell;                /* it was lower than one before it, in an attempt */
    double at_first, at_half; /* of the first progress of evaluations, and from half of them on */
    double eta_s;             /* the latest; -1: none was told */
    int64_t acked;
    int n;
    cJSON *events[EVENTS_MAX]; /* of all attempts */
};

/* A world of its own: the caller closes it. */
void open_world(struct world *world);
void close_world(struct world *world);
cJSON *parse(const char *text);
/* Of a search job with this body; the caller deletes it. */
cJSON *spec_of(const struct world *world, const char *body);
/* Of evaluated_body beside other profiles' tables, a JSON array. */
cJSON *with_fleet(const struct world *world, const char *fleet);
/* What the board takes for a subnet, by its text: 1.3 times the sum of the table and 50 us more. */
double board_us(const struct daemon *daemon, const char *arch);
const char *kind_of(const cJSON *event);
/* One attempt. Returns the job's exit status. */
int attempt(struct daemon *daemon, const cJSON *spec, int number);
/* Attempts behind so many earlier ones until the job is done, which takes no more than most in all.
 * Returns the number of the last one. */
int attempt_in_parts(struct daemon *daemon, const cJSON *spec, int earlier, int most);
void forget_events(struct daemon *daemon);
/* NULL: there was none. */
const cJSON *last_data(const struct daemon *daemon, const char *kind);
int count(const struct daemon *daemon, const char *kind);
/* The latest that was said of a candidate. */
const cJSON *candidate(const struct daemon *daemon, const char *id);
void assert_source(const cJSON *candidate, const char *key, const char *source);
void assert_final_front(const struct daemon *daemon, const char *latency_source);
/* How often boards were asked for this subnet; "": for all. */
int count_takes(const struct daemon *daemon, const char *arch_id);
/* Of a metric of a candidate: "value", "low" or "high". */
double number_of(const cJSON *candidate, const char *metric, const char *key);
/* One attempt in a new folder fails so. Takes spec. */
void assert_fails(struct world *world, cJSON *spec, const char *code, const char *pointer);
/* Kinds and data of all events. */
void assert_same_events(const struct daemon *a, const struct daemon *b);
/* What is kept in the job's folder. */
void forget_job(struct world *world);
