#include "tests/unit/unit.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/rng.h"
#include "latency/laboratory_files.h"

static char folder[64], ops_path[96], networks_path[96];

static int make_folder(void **state) {
    snprintf(folder, sizeof folder, "/tmp/espalier-laboratory-XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    snprintf(ops_path, sizeof ops_path, "%s/ops.csv", folder);
    snprintf(networks_path, sizeof networks_path, "%s/networks.csv", folder);
    return 0;
}

static int remove_folder(void **state) {
    unlink(ops_path);
    unlink(networks_path);
    return rmdir(folder);
}

static void put(const char *path, const char *text) {
    assert_int_equal(file_write_atomic(path, text, strlen(text), NULL), 0);
}

static struct laboratory_files *opened(const char *ops) {
    struct laboratory_files *files;
    struct err err = {0};
    if (laboratory_files_open(ops, networks_path, &err, &files) < 0)
        fail_msg("%s", err.message);
    return files;
}

static void open_refused(const char *ops, const char *networks, const char *message) {
    struct laboratory_files *files;
    struct err err = {0};
    put(networks_path, networks);
    if (ops)
        put(ops_path, ops);
    assert_true(laboratory_files_open(ops ? ops_path : NULL, networks_path, &err, &files) < 0);
    if (!strstr(err.message, message))
        fail_msg("%s", err.message);
}

static void hexadecimal_features_count_as_nothing(void **state) {
    put(networks_path, "model,phone\none,30\n");
    put(ops_path, "model,op,feature,phone\n"
                  "one,conv,\"{'a': '0x4', 'b': +0x4, 'c': '\t0X4', 'd': '+4'}\",7\n");
    struct laboratory_files *files = opened(ops_path);
    struct laboratory_profile profile;
    assert_int_equal(laboratory_files_read(files, 0, 1, NULL, &profile), 0);
    assert_int_equal(profile.ops[0].sample.n_features, 4);
    for (int i = 0; i < 4; i++)
        assert_true(profile.ops[0].sample.features[i] == (i == 3 ? 4 : 0));
    laboratory_files_close(files);
}

static void refuses_features_that_are_not_finite(void **state) {
    static const char *const words[] = {"nan", "-inf", "Infinity", "1e999"};
    put(networks_path, "model,phone\none,30\n");
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        struct laboratory_profile profile;
        struct err err;
        char ops[160];
        snprintf(ops, sizeof ops, "model,op,feature,phone\none,conv,\"{'a': 1, 'b': %s}\",7\n",
                 words[i]);
        put(ops_path, ops);
        struct laboratory_files *files = opened(ops_path);
        assert_int_equal(laboratory_files_read(files, 0, 1, &err, &profile), ESP_EINVAL);
        assert_non_null(strstr(err.message, "ops.csv line 2, column \"feature\""));
        assert_non_null(strstr(err.message, "not finite"));
        laboratory_files_close(files);
    }
}

static void reads_ops_and_networks(void **state) {
    put(networks_path, "model,FLOPS,phone|gpu|mean,phone|gpu|std,other|cpu|mean,pad|x|mean\n"
                       "one,9,30,1,3,4\ntwo,9,40,1,3,4\nthree,9,,1,3,4\n");
    put(ops_path, "model,operation,feature,phone|gpu\n"
                  "one,conv,\"{'in': '8', 'out': 16}\",10\n"
                  "two,conv,\"{'in': '8', 'out': 16}\",11\n"
                  "one,pool,{},5\n"
                  "three,conv,\"{'in': '8', 'out': 16}\",99\n"
                  "unknown,conv,\"{'in': '8', 'out': 16}\",99\n"
                  "one,conv,\"{'in': '0x4', 'out': '-2'}\",7\n"
                  "unknown,pool,{},99\nother,pool,{},99\n");
    struct laboratory_files *files = opened(ops_path);
    struct laboratory_profile profile;
    assert_int_equal(laboratory_files_profiles(files), 1);
    assert_string_equal(laboratory_files_profile_name(files, 0), "phone|gpu");
    assert_int_equal(laboratory_files_read(files, 0, 1, NULL, &profile), 0);
    assert_int_equal(profile.n_networks, 2);
    assert_true(profile.measured_us[0] == 30 && profile.measured_us[1] == 40);
    assert_int_equal(profile.n_fleet, 2);
    /* Those of network one first; one of network two; the rest has no network or no time. */
    assert_int_equal(profile.n_ops, 4);
    for (int i = 0; i < 4; i++)
        assert_int_equal(profile.ops[i].sample.group, i == 3);
    assert_int_equal(profile.ops[0].key, profile.ops[3].key);
    assert_int_not_equal(profile.ops[0].key, profile.ops[2].key);
    assert_int_equal(profile.ops[0].sample.kind, profile.ops[2].sample.kind);
    assert_int_not_equal(profile.ops[0].sample.kind, profile.ops[1].sample.kind);
    assert_int_equal(profile.ops[0].sample.n_features, 2);
    assert_true(profile.ops[0].sample.features[0] == 8 && profile.ops[0].sample.features[1] == 16);
    assert_true(profile.ops[2].sample.features[0] == 0 && profile.ops[2].sample.features[1] == 0);
    assert_int_equal(profile.left_out.networks_not_measured, 1);
    assert_int_equal(profile.left_out.networks_with_gaps, 0);
    assert_int_equal(profile.left_out.networks_without_ops, 0);
    assert_int_equal(profile.left_out.unknown_networks, 2);
    assert_int_equal(profile.left_out.ops_of_unknown, 3);
    laboratory_files_close(files);
}

