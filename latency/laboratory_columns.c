#include "latency/laboratory_private.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/memory.h"

#define MEAN "|mean"

static const char *const network_titles[] = {LABORATORY_NETWORK_COLUMNS, NULL};
static const char *const kind_titles[] = {LABORATORY_KIND_COLUMNS, NULL};
static const char *const feature_titles[] = {LABORATORY_FEATURE_COLUMNS, NULL};
/* A title with one of the first words is of a cost, if its other words are of the second. */
static const char *const cost_words[] = {
    "flops", "flop",       "macs",      "mac",     "madds", "multadds", "adds", "params",
    "param", "parameters", "parameter", "weights", "size",  "bytes",    "ops",  NULL};
static const char *const cost_fillers[] = {
    "number", "num",      "no",      "nr",       "n",       "of",       "total",
    "model",  "file",     "count",   "k",        "m",       "g",        "t",
    "b",      "kb",       "mb",      "gb",       "kib",     "mib",      "gib",
    "mult",   "multiply", "million", "millions", "billion", "billions", NULL};
/* All words of a title that says neither times nor costs. */
static const char *const other_words[] = {
    "accuracy", "acc",        "acc1",       "acc5",   "top",      "top1",   "top5",         "val",
    "valid",    "validation", "test",       "train",  "imagenet", "id",     "idx",          "index",
    "n",        "unnamed",    "resolution", "res",    "input",    "image",  "img",          "size",
    "width",    "height",     "depth",      "layers", "epoch",    "epochs", "seed",         "score",
    "loss",     "error",      "rank",       "year",   "batch",    "memory", "mem",          "peak",
    "date",     "timestamp",  "number",     "of",     "model",    "arch",   "architecture", "net",
    "network",  "name",       NULL};
/* Behind a board's name, beside its times; those of the second list also end names of boards. */
static const char *const spread_words[] = {"std", "sd",  "stdev", "stddev", "var",  "median",
                                           "p50", "p90", "p95",   "p99",    "runs", NULL};
static const char *const extreme_words[] = {"min", "max", "n", "count", NULL};

static bool named(const char *title, const char *const *names) {
    for (; *names; names++)
        if (strcasecmp(title, *names) == 0)
            return true;
    return false;
}

/* --- words of titles --- */

enum { WORDS_MAX = 8, WORD_BYTES = 24 };
struct words {
    int n;
    char text[WORDS_MAX][WORD_BYTES]; /* in lower case */
};

/* Letters and digits, "params (M)" are two; false: more or longer ones than are known. */
static bool split(const char *title, struct words *ret) {
    *ret = (struct words){0};
    while (*title) {
        size_t len = 0;
        while (isalnum((unsigned char)title[len]))
            len++;
        if (len >= WORD_BYTES || (len > 0 && ret->n == WORDS_MAX))
            return false;
        for (size_t i = 0; i < len; i++)
            ret->text[ret->n][i] = (char)tolower((unsigned char)title[i]);
        ret->n += len > 0;
        title += len > 0 ? len : 1;
    }
    return ret->n > 0;
}

/* "gflops" is one as "flops" is. */
static bool is_cost_word(const char *word) {
    return named(word, cost_words) ||
           (strchr("kmgt", *word) && named(word + 1, cost_words) && !named(word + 1, other_words));
}

static bool is_cost(const char *title) {
    struct words words;
    int costs = 0, fillers = 0;
    if (!split(title, &words))
        return false;
    for (int i = 0; i < words.n; i++) {
        bool cost = is_cost_word(words.text[i]);
        costs += cost;
        fillers += !cost && named(words.text[i], cost_fillers);
    }
    return costs > 0 && costs + fillers == words.n;
}

static bool is_digits(const char *word) {
    return word[strspn(word, "0123456789")] == 0;
}

static bool is_other(const char *title) {
    struct words words;
    int others = 0, digits = 0;
    if (!split(title, &words))
        return false;
    for (int i = 0; i < words.n; i++) {
        others += named(words.text[i], other_words);
        digits += is_digits(words.text[i]);
    }
    return others > 0 && others + digits == words.n;
}

/* --- what columns are --- */

static size_t board_name_length(const char *title) {
    size_t n = strlen(title), m = strlen(MEAN);
    return n > m && strcmp(title + n - m, MEAN) == 0 ? n - m : n;
}

static bool is_of_board(const char *title, const char *board) {
    size_t n = board_name_length(title);
    return strcmp(title, board) == 0 || (strlen(board) == n && strncmp(title, board, n) == 0);
}

/* A column called as the first len bytes of title, and end. */
static bool has_column(const struct csv *csv, const char *title, size_t len, const char *end) {
    for (int i = 0; i < csv_columns(csv); i++)
        if (strncmp(csv_title(csv, i), title, len) == 0 &&
            strcasecmp(csv_title(csv, i) + len, end) == 0)
            return true;
    return false;
}

