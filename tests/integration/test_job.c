/* espalier-job as a process: by hand, and with the test in the place of the daemon. */
#include "base/json.h"
#include "daemon/job/confine.h"
#include "space/space.h"
#include "tests/unit/supernet/fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

static const struct fixture_idx shape = {.n_train = 300, .n_test = 40, .side = 12, .n_classes = 5};

struct bed {
    char *root;
    char data[400], supernet[400], folder[400], spec_path[420];
};

static void make_path(char path[400], const char *root, const char *name) {
    snprintf(path, 400, "%s/%s", root, name);
}

static int setup(void **state) {
    struct bed *bed = calloc(1, sizeof *bed);
    bed->root = fixture_make_dir();
    make_path(bed->data, bed->root, "data");
    make_path(bed->supernet, bed->root, "supernet");
    make_path(bed->folder, bed->root, "job");
    snprintf(bed->spec_path, sizeof bed->spec_path, "%s/spec.json", bed->root);
    assert_int_equal(mkdir(bed->data, 0700) | mkdir(bed->folder, 0700), 0);
    fixture_write_idx(bed->data, &shape);
    signal(SIGPIPE, SIG_IGN);
    *state = bed;
    return 0;
}

static int teardown(void **state) {
    struct bed *bed = *state;
    char command[500];
    snprintf(command, sizeof command, "rm -rf '%s'", bed->root);
    assert_int_equal(system(command), 0);
    free(bed->root);
    free(bed);
    return 0;
}

/* --- specs --- */

static cJSON *dataset_of(const struct bed *bed) {
    cJSON *dataset = cJSON_CreateObject();
    cJSON_AddStringToObject(dataset, "path", bed->data);
    cJSON_AddNumberToObject(dataset, "validation", 60);
    return dataset;
}

static cJSON *train_spec(const struct bed *bed, const char *supernet_dir, const char *settings) {
    struct space *space = fixture_space(5);
    char *text = space_print(space);
    cJSON *spec = cJSON_CreateObject();
    cJSON_AddStringToObject(spec, "supernet_dir", supernet_dir);
    cJSON_AddItemToObject(spec, "space", cJSON_Parse(text));
    cJSON_AddItemToObject(spec, "dataset", dataset_of(bed));
    cJSON_AddItemToObject(spec, "train", cJSON_Parse(settings));
    free(text);
    space_destroy(space);
    return spec;
}

static cJSON *start_message(const char *kind, cJSON *spec, int attempt, int acked) {
    cJSON *start = cJSON_CreateObject();
    cJSON_AddStringToObject(start, "type", "start");
    cJSON_AddStringToObject(start, "kind", kind);
    cJSON_AddNumberToObject(start, "attempt", attempt);
    cJSON_AddNumberToObject(start, "acked", acked);
    cJSON_AddNumberToObject(start, "threads", 2);
    cJSON_AddItemToObject(start, "spec", spec);
    return start;
}

static const char settings[] =
    "{\"epochs\": 6, \"batch\": 20, \"learning_rate\": 0.05, \"checkpoint_steps\": 6,"
    " \"recalibration_images\": 60, \"augment\": {\"pad\": 1}}";

/* --- the process --- */

struct process {
    pid_t pid;
    int down;
    FILE *up;
};

static const char *program(void) {
    const char *path = getenv("ESPALIER_JOB");
    assert_non_null(path);
    return path;
}

/* By hand: arguments, events from stdout. With the daemon: descriptors 3 and 4. */
static struct process launch(const struct bed *bed, const char *spec_path) {
    int down[2], up[2];
    struct process process;
    assert_int_equal(pipe2(down, O_CLOEXEC) | pipe2(up, O_CLOEXEC), 0);
    process.pid = fork();
    assert_true(process.pid >= 0);
    if (process.pid == 0) {
        int null = open("/dev/null", O_RDWR);
        dup2(null, STDERR_FILENO);
        if (spec_path) {
            dup2(up[1], STDOUT_FILENO);
            execl(program(), "espalier-job", "--run", spec_path, (char *)NULL);
        } else {
            int from = fcntl(down[0], F_DUPFD, 10), to = fcntl(up[1], F_DUPFD, 10);
            dup2(null, STDOUT_FILENO);
            dup2(from, 3);
            dup2(to, 4);
            close(from);
            close(to);
            if (chdir(bed->folder) == 0)
                execl(program(), "espalier-job", (char *)NULL);
        }
        _exit(99);
    }
    close(down[0]);
    close(up[1]);
    process.down = down[1];
    process.up = fdopen(up[0], "r");
    return process;
}