/* An op without a time would make its network's sum too small. */
static void a_network_with_a_gap_is_left_out(void **state) {
    put(networks_path, "model,a|1,b|1\none,30,1\ntwo,40,2\nthree,50,3\nfour,60,4\n");
    put(ops_path, "model,operation,feature,a|1,b|1\none,conv,{},1,1\ntwo,conv,{},,1\n"
                  "two,pool,{},2,1\none,conv,{},1,1\ntwo,pool,{}, ,1\nthree,conv,{},5,1\n");
    struct laboratory_files *files = opened(ops_path);
    struct laboratory_profile profile;
    assert_int_equal(laboratory_files_read(files, 0, 1, NULL, &profile), 0);
    assert_int_equal(profile.n_networks, 3);
    assert_true(profile.measured_us[1] == 50 && profile.measured_us[2] == 60);
    assert_int_equal(profile.n_ops, 3); /* the same op twice in network one is twice its time */
    assert_int_equal(profile.ops[2].sample.group, 1);
    assert_true(profile.ops[2].sample.us == 5);
    assert_int_equal(profile.left_out.networks_with_gaps, 1);
    assert_int_equal(profile.left_out.ops_of_gaps, 3);
    assert_int_equal(profile.left_out.ops_not_measured, 2);
    assert_int_equal(profile.left_out.networks_without_ops, 1);
    assert_int_equal(laboratory_files_read(files, 1, 1, NULL, &profile), 0);
    assert_int_equal(profile.n_networks, 4);
    assert_int_equal(profile.n_ops, 6);
    assert_int_equal(profile.left_out.networks_with_gaps, 0);
    laboratory_files_close(files);
}

static void read_refused(const char *networks, const char *ops, const char *message) {
    struct laboratory_profile profile;
    struct err err = {0};
    put(networks_path, networks);
    put(ops_path, ops);
    struct laboratory_files *files = opened(ops_path);
    assert_int_equal(laboratory_files_read(files, 0, 1, &err, &profile), ESP_EINVAL);
    assert_string_equal(err.message, message);
    laboratory_files_close(files);
}

static void refuses_where_nothing_is_left(void **state) {
    read_refused("model,phone\na,1\nb,2\n",
                 "model,operation,feature,phone\na,conv,{},\nb,conv,{},\n",
                 "of each of the 2 networks with a time on \"phone\" an op has none");
    read_refused("model,phone\na,\n", "model,operation,feature,phone\na,conv,{},1\n",
                 "no network has a time on \"phone\"");
    read_refused("model,phone\na,1\n", "model,operation,feature,phone\nb,conv,{},1\n",
                 "no op of ops.csv is of a network with a time on \"phone\" in networks.csv");
}

static void refuses_what_is_no_time(void **state) {
    static const char *const words[] = {"nan", "NaN",  "0",    "-3",   "0.0",  "inf",
                                        "NA",  "none", "fast", "0x10", "1e999"};
    char text[256], said[256];
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        snprintf(text, sizeof text, "model,phone\na,1\n\nb,%s\n", words[i]);
        snprintf(said, sizeof said,
                 "networks.csv line 4, column \"phone\": \"%s\" is no time: times are positive",
                 words[i]);
        open_refused(NULL, text, said);
        snprintf(text, sizeof text, "model,operation,feature,phone\na,conv,{},%s\n", words[i]);
        snprintf(said, sizeof said, "ops.csv line 2, column \"phone\": \"%s\" is no time",
                 words[i]);
        open_refused(text, "model,phone\na,1\n", said);
    }
}

