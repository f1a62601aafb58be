#include "tests/unit/unit.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
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

static struct laboratory_files *opened_of(const char *ops, const char *profile,
                                          const char *const *times) {
    struct laboratory_sources sources = {networks_path, ops, profile, times};
    struct laboratory_files *files;
    struct err err = {0};
    if (laboratory_files_open(&sources, &err, &files) < 0)
        fail_msg("%s", err.message);
    return files;
}

static struct laboratory_files *opened(const char *ops) {
    return opened_of(ops, NULL, NULL);
}

static struct err refusal_of(const char *ops, const char *profile, const char *const *times) {
    struct laboratory_sources sources = {networks_path, ops, profile, times};
    struct laboratory_files *files;
    struct err err = {0};
    assert_true(laboratory_files_open(&sources, &err, &files) < 0);
    return err;
}

static void open_refused(const char *ops, const char *networks, const char *message) {
    put(networks_path, networks);
    if (ops)
        put(ops_path, ops);
    struct err err = refusal_of(ops ? ops_path : NULL, NULL, NULL);
    if (!strstr(err.message, message))
        fail_msg("%s", err.message);
}

static struct laboratory_profile read_first(struct laboratory_files *files) {
    struct laboratory_profile profile;
    struct err err = {0};
    if (laboratory_files_read(files, 0, 1, &err, &profile) < 0)
        fail_msg("%s", err.message);
    return profile;
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
    /* Those of network one first, one of network two, then those of three, unknown and other. */
    static const int groups[] = {0, 0, 0, 1, 2, 3, 3, 4};
    assert_int_equal(profile.n_ops, 8);
    for (int i = 0; i < 8; i++) {
        assert_int_equal(profile.ops[i].sample.group, groups[i]);
        assert_true((profile.ops[i].sample.us == 99) == (i >= 4));
    }
    assert_int_equal(profile.ops[0].key, profile.ops[3].key);
    assert_int_not_equal(profile.ops[0].key, profile.ops[2].key);
    assert_int_equal(profile.ops[0].sample.kind, profile.ops[2].sample.kind);
    assert_int_not_equal(profile.ops[0].sample.kind, profile.ops[1].sample.kind);
    assert_int_equal(profile.ops[0].sample.n_features, 2);
    assert_true(profile.ops[0].sample.features[0] == 8 && profile.ops[0].sample.features[1] == 16);
    assert_true(profile.ops[2].sample.features[0] == 0 && profile.ops[2].sample.features[1] == 0);
    assert_int_equal(profile.left_out.networks_not_measured, 1);
    assert_int_equal(profile.left_out.networks_without_ops, 0);
    assert_int_equal(profile.left_out.unknown_networks, 2);
    assert_int_equal(profile.left_out.ops_of_unknown, 3);
    assert_int_equal(profile.left_out.networks_of_table, 3);
    assert_int_equal(profile.left_out.ops_of_table, 4);
    laboratory_files_close(files);
}

/* Other networks tell it; its own network is judged all the same. */
static void an_op_without_a_time_is_kept(void **state) {
    put(networks_path, "model,a|1,b|1\none,30,1\ntwo,40,2\nthree,50,3\nfour,60,4\nfive,,5\n");
    put(ops_path, "model,operation,feature,a|1,b|1\none,conv,{},1,1\ntwo,conv,{},,1\n"
                  "two,pool,{},2,1\none,conv,{},1,1\ntwo,pool,{}, ,1\nthree,conv,{},5,1\n"
                  "five,conv,{},,1\nsix,conv,{},,1\n");
    struct laboratory_files *files = opened(ops_path);
    struct laboratory_profile profile = read_first(files);
    static const double times[] = {1, 1, NAN, 2, NAN, 5};
    static const int groups[] = {0, 0, 1, 1, 1, 2};
    assert_int_equal(profile.n_networks, 4);
    assert_int_equal(profile.n_ops, 6); /* the same op twice in network one is twice its time */
    for (int i = 0; i < 6; i++) {
        double us = profile.ops[i].sample.us;
        assert_true(us == times[i] || (isnan(us) && isnan(times[i])));
        assert_int_equal(profile.ops[i].sample.group, groups[i]);
    }
    assert_int_equal(profile.left_out.ops_not_measured, 2);
    assert_int_equal(profile.left_out.networks_without_ops, 1);
    assert_int_equal(profile.left_out.networks_of_table, 0); /* they have no time to tell */
    assert_int_equal(laboratory_files_read(files, 1, 1, NULL, &profile), 0);
    assert_int_equal(profile.n_networks, 5);
    assert_int_equal(profile.n_ops, 8);
    assert_int_equal(profile.left_out.ops_not_measured, 0);
    assert_int_equal(profile.left_out.ops_of_table, 1);
    laboratory_files_close(files);
}

