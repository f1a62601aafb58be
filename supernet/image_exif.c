#include "supernet/image_codec.h"

#include <string.h>

enum {
    HEADER = 8,
    ENTRY = 12,
    ENTRIES_MAX = 512,
    TAG_ORIENTATION = 0x0112,
    TYPE_SHORT = 3,
    UPRIGHT = 1,
    ORIENTATIONS = 8
};

struct tiff {
    const uint8_t *data;
    size_t len;
    bool little;
};

static uint32_t get_16(const struct tiff *tiff, size_t at) {
    const uint8_t *b = tiff->data + at;
    return tiff->little ? (uint32_t)b[1] << 8 | b[0] : (uint32_t)b[0] << 8 | b[1];
}

static uint32_t get_32(const struct tiff *tiff, size_t at) {
    uint32_t first = get_16(tiff, at), second = get_16(tiff, at + 2);
    return tiff->little ? second << 16 | first : first << 16 | second;
}

static int orientation_of(const struct tiff *tiff, size_t entry) {
    if (get_16(tiff, entry + 2) != TYPE_SHORT || get_32(tiff, entry + 4) != 1)
        return UPRIGHT;
    uint32_t value = get_16(tiff, entry + 8);
    return value >= 1 && value <= ORIENTATIONS ? (int)value : UPRIGHT;
}

int exif_orientation(const uint8_t *data, size_t len) {
    struct tiff tiff = {data, len, false};
    if (len < HEADER || (memcmp(data, "II*\0", 4) != 0 && memcmp(data, "MM\0*", 4) != 0))
        return UPRIGHT;
    tiff.little = data[0] == 'I';
    size_t at = get_32(&tiff, 4);
    if (at > len || len - at < 2)
        return UPRIGHT;
    size_t n = get_16(&tiff, at), fit = (len - at - 2) / ENTRY;
    n = n < fit ? n : fit;
    for (size_t i = 0; i < n && i < ENTRIES_MAX; i++)
        if (get_16(&tiff, at + 2 + i * ENTRY) == TAG_ORIENTATION)
            return orientation_of(&tiff, at + 2 + i * ENTRY);
    return UPRIGHT;
}