static void refuses_what_stands_twice(void **state) {
    static const char ops[] = "model,operation,feature,phone,phone\na,b,{},1,2\n";
    open_refused(NULL, "model,phone\na,1\nb,1\na,2\n",
                 "networks.csv line 4, column \"model\": network \"a\" stands twice in the file, "
                 "first in line 2");
    open_refused(NULL, "model,phone,x,phone\na,1,2,3\n",
                 "networks.csv has two columns of times of the profile \"phone\"");
    open_refused(ops, "model,phone\na,1\n",
                 "ops.csv has two columns of times of the profile \"phone\"");
    open_refused("model,operation,feature,phone,phone|mean\na,b,{},1,2\n",
                 "model,phone|mean\na,1\n",
                 "ops.csv has two columns of times of the profile \"phone\"");
}

static void whole_networks_alone_have_every_column(void **state) {
    put(networks_path, "name,macs,a|1,b|1,b|2\nx,5,1,2,3\ny,5,2,,4\n");
    struct laboratory_files *files = opened(NULL);
    struct laboratory_profile profile;
    assert_int_equal(laboratory_files_profiles(files), 3);
    assert_int_equal(laboratory_files_read(files, 0, 1, NULL, &profile), 0);
    assert_int_equal(profile.n_fleet, 1); /* b|1 lacks half of its times */
    assert_true(fabs(profile.fleet_log_us[1] - profile.fleet_log_us[0] - log(4.0 / 3)) < 1e-12);
    assert_int_equal(laboratory_files_read(files, 2, 1, NULL, &profile), 0);
    assert_int_equal(profile.n_fleet, 1); /* a|1; not its own board */
    laboratory_files_close(files);
}

/* Those in which every network that was measured has a positive number. */
static void columns_of_costs_are_read(void **state) {
    put(networks_path, "name,MACs,params,size,Flops,id,a|1,b|1\nx,5,1e6,7,0x10,1,1,2\n"
                       "y,6,2e6,,3,2,2,\nz,7,3e6,9,4,3,3,4\n");
    struct laboratory_files *files = opened(NULL);
    struct laboratory_profile profile;
    assert_int_equal(laboratory_files_profiles(files), 2);
    assert_int_equal(laboratory_files_read(files, 0, 1, NULL, &profile), 0);
    assert_int_equal(profile.n_costs, 2);
    assert_string_equal(profile.cost_names[0], "macs");
    assert_string_equal(profile.cost_names[1], "params");
    assert_true(profile.costs[0][1] == 6 && profile.costs[1][2] == 3e6);
    assert_int_equal(laboratory_files_read(files, 1, 1, NULL, &profile), 0); /* without y */
    assert_int_equal(profile.n_costs, 3);
    assert_string_equal(profile.cost_names[2], "size");
    assert_true(profile.costs[0][1] == 7 && profile.costs[2][1] == 9);
    laboratory_files_close(files);
}

/* Of more networks than are compared some are drawn, by the seed; with ops, only of those that have
 * any. */