static void an_op_may_take_no_time(void **state) {
    put(networks_path, "model,phone\na,1\nb,2\n");
    put(ops_path, "model,op,feature,phone\na,relu,{},0.000\nb,relu,{},0\n");
    struct laboratory_files *files = opened(ops_path);
    struct laboratory_profile profile = read_first(files);
    assert_int_equal(profile.n_ops, 2);
    assert_true(profile.ops[0].sample.us == 0 && profile.ops[1].sample.us == 0);
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
                 "no op of ops.csv has a time on \"phone\"");
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
        if (words[i][0] == '0' && words[i][1] != 'x')
            continue; /* an op may take no time */
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
    assert_string_equal(profile.cost_names[0], "MACs");
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

static void assert_texts(const cJSON *doc, const char *key, const char *const *texts) {
    const cJSON *list = cJSON_GetObjectItem(doc, key), *item;
    int n = 0;
    cJSON_ArrayForEach(item, list) {
        assert_non_null(texts[n]);
        assert_string_equal(cJSON_GetStringValue(item), texts[n++]);
    }
    assert_null(texts[n]);
}

static void assert_passed_over(const struct laboratory_files *files, const char *const (*rows)[2]) {
    cJSON *doc = laboratory_files_columns_to_json(files);
    const cJSON *item;
    int n = 0;
    cJSON_ArrayForEach(item, cJSON_GetObjectItem(doc, "passed_over")) {
        const char *column = cJSON_GetStringValue(cJSON_GetObjectItem(item, "column")),
                   *reason = cJSON_GetStringValue(cJSON_GetObjectItem(item, "reason"));
        assert_non_null(rows[n][0]);
        assert_string_equal(column, rows[n][0]);
        assert_string_equal(reason, rows[n++][1]);
    }
    assert_null(rows[n][0]);
    cJSON_Delete(doc);
}

/* What is no board's needs no name that is known: numbers, titles and neighbours tell. */
static void columns_are_told_apart(void **state) {
    static const char *const boards[] = {"phone|mean", "iphone", "iphone max", NULL},
                             *const costs[] = {"macs",      "GFLOPs",        "params (M)",
                                               "Mult-Adds", "model_size_mb", NULL},
                             *const passed[][2] = {{"", "no title"},
                                                   {"top1_acc", "no time by its title"},
                                                   {"Top-5 Accuracy (%)", "no time by its title"},
                                                   {"resolution", "no time by its title"},
                                                   {"input size", "no time by its title"},
                                                   {"Unnamed: 0", "no time by its title"},
                                                   {"family", "no field is a number"},
                                                   {"date", "no time by its title"},
                                                   {"added", "no field is a number"},
                                                   {"phone|std", "beside means"},
                                                   {"phone|max", "beside means"},
                                                   {"phone", "beside means"},
                                                   {"iphone_std", "beside means"},
                                                   {NULL, NULL}};
    put(networks_path,
        ",model, macs ,GFLOPs,params (M),Mult-Adds,model_size_mb,top1_acc,Top-5 Accuracy (%),"
        "resolution,input size,Unnamed: 0,family,date,added,phone|mean,phone|std,phone|max,phone,"
        "iphone,iphone max,iphone_std\n"
        "0,x,5,1.5,3,4,5,70,90,224,224,0,mobile,20240101,2024-01-01,10,1,12,9,20,30,1\n"
        "1,y,6,1.7,4,5,6,71,91,224,192,1,,20240102,,11,0,13,9,21,,0\n");
    struct laboratory_files *files = opened(NULL);
    assert_int_equal(laboratory_files_profiles(files), 3);
    assert_string_equal(laboratory_files_profile_name(files, 0), "phone");
    cJSON *doc = laboratory_files_columns_to_json(files);
    assert_texts(doc, "boards", boards);
    assert_texts(doc, "costs", costs);
    cJSON_Delete(doc);
    assert_passed_over(files, passed);
    struct laboratory_profile profile = read_first(files);
    assert_int_equal(profile.n_costs, 5);
    assert_string_equal(profile.cost_names[1], "GFLOPs");
    assert_true(profile.costs[1][1] == 1.7);
    laboratory_files_close(files);
}

