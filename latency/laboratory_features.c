#include "latency/laboratory_private.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define SPACE " \t\n\v\f\r"
#define ENDS_A_WORD SPACE ",;:={}[]()'\""

struct scanner {
    const char *at;
    int depth;  /* of brackets */
    int base;   /* the depth of the dictionary's own members */
    bool apart; /* a comma or the like stood between the members before and behind it */
};

struct token {
    const char *begin, *end; /* with its quotes */
    const char *text;
    size_t len;
    bool name; /* a colon follows */
};

/* Past what stands between words. */
static void skip_marks(struct scanner *scanner) {
    for (; *scanner->at && strchr(SPACE ",;:={}[]()", *scanner->at); scanner->at++) {
        scanner->depth += strchr("{[(", *scanner->at) != NULL;
        scanner->depth -= strchr("}])", *scanner->at) != NULL;
        scanner->apart |= scanner->depth <= scanner->base && strchr(",;}])", *scanner->at);
    }
}

static const char *end_of_quote(const char *at) {
    for (char quote = *at++; *at && *at != quote; at++)
        at += at[0] == '\\' && at[1];
    return at;
}

/* "aten::add" is one word. */
static const char *end_of_word(const char *at) {
    while (*at && (!strchr(ENDS_A_WORD, *at) || (at[0] == ':' && at[1] == ':')))
        at += at[0] == ':' ? 2 : 1;
    return at;
}

static bool next_token(struct scanner *scanner, struct token *ret) {
    skip_marks(scanner);
    const char *begin = scanner->at;
    if (!*begin)
        return false;
    bool quoted = *begin == '\'' || *begin == '"';
    const char *stop = quoted ? end_of_quote(begin) : end_of_word(begin);
    ret->begin = begin;
    ret->text = begin + quoted;
    ret->len = (size_t)(stop - ret->text);
    ret->end = scanner->at = stop + (quoted && *stop);
    const char *next = ret->end + strspn(ret->end, SPACE);
    ret->name = *next == '=' || (next[0] == ':' && next[1] != ':');
    return true;
}

static bool begins_number(const char *at) {
    at += *at == '+' || *at == '-';
    bool hexadecimal =
        at[0] == '0' && (at[1] == 'x' || at[1] == 'X') && isxdigit((unsigned char)at[2]);
    return !hexadecimal && isdigit((unsigned char)at[at[0] == '.']);
}

static bool is_not_finite(const char *text, size_t len) {
    static const char *const words[] = {"nan", "inf", "infinity"};
    size_t sign = len > 0 && (*text == '+' || *text == '-');
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (len - sign == strlen(words[i]) && strncasecmp(text + sign, words[i], len - sign) == 0)
            return true;
    return false;
}

static void add_number(struct laboratory_member *member, double number) {
    int most = member->name_len > 0 ? LABORATORY_LIST_MAX : INTERPOLATION_FEATURES_MAX;
    if (member->n < most)
        member->numbers[member->n++] = fmax(0, number);
}

/* The numbers that a value begins with: of "3x3 same" two, of "same" none. */
static int add_value(struct laboratory_member *member, const struct token *token) {
    const char *at = token->text, *end = token->text + token->len;
    bool any = false;
    for (; (at += strspn(at, any ? SPACE ",;[]()xX*" : SPACE "[(")) < end && begins_number(at);
         any = true) {
        char *stop;
        double number = strtod(at, &stop);
        if (!isfinite(number))
            return ESP_EINVAL;
        add_number(member, number);
        at = stop;
    }
    if (any || member->name_len == 0)
        return 0;
    if (is_not_finite(token->text, token->len))
        return ESP_EINVAL;
    add_number(member, 0);
    return 0;
}

/* A new member, or the one without a name again; NULL: there are too many. */
static struct laboratory_member *open_member(struct laboratory_features *features, const char *name,
                                             size_t name_len) {
    for (int i = 0; name_len == 0 && i < features->n; i++)
        if (features->members[i].name_len == 0)
            return &features->members[i];
    if (features->n == LABORATORY_MEMBERS_MAX)
        return NULL;
    struct laboratory_member *member = &features->members[features->n++];
    *member = (struct laboratory_member){.name = name, .name_len = name_len};
    return member;
}

static int compare_names(const struct laboratory_member *a, const struct laboratory_member *b) {
    int order = memcmp(a->name, b->name, a->name_len < b->name_len ? a->name_len : b->name_len);
    return order ? order : (a->name_len > b->name_len) - (a->name_len < b->name_len);
}

/* Members of one name keep their order. */
static void sort_by_name(struct laboratory_features *features) {
    for (int i = 0; i < features->n; i++) {
        int at = i;
        for (; at > 0 && compare_names(&features->members[features->by_name[at - 1]],
                                       &features->members[i]) > 0;
             at--)
            features->by_name[at] = features->by_name[at - 1];
        features->by_name[at] = i;
    }
}

static int add_token(struct laboratory_features *features, const struct scanner *scanner,
                     const struct token *token, struct laboratory_member **member) {
    bool nested = scanner->depth > scanner->base;
    if (token->name && !nested) {
        *member = open_member(features, token->text, token->len);
        return *member ? 0 : ESP_ELIMIT;
    }
    if (!*member && !(*member = open_member(features, "", 0)))
        return ESP_ELIMIT;
    if (!(*member)->begin)
        (*member)->begin = token->begin;
    (*member)->end = token->end;
    return token->name ? 0 : add_value(*member, token);
}

int laboratory_features_parse(const char *text, struct laboratory_features *ret) {
    struct scanner scanner = {.at = text};
    struct laboratory_member *member = NULL;
    struct token token;
    int code = 0;
    ret->n = 0;
    skip_marks(&scanner);
    scanner.base = scanner.depth;
    for (scanner.apart = false; code == 0 && next_token(&scanner, &token); scanner.apart = false) {
        if (scanner.apart)
            member = NULL;
        code = add_token(ret, &scanner, &token, &member);
    }
    for (int i = 0; i < ret->n; i++)
        if (ret->members[i].n == 0 && ret->members[i].name_len > 0)
            add_number(&ret->members[i], 0);
    sort_by_name(ret);
    return code;
}

bool laboratory_features_next(const struct laboratory_member *member, const char **at,
                              const char **ret_value, size_t *ret_len) {
    struct scanner scanner = {.at = *at};
    struct token token;
    if (!*at || *at >= member->end || !next_token(&scanner, &token) || token.begin >= member->end)
        return false;
    *at = scanner.at;
    *ret_value = token.text;
    *ret_len = token.len;
    return true;
}
