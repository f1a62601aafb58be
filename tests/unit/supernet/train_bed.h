/* A small training and what is seen of it, for the tests of training. */
#pragma once

#include "fixture.h"
#include "supernet/train.h"
#include <unistd.h>

extern const struct fixture_idx train_bed_shape;

struct bed {
    char *data_dir, *dir;
    struct dataset *dataset;
    struct space *space;
    struct train_config config;
    const struct train_init *init;  /* NULL: fresh weights */
    const struct comm *comm;        /* NULL: one process */
    int threads;                    /* of run_child; 0: two */
    int64_t (*pace_clock_ns)(void); /* NULL: the machine's */
};
/* A clock that moves on by 20 ms whenever it is looked at, and by nothing else: each step,
 * validation and checkpoint that a training times takes as long, however busy the machine is. */
int64_t train_bed_played_clock_ns(void);
/* A bed of 8 steps an epoch, 3 epochs, as cmocka's state. */
int train_bed_setup(void **state);
int train_bed_teardown(void **state);
#define TRAIN_TEST(name) cmocka_unit_test_setup_teardown(name, train_bed_setup, train_bed_teardown)

enum { POINTS_SEEN_MAX = 256 };
struct witness {
    int measuring, progress, checkpoints, failures, recoveries, starts;
    uint64_t stop_at;     /* asks to stop at the first boundary from this step on; 0: never */
    int64_t give_up_at;   /* asks to stop at so many-th question inside of steps; 0: never */
    int64_t questions;    /* so far */
    uint64_t kill_at;     /* SIGKILL to the own process at this step; 0: never */
    uint64_t steps, last; /* planned; of the last event */
    uint64_t started_at;
    uint64_t thrown_away; /* steps that recoveries went back over */
    int fresh;            /* tellings of progress before the first step of an interval */
    struct train_metrics metrics[64];
    int n_metrics;
    struct train_metrics points[POINTS_SEEN_MAX];
    int n_points;
    int saving;          /* checkpoints that were about to be written */
    char phases[16][16]; /* in the order in which they were seen */
    int n_phases;
    char reason[512];
    int boundaries;
};

int train_in_bed(const struct bed *bed, const char *dir, int threads, struct witness *witness,
                 struct err *err, struct train_result *result);
struct train_result must_train(const struct bed *bed, const char *dir, struct witness *witness);
/* Id of the newest checkpoint: of all weights, momentum, state and history. */
void newest_id(const char *dir, char ret_id[HASH_TEXT]);
/* Of an undisturbed run; returns how often that had to recover. */
int reference_id(const struct bed *bed, char ret_id[HASH_TEXT]);
/* Runs a training in a process of its own; true when it came to its end. kill_at > 0: it kills
 * itself at that step. kill_after_us > 0: killed from outside then. */
bool run_child(const struct bed *bed, uint64_t kill_at, useconds_t kill_after_us);
/* Kills trainings from outside, KILLS times in all, at moments that nobody chose (ESP_SEED chooses
 * them): inside steps, validations, writes and resumptions; each process has one or two threads.
 * Every training then goes on to its end and must have the bits of an undisturbed one. */
enum { KILLS = 20 };
void kill_at_random_moments(struct bed *bed);