/* "a" and "a|std" beside "a|mean", "a_max" beside "a_mean", "a_std" beside "a" too. */
static bool is_beside_means(const struct csv *csv, const char *title) {
    size_t cut = strlen(title);
    if (has_column(csv, title, cut, MEAN))
        return true;
    while (cut > 0 && !strchr("|_-./ ", title[cut - 1]))
        cut--;
    bool spread = named(title + cut, spread_words);
    return cut > 1 && (spread || named(title + cut, extreme_words)) &&
           (has_column(csv, title, cut, "mean") || (spread && has_column(csv, title, cut - 1, "")));
}

/* An empty column is one of times too: nothing was measured. */
static bool is_text(const struct csv *csv, int column) {
    bool text = false;
    double number;
    for (size_t row = 0; row < csv_rows(csv); row++) {
        if (csv_number(csv, row, column, &number))
            return false;
        text |= csv_field(csv, row, column)[0] != 0;
    }
    return text;
}

static bool is_asked_for(const char *const *times, const char *title) {
    for (; *times; times++)
        if (is_of_board(title, *times))
            return true;
    return false;
}

static struct laboratory_column passed_over(const char *why) {
    return (struct laboratory_column){LABORATORY_PASSED_OVER, why};
}

static struct laboratory_column classify(const struct laboratory_files *files, int column,
                                         const char *const *times) {
    static const struct laboratory_column board = {LABORATORY_BOARD, NULL};
    const char *title = csv_title(files->networks, column);
    if (column == files->network)
        return (struct laboratory_column){LABORATORY_NETWORK, NULL};
    if (times && is_asked_for(times, title))
        return board;
    if (!*title)
        return passed_over("no title");
    if (is_cost(title))
        return (struct laboratory_column){LABORATORY_COST, NULL};
    if (times)
        return passed_over("not asked for");
    if (is_other(title))
        return passed_over("no time by its title");
    if (is_beside_means(files->networks, title))
        return passed_over("beside means");
    return is_text(files->networks, column) ? passed_over("no field is a number") : board;
}

/* --- messages --- */

/* Of a list of words in a message; as many as there is room for. */
static void list_word(char *text, size_t size, const char *word) {
    size_t used = strlen(text);
    if (used + strlen(word) + 8 < size)
        snprintf(text + used, size - used, "%s\"%.40s\"", used > 0 ? ", " : "", word);
}

static int no_column(const struct csv *csv, const char *const *names, const char *file,
                     struct err *err) {
    char accepted[160] = "", found[160] = "";
    for (; *names; names++)
        list_word(accepted, sizeof accepted, *names);
    for (int i = 0; i < csv_columns(csv); i++)
        list_word(found, sizeof found, csv_title(csv, i));
    return err_set(err, ESP_EINVAL, NULL, "%s, the file of %s, has no column %s%s; it has %s%s",
                   csv_name(csv), file, strchr(accepted, ',') ? "called one of " : "", accepted,
                   found, csv_separator_hint(csv));
}

static int twice(const struct csv *csv, const char *profile, struct err *err) {
    return err_set(err, ESP_EINVAL, NULL, "%s has two columns of times of the profile \"%.60s\"",
                   csv_name(csv), profile);
}

static void list_boards(const struct laboratory_files *files, char *text, size_t size) {
    for (int i = 0; i < files->n_boards; i++)
        list_word(text, size, files->boards[i].name);
}

/* Of ops any column may be a board's. */
static void list_columns_of_ops(const struct laboratory_files *files, char *text, size_t size) {
    for (int i = 0; i < csv_columns(files->ops); i++)
        if (i != files->op_network && i != files->op_kind && i != files->op_features)
            list_word(text, size, csv_title(files->ops, i));
}

static void list_others(const struct laboratory_files *files, char *text, size_t size) {
    for (int i = 0; i < csv_columns(files->networks); i++) {
        const struct laboratory_column *column = &files->columns[i];
        size_t used = strlen(text);
        const char *why = column->use == LABORATORY_COST ? "a cost" : column->why;
        if (why && used + strlen(why) + 60 < size)
            snprintf(text + used, size - used, "%s\"%.40s\" (%s)", used > 0 ? ", " : "",
                     csv_title(files->networks, i), why);
    }
}