static void say(const struct process *process, cJSON *message) {
    char *text = json_print(message);
    assert_true(write(process->down, text, strlen(text)) > 0);
    assert_int_equal(write(process->down, "\n", 1), 1);
    free(text);
    cJSON_Delete(message);
}

/* The next line; NULL at the end. */
static cJSON *hear(const struct process *process) {
    char *line = NULL;
    size_t size = 0;
    cJSON *doc = NULL;
    struct err err = {0};
    ssize_t len = getline(&line, &size, process->up);
    if (len > 0 && json_parse(line, (size_t)len - 1, &json_limits_default, &err, &doc) != 0)
        fail_msg("%s: %s", err.message, line);
    free(line);
    return doc;
}

static int finish(struct process *process) {
    int status;
    if (process->down >= 0)
        close(process->down);
    assert_int_equal(waitpid(process->pid, &status, 0), process->pid);
    fclose(process->up);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static const char *text_of(const cJSON *object, const char *key) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
    return cJSON_IsString(item) ? item->valuestring : "";
}

static int int_of(const cJSON *object, const char *key) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
    return cJSON_IsNumber(item) ? item->valueint : -1;
}

/* What a run said. */
struct heard {
    int events, seq;
    int evaluations, raw_worse;
    int evaluated, reused, total; /* as the latest progress says */
    char last_kind[32], last_checkpoint[64];
    char phases[200], series[1000]; /* each once, with a space behind */
    char code[64], message[512], pointer[256];
    cJSON *done;
};

static void note_word(char *list, size_t size, const char *word) {
    char wanted[80];
    snprintf(wanted, sizeof wanted, "%s ", word);
    if (!strstr(list, wanted))
        snprintf(list + strlen(list), size - strlen(list), "%s", wanted);
}

static void note(struct heard *heard, const cJSON *line) {
    const cJSON *data = cJSON_GetObjectItemCaseSensitive(line, "data");
    if (strcmp(text_of(line, "type"), "progress") == 0) {
        note_word(heard->phases, sizeof heard->phases, text_of(line, "phase"));
        heard->total = int_of(line, "total");
    }
    if (strcmp(text_of(line, "kind"), "metric") == 0)
        note_word(heard->series, sizeof heard->series, text_of(data, "series"));
    if (int_of(line, "evaluated") >= 0) {
        heard->evaluated = int_of(line, "evaluated");
        heard->reused = int_of(line, "reused");
    }
    if (strcmp(text_of(line, "type"), "event") != 0)
        return;
    heard->events++;
    heard->seq = int_of(line, "seq");
    snprintf(heard->last_kind, sizeof heard->last_kind, "%s", text_of(line, "kind"));
    if (strcmp(heard->last_kind, "checkpoint") == 0)
        snprintf(heard->last_checkpoint, 64, "%s", text_of(data, "hash"));
    if (strcmp(heard->last_kind, "evaluation") == 0) {
        const cJSON *top1 = cJSON_GetObjectItem(data, "top1");
        const cJSON *raw = cJSON_GetObjectItem(data, "top1_raw");
        heard->evaluations++;
        heard->raw_worse += cJSON_IsNumber(raw) && raw->valuedouble < top1->valuedouble;
    }
    if (strcmp(heard->last_kind, "failed") == 0) {
        snprintf(heard->code, sizeof heard->code, "%s", text_of(data, "code"));
        snprintf(heard->message, sizeof heard->message, "%s", text_of(data, "message"));
        snprintf(heard->pointer, sizeof heard->pointer, "%s", text_of(data, "pointer"));
    }
    if (strcmp(heard->last_kind, "done") == 0)
        heard->done = cJSON_Duplicate(cJSON_GetObjectItem(data, "result"), 1);
}

