/* The strict scan in front of cJSON: it sees the whole text before cJSON builds anything, so cJSON
 * only ever gets what is well-formed and within the limits. */
#include "base/json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json_tree.h"
#include "base/utf8.h"

enum {
    NUMBER_BYTES = 63 /* what cJSON reads of a number */,
    DEPTH_MAX = 500 /* below cJSON's own 1000 */
};

const struct json_limits json_limits_default = {.bytes = 4u << 20, .depth = 32, .nodes = 200000};

struct scan {
    const char *text;
    size_t len, pos;
    const struct json_limits *limits;
    int depth;
    size_t nodes;
    const struct step *step; /* the innermost; NULL outside of all */
    struct err *err;
};

/* The way to pos within one array or object: a member's key, with its quotes, or an item's index.
 */
struct step {
    const struct step *outer;
    size_t key, key_len; /* key_len 0: of an array */
    size_t index;
};

static int scan_value(struct scan *scan);

static int malformed(struct scan *scan, const char *what) {
    return err_set(scan->err, ESP_EPARSE, NULL, "JSON: %s at byte %zu", what, scan->pos);
}

/* The byte at pos; 0 at the end (a NUL in the text is refused wherever a byte is looked at). */
static unsigned char peek(const struct scan *scan) {
    return scan->pos < scan->len ? (unsigned char)scan->text[scan->pos] : 0;
}

static void skip_space(struct scan *scan) {
    while (scan->pos < scan->len && strchr(" \t\r\n", scan->text[scan->pos]) &&
           scan->text[scan->pos])
        scan->pos++;
}

static bool is_digit(unsigned char byte) {
    return byte >= '0' && byte <= '9';
}

static bool skip_digits(struct scan *scan) {
    size_t start = scan->pos;
    while (is_digit(peek(scan)))
        scan->pos++;
    return scan->pos > start;
}

static void write_way(const struct scan *scan, const struct step *step, char *text, size_t size) {
    char index[32];
    if (!step)
        return;
    write_way(scan, step->outer, text, size);
    snprintf(index, sizeof(index), "%zu", step->index);
    cJSON *key =
        step->key_len ? cJSON_ParseWithLength(scan->text + step->key, step->key_len) : NULL;
    json_pointer_add(text, size, key ? key->valuestring : index);
    cJSON_Delete(key);
}

/* A number that the grammar allows, so that it can be said where it stands. */
static int refuse_number(const struct scan *scan, const char *what) {
    char pointer[sizeof(scan->err->pointer)] = "";
    write_way(scan, scan->step, pointer, sizeof(pointer));
    return err_set(scan->err, ESP_EPARSE, pointer, "JSON: %s at byte %zu", what, scan->pos);
}

/* What the grammar allows may still be no double: a long integer would be rounded, 1e999 become
 * infinite. */
static int check_number(struct scan *scan, size_t start, bool whole) {
    char number[NUMBER_BYTES + 1];
    size_t len = scan->pos - start;
    scan->pos = start;
    if (len > NUMBER_BYTES)
        return refuse_number(scan, "number with too many digits");
    memcpy(number, scan->text + start, len);
    number[len] = '\0';
    double value = strtod(number, NULL);
    if (!isfinite(value))
        return refuse_number(scan, "number too large");
    const char *digits = number + (number[0] == '-');
    if (whole && (strlen(digits) > 16 || strtoull(digits, NULL, 10) > JSON_INTEGER_MAX))
        return refuse_number(scan, "integer beyond 2^53, which a double cannot hold,");
    scan->pos = start + len;
    return 0;
}

static int scan_number(struct scan *scan) {
    size_t start = scan->pos;
    bool whole = true;
    if (peek(scan) == '-')
        scan->pos++;
    if (peek(scan) == '0')
        scan->pos++;
    else if (!skip_digits(scan))
        return malformed(scan, "unexpected character");
    if (is_digit(peek(scan)))
        return malformed(scan, "number with a leading zero");
    if (peek(scan) == '.') {
        scan->pos++;
        whole = false;
        if (!skip_digits(scan))
            return malformed(scan, "number without digits after its point");
    }
    if (peek(scan) == 'e' || peek(scan) == 'E') {
        scan->pos++;
        whole = false;
        if (peek(scan) == '+' || peek(scan) == '-')
            scan->pos++;
        if (!skip_digits(scan))
            return malformed(scan, "number without digits in its exponent");
    }
    return check_number(scan, start, whole);
}

