/* espalier: the command line client. */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "daemon/cli/cli.h"

static void print_overview(FILE *file) {
    fputs("usage: espalier NOUN VERB [words] [options]\n\n"
          "Neural architecture search with hardware in the loop: the client of espalierd.\n\n",
          file);
    for (const struct cli_command *const *c = cli_commands; *c; c++) {
        char left[96];
        snprintf(left, sizeof(left), "%s%s%s%s%s", (*c)->noun, (*c)->verb ? " " : "",
                 (*c)->verb ? (*c)->verb : "", (*c)->words[0] ? " " : "", (*c)->words);
        fprintf(file, "  %-38s %s\n", left, (*c)->help);
    }
    fputs("\nEach command has --help. Data goes to stdout, the rest to stderr.\n"
          "ESPALIER_URL and ESPALIER_TOKEN set --url and --token.\n",
          file);
}

/* Letters that differ, place by place and in length: enough to guess a slip of the finger. */
static int distance(const char *a, const char *b) {
    int d = 0;
    for (; *a && *b; a++, b++)
        d += *a != *b;
    return d + (int)strlen(a) + (int)strlen(b);
}

static int unknown(const char *noun, const char *verb) {
    const struct cli_command *best = NULL;
    int least = 4;

    for (const struct cli_command *const *c = cli_commands; *c; c++) {
        int d = distance(noun, (*c)->noun) + (verb && (*c)->verb ? distance(verb, (*c)->verb) : 0);
        if (d < least) {
            least = d;
            best = *c;
        }
    }
    if (best)
        return cli_usage("no command \"%s%s%s\"; did you mean \"%s%s%s\"?", noun, verb ? " " : "",
                         verb ? verb : "", best->noun, best->verb ? " " : "",
                         best->verb ? best->verb : "");
    return cli_usage("no command \"%s%s%s\"; see espalier --help", noun, verb ? " " : "",
                     verb ? verb : "");
}

static void print_noun(const char *noun) {
    for (const struct cli_command *const *c = cli_commands; *c; c++)
        if (!strcmp((*c)->noun, noun))
            printf("  espalier %s %s %-24s %s\n", noun, (*c)->verb ? (*c)->verb : "", (*c)->words,
                   (*c)->help);
}

static int run(const struct cli_command *command, int argc, char **argv) {
    struct cli cli = {.command = command};
    int code = command->run(&cli, argc, argv);

    http_client_destroy(cli.client);
    return code == CLI_OK && cli.missing ? CLI_NOT_FOUND : code;
}

int main(int argc, char **argv) {
    signal(SIGPIPE, SIG_DFL);
    if (argc < 2 || !strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") ||
        !strcmp(argv[1], "help")) {
        print_overview(argc < 2 ? stderr : stdout);
        return argc < 2 ? CLI_USAGE : CLI_OK;
    }
    if (!strcmp(argv[1], "--version") || !strcmp(argv[1], "-V")) {
        puts("espalier " ESP_VERSION);
        return CLI_OK;
    }
    bool noun_known = false;
    for (const struct cli_command *const *c = cli_commands; *c; c++) {
        if (strcmp((*c)->noun, argv[1]))
            continue;
        noun_known = true;
        if (!(*c)->verb)
            return run(*c, argc - 1, argv + 1);
        if (argc > 2 && !strcmp((*c)->verb, argv[2]))
            return run(*c, argc - 2, argv + 2);
    }
    if (noun_known && (argc < 3 || !strcmp(argv[2], "--help") || !strcmp(argv[2], "-h"))) {
        print_noun(argv[1]);
        return argc < 3 ? CLI_USAGE : CLI_OK;
    }
    return unknown(argv[1], argc > 2 ? argv[2] : NULL);
}
