#include "latency/ofa_model.h"

#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "latency/predictor.h"

enum { NAME_BYTES = 128, PATH_BYTES = 4096 + NAME_BYTES };

struct names {
    int n;
    char items[OFA_MODEL_FILES_MAX][NAME_BYTES];
};

static bool is_table(const char *name) {
    size_t len = strlen(name);
    return name[0] != '.' && ((len > 5 && strcmp(name + len - 5, ".yaml") == 0) ||
                              (len > 4 && strcmp(name + len - 4, ".yml") == 0));
}

static int add_name(struct names *names, const char *name, struct err *err) {
    if (names->n == OFA_MODEL_FILES_MAX)
        return err_set(err, ESP_ELIMIT, NULL, "a folder with more than %d tables",
                       OFA_MODEL_FILES_MAX);
    if (strlen(name) >= NAME_BYTES)
        return err_set(err, ESP_ELIMIT, NULL, "%.60s…: a name of more than %d bytes", name,
                       NAME_BYTES - 1);
    memcpy(names->items[names->n++], name, strlen(name) + 1);
    return 0;
}

static int compare_names(const void *a, const void *b) {
    return strcmp(a, b);
}

static int list_folder(const char *path, struct err *err, struct names *names) {
    const struct dirent *entry;
    DIR *dir = opendir(path);
    int code = dir ? 0 : err_set(err, ESP_EIO, NULL, "cannot open %s: %s", path, strerror(errno));
    while (code == 0 && (entry = readdir(dir)))
        if (is_table(entry->d_name))
            code = add_name(names, entry->d_name, err);
    if (dir)
        closedir(dir);
    qsort(names->items, (size_t)names->n, NAME_BYTES, compare_names);
    return code == 0 && names->n == 0
               ? err_set(err, ESP_EINVAL, NULL, "%s holds no files *.yaml", path)
               : code;
}

static double predict(struct latency_predictor *predictor, const struct arch *arch) {
    struct latency_prediction p;
    return latency_predictor_run(predictor, arch, NULL, &p) == 0 ? p.us : (double)NAN;
}

/* What the smallest and the largest subnet take. */
static int find_ends(const struct space *space, const struct latency_table *table, struct err *err,
                     struct ofa_model_file *file) {
    struct space *narrow = NULL;
    struct latency_predictor *predictor = NULL;
    struct arch arch;
    int code = space_narrow(space, &file->table.resolution, 1, err, &narrow);
    if (code == 0)
        code = latency_predictor_create(narrow, table, &calibration_none, err, &predictor);
    if (code == 0) {
        arch_min(narrow, &arch);
        file->least_us = predict(predictor, &arch);
        arch_max(narrow, &arch);
        file->most_us = predict(predictor, &arch);
    }
    latency_predictor_destroy(predictor);
    space_destroy(narrow);
    return code;
}

static int check_share(const struct ofa_table_report *table, const struct space *space,
                       struct err *err) {
    return table->entries >= table->missing
               ? 0
               : err_set(err, ESP_EMISMATCH, NULL,
                         "it knows %d of the %d units that space \"%s\" has at %d pixels "
                         "(\"%.100s\" is missing): a table of another space",
                         table->entries, table->entries + table->missing, space->name,
                         table->resolution, table->first_missing);
}

/* Rows of the report rise by resolution as sections do. */
static void add_file(struct ofa_model_report *report, const struct ofa_model_file *file) {
    int at = report->n++;
    for (; at > 0 && report->files[at - 1].table.resolution > file->table.resolution; at--)
        report->files[at] = report->files[at - 1];
    report->files[at] = *file;
}

static int read_file(const char *path, const char *name, const struct space *space, struct err *err,
                     struct ofa_model_report *report, struct latency_sections *sections) {
    struct ofa_model_file file = {.least_us = (double)NAN, .most_us = (double)NAN};
    struct latency_table *table = NULL;
    snprintf(file.name, sizeof file.name, "%.127s", name);
    int code = ofa_table_read(path, space, err, &file.table, &table);
    if (code < 0)
        return code;
    code = check_share(&file.table, space, err);
    if (code == 0)
        code = find_ends(space, table, err, &file);
    if (code == 0)
        code = latency_sections_put(sections, file.table.resolution, table, err);
    else
        latency_table_destroy(table);
    if (code < 0)
        return err_prefix(err, code, "%s", path);
    add_file(report, &file);
    return 0;
}

static int read_folder(const char *path, const struct space *space, struct err *err,
                       struct ofa_model_report *report, struct latency_sections *sections) {
    struct names names = {.n = 0};
    int code = list_folder(path, err, &names);
    for (int i = 0; code == 0 && i < names.n; i++) {
        char whole[PATH_BYTES];
        int len = snprintf(whole, sizeof whole, "%s/%s", path, names.items[i]);
        code = len < (int)sizeof whole
                   ? read_file(whole, names.items[i], space, err, report, sections)
                   : err_set(err, ESP_ELIMIT, NULL, "a path of more than %d bytes", PATH_BYTES);
    }
    return code;
}

int ofa_model_read(const char *path, const struct space *space, struct err *err,
                   struct ofa_model_report *report, struct latency_sections *ret_sections) {
    struct latency_sections sections = {.n = 0};
    const char *slash = strrchr(path, '/');
    struct stat st;
    *report = (struct ofa_model_report){.n = 0};
    int code = stat(path, &st) == 0 && S_ISDIR(st.st_mode)
                   ? read_folder(path, space, err, report, &sections)
                   : read_file(path, slash ? slash + 1 : path, space, err, report, &sections);
    if (code == 0)
        *ret_sections = sections;
    else
        latency_sections_finish(&sections);
    return code;
}