static void of_many_networks_some_are_drawn(void **state) {
    enum { MANY = LADDER_NETWORKS_MAX + 1000 };
    static char text[MANY * 24], ops[64 * 32];
    struct laboratory_profile profile;
    size_t used = (size_t)snprintf(text, sizeof text, "model,macs,a\n"), same = 0;
    for (int i = 1; i <= MANY; i++)
        used += (size_t)snprintf(text + used, sizeof text - used, "n%d,%d,%d\n", i, i, 2 * i);
    put(networks_path, text);
    struct laboratory_files *files = opened(NULL);
    assert_int_equal(laboratory_files_read(files, 0, 1, NULL, &profile), 0);
    assert_int_equal(profile.n_networks, LADDER_NETWORKS_MAX);
    assert_int_equal(profile.left_out.networks_not_drawn, 1000);
    double *first = calloc(LADDER_NETWORKS_MAX, sizeof *first), mean = 0;
    assert_non_null(first);
    for (size_t i = 0; i < profile.n_networks; i++) {
        assert_true(profile.measured_us[i] == 2 * profile.costs[0][i]);
        first[i] = profile.measured_us[i];
        mean += first[i] / LADDER_NETWORKS_MAX;
    }
    assert_true(fabs(mean / MANY - 1) < 0.03); /* from all over the file */
    for (int seed = 1; seed <= 2; seed++) {
        assert_int_equal(laboratory_files_read(files, 0, (uint64_t)seed, NULL, &profile), 0);
        same += memcmp(first, profile.measured_us, LADDER_NETWORKS_MAX * sizeof *first) == 0;
    }
    assert_int_equal(same, 1);
    free(first);
    laboratory_files_close(files);
    used = (size_t)snprintf(ops, sizeof ops, "model,op,feature,a\n");
    for (int i = 1; i <= 40; i++)
        used += (size_t)snprintf(ops + used, sizeof ops - used, "n%d,conv,{},%d\n", 100 * i, i);
    put(ops_path, ops);
    files = opened(ops_path);
    assert_int_equal(laboratory_files_read(files, 0, 1, NULL, &profile), 0);
    assert_int_equal(profile.n_networks, 40);
    assert_int_equal(profile.left_out.networks_without_ops, MANY - 40);
    assert_int_equal(profile.left_out.networks_not_drawn, 0);
    laboratory_files_close(files);
}

static void refuses_what_it_cannot_use(void **state) {
    static const char networks[] = "model,phone\na,1\nb,2\n";
    open_refused(NULL, "nets,phone\na,1\n",
                 "networks.csv, the file of networks, has no column called one of \"model\", ");
    open_refused(NULL, "nets,phone\na,1\n", "; it has \"nets\", \"phone\"");
    open_refused(NULL, "model;phone\na;1\n", "separated by commas, not semicolons");
    open_refused(NULL, "model,flops\na,1\n", "no profile has times");
    open_refused("model,operation,phone\na,b,1\n", networks,
                 "the file of ops, has no column called one of \"feature\"");
    open_refused("model,feature,phone\na,b,1\n", networks, "no column called one of \"operation\"");
    open_refused("model,operation,feature,tablet\na,b,c,1\n", networks, "in both files");
}

/* Networks of a few ops from a list of 30, on a board whose networks take 1.5 sum + 100. */
enum { NETWORKS = 40, OPS = 8, KEYS = 30 };

static void make_profile(struct laboratory_op *ops, double *measured,
                         struct laboratory_profile *ret) {
    struct rng rng = rng_make(3, RNG_TEST, 0, 0);
    for (int i = 0; i < NETWORKS; i++) {
        double sum = 0;
        for (int j = 0; j < OPS; j++) {
            struct laboratory_op *op = &ops[i * OPS + j];
            uint32_t key = rng_below(&rng, KEYS);
            *op = (struct laboratory_op){.key = key,
                                         .sample = {.kind = (int)(key % 2),
                                                    .group = i,
                                                    .n_features = 1,
                                                    .features = {key},
                                                    .us = 20 + 3 * key}};
            sum += op->sample.us;
        }
        measured[i] = 1.5 * sum + 100;
    }
    *ret = (struct laboratory_profile){.n_networks = NETWORKS,
                                       .n_ops = (size_t)NETWORKS * OPS,
                                       .n_keys = KEYS,
                                       .measured_us = measured,
                                       .ops = ops};
}

static void a_line_through_exact_sums_is_found(void **state) {
    static struct laboratory_op ops[NETWORKS * OPS];
    double measured[NETWORKS];
    struct laboratory_profile profile;
    struct laboratory_report report, again;
    struct laboratory_options options = {.n_sizes = 2, .sizes = {5, 20}, .splits = 30, .seed = 4};
    struct parallel *pool;
    make_profile(ops, measured, &profile);
    assert_int_equal(laboratory_run(&profile, &options, NULL, NULL, &report), 0);
    assert_int_equal(report.n_networks, NETWORKS);
    assert_true(report.exact > 0.95);
    assert_int_equal(report.n_ops_unpredicted, 0);
    assert_true(report.sum.mape > 0.3);
    for (int i = 0; i < 2; i++) {
        assert_true(report.figures[i][LADDER_LINE].mape < 0.002);
        assert_true(report.figures[i][LABORATORY_LADDER].mape < 0.01);
        assert_false(report.figures[i][LADDER_FLEET].there);
        assert_true(isnan(report.figures[i][LADDER_SUM].coverage));
    }
    assert_int_equal(parallel_create(2, &pool), 0);
    assert_int_equal(laboratory_run(&profile, &options, pool, NULL, &again), 0);
    for (int i = 0; i < 2; i++)
        for (int r = 0; r < LABORATORY_ROWS; r++)
            assert_true(report.figures[i][r].mape == again.figures[i][r].mape);
    parallel_destroy(pool);
}

