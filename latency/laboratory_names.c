#include "latency/laboratory_private.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

struct question {
    const struct laboratory_names *names;
    const char *text;
};

static bool same_text(const void *context, uint32_t item) {
    const struct question *question = context;
    return strcmp(question->names->texts[item], question->text) == 0;
}

int64_t laboratory_names_find(const struct laboratory_names *names, const char *text) {
    struct question question = {names, text};
    return map_find(&names->map, map_hash(text, strlen(text)), same_text, &question);
}

int laboratory_names_add(struct laboratory_names *names, const char *text) {
    names->texts[names->n] = text;
    return map_add(&names->map, map_hash(text, strlen(text)), names->n++);
}

int laboratory_names_init(struct laboratory_names *names, size_t capacity) {
    *names = (struct laboratory_names){.texts = mem_array(capacity + 1, sizeof *names->texts)};
    map_init(&names->map);
    return names->texts ? 0 : ESP_ENOMEM;
}

void laboratory_names_finish(struct laboratory_names *names) {
    map_finish(&names->map);
    free(names->texts);
}
