#include "daemon/cli/hint.h"

#include <limits.h>
#include <string.h>

#include "base/nearest.h"

/* ---- words that other programs have -------------------------------------------------------- */

enum { MEANT_MAX = 4 };

#define PROGRAM_DAEMON "espalierd" /* a program of its own */

/* What is called otherwise here, verbs and nouns. Of the words that a noun has, the first two are
 * named. */
static const struct {
    const char *word, *meant[MEANT_MAX];
} synonyms[] = {
    {"stop", {"cancel", "pause", "disable", "maintain"}},
    {"kill", {"cancel", "revoke"}},
    {"abort", {"cancel"}},
    {"terminate", {"cancel"}},
    {"end", {"cancel"}},
    {"suspend", {"pause", "disable"}},
    {"hold", {"pause"}},
    {"start", {"create", "train", "build", "release"}},
    {"run", {"create", "train", "build", "measure"}},
    {"launch", {"create", "train"}},
    {"new", {"create", "add", "train", "build"}},
    {"make", {"create", "add", "train", "build"}},
    {"submit", {"create", "train"}},
    {"create", {"add", "train", "build"}},
    {"add", {"create", "import", "train", "build"}},
    {"register", {"add"}},
    {"enrol", {"add"}},
    {"continue", {"resume", "retry", "release"}},
    {"restart", {"retry", "resume"}},
    {"rerun", {"retry", "clone"}},
    {"unpause", {"resume", "release"}},
    {"resume", {"release", "enable", "retry"}},
    {"list", {"ls", "tables", "profiles"}},
    {"ls", {"tables", "profiles"}},
    {"delete", {"rm", "unpin"}},
    {"del", {"rm", "unpin"}},
    {"remove", {"rm", "unpin"}},
    {"destroy", {"rm"}},
    {"drop", {"rm"}},
    {"get", {"show"}},
    {"info", {"show"}},
    {"describe", {"show"}},
    {"inspect", {"show"}},
    {"view", {"show"}},
    {"status", {"show"}},
    {"cat", {"show", "logs"}},
    {"tail", {"logs", "watch"}},
    {"events", {"logs", "watch"}},
    {"history", {"logs", "lineage", "metrics"}},
    {"follow", {"watch", "logs"}},
    {"monitor", {"watch", "logs"}},
    {"attach", {"wait", "watch"}},
    {"progress", {"watch", "wait"}},
    {"curves", {"metrics", "watch"}},
    {"plot", {"watch", "metrics"}},
    {"compare", {"diff"}},
    {"edit", {"set"}},
    {"update", {"set"}},
    {"rename", {"set"}},
    {"configure", {"set"}},
    {"copy", {"clone"}},
    {"duplicate", {"clone"}},
    {"fork", {"clone"}},
    {"download", {"export", "show"}},
    {"save", {"export"}},
    {"upload", {"add", "import"}},
    {"load", {"import", "add"}},
    {"eval", {"evaluate"}},
    {"test", {"evaluate", "check"}},
    {"benchmark", {"measure", "build"}},
    {"pareto", {"front"}},
    {"results", {"front", "candidates"}},
    {"best", {"front"}},
    {"trials", {"candidates"}},
    {"study", {"search"}},
    {"experiment", {"search"}},
    {"sweep", {"search"}},
    {"board", {"device"}},
    {"worker", {"device"}},
    {"phone", {"device"}},
    {"task", {"job"}},
    {"network", {"arch"}},
    {"subnet", {"arch"}},
    {"architecture", {"arch"}},
    {"data", {"dataset"}},
    {"lut", {"latency"}},
    {"table", {"latency"}},
    {"weights", {"checkpoint", "supernet"}},
    {"settings", {"config"}},
    {"options", {"config"}},
    {"info", {"status"}},
    {"ping", {"status"}},
    {"health", {"doctor"}},
    {"check", {"doctor"}},
    {"gc", {"prune"}},
    {"clean", {"prune"}},
    {"man", {"manual"}},
    {"completions", {"completion"}},
    {"version", {"--version"}},
    {"serve", {PROGRAM_DAEMON}},
    {"server", {PROGRAM_DAEMON}},
    {"daemon", {PROGRAM_DAEMON}},
};