/* Its own ops must not help a network: what only one network has is interpolated from others. */
static void tables_are_of_other_networks(void **state) {
    static struct laboratory_op ops[NETWORKS * OPS];
    double measured[NETWORKS];
    struct laboratory_profile profile;
    struct laboratory_report report;
    struct laboratory_options options = {.n_sizes = 1, .sizes = {5}, .splits = 1, .seed = 4};
    make_profile(ops, measured, &profile);
    for (int i = 0; i < OPS; i++)
        ops[i].key = KEYS;
    profile.n_keys = KEYS + 1;
    assert_int_equal(laboratory_run(&profile, &options, NULL, NULL, &report), 0);
    assert_true(fabs(report.exact - (1 - 1.0 / NETWORKS)) < 0.03);
    assert_true(report.log_error > 0 && report.log_error < 0.1);
}

/* An op of a kind that no other network has cannot be predicted, and the report says so. */
static void what_cannot_be_predicted_is_counted(void **state) {
    static struct laboratory_op ops[NETWORKS * OPS];
    double measured[NETWORKS];
    struct laboratory_profile profile;
    struct laboratory_report report;
    struct laboratory_options options = {.n_sizes = 1, .sizes = {5}, .splits = 1, .seed = 4};
    make_profile(ops, measured, &profile);
    profile.left_out.ops_not_measured = 7;
    for (int i = 0; i < 2; i++) {
        ops[i].key = KEYS + (uint32_t)i;
        ops[i].sample.kind = 5;
    }
    profile.n_keys = KEYS + 2;
    assert_int_equal(laboratory_run(&profile, &options, NULL, NULL, &report), 0);
    assert_int_equal(report.n_ops_unpredicted, 2);
    cJSON *doc = laboratory_report_to_json(&report);
    assert_true(cJSON_GetNumberValue(cJSON_GetObjectItem(doc, "unpredicted_ops")) == 2);
    assert_true(cJSON_GetNumberValue(cJSON_GetObjectItem(cJSON_GetObjectItem(doc, "left_out"),
                                                         "unmeasured_ops")) == 7);
    cJSON_Delete(doc);
}

static void sizes_are_checked(void **state) {
    static struct laboratory_op ops[NETWORKS * OPS];
    double measured[NETWORKS];
    struct laboratory_profile profile;
    struct laboratory_report report;
    struct laboratory_options options = {.n_sizes = 1, .sizes = {NETWORKS}, .splits = 1};
    struct err err = {0};
    make_profile(ops, measured, &profile);
    assert_int_equal(laboratory_run(&profile, &options, NULL, &err, &report), ESP_EINVAL);
    assert_string_equal(err.pointer, "/sizes");
    options.sizes[0] = 5;
    for (int pool = 4; pool <= NETWORKS; pool += NETWORKS - 4) {
        options.pool = pool;
        assert_int_equal(laboratory_run(&profile, &options, NULL, &err, &report), ESP_EINVAL);
        assert_string_equal(err.pointer, "/pool");
    }
    options.pool = 0;
    options.given = 6;
    assert_int_equal(laboratory_run(&profile, &options, NULL, &err, &report), ESP_EINVAL);
    assert_string_equal(err.pointer, "/given");
    options.given = 0;
    options.sizes[0] = 2;
    assert_int_equal(laboratory_run(&profile, &options, NULL, &err, &report), ESP_EINVAL);
    profile.n_ops = 0;
    assert_int_equal(laboratory_run(&profile, &options, NULL, &err, &report), ESP_EINVAL);
    assert_string_equal(
        err.message,
        "nothing tells networks apart: give ops (--ops), times on another board (a column whose "
        "name begins otherwise; 8 or more tell most), or a column macs, flops, params, parameters, "
        "size or model_bytes with a positive number for each network");
}