static int run_by_hand(const struct bed *bed, cJSON *start, struct heard *heard) {
    char *text = json_print(start);
    fixture_write_file(bed->root, "spec.json", text, strlen(text));
    free(text);
    cJSON_Delete(start);
    struct process process = launch(bed, bed->spec_path);
    for (cJSON *line; (line = hear(&process)); cJSON_Delete(line))
        note(heard, line);
    return finish(&process);
}

/* A job of its own, as the daemon would start it: progress is heard too. */
static int run_for_daemon(const struct bed *bed, cJSON *start, struct heard *heard) {
    char journal[440];
    snprintf(journal, sizeof journal, "%s/events.jsonl", bed->folder);
    unlink(journal);
    struct process process = launch(bed, NULL);
    say(&process, start);
    for (cJSON *line; (line = hear(&process)); cJSON_Delete(line))
        note(heard, line);
    return finish(&process);
}

/* --- tests --- */

static void a_data_set_is_described(void **state) {
    struct bed *bed = *state;
    struct heard heard = {0};
    cJSON *spec = cJSON_CreateObject();
    cJSON_AddItemToObject(spec, "dataset", dataset_of(bed));
    assert_int_equal(run_by_hand(bed, start_message("dataset", spec, 1, 0), &heard), 0);
    assert_int_equal(heard.events, 2);
    assert_int_equal(int_of(heard.done, "n_train"), 240);
    assert_int_equal(int_of(heard.done, "n_validation"), 60);
    assert_int_equal(int_of(heard.done, "n_classes"), 5);
    assert_string_equal(text_of(heard.done, "format"), "idx");
    cJSON_Delete(heard.done);
}

/* Of one profile progress is of one; what its row refuses is told with a pointer. */
static void one_profile_of_many_is_judged(void **state) {
    static const char networks[] = "model,macs,a,b\nx,1,2,3\ny,2,4,5\nz,3,6,7\nw,4,9,9\n";
    struct bed *bed = *state;
    for (int all = 0; all < 2; all++) {
        struct heard heard = {0};
        char path[420];
        cJSON *spec = cJSON_CreateObject();
        fixture_write_file(bed->root, "networks.csv", networks, strlen(networks));
        snprintf(path, sizeof path, "%s/networks.csv", bed->root);
        cJSON_AddStringToObject(spec, "networks", path);
        cJSON_AddItemToObject(spec, "sizes", cJSON_CreateIntArray((const int[]){all ? 3 : 4}, 1));
        if (!all)
            cJSON_AddStringToObject(spec, "profile", "b");
        assert_int_equal(run_for_daemon(bed, start_message("laboratory", spec, 1, 0), &heard), 0);
        const cJSON *rows = cJSON_GetObjectItem(heard.done, "profiles"),
                    *row = cJSON_GetArrayItem(rows, 0);
        assert_int_equal(cJSON_GetArraySize(rows), all ? 2 : 1);
        assert_int_equal(heard.total, all ? 2 : 1);
        assert_string_equal(text_of(row, "profile"), all ? "a" : "b");
        assert_string_equal(text_of(row, "pointer"), all ? "" : "/sizes");
        cJSON_Delete(heard.done);
    }
}

static void assert_fails(struct bed *bed, const char *kind, cJSON *spec, const char *code,
                         const char *pointer, const char *message) {
    struct heard heard = {0};
    assert_int_equal(run_by_hand(bed, start_message(kind, spec, 1, 0), &heard), 1);
    assert_string_equal(heard.last_kind, "failed");
    assert_string_equal(heard.code, code);
    assert_string_equal(heard.pointer, pointer);
    if (!strstr(heard.message, message))
        fail_msg("\"%s\" is not in \"%s\"", message, heard.message);
}

