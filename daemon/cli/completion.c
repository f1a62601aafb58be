/* espalier completion: what a shell completes, made of the commands and their option tables. */
#include <stdio.h>
#include <string.h>

#include "daemon/cli/commands.h"
#include "daemon/cli/visit.h"

static const char *const shells[] = {"bash", "zsh", "fish", NULL};

/* text in single quotes as a shell takes it; a colon is what zsh parts words and help by. */
static void print_quoted(const char *text, const char *quote, bool colons) {
    for (; *text; text++)
        if (*text == '\'')
            fputs(quote, stdout);
        else if (*text == ':' && colons)
            fputs("\\:", stdout);
        else
            putchar(*text);
}

/* ---- bash ------------------------------------------------------------------------------------ */

/* The words of a command line, as a pattern of case: 'search create', or 'status '*. */
static void print_pattern(const struct cli_command *command) {
    printf("        '%s %s'%s)", command->noun, command->verb ? command->verb : "",
           command->verb ? "" : "*");
}

static void bash_options(const struct cli_command *command, const struct option_row *rows) {
    print_pattern(command);
    fputs(" words='", stdout);
    for (const char *gap = ""; rows->name; rows++, gap = " ")
        printf("%s--%s", gap, rows->name);
    fputs("' ;;\n", stdout);
}

static void print_bash(void) {
    fputs("# Completion of espalier's command line for bash: espalier completion bash\n"
          "_espalier() {\n"
          "    local word=${COMP_WORDS[COMP_CWORD]} noun=${COMP_WORDS[1]-} verb=${COMP_WORDS[2]-} "
          "words=\n"
          "    COMPREPLY=()\n"
          "    if [ \"$COMP_CWORD\" -le 1 ]; then\n        words='",
          stdout);
    visit_nouns(NULL, " ");
    fputs("'\n    elif [ \"$COMP_CWORD\" -eq 2 ] && [ \"${word#-}\" = \"$word\" ]; then\n"
          "        case $noun in\n",
          stdout);
    for (const struct cli_command *const *c = cli_commands; *c; c++)
        if ((*c)->verb && visit_is_first(c)) {
            printf("        %s) words='", (*c)->noun);
            visit_nouns((*c)->noun, " ");
            fputs("' ;;\n", stdout);
        }
    fputs("        esac\n    elif [ \"${word#-}\" != \"$word\" ]; then\n"
          "        case \"$noun $verb\" in\n",
          stdout);
    visit_commands(bash_options);
    fputs("        esac\n    fi\n"
          "    [ -z \"$words\" ] || mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$word\")\n"
          "}\ncomplete -o default -F _espalier espalier\n",
          stdout);
}

/* ---- zsh ------------------------------------------------------------------------------------- */

static void zsh_options(const struct cli_command *command, const struct option_row *rows) {
    print_pattern(command);
    fputs(" known=(", stdout);
    for (; rows->name; rows++) {
        printf("\n            '--%s:", rows->name);
        print_quoted(rows->help, "'\\''", true);
        putchar('\'');
    }
    fputs(") ;;\n", stdout);
}

/* What a noun is, as shells show it beside the word: of one with verbs, these. */
static void print_noun_help(const struct cli_command *command, const char *quote, bool colons) {
    if (command->verb)
        visit_nouns(command->noun, ", ");
    else
        print_quoted(command->help, quote, colons);
}

/* The verbs of a noun (NULL: the nouns) with what they are. */
static void zsh_words(const char *noun) {
    for (const struct cli_command *const *c = cli_commands; *c; c++) {
        if (noun ? !(*c)->verb || strcmp((*c)->noun, noun) : !visit_is_first(c))
            continue;
        printf("\n            '%s:", noun ? (*c)->verb : (*c)->noun);
        if (noun)
            print_quoted((*c)->help, "'\\''", true);
        else
            print_noun_help(*c, "'\\''", true);
        putchar('\'');
    }
}