/* Ten boards that agree up to a factor and a power: an eleventh is told by a few networks. */
enum { FLEET = 10 };
static void make_fleet(double *fleet, double *measured, struct laboratory_profile *ret) {
    struct rng rng = rng_make(5, RNG_TEST, 0, 0);
    for (int i = 0; i < NETWORKS; i++) {
        double size = rng_normal(&rng), depth = rng_normal(&rng);
        for (int p = 0; p < FLEET; p++)
            fleet[i * FLEET + p] = size + 0.1 * p * depth;
        measured[i] = exp(5 + size + 0.8 * depth);
    }
    *ret = (struct laboratory_profile){
        .n_networks = NETWORKS, .n_fleet = FLEET, .measured_us = measured, .fleet_log_us = fleet};
}

/* How many of 60 seeds end with the same figures as by random choice: of a pool of seven, five of
 * which are given, the sixth is often the same one; six of seven at will seldom are. */
static int count_same_as_random(const struct laboratory_profile *profile,
                                enum laboratory_choice choice, int given) {
    int same = 0;
    for (uint64_t seed = 1; seed <= 60; seed++) {
        struct laboratory_options options = {
            .n_sizes = 1, .sizes = {6}, .splits = 1, .pool = 7, .seed = seed};
        struct laboratory_report random, chosen;
        assert_int_equal(laboratory_run(profile, &options, NULL, NULL, &random), 0);
        options.choice = choice;
        options.given = given;
        assert_int_equal(laboratory_run(profile, &options, NULL, NULL, &chosen), 0);
        same += random.figures[0][LADDER_LINE].mape == chosen.figures[0][LADDER_LINE].mape;
    }
    return same;
}

static void what_is_given_is_kept(void **state) {
    static double fleet[NETWORKS * FLEET], measured[NETWORKS];
    struct laboratory_profile profile;
    make_fleet(fleet, measured, &profile);
    for (int choice = LABORATORY_SPREAD; choice <= LABORATORY_USEFUL; choice++) {
        int kept = count_same_as_random(&profile, (enum laboratory_choice)choice, 5);
        int free_choice = count_same_as_random(&profile, (enum laboratory_choice)choice, 0);
        print_message("as by random choice: %d of 60 with five given, %d without\n", kept,
                      free_choice);
        assert_in_range(kept, 22, 50);
        assert_true(free_choice > 0 && free_choice <= kept - 10);
    }
}

static void a_fleet_stands_in_for_a_table(void **state) {
    static double fleet[NETWORKS * FLEET], measured[NETWORKS];
    struct laboratory_report report;
    struct laboratory_options options = {.n_sizes = 1, .sizes = {10}, .splits = 20, .seed = 1};
    struct laboratory_profile profile;
    make_fleet(fleet, measured, &profile);
    assert_int_equal(laboratory_run(&profile, &options, NULL, NULL, &report), 0);
    const struct laboratory_figures *figures = report.figures[0];
    assert_false(figures[LADDER_KINDS].there);
    assert_true(figures[LADDER_FLEET].mape < 0.5 * figures[LADDER_LINE].mape);
    assert_true(figures[LADDER_FLEET].chosen > 0.9);
    /* The same networks judge: those that were chosen for it teach more than random ones. */
    options.sizes[0] = 5;
    options.pool = 25;
    double mape[3];
    for (int choice = LABORATORY_RANDOM; choice <= LABORATORY_USEFUL; choice++) {
        options.choice = (enum laboratory_choice)choice;
        assert_int_equal(laboratory_run(&profile, &options, NULL, NULL, &report), 0);
        mape[choice] = report.figures[0][LADDER_FLEET].mape;
    }
    assert_true(mape[LABORATORY_USEFUL] < 0.7 * mape[LABORATORY_RANDOM]);
    assert_true(mape[LABORATORY_USEFUL] < 0.7 * mape[LABORATORY_SPREAD]);
    /* All given: nothing is left to choose. Three given: useful next ones add more. */
    options.given = 5;
    for (int choice = LABORATORY_SPREAD; choice <= LABORATORY_USEFUL; choice++) {
        options.choice = (enum laboratory_choice)choice;
        assert_int_equal(laboratory_run(&profile, &options, NULL, NULL, &report), 0);
        assert_true(report.figures[0][LADDER_FLEET].mape == mape[LABORATORY_RANDOM]);
    }
    options.given = 3;
    assert_int_equal(laboratory_run(&profile, &options, NULL, NULL, &report), 0);
    assert_true(report.figures[0][LADDER_FLEET].mape < 0.9 * mape[LABORATORY_RANDOM]);
    assert_true(report.figures[0][LADDER_FLEET].mape != mape[LABORATORY_USEFUL]);
}

