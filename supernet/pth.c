/* What torch.save writes: a pickle that describes tensors, and their storages as they lay in
 * memory. Legacy form: five pickles (magic, protocol, system, the object, keys of storages), then
 * for each key the number of elements (int64) and these. Since PyTorch 1.6: a zip archive with
 * NAME/data.pkl and NAME/data/KEY. Source: torch/serialization.py. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "supernet/pickle.h"
#include "supernet/tensor_file_forms.h"
#include "supernet/zip.h"

enum { LEGACY_PROTOCOL = 1001, COUNT_BYTES = 8, KEY_MAX = 64 };

/* Protocol 2, an integer of ten bytes (0x1950a86a20f9469cfc6c), stop. */
static const uint8_t legacy_magic[] = {0x80, 0x02, 0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46,
                                       0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, '.'};

bool pth_is_legacy(const void *bytes, size_t len) {
    return len >= sizeof legacy_magic && memcmp(bytes, legacy_magic, sizeof legacy_magic) == 0;
}

bool pth_is_zip(const void *bytes, size_t len) {
    return zip_is(bytes, len);
}

/* ---- The state_dict ---- */

static size_t count_tensors(const struct pickle_value *dict) {
    size_t n = 0;
    for (size_t i = 0; dict && dict->kind == PICKLE_DICT && i < dict->n_items; i += 2)
        n += dict->items[i]->kind == PICKLE_TEXT && dict->items[i + 1]->kind == PICKLE_TENSOR;
    return n;
}

static bool is_state_dict(const struct pickle_value *value) {
    return count_tensors(value) > 0 && 2 * count_tensors(value) == value->n_items;
}

/* Appends a name as it may be shown. */
static void append_name(char *text, size_t size, const struct pickle_value *name) {
    size_t at = strlen(text);
    if (at + 4 < size)
        at += (size_t)snprintf(text + at, size - at, "%s", at ? ", " : "");
    for (size_t i = 0; i < name->text_len && i < 40 && at + 1 < size; i++, at++)
        text[at] = name->text[i] >= ' ' && name->text[i] < 127 ? name->text[i] : '?';
    text[at] = '\0';
}

/* The one dictionary of tensors alone that the object holds, whatever its name. */
static int find_unnamed(const struct pickle_value *root, struct err *err,
                        const struct pickle_value **ret_dict) {
    char names[200] = "";
    size_t found = 0;
    for (size_t i = 0; root->kind == PICKLE_DICT && i < root->n_items; i += 2) {
        if (root->items[i]->kind != PICKLE_TEXT || !is_state_dict(root->items[i + 1]))
            continue;
        *ret_dict = root->items[i + 1];
        append_name(names, sizeof names, root->items[i]);
        found++;
    }
    if (found > 1)
        return err_set(err, ESP_EPARSE, NULL,
                       "the file holds %zu dictionaries of tensors (%s): which one is the network "
                       "cannot be told; save one of them alone",
                       found, names);
    return 0;
}

/* What the object holds under one of the usual names, or else the one dictionary of tensors in it,
 * or else the object itself: beside its state_dict a checkpoint may keep tensors of its own, such
 * as an epoch. */
static int find_state_dict(const struct pickle_value *root, struct err *err,
                           const struct pickle_value **ret_dict) {
    static const char *const names[] = {"state_dict", "model_state_dict", "model", "net",
                                        "state_dict_ema"};
    const struct pickle_value *dict = NULL;
    for (size_t i = 0; !dict && i < sizeof names / sizeof *names; i++) {
        const struct pickle_value *inner = pickle_get(root, names[i]);
        if (count_tensors(inner) > 0)
            dict = inner;
    }
    int rc = dict ? 0 : find_unnamed(root, err, &dict);
    if (rc == 0)
        *ret_dict = dict ? dict : root;
    return rc;
}

static int add_tensor(struct tensor_file *file, const struct pickle_value *name,
                      const struct pickle_value *value, struct err *err) {
    struct foreign_tensor *t = &file->tensors[file->n];
    if (name->text_len >= TENSOR_FILE_NAME_MAX || memchr(name->text, '\0', name->text_len))
        return err_set(err, ESP_ELIMIT, NULL, "a tensor's name is longer than %d bytes",
                       TENSOR_FILE_NAME_MAX - 1);
    memcpy(t->name, name->text, name->text_len);
    t->dtype = value->storage->dtype;
    t->n_dims = value->n_dims;
    memcpy(t->dims, value->dims, sizeof t->dims);
    memcpy(t->strides, value->strides, sizeof t->strides);
    t->offset = value->offset;
    t->storage = value->storage->data;
    t->storage_count = value->storage->integer;
    file->n++;
    if (!t->storage)
        return err_set(err, ESP_EPARSE, NULL, "the file does not hold the storage of %s", t->name);
    return foreign_tensor_check(t, err);
}