/* Found in a folder of fpath, the text is the function's body at its first call; read by source, it
 * has to say what the function is for. */
static void print_zsh(void) {
    fputs("#compdef espalier\n"
          "# Completion of espalier's command line for zsh: after compinit, source <(espalier "
          "completion zsh)\n"
          "_espalier() {\n    local noun=${words[2]-} verb=${words[3]-}\n    local -a known\n"
          "    if (( CURRENT == 2 )); then\n        known=(",
          stdout);
    zsh_words(NULL);
    fputs(")\n        _describe -t commands noun known\n        return\n    fi\n"
          "    if (( CURRENT == 3 )) && [[ $PREFIX != -* ]]; then\n        case $noun in\n",
          stdout);
    for (const struct cli_command *const *c = cli_commands; *c; c++)
        if ((*c)->verb && visit_is_first(c)) {
            printf("        %s) known=(", (*c)->noun);
            zsh_words((*c)->noun);
            fputs(") ;;\n", stdout);
        }
    fputs("        esac\n        if (( $#known )); then\n"
          "            _describe -t commands verb known\n            return\n        fi\n    fi\n"
          "    if compset -P '-*=' || [[ $PREFIX != -* ]]; then\n        _files\n        return\n"
          "    fi\n    case \"$noun $verb\" in\n",
          stdout);
    visit_commands(zsh_options);
    fputs("    esac\n    _describe -o -t options option known\n}\n"
          "if [[ ${funcstack[1]-} == _espalier ]]; then\n    _espalier \"$@\"\n"
          "else\n    compdef _espalier espalier\nfi\n",
          stdout);
}

/* ---- fish ------------------------------------------------------------------------------------ */

static void fish_condition(const struct cli_command *command) {
    printf("complete -c espalier -n '__fish_seen_subcommand_from %s", command->noun);
    if (command->verb)
        printf("; and __fish_seen_subcommand_from %s", command->verb);
    putchar('\'');
}

static void fish_options(const struct cli_command *command, const struct option_row *rows) {
    for (; rows->name; rows++) {
        fish_condition(command);
        if (rows->letter)
            printf(" -s %c", rows->letter);
        printf(" -l %s%s -d '", rows->name, rows->kind == OPTION_FLAG ? "" : " -r");
        print_quoted(rows->help, "\\'", false);
        puts("'");
    }
}

static void print_fish(void) {
    puts("# Completion of espalier's command line for fish: espalier completion fish");
    for (const struct cli_command *const *c = cli_commands; *c; c++) {
        if (visit_is_first(c)) {
            printf("complete -c espalier -f -n __fish_use_subcommand -a %s -d '", (*c)->noun);
            print_noun_help(*c, "\\'", false);
            puts("'");
        }
        if (!(*c)->verb)
            continue;
        printf("complete -c espalier -f -n '__fish_seen_subcommand_from %s; and test (count "
               "(commandline -opc)) -eq 2' -a %s -d '",
               (*c)->noun, (*c)->verb);
        print_quoted((*c)->help, "\\'", false);
        puts("'");
    }
    visit_commands(fish_options);
}

static int run(struct cli *cli, int argc, char **argv) {
    const struct option_row rows[] = {CLI_LOCAL_ROWS(cli)};
    int first = 0, code = cli_start(cli, rows, argc, argv, (struct cli_words){1, 1}, &first);

    if (code >= 0)
        return code;
    for (int i = 0; shells[i]; i++)
        if (!strcmp(argv[first], shells[i])) {
            (i == 0 ? print_bash : i == 1 ? print_zsh : print_fish)();
            return CLI_OK;
        }
    return cli_usage("completions are for bash, zsh and fish, not \"%.60s\"", argv[first]);
}

const struct cli_command cli_completion = {"completion", NULL, "bash|zsh|fish",
                                           "what a shell needs to complete these commands", run};