/* Of how many networks it does not matter for any other one whether they take 10^6 or 10^9 times
 * as long: their own error is 1 in both cases, to 1e-5. */
static int count_without_influence(const struct laboratory_profile *profile, double *measured,
                                   enum laboratory_choice choice) {
    struct laboratory_options options = {
        .n_sizes = 1, .sizes = {10}, .splits = 1, .seed = 6, .pool = 10, .choice = choice};
    int n = 0;
    for (int i = 0; i < NETWORKS; i++) {
        struct laboratory_report reports[2];
        double kept = measured[i];
        bool same = true;
        for (int k = 0; k < 2; k++) {
            measured[i] = kept * (k ? 1e9 : 1e6);
            assert_int_equal(laboratory_run(profile, &options, NULL, NULL, &reports[k]), 0);
        }
        for (int r = 0; r < LABORATORY_ROWS; r++)
            if (reports[0].figures[0][r].there)
                same = same &&
                       fabs(reports[0].figures[0][r].mape - reports[1].figures[0][r].mape) < 1e-6;
        measured[i] = kept;
        n += same;
    }
    return n;
}

static void unknown_networks_influence_nothing(void **state) {
    static double fleet[NETWORKS * FLEET], measured[NETWORKS];
    static struct laboratory_op ops[NETWORKS * OPS];
    struct laboratory_profile profile;
    for (int choice = LABORATORY_RANDOM; choice <= LABORATORY_USEFUL; choice++) {
        make_profile(ops, measured, &profile);
        assert_in_range(count_without_influence(&profile, measured, (enum laboratory_choice)choice),
                        30, NETWORKS);
        make_fleet(fleet, measured, &profile);
        assert_int_equal(
            count_without_influence(&profile, measured, (enum laboratory_choice)choice), 30);
    }
}

/* What stands in for a sum has no unit of time: there is an order of networks, and no error. */
static void a_stand_in_has_no_scale(void **state) {
    static double fleet[NETWORKS * FLEET], measured[NETWORKS];
    struct laboratory_report report, other;
    struct laboratory_options options = {.n_sizes = 1, .sizes = {10}, .splits = 3, .seed = 1};
    struct laboratory_profile profile;
    make_fleet(fleet, measured, &profile);
    assert_int_equal(laboratory_run(&profile, &options, NULL, NULL, &report), 0);
    assert_true(report.n_stand_ins == 1 && report.stand_ins[0].kendall_tau > 0.3);
    for (int i = 0; i < NETWORKS * FLEET; i++)
        fleet[i] += 7;
    assert_int_equal(laboratory_run(&profile, &options, NULL, NULL, &other), 0);
    for (int r = 0; r < LABORATORY_ROWS; r++)
        if (report.figures[0][r].there)
            assert_true(fabs(report.figures[0][r].mape - other.figures[0][r].mape) < 1e-9);
    cJSON *doc = laboratory_report_to_json(&report);
    const cJSON *stand_in = cJSON_GetArrayItem(cJSON_GetObjectItem(doc, "stand_ins"), 0);
    assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(stand_in, "name")), "fleet");
    assert_true(cJSON_IsNull(cJSON_GetObjectItem(doc, "sum")));
    cJSON_Delete(doc);
}

