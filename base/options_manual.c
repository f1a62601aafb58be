#include <stdio.h>
#include <string.h>

#include "base/options.h"

/* A line of the text is a paragraph. */
static void print_paragraphs(const char *text) {
    char paragraph[1024];
    while (*text) {
        int len = (int)strcspn(text, "\n");
        snprintf(paragraph, sizeof(paragraph), "%.*s", len, text);
        text += len + (text[len] == '\n');
        options_print_roff(paragraph);
        fputs(*text ? "\n.Pp\n" : "\n", stdout);
    }
}

void options_print_manual(const struct options_manual *manual, const struct option_row *rows) {
    printf(".Dd %s\n.Dt %s %d\n.Os\n.Sh NAME\n.Nm %s\n.Nd %s\n", manual->date, manual->title,
           manual->section, manual->name, manual->what);
    fputs(".Sh SYNOPSIS\n.Nm\n.Op Ar options\n.Sh DESCRIPTION\n", stdout);
    print_paragraphs(manual->description);
    fputs(".Sh OPTIONS\n.Bl -tag -width Ds\n", stdout);
    for (; rows->name; rows++)
        options_print_mdoc(rows);
    fputs(".El\n.Sh ENVIRONMENT\nAny option can be given as a variable:\n.Ev ESPALIER_\n"
          "and its name in capitals, with an underscore for each hyphen.\n"
          "The command line goes before it.\n.Sh FILES\n",
          stdout);
    print_paragraphs(manual->files);
    fputs(".Sh EXIT STATUS\n", stdout);
    print_paragraphs(manual->exits);
    fputs(".Sh SEE ALSO\n", stdout);
    for (int i = 0; manual->see[i].name; i++)
        printf(".Xr %s %d%s\n", manual->see[i].name, manual->see[i].section,
               manual->see[i + 1].name ? " ," : "");
}