static void bad_input_names_the_cause(void **state) {
    struct bed *bed = *state;
    cJSON *spec;
    assert_fails(bed, "brew", cJSON_CreateObject(), "unsupported", "/kind", "brew");
    assert_fails(bed, "dataset", cJSON_CreateObject(), "invalid_value", "/dataset", "");
    assert_fails(bed, "train", train_spec(bed, bed->supernet, "{\"epochs\": 0}"), "invalid_value",
                 "/train/epochs", "");
    spec = train_spec(bed, bed->supernet, settings);
    cJSON_ReplaceItemInObject(cJSON_GetObjectItem(spec, "space"), "stages", cJSON_CreateArray());
    assert_fails(bed, "train", spec, "invalid_value", "/space/stages", "");
    spec = train_spec(bed, bed->supernet, settings);
    cJSON_ReplaceItemInObject(cJSON_GetObjectItem(spec, "space"), "n_classes",
                              cJSON_CreateNumber(7));
    assert_fails(bed, "train", spec, "mismatch", "/space/n_classes", "7 classes, the data set 5");
    spec = train_spec(bed, bed->supernet, settings);
    cJSON_AddNumberToObject(spec, "tea", 1);
    assert_fails(bed, "train", spec, "invalid_value", "/tea", "");
    spec = train_spec(bed, bed->supernet, settings);
    cJSON_ReplaceItemInObject(cJSON_GetObjectItem(spec, "space"), "resolutions",
                              cJSON_CreateIntArray((const int[]){8, 32}, 2));
    assert_fails(bed, "train", spec, "invalid_value", "/dataset",
                 "12x12 pixels and the space's largest resolution is 32: they would be enlarged "
                 "2.7 times");
    fixture_truncate(bed->data, "train-images-idx3-ubyte", 20000);
    assert_fails(bed, "train", train_spec(bed, bed->supernet, settings), "corrupt", "/dataset/path",
                 "train-images-idx3-ubyte ends at byte 20000 of 43216");
}

static void a_regime_shows_its_phases(void **state) {
    struct bed *bed = *state;
    struct heard heard = {0}, tuned = {0};
    cJSON *spec = train_spec(bed, bed->supernet, settings), *init = cJSON_CreateObject();
    cJSON_AddStringToObject(cJSON_GetObjectItem(spec, "train"), "regime", "progressive");
    assert_int_equal(run_for_daemon(bed, start_message("train", spec, 1, 0), &heard), 0);
    assert_string_equal(heard.phases, "full kernel depth_2 expand_2 ");
    assert_string_equal(heard.series,
                        "phase/full loss learning_rate images_per_s gradient_norm top1/largest "
                        "top1/largest/raw top1/smallest top1/smallest/raw top1/random "
                        "top1/random/raw gradient_norm/stem gradient_norm/stage_1 "
                        "gradient_norm/stage_2 gradient_norm/head phase/kernel "
                        "loss/distillation distillation_gap phase/depth_2 phase/expand_2 ");
    /* What it learnt is a beginning for another. */
    char folder[420];
    snprintf(folder, sizeof folder, "%s/tuned", bed->root);
    spec = train_spec(bed, folder, settings);
    cJSON_AddStringToObject(init, "supernet_dir", bed->supernet);
    cJSON_AddItemToObject(spec, "init_from", init);
    assert_int_equal(run_for_daemon(bed, start_message("train", spec, 1, 0), &tuned), 0);
    assert_string_equal(tuned.phases, "train ");
    snprintf(folder, sizeof folder, "%s/none", bed->root);
    spec = train_spec(bed, folder, settings);
    init = cJSON_CreateObject();
    cJSON_AddStringToObject(init, "checkpoint", "/nowhere.ckpt");
    cJSON_AddItemToObject(spec, "init_from", init);
    assert_fails(bed, "train", spec, "not_found", "/init_from", "/nowhere.ckpt");
    cJSON_Delete(heard.done);
    cJSON_Delete(tuned.done);
}

/* Acknowledges some events, kills the job after a while. Returns true when it was done. */
static bool one_attempt(const struct bed *bed, int attempt, int kill_after, struct heard *heard) {
    int acked = heard->seq, seen = 0;
    struct process process = launch(bed, NULL);
    say(&process, start_message("train", train_spec(bed, bed->supernet, settings), attempt, acked));
    for (cJSON *line; (line = hear(&process)); cJSON_Delete(line)) {
        if (strcmp(text_of(line, "type"), "event") != 0)
            continue;
        assert_int_equal(int_of(line, "attempt"), attempt);
        assert_int_equal(int_of(line, "seq"), heard->seq + 1); /* none lost, none twice */
        note(heard, line);
        if (++seen == kill_after)
            kill(process.pid, SIGKILL);
    }
    int status = finish(&process);
    assert_true(status == 0 || status == -SIGKILL);
    return status == 0;
}