/* Makes room for the tensors of the state_dict. */
static int begin_tensors(struct tensor_file *file, const struct pickle_value *root, struct err *err,
                         const struct pickle_value **ret_dict) {
    const struct pickle_value *dict = NULL;
    int rc = find_state_dict(root, err, &dict);
    if (rc < 0)
        return rc;
    size_t n = count_tensors(dict);
    if (n == 0)
        return err_set(err, ESP_EPARSE, NULL, "the file holds no state_dict of tensors");
    if (n > TENSOR_FILE_TENSORS_MAX)
        return err_set(err, ESP_ELIMIT, NULL, "the file holds more than %d tensors",
                       TENSOR_FILE_TENSORS_MAX);
    file->tensors = mem_array(n, sizeof *file->tensors);
    if (!file->tensors)
        return err_set(err, ESP_ENOMEM, NULL, "no memory for %zu tensors", n);
    *ret_dict = dict;
    return 0;
}

/* ---- Legacy ---- */

static int read_record(struct pickle *pickle, const struct tensor_file *file, size_t len,
                       size_t *at, struct err *err, struct pickle_value **ret_value) {
    size_t used = 0;
    int rc =
        pickle_read(pickle, (const uint8_t *)file->bytes + *at, len - *at, err, ret_value, &used);
    *at += used;
    return rc;
}

static int check_system(const struct pickle_value *protocol, const struct pickle_value *system,
                        struct err *err) {
    const struct pickle_value *little = pickle_get(system, "little_endian");
    if (protocol->kind != PICKLE_INT || protocol->integer != LEGACY_PROTOCOL)
        return err_set(err, ESP_EUNSUPPORTED, NULL, "the file's protocol is not %d",
                       LEGACY_PROTOCOL);
    if (!little || little->kind != PICKLE_BOOL || !little->integer)
        return err_set(err, ESP_EUNSUPPORTED, NULL, "the file is not little-endian");
    return 0;
}

static int place_storage(struct pickle *pickle, const struct tensor_file *file, size_t len,
                         const struct pickle_value *key, size_t *at, struct err *err) {
    struct pickle_value *storage =
        key->kind == PICKLE_TEXT ? pickle_storage(pickle, key->text, key->text_len) : NULL;
    if (!storage || storage->data)
        return err_set(err, ESP_EPARSE, NULL,
                       "the file lists a storage twice, or one of no tensor");
    const uint8_t *from = (const uint8_t *)file->bytes + *at;
    uint64_t size = tensor_dtype_bytes(storage->dtype);
    if (len - *at < COUNT_BYTES)
        return err_set(err, ESP_EPARSE, NULL, "the file is truncated at byte %zu", len);
    uint64_t count = little_endian(from, COUNT_BYTES);
    if (count != (uint64_t)storage->integer)
        return err_set(err, ESP_EPARSE, NULL, "a storage has %llu elements, not %lld",
                       (unsigned long long)count, (long long)storage->integer);
    if (count > (len - *at - COUNT_BYTES) / size)
        return err_set(err, ESP_EPARSE, NULL, "the file is truncated at byte %zu", len);
    storage->data = from + COUNT_BYTES;
    *at += COUNT_BYTES + (size_t)(count * size);
    return 0;
}

static int parse_legacy(struct tensor_file *file, size_t len, struct pickle *pickle,
                        struct err *err) {
    struct pickle_value *protocol = NULL, *system = NULL, *root = NULL, *keys = NULL;
    const struct pickle_value *dict = NULL;
    size_t at = sizeof legacy_magic;
    int rc = read_record(pickle, file, len, &at, err, &protocol);
    if (rc == 0)
        rc = read_record(pickle, file, len, &at, err, &system);
    if (rc == 0)
        rc = check_system(protocol, system, err);
    if (rc == 0)
        rc = read_record(pickle, file, len, &at, err, &root);
    if (rc == 0)
        rc = read_record(pickle, file, len, &at, err, &keys);
    if (rc == 0 && keys->kind != PICKLE_LIST)
        rc = err_set(err, ESP_EPARSE, NULL, "the file has no list of storages");
    for (size_t i = 0; rc == 0 && i < keys->n_items; i++)
        rc = place_storage(pickle, file, len, keys->items[i], &at, err);
    if (rc == 0)
        rc = begin_tensors(file, root, err, &dict);
    for (size_t i = 0; rc == 0 && i < dict->n_items; i += 2)
        if (dict->items[i]->kind == PICKLE_TEXT && dict->items[i + 1]->kind == PICKLE_TENSOR)
            rc = add_tensor(file, dict->items[i], dict->items[i + 1], err);
    return rc;
}

int pth_parse_legacy(struct tensor_file *file, size_t len, struct err *err) {
    struct pickle pickle;
    pickle_init(&pickle);
    int rc = parse_legacy(file, len, &pickle, err);
    pickle_finish(&pickle);
    return rc;
}

/* ---- Zip ---- */

/* An archive that is read, with what it is read into. */
struct reader {
    struct tensor_file *file;
    struct zip zip;
    struct pickle pickle;
    const char *prefix; /* "NAME/" */
    size_t prefix_len, unpacked;
};