/* One profile alone: the column that goes with its times is found by what is known of them. */
static void a_column_of_costs_stands_in_for_a_table(void **state) {
    static double fleet[NETWORKS * FLEET], costs[2][NETWORKS], measured[NETWORKS];
    struct laboratory_options options = {.n_sizes = 2, .sizes = {5, 10}, .splits = 20, .seed = 1};
    struct laboratory_report report;
    struct rng rng = rng_make(6, RNG_TEST, 0, 0);
    struct laboratory_profile profile = {.n_networks = NETWORKS,
                                         .measured_us = measured,
                                         .n_costs = 2,
                                         .cost_names = {"size", "macs"},
                                         .costs = {costs[0], costs[1]}};
    for (int i = 0; i < NETWORKS; i++) {
        costs[0][i] = exp(rng_normal(&rng));
        costs[1][i] = 1e9 * exp(rng_normal(&rng));
        measured[i] = (2e-6 * costs[1][i] + 500) * exp(0.02 * rng_normal(&rng));
        fleet[i] = 0.7 * log(costs[1][i]) + 0.5 * rng_normal(&rng);
    }
    assert_int_equal(laboratory_run(&profile, &options, NULL, NULL, &report), 0);
    assert_int_equal(report.n_stand_ins, 2);
    assert_string_equal(report.stand_ins[1].name, "macs");
    assert_true(report.stand_ins[1].weak && report.stand_ins[1].kendall_tau > 0.9);
    assert_true(report.stand_ins[1].chosen[0] > 0.9 && report.stand_ins[1].chosen[1] > 0.9);
    assert_true(fabs(report.stand_ins[0].chosen[0] + report.stand_ins[1].chosen[0] - 1) < 1e-9);
    assert_true(report.figures[1][LADDER_LINE].mape < 0.03);
    assert_int_equal(count_without_influence(&profile, measured, LABORATORY_RANDOM), 30);
    /* One other board that tells less is offered, marked, and seldom taken; one as good mostly. */
    profile.n_fleet = 1;
    profile.fleet_log_us = fleet;
    assert_int_equal(laboratory_run(&profile, &options, NULL, NULL, &report), 0);
    assert_int_equal(report.n_stand_ins, 3);
    assert_string_equal(report.stand_ins[0].name, "fleet");
    assert_true(report.stand_ins[0].weak && report.stand_ins[0].chosen[1] < 0.1);
    for (int i = 0; i < NETWORKS; i++)
        fleet[i] = log(measured[i]) + 0.02 * rng_normal(&rng);
    assert_int_equal(laboratory_run(&profile, &options, NULL, NULL, &report), 0);
    assert_true(report.stand_ins[0].chosen[1] > 0.6);
    cJSON *doc = laboratory_report_to_json(&report);
    const cJSON *stand_in = cJSON_GetArrayItem(cJSON_GetObjectItem(doc, "stand_ins"), 2);
    assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(stand_in, "name")), "macs");
    assert_true(cJSON_IsTrue(cJSON_GetObjectItem(stand_in, "weak")));
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(stand_in, "chosen")), 2);
    cJSON_Delete(doc);
}

/* Fewer boards than a fleet has: their mean and what sets them apart, marked as weak. */
static void a_few_boards_are_a_weak_fleet(void **state) {
    static double fleet[NETWORKS * FLEET], few[NETWORKS * 3], measured[NETWORKS];
    struct laboratory_options options = {.n_sizes = 1, .sizes = {10}, .splits = 20, .seed = 1};
    struct laboratory_report report;
    struct laboratory_profile profile;
    make_fleet(fleet, measured, &profile);
    assert_int_equal(laboratory_run(&profile, &options, NULL, NULL, &report), 0);
    assert_false(report.stand_ins[0].weak);
    for (int i = 0; i < NETWORKS; i++)
        for (int p = 0; p < 3; p++)
            few[i * 3 + p] = fleet[i * FLEET + 4 * p];
    profile.n_fleet = 3;
    profile.fleet_log_us = few;
    assert_int_equal(laboratory_run(&profile, &options, NULL, NULL, &report), 0);
    assert_true(report.n_stand_ins == 1 && report.stand_ins[0].weak);
    assert_true(report.figures[0][LADDER_FLEET].there);
    assert_true(report.figures[0][LABORATORY_LADDER].mape <
                0.5 * report.figures[0][LADDER_LINE].mape);
    assert_int_equal(count_without_influence(&profile, measured, LABORATORY_RANDOM), 30);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(reads_ops_and_networks, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(refuses_features_that_are_not_finite, make_folder,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(hexadecimal_features_count_as_nothing, make_folder,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(whole_networks_alone_have_every_column, make_folder,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(refuses_what_it_cannot_use, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(a_network_with_a_gap_is_left_out, make_folder,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(refuses_where_nothing_is_left, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(refuses_what_is_no_time, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(refuses_what_stands_twice, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(columns_of_costs_are_read, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(of_many_networks_some_are_drawn, make_folder,
                                        remove_folder),
        cmocka_unit_test(a_column_of_costs_stands_in_for_a_table),
        cmocka_unit_test(a_few_boards_are_a_weak_fleet),
        cmocka_unit_test(unknown_networks_influence_nothing),
        cmocka_unit_test(a_stand_in_has_no_scale),
        cmocka_unit_test(a_line_through_exact_sums_is_found),
        cmocka_unit_test(tables_are_of_other_networks),
        cmocka_unit_test(what_cannot_be_predicted_is_counted),
        cmocka_unit_test(sizes_are_checked),
        cmocka_unit_test(what_is_given_is_kept),
        cmocka_unit_test(a_fleet_stands_in_for_a_table)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