/* Four hex digits at pos; -1 when there are none. */
static int hex4(struct scan *scan) {
    int value = 0;
    for (int i = 0; i < 4; i++, scan->pos++) {
        unsigned char byte = peek(scan);
        if (is_digit(byte))
            value = value * 16 + (byte - '0');
        else if ((byte | 32) >= 'a' && (byte | 32) <= 'f')
            value = value * 16 + ((byte | 32) - 'a' + 10);
        else
            return -1;
    }
    return value;
}

/* Behind "\u": one code unit, or a pair of surrogates. */
static int scan_unicode(struct scan *scan) {
    int unit = hex4(scan);
    if (unit < 0)
        return malformed(scan, "\\u without four hex digits");
    if (unit == 0)
        return malformed(scan, "NUL character in a string");
    if (unit < 0xd800 || unit > 0xdfff)
        return 0;
    if (unit <= 0xdbff && peek(scan) == '\\') {
        scan->pos++;
        if (peek(scan) == 'u') {
            scan->pos++;
            unit = hex4(scan);
            if (unit >= 0xdc00 && unit <= 0xdfff)
                return 0;
        }
    }
    return malformed(scan, "half of a surrogate pair");
}

static int scan_escape(struct scan *scan) {
    scan->pos++;
    unsigned char byte = peek(scan);
    if (byte == 0 || !strchr("\"\\/bfnrtu", byte))
        return malformed(scan, "unknown escape");
    scan->pos++;
    return byte == 'u' ? scan_unicode(scan) : 0;
}

static int scan_string(struct scan *scan) {
    if (peek(scan) != '"')
        return malformed(scan, "expected a string");
    scan->pos++;
    while (peek(scan) != '"') {
        if (scan->pos >= scan->len)
            return malformed(scan, "string that does not end");
        if (peek(scan) < 0x20)
            return malformed(scan, "control character in a string");
        if (peek(scan) == '\\') {
            int code = scan_escape(scan);
            if (code < 0)
                return code;
            continue;
        }
        size_t step = utf8_step(scan->text + scan->pos, scan->len - scan->pos);
        if (step == 0)
            return malformed(scan, "invalid UTF-8");
        scan->pos += step;
    }
    scan->pos++;
    return 0;
}

static int scan_member(struct scan *scan, struct step *step) {
    step->key = scan->pos;
    int code = scan_string(scan);
    if (code < 0)
        return code;
    step->key_len = scan->pos - step->key;
    skip_space(scan);
    if (peek(scan) != ':')
        return malformed(scan, "expected ':'");
    scan->pos++;
    return scan_value(scan);
}

static int scan_item(struct scan *scan, struct step *step) {
    return scan_value(scan);
}

/* Behind the bracket. */
static int scan_list(struct scan *scan, char close, struct step *step,
                     int (*item)(struct scan *scan, struct step *step)) {
    skip_space(scan);
    if (peek(scan) == (unsigned char)close) {
        scan->pos++;
        return 0;
    }
    for (;; step->index++) {
        skip_space(scan);
        int code = item(scan, step);
        if (code < 0)
            return code;
        skip_space(scan);
        unsigned char byte = peek(scan);
        if (byte != ',' && byte != (unsigned char)close)
            return malformed(scan, close == ']' ? "expected ',' or ']'" : "expected ',' or '}'");
        scan->pos++;
        if (byte == (unsigned char)close)
            return 0;
    }
}

/* An array or object, pos at its bracket. */
static int scan_items(struct scan *scan, char close,
                      int (*item)(struct scan *scan, struct step *step)) {
    if (++scan->depth > scan->limits->depth || scan->depth > DEPTH_MAX)
        return err_set(scan->err, ESP_ELIMIT, NULL,
                       "JSON: nested deeper than %d levels at byte %zu", scan->depth - 1,
                       scan->pos);
    struct step step = {.outer = scan->step};
    scan->pos++;
    scan->step = &step;
    int code = scan_list(scan, close, &step, item);
    scan->step = step.outer;
    scan->depth--;
    return code;
}