static bool is_word(const char *noun, const char *word) {
    if (!noun && (word[0] == '-' || !strcmp(word, PROGRAM_DAEMON)))
        return true;
    for (const struct cli_command *const *c = cli_commands; *c; c++) {
        const char *known = noun ? (*c)->verb : (*c)->noun;
        if (known && (!noun || !strcmp((*c)->noun, noun)) && !strcmp(known, word))
            return true;
    }
    return false;
}

/* Up to two words of the noun that go by another name elsewhere; returns how many. */
static int synonyms_of(const char *noun, const char *word, const char *ret_meant[2]) {
    int n = 0;
    for (size_t i = 0; i < sizeof(synonyms) / sizeof(synonyms[0]); i++)
        for (int j = 0; !strcmp(synonyms[i].word, word) && j < MEANT_MAX && n < 2; j++)
            if (synonyms[i].meant[j] && is_word(noun, synonyms[i].meant[j]))
                ret_meant[n++] = synonyms[i].meant[j];
    return n;
}

/* ---- slips of the finger --------------------------------------------------------------------- */

/* The nearest noun, or verb of a noun; NULL when none is near enough. */
static const char *nearest(const char *noun, const char *word) {
    const char *best = NULL;
    int least = INT_MAX;

    for (const struct cli_command *const *c = cli_commands; *c; c++) {
        const char *known = noun ? (*c)->verb : (*c)->noun;
        if ((noun && strcmp((*c)->noun, noun)) || !known)
            continue;
        int distance = nearest_distance(word, known);
        if (distance < least) {
            least = distance;
            best = known;
        }
    }
    return best && nearest_is_slip(word, least) ? best : NULL;
}

/* ---- verbs of another noun ------------------------------------------------------------------- */

/* The only noun that has this verb; NULL where none has, or several. */
static const char *noun_of(const char *verb) {
    const char *noun = NULL;

    for (const struct cli_command *const *c = cli_commands; *c; c++) {
        if (!(*c)->verb || strcmp((*c)->verb, verb) != 0)
            continue;
        if (noun)
            return NULL;
        noun = (*c)->noun;
    }
    return noun;
}

/* ---- the sentence ---------------------------------------------------------------------------- */

/* Nouns in their order; of one noun, or, without, the nouns themselves. */
static void print_words(const char *noun) {
    const char *last = "";
    int n = 0;

    for (const struct cli_command *const *c = cli_commands; *c; c++) {
        const char *word = noun ? (*c)->verb : (*c)->noun;
        if ((noun && strcmp((*c)->noun, noun)) || !word || !strcmp(word, last))
            continue;
        fprintf(stderr, "%s%s", n++ ? ", " : "", word);
        last = word;
    }
    fputs("; see espalier", stderr);
    fprintf(stderr, "%s%s --help\n", noun ? " " : "", noun ? noun : "");
}

int hint_unknown(const char *noun, const char *word) {
    const char *meant[2] = {NULL}, *gap = noun ? " " : "", *front = noun ? noun : "";
    int n = synonyms_of(noun, word, meant);

    if (n == 0 && (meant[0] = nearest(noun, word)) != NULL)
        n = 1;
    const char *other = n == 0 && noun ? noun_of(word) : NULL;
    fprintf(stderr, "espalier: no command \"%s%s%.100s\"", front, gap, word);
    for (int i = 0; i < n; i++)
        fprintf(stderr, "%s \"%s%s%s\"", i ? " or" : "; did you mean", front, gap, meant[i]);
    if (other)
        fprintf(stderr, "; did you mean \"%s %s\"", other, word);
    fputs(n || other ? "?" : "", stderr);
    fputs(noun ? "\nwhat it can do: " : "\nthere are: ", stderr);
    print_words(noun);
    return CLI_USAGE;
}