/* With means of one board beside another's plain times both are there. */
static void means_and_times_may_be_mixed(void **state) {
    put(networks_path, "model,a|mean,a|std,b\nx,1,0,2\ny,2,0,3\n");
    struct laboratory_files *files = opened(NULL);
    assert_int_equal(laboratory_files_profiles(files), 2);
    assert_string_equal(laboratory_files_profile_name(files, 1), "b");
    assert_int_equal(read_first(files).n_fleet, 1);
    laboratory_files_close(files);
}

static void names_have_many_titles(void **state) {
    static const char *const titles[] = {"Model", "network", "arch", "Architecture",
                                         "net",   "index",   ""};
    for (size_t i = 0; i < sizeof titles / sizeof *titles; i++) {
        char text[64];
        snprintf(text, sizeof text, "%s,phone\nx,1\ny,2\n", titles[i]);
        put(networks_path, text);
        struct laboratory_files *files = opened(NULL);
        assert_int_equal(laboratory_files_profiles(files), 1);
        assert_int_equal(read_first(files).n_networks, 2);
        laboratory_files_close(files);
    }
}

/* Read strictly is what is judged: of another board a field that is no time costs the fleet that
 * board, of a column without ops too. */
static void what_is_not_judged_may_be_anything(void **state) {
    static const char *const passed[][2] = {{"b", "a field is no time"}, {NULL, NULL}};
    static const char networks[] = "model,a,b,c\nx,1,0,3\ny,2,n/a,4\n";
    open_refused(NULL, networks, "networks.csv line 2, column \"b\": \"0\" is no time");
    put(ops_path, "model,op,feature,a\nx,conv,{},1\ny,conv,{},1\n");
    for (int ops = 0; ops < 2; ops++) {
        struct laboratory_files *files = opened_of(ops ? ops_path : NULL, ops ? NULL : "a", NULL);
        assert_int_equal(laboratory_files_profiles(files), 1);
        assert_string_equal(laboratory_files_profile_name(files, 0), "a");
        assert_int_equal(read_first(files).n_fleet, 1); /* c */
        assert_passed_over(files, passed);
        laboratory_files_close(files);
    }
    assert_int_equal(refusal_of(NULL, "b", NULL).code, ESP_EINVAL);
}

static void times_say_which_columns_are_boards(void **state) {
    static const char *const times[] = {"size", "b", NULL}, *const wrong[] = {"b", "d", NULL},
                             *const passed[][2] = {{"a", "not asked for"}, {NULL, NULL}};
    put(networks_path, "model,size,macs,a,b|mean\nx,1,2,3,4\ny,2,3,oops,5\n");
    struct laboratory_files *files = opened_of(NULL, NULL, times);
    assert_int_equal(laboratory_files_profiles(files), 2);
    assert_string_equal(laboratory_files_profile_name(files, 0), "size");
    assert_string_equal(laboratory_files_profile_name(files, 1), "b");
    assert_passed_over(files, passed);
    assert_int_equal(read_first(files).n_costs, 1);
    laboratory_files_close(files);
    struct err err = refusal_of(NULL, NULL, wrong);
    assert_string_equal(err.pointer, "/times");
    assert_non_null(strstr(err.message, "no column \"d\" of times: it has \"model\", \"size\""));
}