static int scan_word(struct scan *scan, const char *word) {
    size_t len = strlen(word);
    if (scan->len - scan->pos < len || memcmp(scan->text + scan->pos, word, len) != 0)
        return malformed(scan, "unexpected character");
    scan->pos += len;
    return 0;
}

static int scan_value(struct scan *scan) {
    if (++scan->nodes > scan->limits->nodes)
        return err_set(scan->err, ESP_ELIMIT, NULL, "JSON: more than %zu values at byte %zu",
                       scan->limits->nodes, scan->pos);
    skip_space(scan);
    switch (peek(scan)) {
    case '{':
        return scan_items(scan, '}', scan_member);
    case '[':
        return scan_items(scan, ']', scan_item);
    case '"':
        return scan_string(scan);
    case 't':
        return scan_word(scan, "true");
    case 'f':
        return scan_word(scan, "false");
    case 'n':
        return scan_word(scan, "null");
    case 0:
        return malformed(scan, scan->pos < scan->len ? "NUL byte" : "unexpected end");
    default:
        return scan_number(scan);
    }
}

/* Where the walk over the tree is: its way back to the root, for the pointer of an error. */
struct place {
    const struct place *parent;
    const cJSON *item;
    size_t index;
};

static void write_pointer(const struct place *place, char *text, size_t size) {
    if (!place->parent)
        return;
    write_pointer(place->parent, text, size);
    char key[32];
    snprintf(key, sizeof(key), "%zu", place->index);
    json_pointer_add(text, size, place->item->string ? place->item->string : key);
}

static int check_members(const struct place *place, struct err *err) {
    size_t count;
    const cJSON **members = json_members_sorted(place->item, &count);
    int code = members ? 0 : err_set(err, ESP_ENOMEM, NULL, "out of memory");
    for (size_t i = 1; members && i < count; i++) {
        if (strcmp(members[i - 1]->string, members[i]->string) != 0)
            continue;
        const struct place twice = {.parent = place, .item = members[i]};
        char pointer[sizeof(err->pointer)] = "";
        write_pointer(&twice, pointer, sizeof(pointer));
        code = err_set(err, ESP_EPARSE, pointer,
                       "JSON: member \"%.100s\" stands twice in one object", members[i]->string);
        break;
    }
    free(members);
    return code;
}

/* Keys are compared as cJSON decoded them, so "a" and "\u0061" are one. */
static int check_duplicates(const struct place *place, struct err *err) {
    int code = cJSON_IsObject(place->item) ? check_members(place, err) : 0;
    size_t index = 0;
    for (const cJSON *child = place->item->child; child && code == 0; child = child->next) {
        const struct place inner = {.parent = place, .item = child, .index = index++};
        code = child->child ? check_duplicates(&inner, err) : 0;
    }
    return code;
}

int json_parse(const char *text, size_t len, const struct json_limits *limits, struct err *err,
               cJSON **ret_doc) {
    struct scan scan = {.text = text, .len = len, .err = err};
    scan.limits = limits ? limits : &json_limits_default;
    if (len > scan.limits->bytes)
        return err_set(err, ESP_ELIMIT, NULL, "JSON: %zu bytes, more than the %zu allowed", len,
                       scan.limits->bytes);
    int code = scan_value(&scan);
    if (code < 0)
        return code;
    skip_space(&scan);
    if (scan.pos < len)
        return malformed(&scan, "something behind the document");
    cJSON *doc = cJSON_ParseWithLengthOpts(text, len, NULL, false);
    if (!doc)
        return err_set(err, ESP_ENOMEM, NULL, "out of memory");
    const struct place root = {.item = doc};
    code = check_duplicates(&root, err);
    if (code < 0) {
        cJSON_Delete(doc);
        return code;
    }
    *ret_doc = doc;
    return 0;
}