static void killed_jobs_go_on_where_they_were(void **state) {
    struct bed *bed = *state;
    struct heard whole = {0}, pieces = {0};
    char other[420];
    snprintf(other, sizeof other, "%s/other", bed->root);
    assert_int_equal(
        run_by_hand(bed, start_message("train", train_spec(bed, other, settings), 1, 0), &whole),
        0);
    int attempt = 1, piece = whole.seq / 4;
    while (attempt < 8 && !one_attempt(bed, attempt, piece + attempt, &pieces))
        attempt++;
    assert_true(attempt > 2);
    assert_string_equal(pieces.last_kind, "done");
    assert_string_equal(pieces.last_checkpoint, whole.last_checkpoint);
    assert_int_equal(int_of(pieces.done, "steps"), 72);
    cJSON_Delete(whole.done);
    cJSON_Delete(pieces.done);
}

static void asked_to_stop_a_job_keeps_its_state(void **state) {
    struct bed *bed = *state;
    for (int way = 0; way < 3; way++) {
        struct process process = launch(bed, NULL);
        struct heard heard = {0};
        cJSON *line;
        char text[300];
        snprintf(text, sizeof text, "{\"epochs\": 500, \"batch\": 20, \"checkpoint_steps\": %d}",
                 20);
        say(&process, start_message("train", train_spec(bed, bed->supernet, text), way + 1, 0));
        while (heard.events < 3 && (line = hear(&process))) {
            note(&heard, line);
            cJSON_Delete(line);
        }
        if (way == 0) {
            kill(process.pid, SIGTERM);
        } else if (way == 1) {
            say(&process, cJSON_Parse("{\"type\":\"cancel\"}"));
        } else {
            close(process.down); /* the daemon is gone */
            process.down = -1;
        }
        for (; (line = hear(&process)); cJSON_Delete(line))
            note(&heard, line);
        assert_int_equal(finish(&process), 75);
        assert_string_equal(heard.last_kind, "checkpoint");
    }
}

static void one_folder_holds_one_job(void **state) {
    struct bed *bed = *state;
    struct process first = launch(bed, NULL), second;
    cJSON *line;
    say(&first,
        start_message("train", train_spec(bed, bed->supernet, "{\"epochs\": 500, \"batch\": 20}"),
                      1, 0));
    line = hear(&first);
    assert_non_null(line);
    cJSON_Delete(line);
    assert_fails(bed, "train", train_spec(bed, bed->supernet, settings), "busy", "",
                 "train.lock is locked by another process");
    second = launch(bed, NULL); /* waits a while: an orphan needs a step to end */
    usleep(300000);
    assert_int_equal(waitpid(second.pid, NULL, WNOHANG), 0);
    close(first.down);
    first.down = -1;
    while ((line = hear(&first)))
        cJSON_Delete(line);
    assert_int_equal(finish(&first), 75);
    assert_int_equal(finish(&second), 75); /* got the folder, and then no start message */
}