static int read_entry(struct reader *r, const struct zip_entry *entry, struct err *err,
                      const uint8_t **ret_data) {
    void *unpacked = NULL;
    void **grown =
        realloc(r->file->unpacked, ((size_t)r->file->n_unpacked + 1) * sizeof *r->file->unpacked);
    if (!grown)
        return err_set(err, ESP_ENOMEM, NULL, "no memory to unpack an archive");
    r->file->unpacked = grown;
    int rc = zip_read(&r->zip, entry, (size_t)TENSOR_FILE_BYTES_MAX - r->unpacked, err, ret_data,
                      &unpacked);
    if (rc == 0 && unpacked) {
        r->file->unpacked[r->file->n_unpacked++] = unpacked;
        r->unpacked += entry->size;
    }
    return rc;
}

static const struct zip_entry *find_entry(const struct reader *r, const char *name, size_t len) {
    char path[TENSOR_FILE_NAME_MAX + KEY_MAX + 16];
    if (r->prefix_len > TENSOR_FILE_NAME_MAX || len > KEY_MAX)
        return NULL;
    int n = snprintf(path, sizeof path, "%.*s%.*s", (int)r->prefix_len, r->prefix, (int)len, name);
    return zip_find(&r->zip, path, (size_t)n);
}

/* data.pkl, in whatever folder of the archive: all else lies beside it. */
static const struct zip_entry *find_pickle(struct reader *r) {
    static const char name[] = "data.pkl";
    size_t len = sizeof name - 1;
    for (int i = 0; i < r->zip.n; i++) {
        const struct zip_entry *entry = &r->zip.entries[i];
        if (entry->name_len < len || memcmp(entry->name + entry->name_len - len, name, len) != 0 ||
            (entry->name_len > len && entry->name[entry->name_len - len - 1] != '/'))
            continue;
        r->prefix = entry->name;
        r->prefix_len = entry->name_len - len;
        return entry;
    }
    return NULL;
}

static int check_order(struct reader *r, struct err *err) {
    static const char name[] = "byteorder";
    const struct zip_entry *entry = find_entry(r, name, sizeof name - 1);
    const uint8_t *data = NULL;
    int rc = entry ? read_entry(r, entry, err, &data) : 0;
    if (rc == 0 && entry && !(entry->size == 6 && memcmp(data, "little", 6) == 0))
        return err_set(err, ESP_EUNSUPPORTED, NULL, "the file is not little-endian");
    return rc;
}

static int load_storage(struct reader *r, struct pickle_value *storage, struct err *err) {
    char name[KEY_MAX + 8];
    if (storage->data)
        return 0;
    if (storage->text_len > KEY_MAX - 5)
        return err_set(err, ESP_EPARSE, NULL, "a storage's key is longer than %d bytes",
                       KEY_MAX - 5);
    int len = snprintf(name, sizeof name, "data/%.*s", (int)storage->text_len, storage->text);
    const struct zip_entry *entry = find_entry(r, name, (size_t)len);
    if (!entry)
        return err_set(err, ESP_EPARSE, NULL, "the file has no storage %.*s",
                       (int)storage->text_len, storage->text);
    if ((uint64_t)storage->integer > entry->size / tensor_dtype_bytes(storage->dtype))
        return err_set(
            err, ESP_EPARSE, NULL, "storage %.*s has %zu bytes, too few for %lld elements",
            (int)storage->text_len, storage->text, entry->size, (long long)storage->integer);
    return read_entry(r, entry, err, &storage->data);
}

static int parse_zip(struct reader *r, size_t len, struct err *err) {
    struct pickle_value *root = NULL;
    const struct pickle_value *dict = NULL;
    const uint8_t *data = NULL;
    size_t used = 0;
    int rc = zip_open(&r->zip, r->file->bytes, len, err);
    if (rc < 0)
        return rc;
    const struct zip_entry *entry = find_pickle(r);
    if (!entry)
        return err_set(err, ESP_EPARSE, NULL,
                       "the archive has no data.pkl: torch.save did not "
                       "write it");
    rc = check_order(r, err);
    if (rc == 0)
        rc = read_entry(r, entry, err, &data);
    if (rc == 0)
        rc = pickle_read(&r->pickle, data, entry->size, err, &root, &used);
    if (rc == 0)
        rc = begin_tensors(r->file, root, err, &dict);
    for (size_t i = 0; rc == 0 && i < dict->n_items; i += 2) {
        if (dict->items[i]->kind != PICKLE_TEXT || dict->items[i + 1]->kind != PICKLE_TENSOR)
            continue;
        rc = load_storage(r, dict->items[i + 1]->storage, err);
        if (rc == 0)
            rc = add_tensor(r->file, dict->items[i], dict->items[i + 1], err);
    }
    return rc;
}

int pth_parse_zip(struct tensor_file *file, size_t len, struct err *err) {
    struct reader reader = {.file = file};
    pickle_init(&reader.pickle);
    int rc = parse_zip(&reader, len, err);
    pickle_finish(&reader.pickle);
    zip_finish(&reader.zip);
    return rc;
}
