/* An arch from hostile text: refused with an error, or valid: then its canonical text reads back
 * equal. The first byte chooses the space. */
#include <stdlib.h>
#include <string.h>

#include "space/arch.h"
#include "tests/fuzz/fuzz.h"

static void require(bool ok) {
    if (!ok)
        abort();
}

static const struct space *choose_space(uint8_t byte) {
    static struct space *spaces[4];
    static const char *const names[4] = {"fashion_small", "ofa_mbv3", "peer_28",
                                         "resnet_50_elastic"};
    int index = byte % 4;
    if (!spaces[index])
        require(space_builtin(names[index], NULL, &spaces[index]) == 0);
    return spaces[index];
}

int fuzz_one(const uint8_t *data, size_t size) {
    struct arch arch, again;
    struct err err = {0};
    char text[ARCH_TEXT_MAX];
    if (size == 0)
        return 0;
    const struct space *space = choose_space(data[0]);
    if (arch_parse(space, (const char *)data + 1, size - 1, &err, &arch)) {
        require(err.code < 0 && err.message[0]);
        return 0;
    }
    require(arch_valid(space, &arch));
    arch_format(space, &arch, text);
    require(arch_parse(space, text, strlen(text), &err, &again) == 0);
    require(arch_equal(&arch, &again));
    return 0;
}