int laboratory_columns_refuse(const struct laboratory_files *files, const char *profile,
                              struct err *err) {
    char boards[160] = "", others[160] = "", name[100] = "";
    list_boards(files, boards, sizeof boards);
    if (profile)
        snprintf(name, sizeof name, " \"%.60s\"", profile);
    if (files->ops)
        list_columns_of_ops(files, others, sizeof others);
    else
        list_others(files, others, sizeof others);
    int code = profile ? ESP_ENOTFOUND : ESP_EINVAL;
    const char *pointer = profile ? "/profile" : NULL;
    if (files->ops)
        return err_set(err, code, pointer,
                       "no profile%s has times in both files: %s has %s; %s has %s", name,
                       csv_name(files->networks), *boards ? boards : "none", csv_name(files->ops),
                       *others ? others : "none");
    return err_set(err, code, pointer, "no profile%s has times: %s has %s%s%s", name,
                   csv_name(files->networks), *boards ? boards : "none",
                   *others ? ", and passed over " : "", others);
}

/* --- finding them --- */

/* The first of the names that there is. */
static int find_titled(const struct csv *csv, const char *const *names) {
    for (; *names; names++)
        for (int i = 0; i < csv_columns(csv); i++)
            if (strcasecmp(csv_title(csv, i), *names) == 0)
                return i;
    return LABORATORY_NONE;
}

static int need_column(const struct csv *csv, const char *const *names, const char *file,
                       struct err *err, int *ret_column) {
    *ret_column = find_titled(csv, names);
    return *ret_column >= 0 ? 0 : no_column(csv, names, file, err);
}

/* A first column without a title is one of names where there is no other. */
static int find_names(struct laboratory_files *files, struct err *err) {
    const struct csv *csv = files->networks;
    if (find_titled(csv, network_titles) < 0 && csv_columns(csv) > 1 && !csv_title(csv, 0)[0]) {
        files->network = 0;
        return 0;
    }
    return need_column(csv, network_titles, "networks", err, &files->network);
}

/* The column of ops that is the board's; two would be one too many. */
static int find_in_ops(const struct laboratory_files *files, struct err *err,
                       struct laboratory_board *board) {
    board->in_ops = LABORATORY_NONE;
    for (int i = 0; files->ops && i < csv_columns(files->ops); i++)
        if (is_of_board(csv_title(files->ops, i), board->name)) {
            if (board->in_ops >= 0)
                return twice(files->ops, board->name, err);
            board->in_ops = i;
        }
    return 0;
}

/* Refused if a board before has its name. */
static int add_board(struct laboratory_files *files, int column, struct err *err) {
    const char *title = csv_title(files->networks, column);
    size_t name_len = board_name_length(title);
    struct laboratory_board *board = &files->boards[files->n_boards];
    if (files->n_boards == LABORATORY_PROFILES_MAX || name_len >= LABORATORY_NAME_MAX)
        return err_set(err, ESP_ELIMIT, NULL, "at most %d profiles with names of at most %d bytes",
                       LABORATORY_PROFILES_MAX, LABORATORY_NAME_MAX - 1);
    snprintf(board->name, sizeof board->name, "%.*s", (int)name_len, title);
    board->in_networks = column;
    for (int i = 0; i < files->n_boards; i++)
        if (strcmp(files->boards[i].name, board->name) == 0)
            return twice(files->networks, board->name, err);
    files->n_boards++;
    return find_in_ops(files, err, board);
}

static int check_asked_for(const struct laboratory_files *files, const char *const *times,
                           struct err *err) {
    for (; times && *times; times++) {
        bool there = false;
        for (int i = 0; i < csv_columns(files->networks); i++)
            there |= i != files->network && is_of_board(csv_title(files->networks, i), *times);
        char found[160] = "";
        for (int i = 0; !there && i < csv_columns(files->networks); i++)
            list_word(found, sizeof found, csv_title(files->networks, i));
        if (!there)
            return err_set(err, ESP_EINVAL, "/times",
                           "%s has no column \"%.60s\" of times: it has %s",
                           csv_name(files->networks), *times, found);
    }
    return 0;
}

static int find_boards(struct laboratory_files *files, const char *const *times, struct err *err) {
    int n = csv_columns(files->networks), code = check_asked_for(files, times, err);
    files->columns = mem_array((size_t)n, sizeof *files->columns);
    if (!files->columns)
        return err_set(err, ESP_ENOMEM, NULL, "no memory for columns");
    for (int i = 0; code == 0 && i < n; i++) {
        files->columns[i] = classify(files, i, times);
        if (files->columns[i].use == LABORATORY_BOARD)
            code = add_board(files, i, err);
    }
    return code;
}

int laboratory_columns_find(struct laboratory_files *files,
                            const struct laboratory_sources *sources, struct err *err) {
    int code = find_names(files, err);
    if (code == 0 && files->ops)
        code = need_column(files->ops, network_titles, "ops", err, &files->op_network);
    if (code == 0 && files->ops)
        code = need_column(files->ops, kind_titles, "ops", err, &files->op_kind);
    if (code == 0 && files->ops)
        code = need_column(files->ops, feature_titles, "ops", err, &files->op_features);
    return code < 0 ? code : find_boards(files, sources->times, err);
}
