/* A pickle machine that can build nothing but dicts, lists, tuples, numbers, texts, and tensors as
 * torch.save describes them. Whatever else a pickle asks for is refused by its name; nothing is
 * ever called. Protocols 2 to 5 as far as those things need them. Inside supernet/ only.
 * Source: CPython's pickletools (the opcodes), torch/serialization.py and torch/_utils.py. */
#pragma once

#include "base/map.h"
#include "base/memory.h"
#include "supernet/tensor_file.h"

enum {
    PICKLE_BYTES_MAX = 64 << 20,
    PICKLE_VALUES_MAX = 500000,
    PICKLE_MEMO_MAX = 1 << 20,
    PICKLE_ARENA_MAX = 256 << 20, /* bytes of all values */
    PICKLE_STORAGES_MAX = 2 * TENSOR_FILE_TENSORS_MAX
};

enum pickle_kind {
    PICKLE_NONE,
    PICKLE_BOOL,
    PICKLE_INT,
    PICKLE_REAL,
    PICKLE_TEXT,
    PICKLE_TUPLE,
    PICKLE_LIST,
    PICKLE_DICT,    /* items: key, value, key, value, ... */
    PICKLE_GLOBAL,  /* one of the few names that are known */
    PICKLE_STORAGE, /* of text the key, integer the number of elements */
    PICKLE_TENSOR,
    PICKLE_MARK
};

enum pickle_global {
    GLOBAL_ORDERED_DICT,
    GLOBAL_REBUILD_TENSOR_V2,
    GLOBAL_REBUILD_TENSOR,
    GLOBAL_REBUILD_PARAMETER,
    GLOBAL_STORAGE /* its dtype is in the value */
};

/* Values live in the reader's arena. They may share parts and even contain themselves. */
struct pickle_value {
    enum pickle_kind kind;
    enum pickle_global global;
    enum tensor_dtype dtype; /* of storages */
    int64_t integer;         /* of bools too */
    double real;
    const char *text; /* in the pickle, not NUL-terminated */
    size_t text_len;
    struct pickle_value **items; /* of tuples, lists, dicts */
    size_t n_items, items_cap;
    struct pickle_value *storage; /* of tensors: dims and strides below are theirs */
    int n_dims;
    int64_t dims[TENSOR_FILE_DIMS_MAX], strides[TENSOR_FILE_DIMS_MAX], offset;
    const uint8_t *data; /* of storages: set by who knows where it lies; NULL so far */
};

struct pickle {
    struct arena values;
    size_t n_values;
    struct map storage_map; /* of the texts of storages, one value a key */
    struct pickle_value **storages;
    size_t n_storages, storages_cap;
};
void pickle_init(struct pickle *pickle);
void pickle_finish(struct pickle *pickle); /* all its values go */

/* Reads one pickle from the bytes, which must outlive its value; ret_used: bytes up to its end.
 * Errors: ESP_EPARSE (what and at which byte), ESP_ELIMIT, ESP_EUNSUPPORTED (numbers of a kind),
 * ESP_ENOMEM. */
int pickle_read(struct pickle *pickle, const void *bytes, size_t len, struct err *err,
                struct pickle_value **ret_value, size_t *ret_used);
/* The storage of a key; NULL if the pickles so far named none. */
struct pickle_value *pickle_storage(const struct pickle *pickle, const char *key, size_t len);
bool pickle_text_is(const struct pickle_value *value, const char *text);
/* Value of a text key of a dict; NULL if there is none or it is no dict. The last one counts. */
struct pickle_value *pickle_get(const struct pickle_value *dict, const char *key);
