/* espalier completion: what a shell completes, made of the commands and their option tables. */
#include <stdio.h>
#include <string.h>

#include "daemon/cli/commands.h"
#include "daemon/cli/visit.h"

static const char *const shells[] = {"bash", "zsh", "fish", NULL};

/* What every command takes may stand in front of its noun. */
static struct cli front;
static const struct option_row front_rows[] = {CLI_COMMON_ROWS(&front)};

/* Those of front_rows that take the next word, as a pattern of case or a list. */
static void print_takers(const char *separator) {
    const char *gap = "";
    for (const struct option_row *row = front_rows; row->name; row++) {
        if (row->kind == OPTION_FLAG)
            continue;
        printf("%s--%s", gap, row->name);
        gap = separator;
        if (row->letter)
            printf("%s-%c", gap, row->letter);
    }
}

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

static void bash_words(const struct option_row *rows) {
    fputs(" words='", stdout);
    for (const char *gap = ""; rows->name; rows++, gap = " ")
        printf("%s--%s", gap, rows->name);
    putchar('\'');
}

static void bash_options(const struct cli_command *command, const struct option_row *rows) {
    print_pattern(command);
    bash_words(rows);
    fputs(" ;;\n", stdout);
}

/* Bash parts words at "=", too. */
static void bash_front(void) {
    fputs("    while [ \"$at\" -lt \"$COMP_CWORD\" ]; do\n"
          "        case ${COMP_WORDS[at]} in\n        ",
          stdout);
    print_takers("|");
    fputs(") value=1 ;;\n        -*) value=0 ;;\n        *) break ;;\n        esac\n"
          "        [ \"${COMP_WORDS[at + 1]-}\" != = ] || value=2\n"
          "        at=$((at + 1 + value))\n    done\n"
          "    [ \"$at\" -le \"$COMP_CWORD\" ] || return 0\n",
          stdout);
}

static void print_bash(void) {
    fputs("# Completion of espalier's command line for bash: espalier completion bash\n"
          "_espalier() {\n"
          "    local word=${COMP_WORDS[COMP_CWORD]} at=1 value words=\n    COMPREPLY=()\n",
          stdout);
    bash_front();
    fputs("    local noun=${COMP_WORDS[at]-} verb=${COMP_WORDS[at + 1]-}\n"
          "    if [ \"$COMP_CWORD\" -eq \"$at\" ] && [ \"${word#-}\" = \"$word\" ]; then\n"
          "        words='",
          stdout);
    visit_nouns(NULL, " ");
    fputs("'\n    elif [ \"$COMP_CWORD\" -eq \"$at\" ]; then\n       ", stdout);
    bash_words(front_rows);
    fputs("\n    elif [ \"$COMP_CWORD\" -eq $((at + 1)) ] && [ \"${word#-}\" = \"$word\" ]; then\n"
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

static void zsh_known(const struct option_row *rows) {
    fputs(" known=(", stdout);
    for (; rows->name; rows++) {
        printf("\n            '--%s:", rows->name);
        print_quoted(rows->help, "'\\''", true);
        putchar('\'');
    }
    putchar(')');
}

static void zsh_options(const struct cli_command *command, const struct option_row *rows) {
    print_pattern(command);
    zsh_known(rows);
    fputs(" ;;\n", stdout);
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

static void zsh_front(void) {
    fputs("    while (( at < CURRENT )); do\n        case ${words[at]} in\n        ", stdout);
    print_takers("|");
    fputs(") at+=2 ;;\n        -*) at+=1 ;;\n        *) break ;;\n        esac\n    done\n"
          "    if (( at > CURRENT )); then\n        _files\n        return\n    fi\n",
          stdout);
}

/* Found in a folder of fpath, the text is the function's body at its first call; read by source, it
 * has to say what the function is for. */
static void print_zsh(void) {
    fputs("#compdef espalier\n"
          "# Completion of espalier's command line for zsh: after compinit, source <(espalier "
          "completion zsh)\n"
          "_espalier() {\n    local -i at=2\n    local -a known\n",
          stdout);
    zsh_front();
    fputs("    local noun=${words[at]-} verb=${words[at+1]-}\n"
          "    if (( CURRENT == at )) && [[ $PREFIX != -* ]]; then\n        known=(",
          stdout);
    zsh_words(NULL);
    fputs(")\n        _describe -t commands noun known\n        return\n    fi\n"
          "    if (( CURRENT == at + 1 )) && [[ $PREFIX != -* ]]; then\n        case $noun in\n",
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
          "    fi\n    if (( CURRENT == at )); then\n       ",
          stdout);
    zsh_known(front_rows);
    fputs("\n    else\n        case \"$noun $verb\" in\n", stdout);
    visit_commands(zsh_options);
    fputs("        esac\n    fi\n    _describe -o -t options option known\n}\n"
          "if [[ ${funcstack[1]-} == _espalier ]]; then\n    _espalier \"$@\"\n"
          "else\n    compdef _espalier espalier\nfi\n",
          stdout);
}

/* ---- fish ------------------------------------------------------------------------------------ */

/* Conditions: the words before the one that is written, but for options in front, are just those
 * of the arguments (at), or begin with them (in). Neither holds where an option's value is written.
 */
static void fish_front(void) {
    fputs("function __espalier_words\n    set -l words (commandline -opc)\n    set -e words[1]\n"
          "    while string match -q -- '-*' \"$words[1]\"\n        if contains -- \"$words[1]\" ",
          stdout);
    print_takers(" ");
    fputs("\n            set -e words[1]\n            set -q words[1]; or return 1\n        end\n"
          "        set -e words[1]\n    end\n    set -q words[1]; and printf '%s\\n' $words\n    "
          "return 0\nend\n"
          "function __espalier_at\n    set -l words (__espalier_words); or return 1\n"
          "    test \"$words\" = \"$argv\"\nend\n"
          "function __espalier_in\n    set -l words (__espalier_words); or return 1\n"
          "    test \"$words[1..$(count $argv)]\" = \"$argv\"\nend\n",
          stdout);
}

static void fish_rows(const char *condition, const struct option_row *rows) {
    for (; rows->name; rows++) {
        printf("complete -c espalier -n '%s'", condition);
        if (rows->letter)
            printf(" -s %c", rows->letter);
        printf(" -l %s%s -d '", rows->name, rows->kind == OPTION_FLAG ? "" : " -r");
        print_quoted(rows->help, "\\'", false);
        puts("'");
    }
}

static void fish_options(const struct cli_command *command, const struct option_row *rows) {
    char condition[128];
    snprintf(condition, sizeof(condition), "__espalier_in %s%s%s", command->noun,
             command->verb ? " " : "", command->verb ? command->verb : "");
    fish_rows(condition, rows);
}

static void print_fish(void) {
    puts("# Completion of espalier's command line for fish: espalier completion fish");
    fish_front();
    for (const struct cli_command *const *c = cli_commands; *c; c++) {
        if (visit_is_first(c)) {
            printf("complete -c espalier -f -n __espalier_at -a %s -d '", (*c)->noun);
            print_noun_help(*c, "\\'", false);
            puts("'");
        }
        if (!(*c)->verb)
            continue;
        printf("complete -c espalier -f -n '__espalier_at %s' -a %s -d '", (*c)->noun, (*c)->verb);
        print_quoted((*c)->help, "\\'", false);
        puts("'");
    }
    fish_rows("__espalier_at", front_rows);
    visit_commands(fish_options);
}

static int run(struct cli *cli, int argc, char **argv) {
    const struct option_row rows[] = {CLI_HELP_ROW(cli)};
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