static void a_report_shows_what_recalibration_does(void **state) {
    struct bed *bed = *state;
    struct heard trained = {0}, heard = {0};
    cJSON *spec = cJSON_CreateObject();
    assert_int_equal(
        run_by_hand(bed, start_message("train", train_spec(bed, bed->supernet, settings), 1, 0),
                    &trained),
        0);
    cJSON_AddStringToObject(spec, "supernet_dir", bed->supernet);
    cJSON_AddNullToObject(spec, "checkpoint");
    cJSON_AddItemToObject(spec, "dataset", dataset_of(bed));
    cJSON_AddStringToObject(spec, "split", "validation");
    cJSON_AddItemToObject(
        spec, "archs",
        cJSON_Parse("[\"r12 | d1 c8 k3e1 | d2 c16 k3e2 k5e3\", \"r8 | d1 c8 k3e1 | d1 c8 k3e2\"]"));
    cJSON_AddBoolToObject(spec, "report", true);
    cJSON *bad = cJSON_Duplicate(spec, 1), *gone = cJSON_Duplicate(spec, 1);
    cJSON *again = cJSON_Duplicate(spec, 1), *test = cJSON_Duplicate(spec, 1);
    assert_int_equal(run_for_daemon(bed, start_message("evaluate", spec, 1, 0), &heard), 0);
    assert_int_equal(heard.evaluations, 7);
    assert_true(heard.raw_worse >= 2);
    assert_int_equal(int_of(heard.done, "n"), 7);
    assert_int_equal(heard.evaluated + heard.reused, 12); /* five of them twice */
    cJSON_Delete(heard.done);
    heard = (struct heard){0};
    assert_int_equal(run_for_daemon(bed, start_message("evaluate", again, 1, 0), &heard), 0);
    assert_int_equal(heard.evaluated, 0);
    assert_int_equal(heard.reused, 12);
    cJSON_Delete(heard.done);
    heard = (struct heard){0};
    cJSON_ReplaceItemInObject(test, "split", cJSON_CreateString("test"));
    assert_int_equal(run_for_daemon(bed, start_message("evaluate", test, 1, 0), &heard), 0);
    assert_true(heard.evaluated >= 10); /* other images, other scores */
    cJSON_ReplaceItemInObject(bad, "archs", cJSON_Parse("[\"r12 | d9\"]"));
    assert_fails(bed, "evaluate", bad, "invalid_value", "/archs/0", "");
    cJSON_ReplaceItemInObject(gone, "checkpoint", cJSON_CreateString("checkpoints/none.ckpt"));
    assert_fails(bed, "evaluate", gone, "not_found", "", "none.ckpt");
    cJSON_Delete(trained.done);
    cJSON_Delete(heard.done);
}

static cJSON *with_memory(cJSON *start, double bytes) {
    cJSON_AddNumberToObject(start, "memory_bytes", bytes);
    return start;
}

/* 200 images that are only gone forward on take more than a step of 4; of 4 they do not. */
static void assert_recalibration_is_named(struct bed *bed) {
    const char *trains[] = {"{\"epochs\": 1, \"batch\": 4}",
                            "{\"epochs\": 1, \"batch\": 4, \"recalibration_images\": 4}"};
    const char *pointers[] = {"/train/recalibration_images", "/train/batch"};
    const char *texts[] = {"with batches of 200 images", "with batches of 4 images"};
    for (int i = 0; i < 2; i++) {
        struct heard heard = {0};
        cJSON *start = start_message("train", train_spec(bed, bed->supernet, trains[i]), 1, 0);
        assert_int_equal(run_by_hand(bed, with_memory(start, 20 * 1048576.0), &heard), 1);
        assert_string_equal(heard.pointer, pointers[i]);
        assert_non_null(strstr(heard.message, texts[i]));
    }
}

/* However little there is: a clear failure or none, no crash. */
static void too_little_memory_is_told(void **state) {
    struct bed *bed = *state;
    struct heard heard = {0};
    int failed = 0, done = 0;
    if (!confine_bounds_memory())
        skip();
    for (int mib = 4; mib <= 76; mib += 12) {
        char dir[440];
        heard = (struct heard){0};
        snprintf(dir, sizeof dir, "%s/m%d", bed->root, mib);
        cJSON *start =
            start_message("train", train_spec(bed, dir, "{\"epochs\": 1, \"batch\": 20}"), 1, 0);
        int status = run_by_hand(bed, with_memory(start, mib * 1048576.0), &heard);
        if (status == 1) {
            assert_string_equal(heard.code, "out_of_memory");
            assert_non_null(strstr(heard.message, "--job-memory"));
            failed++;
        } else {
            assert_int_equal(status, 0);
            done++;
        }
        cJSON_Delete(heard.done);
    }
    assert_true(failed > 0 && done > 0);
    heard = (struct heard){0};
    cJSON *large = start_message(
        "train", train_spec(bed, bed->supernet, "{\"epochs\": 1, \"batch\": 200}"), 1, 0);
    assert_int_equal(run_by_hand(bed, with_memory(large, 20 * 1048576.0), &heard), 1);
    assert_string_equal(heard.pointer, "/train/batch");
    assert_non_null(strstr(heard.message, "batches of 200 images needs"));
    assert_non_null(strstr(heard.message, "a job may take 20 MiB"));
    assert_recalibration_is_named(bed);
}