static void profiles_that_there_are_are_named(void **state) {
    put(networks_path, "model,flops,a,b|mean\nx,1,2,3\n");
    put(ops_path, "model,op,feature,phone,tablet\nx,conv,{},1,2\n");
    struct err err = refusal_of(NULL, "nope", NULL);
    assert_int_equal(err.code, ESP_ENOTFOUND);
    assert_string_equal(err.pointer, "/profile");
    assert_string_equal(err.message,
                        "no profile \"nope\" has times: networks.csv has \"a\", \"b\", "
                        "and passed over \"flops\" (a cost)");
    assert_string_equal(
        refusal_of(ops_path, NULL, NULL).message,
        "no profile has times in both files: networks.csv has \"a\", \"b\"; ops.csv "
        "has \"phone\", \"tablet\"");
    struct laboratory_files *files = opened_of(NULL, "b|mean", NULL);
    assert_string_equal(laboratory_files_profile_name(files, 0), "b");
    laboratory_files_close(files);
}

/* Reads ops of the rows' texts, all of one kind by its name. */
static struct laboratory_files *with_features(const char *const *texts, int n) {
    char ops[4096];
    size_t used = (size_t)snprintf(ops, sizeof ops, "model,op,feature,phone\n");
    for (int i = 0; i < n; i++)
        used += (size_t)snprintf(ops + used, sizeof ops - used, "one,conv,\"%s\",7\n", texts[i]);
    assert_true(used < sizeof ops);
    put(networks_path, "model,phone\none,30\n");
    put(ops_path, ops);
    return opened(ops_path);
}

static void features_have_many_forms(void **state) {
    static const char *const texts[] = {
        "{'shape': [1, 224, 224, 3], 'k': 3}",
        "224;3;64",
        "[8, 16]",
        "{'op': 'inference_1', 'size': 'nano', 'k': 5}",
        "{\"\"k\"\": \"\"3x3\"\", \"\"s\"\": 2}",
        "a: 1; b=2",
        "'kernel': (3, 5), 'pad': -1",
        "{'in': {'h': 7, 'w': 9}, 'call': aten::add, 'k': '(1, 2)'}",
        "{'l': [1, 2, 3, 4, 5, 6, 7, 8, 9]}",
        "same 3",
        "same",
        ""};
    static const struct {
        int n;
        double numbers[8];
    } expected[] = {{5, {1, 224, 224, 3, 3}},
                    {3, {224, 3, 64}},
                    {2, {8, 16}},
                    {3, {0, 0, 5}},
                    {3, {3, 3, 2}},
                    {2, {1, 2}},
                    {3, {3, 5, 0}},
                    {5, {7, 9, 0, 1, 2}},
                    {8, {1, 2, 3, 4, 5, 6, 7, 8}},
                    {1, {3}},
                    {1, {0}},
                    {1, {0}}};
    enum { N = sizeof texts / sizeof *texts };
    struct laboratory_files *files = with_features(texts, N);
    struct laboratory_profile profile = read_first(files);
    assert_int_equal(profile.n_ops, N);
    for (int i = 0; i < N; i++) {
        const struct interpolation_sample *sample = &profile.ops[i].sample;
        if (sample->n_features != expected[i].n)
            fail_msg("%s: %d features", texts[i], sample->n_features);
        for (int k = 0; k < sample->n_features; k++)
            if (sample->features[k] != expected[i].numbers[k])
                fail_msg("%s: feature %d is %g", texts[i], k, sample->features[k]);
    }
    laboratory_files_close(files);
}

