#include "base/utf8.h"

static bool continuation(unsigned char byte) {
    return (byte & 0xc0) == 0x80;
}

/* Length that a lead byte announces; *ret_low and *ret_high bound its second byte. */
static size_t lead(unsigned char first, unsigned char *ret_low, unsigned char *ret_high) {
    *ret_low = 0x80;
    *ret_high = 0xbf;
    if (first < 0x80)
        return 1;
    if (first >= 0xc2 && first <= 0xdf)
        return 2;
    if (first >= 0xe0 && first <= 0xef) {
        if (first == 0xe0)
            *ret_low = 0xa0;
        if (first == 0xed)
            *ret_high = 0x9f;
        return 3;
    }
    if (first >= 0xf0 && first <= 0xf4) {
        if (first == 0xf0)
            *ret_low = 0x90;
        if (first == 0xf4)
            *ret_high = 0x8f;
        return 4;
    }
    return 0;
}

size_t utf8_step(const char *text, size_t left) {
    const unsigned char *byte = (const unsigned char *)text;
    unsigned char low, high;
    if (left == 0)
        return 0;
    size_t len = lead(byte[0], &low, &high);
    if (len == 0 || len > left)
        return 0;
    if (len > 1 && (byte[1] < low || byte[1] > high))
        return 0;
    for (size_t i = 2; i < len; i++)
        if (!continuation(byte[i]))
            return 0;
    return len;
}

bool utf8_valid(const char *text, size_t len) {
    for (size_t i = 0; i < len;) {
        size_t step = utf8_step(text + i, len - i);
        if (step == 0 || text[i] == '\0')
            return false;
        i += step;
    }
    return true;
}

size_t utf8_trim(const char *text, size_t len) {
    const unsigned char *byte = (const unsigned char *)text;
    size_t back = 0;
    while (back < len && back < 3 && continuation(byte[len - 1 - back]))
        back++;
    if (back == len)
        return len;
    unsigned char low, high;
    size_t first = len - 1 - back;
    return lead(byte[first], &low, &high) > back + 1 ? first : len;
}
