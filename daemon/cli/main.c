/* espalier: the command line client. */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "daemon/cli/cli.h"
#include "daemon/cli/hint.h"

/* "search create NAME" */
static int format_command(const struct cli_command *c, char *text, size_t size) {
    return snprintf(text, size, "%s%s%s%s%s", c->noun, c->verb ? " " : "", c->verb ? c->verb : "",
                    c->words[0] ? " " : "", c->words);
}

/* The commands of a noun (NULL: all) with what they do, each line behind the prefix. */
static void print_commands(FILE *file, const char *noun, const char *prefix) {
    char left[128], text[96];
    int width = 0;

    for (const struct cli_command *const *c = cli_commands; *c; c++) {
        int len = (int)strlen(prefix) + format_command(*c, text, sizeof(text));
        if ((!noun || !strcmp((*c)->noun, noun)) && len > width)
            width = len;
    }
    for (const struct cli_command *const *c = cli_commands; *c; c++) {
        if (noun && strcmp((*c)->noun, noun))
            continue;
        format_command(*c, text, sizeof(text));
        snprintf(left, sizeof(left), "%s%s", prefix, text);
        options_print_columns(file, left, (*c)->help, width);
    }
}

static void print_overview(FILE *file) {
    fputs("usage: espalier NOUN VERB [words] [options]\n\n"
          "Neural architecture search with hardware in the loop: the client of espalierd.\n\n",
          file);
    print_commands(file, NULL, "");
    fputs("\nEach command has --help. Data goes to stdout, the rest to stderr.\n"
          "ESPALIER_URL and ESPALIER_TOKEN set --url and --token.\n",
          file);
}

static int run(const struct cli_command *command, int argc, char **argv) {
    struct cli cli = {.command = command};
    int code = command->run(&cli, argc, argv);

    http_client_destroy(cli.client);
    return code == CLI_OK && cli.missing ? CLI_NOT_FOUND : code;
}

/* "help search create" is "search create --help". */
static void move_help(int argc, char **argv) {
    static char option[] = "--help";
    if (argc < 3 || strcmp(argv[1], "help") != 0)
        return;
    memmove(argv + 1, argv + 2, (size_t)(argc - 2) * sizeof(*argv));
    argv[argc - 1] = option;
}

/* Options that every command takes may stand in front of the noun: moves them behind it and its
 * verb. Returns -1 to go on, else the exit code. */
static int move_leading_options(int argc, char **argv) {
    struct cli cli = {0};
    const struct option_row rows[] = {CLI_COMMON_ROWS(&cli)};
    struct err err = {0};
    int first = 1;

    if (options_parse(rows, argc, argv, true, &err, &first))
        return cli_usage("%s (in front of a command stand only options that all commands have)",
                         err.message);
    move_help(argc - first + 1, argv + first - 1);
    bool help = cli.help || (first < argc && !strcmp(argv[first], "help"));
    if (first == argc || help) {
        print_overview(help ? stdout : stderr);
        return help ? CLI_OK : CLI_USAGE;
    }
    int n_options = first - 1, n_words = 1;
    for (const struct cli_command *const *c = cli_commands; *c; c++)
        if (!strcmp((*c)->noun, argv[first]) && (*c)->verb && first + 1 < argc)
            n_words = 2;
    for (int i = 1; i <= n_words; i++) {
        char *word = argv[n_options + i];
        memmove(argv + i + 1, argv + i, (size_t)n_options * sizeof(*argv));
        argv[i] = word;
    }
    return -1;
}

/* What a noun without a verb can do; asked for by its option, or for want of a verb. */
static int list_verbs(const char *noun, const char *option) {
    bool help = !strcmp(option, "--help") || !strcmp(option, "-h");
    print_commands(help ? stdout : stderr, noun, "espalier ");
    return help ? CLI_OK : CLI_USAGE;
}

static int command_line(int argc, char **argv) {
    move_help(argc, argv);
    if (argc < 2 || !strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") ||
        !strcmp(argv[1], "help")) {
        print_overview(argc < 2 ? stderr : stdout);
        return argc < 2 ? CLI_USAGE : CLI_OK;
    }
    if (!strcmp(argv[1], "--version") || !strcmp(argv[1], "-V")) {
        puts("espalier " ESP_VERSION);
        return CLI_OK;
    }
    int code = argv[1][0] == '-' ? move_leading_options(argc, argv) : -1;
    if (code >= 0)
        return code;
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
    if (noun_known && (argc < 3 || argv[2][0] == '-')) /* options alone are no verb */
        return list_verbs(argv[1], argc > 2 ? argv[2] : "");
    return noun_known ? hint_unknown(argv[1], argv[2]) : hint_unknown(NULL, argv[1]);
}

/* What was asked for and did not get to where stdout goes was not done. */
static int end(int code) {
    int number = cli_stream_error(stdout);

    if (number == 0)
        return code;
    fprintf(stderr, "espalier: not all could be printed: %s\n", strerror(number));
    return code == CLI_OK ? CLI_FAILURE : code;
}

int main(int argc, char **argv) {
    signal(SIGPIPE, SIG_DFL);
    return end(command_line(argc, argv));
}