/* In whatever order they stand: that of the kind's first op counts. */
static void features_go_by_their_names(void **state) {
    static const char *const texts[] = {"{'out': 16, 'in': [8, 9]}", "{'in': [8, 9], 'out': '16'}",
                                        "{'in': [1, 2], 'out': 3}", "{'in': 8, 'out': 16}",
                                        "{'in': [8, 9], 'exit': 16}"};
    struct laboratory_files *files = with_features(texts, 5);
    struct laboratory_profile profile = read_first(files);
    const struct laboratory_op *ops = profile.ops;
    assert_int_equal(ops[0].key, ops[1].key);
    assert_int_equal(ops[0].sample.kind, ops[2].sample.kind);
    assert_int_not_equal(ops[0].key, ops[2].key);
    for (int i = 0; i < 3; i++)
        assert_int_equal(ops[i].sample.n_features, 3);
    for (int i = 0; i < 2; i++)
        assert_true(ops[i].sample.features[0] == 16 && ops[i].sample.features[1] == 8 &&
                    ops[i].sample.features[2] == 9);
    assert_true(ops[2].sample.features[0] == 3 && ops[2].sample.features[1] == 1);
    for (int i = 3; i < 5; i++) /* fewer numbers, or other names */
        assert_int_not_equal(ops[i].sample.kind, ops[0].sample.kind);
    laboratory_files_close(files);
}

static void features_have_a_limit(void **state) {
    struct laboratory_profile profile;
    struct err err = {0};
    char text[1024] = "";
    size_t used = 0;
    for (int i = 0; i <= 64; i++)
        used += (size_t)snprintf(text + used, sizeof text - used, "f%d: %d, ", i, i);
    struct laboratory_files *files = with_features((const char *const[]){text}, 1);
    assert_int_equal(laboratory_files_read(files, 0, 1, &err, &profile), ESP_ELIMIT);
    assert_non_null(strstr(err.message, "ops.csv line 2, column \"feature\""));
    assert_non_null(strstr(err.message, "more than 64 features"));
    laboratory_files_close(files);
    text[used - strlen("f64: 64, ")] = 0;
    files = with_features((const char *const[]){text}, 1);
    profile = read_first(files);
    assert_int_equal(profile.ops[0].sample.n_features, INTERPOLATION_FEATURES_MAX);
    assert_true(profile.ops[0].sample.features[19] == 19);
    laboratory_files_close(files);
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)

int main(void) {
    const struct CMUnitTest tests[] = {IN_FOLDER(hexadecimal_features_count_as_nothing),
                                       IN_FOLDER(refuses_features_that_are_not_finite),
                                       IN_FOLDER(reads_ops_and_networks),
                                       IN_FOLDER(an_op_without_a_time_is_kept),
                                       IN_FOLDER(an_op_may_take_no_time),
                                       IN_FOLDER(refuses_where_nothing_is_left),
                                       IN_FOLDER(refuses_what_is_no_time),
                                       IN_FOLDER(refuses_what_stands_twice),
                                       IN_FOLDER(whole_networks_alone_have_every_column),
                                       IN_FOLDER(columns_of_costs_are_read),
                                       IN_FOLDER(of_many_networks_some_are_drawn),
                                       IN_FOLDER(refuses_what_it_cannot_use),
                                       IN_FOLDER(columns_are_told_apart),
                                       IN_FOLDER(means_and_times_may_be_mixed),
                                       IN_FOLDER(names_have_many_titles),
                                       IN_FOLDER(what_is_not_judged_may_be_anything),
                                       IN_FOLDER(times_say_which_columns_are_boards),
                                       IN_FOLDER(profiles_that_there_are_are_named),
                                       IN_FOLDER(features_have_many_forms),
                                       IN_FOLDER(features_go_by_their_names),
                                       IN_FOLDER(features_have_a_limit)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
