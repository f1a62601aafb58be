#include "base/json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/json_tree.h"
#include "base/memory.h"
#include "base/utf8.h"

static int by_key(const void *a, const void *b) {
    const cJSON *const *left = a, *const *right = b;
    return strcmp((*left)->string, (*right)->string);
}

const cJSON **json_members_sorted(const cJSON *obj, size_t *ret_count) {
    size_t count = 0;
    for (const cJSON *child = obj->child; child; child = child->next)
        count++;
    const cJSON **members = mem_array(count, sizeof(const cJSON *));
    if (!members)
        return NULL;
    count = 0;
    for (const cJSON *child = obj->child; child; child = child->next)
        members[count++] = child;
    qsort(members, count, sizeof(const cJSON *), by_key);
    *ret_count = count;
    return members;
}

static void print_number(struct buf *buf, double value) {
    char text[40];
    if (!isfinite(value)) {
        buf_puts(buf, "null");
        return;
    }
    if (value == floor(value) && fabs(value) <= JSON_INTEGER_MAX) {
        buf_printf(buf, "%.0f", value == 0 ? 0.0 : value);
        return;
    }
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof(text), "%.*g", digits, value);
        if (strtod(text, NULL) == value)
            break;
    }
    buf_puts(buf, text);
    /* Above 2^53 an exponent keeps the strict parser from taking it for an integer that lost
     * digits. */
    if (!strpbrk(text, ".e"))
        buf_puts(buf, "e0");
}

static void print_escaped(struct buf *buf, unsigned char byte) {
    static const char plain[] = "\"\\\b\f\n\r\t", letter[] = "\"\\bfnrt";
    const char *found = strchr(plain, byte);
    if (found)
        buf_printf(buf, "\\%c", letter[found - plain]);
    else
        buf_printf(buf, "\\u%04x", byte);
}

/* Runs of characters that need no escape go in one piece; bytes that are no UTF-8 become U+FFFD. */
static void print_string(struct buf *buf, const char *text) {
    size_t len = strlen(text), start = 0, i = 0;
    buf_puts(buf, "\"");
    while (i < len) {
        unsigned char byte = (unsigned char)text[i];
        size_t step = byte < 0x80 ? 1 : utf8_step(text + i, len - i);
        if (step > 0 && byte >= 0x20 && byte != '"' && byte != '\\') {
            i += step;
            continue;
        }
        buf_append(buf, text + start, i - start);
        if (step == 0)
            buf_puts(buf, "\xef\xbf\xbd");
        else
            print_escaped(buf, byte);
        start = ++i;
    }
    buf_append(buf, text + start, i - start);
    buf_puts(buf, "\"");
}

static void print_value(struct buf *buf, const cJSON *item, bool sorted);

static void print_array(struct buf *buf, const cJSON *array, bool sorted) {
    buf_puts(buf, "[");
    for (const cJSON *child = array->child; child; child = child->next) {
        print_value(buf, child, sorted);
        if (child->next)
            buf_puts(buf, ",");
    }
    buf_puts(buf, "]");
}

static void print_member(struct buf *buf, const cJSON *member, bool sorted) {
    print_string(buf, member->string);
    buf_puts(buf, ":");
    print_value(buf, member, sorted);
}

static void print_object(struct buf *buf, const cJSON *obj) {
    buf_puts(buf, "{");
    for (const cJSON *child = obj->child; child; child = child->next) {
        print_member(buf, child, false);
        if (child->next)
            buf_puts(buf, ",");
    }
    buf_puts(buf, "}");
}

static void print_object_sorted(struct buf *buf, const cJSON *obj) {
    size_t count;
    const cJSON **members = json_members_sorted(obj, &count);
    if (!members) {
        buf->error = ESP_ENOMEM;
        return;
    }
    buf_puts(buf, "{");
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            buf_puts(buf, ",");
        print_member(buf, members[i], true);
    }
    buf_puts(buf, "}");
    free(members);
}

static void print_value(struct buf *buf, const cJSON *item, bool sorted) {
    if (cJSON_IsObject(item))
        (sorted ? print_object_sorted : print_object)(buf, item);
    else if (cJSON_IsArray(item))
        print_array(buf, item, sorted);
    else if (cJSON_IsString(item))
        print_string(buf, item->valuestring);
    else if (cJSON_IsNumber(item))
        print_number(buf, item->valuedouble);
    else if (cJSON_IsRaw(item))
        buf_puts(buf, item->valuestring);
    else
        buf_puts(buf, cJSON_IsTrue(item) ? "true" : cJSON_IsFalse(item) ? "false" : "null");
}

static char *print(const cJSON *doc, bool sorted) {
    struct buf buf;
    buf_init(&buf, 0);
    print_value(&buf, doc, sorted);
    return buf_take(&buf);
}

char *json_print(const cJSON *doc) {
    return print(doc, false);
}

char *json_print_canonical(const cJSON *doc) {
    return print(doc, true);
}