static cJSON *smallest_scored(struct bed *bed, bool recalibrate) {
    cJSON *spec = cJSON_CreateObject();
    cJSON_AddStringToObject(spec, "supernet_dir", bed->supernet);
    cJSON_AddItemToObject(spec, "dataset", dataset_of(bed));
    cJSON_AddStringToObject(spec, "split", "validation");
    cJSON_AddItemToObject(spec, "archs", cJSON_Parse("[\"r8 | d1 c8 k3e1 | d1 c8 k3e2\"]"));
    cJSON_AddBoolToObject(spec, "recalibrate", recalibrate);
    return start_message("evaluate", spec, 1, 0);
}

/* MiB that a refusal says a job needs. */
static double refused_need(struct bed *bed, bool recalibrate) {
    struct heard heard = {0};
    double mib = 0;
    cJSON *start = with_memory(smallest_scored(bed, recalibrate), 10 * 1048576.0);
    assert_int_equal(run_by_hand(bed, start, &heard), 1);
    assert_string_equal(heard.code, "out_of_memory");
    const char *needs = strstr(heard.message, "running subnets needs ");
    assert_non_null(needs);
    assert_int_equal(sscanf(needs, "running subnets needs %lf MiB of memory", &mib), 1);
    assert_true(!strstr(heard.message, "recalibrating BN with batches of 200") == !recalibrate);
    return mib;
}

/* What the refusal asks for is enough, and more with recalibration than without. */
static void too_little_memory_to_score_is_told_first(void **state) {
    struct bed *bed = *state;
    struct heard heard = {0};
    if (!confine_bounds_memory())
        skip();
    cJSON *train = start_message("train", train_spec(bed, bed->supernet, settings), 1, 0);
    assert_int_equal(run_by_hand(bed, train, &heard), 0);
    cJSON_Delete(heard.done);
    double raw = refused_need(bed, false), recalibrated = refused_need(bed, true);
    assert_true(recalibrated > raw);
    for (int i = 0; i < 2; i++) {
        double bytes = ((i ? recalibrated : raw) + 1) * 1048576.0;
        heard = (struct heard){0};
        if (run_by_hand(bed, with_memory(smallest_scored(bed, i == 1), bytes), &heard) != 0)
            fail_msg("%s", heard.message);
        assert_int_equal(int_of(heard.done, "n"), 1);
        cJSON_Delete(heard.done);
    }
}

static void a_file_beyond_its_limit_is_no_space(void **state) {
    struct bed *bed = *state;
    struct heard heard = {0};
    cJSON *start = start_message(
        "train", train_spec(bed, bed->supernet, "{\"epochs\": 1, \"batch\": 20}"), 1, 0);
    cJSON_AddNumberToObject(start, "file_bytes", 20000);
    assert_int_equal(run_by_hand(bed, start, &heard), 1);
    assert_string_equal(heard.code, "no_space");
}

static void without_a_daemon_it_says_so(void **state) {
    char command[600];
    (void)state;
    snprintf(command, sizeof command, "'%s' 3<&- 4<&- 2>/dev/null", program());
    int status = system(command);
    assert_int_equal(WEXITSTATUS(status), 2);
    snprintf(command, sizeof command, "'%s' --help | grep -q 'train a supernet'", program());
    assert_int_equal(system(command), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_data_set_is_described),
        TEST(one_profile_of_many_is_judged),
        TEST(bad_input_names_the_cause),
        TEST(a_regime_shows_its_phases),
        TEST(killed_jobs_go_on_where_they_were),
        TEST(asked_to_stop_a_job_keeps_its_state),
        TEST(one_folder_holds_one_job),
        TEST(a_report_shows_what_recalibration_does),
        TEST(too_little_memory_is_told),
        TEST(too_little_memory_to_score_is_told_first),
        TEST(a_file_beyond_its_limit_is_no_space),
        cmocka_unit_test(without_a_daemon_it_says_so),
    };
    return cmocka_run_group_tests_name("job", tests, NULL, NULL);
}
