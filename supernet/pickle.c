#include "supernet/pickle.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "supernet/tensor_file_forms.h"

enum { STACK_MAX = 1 << 20, NAME_SHOWN = 100 };

struct machine {
    struct pickle *pickle;
    const uint8_t *bytes;
    size_t len, at, op_at;
    struct err *err;
    struct pickle_value **stack, **memo;
    size_t n_stack, stack_cap, memo_cap, n_memo;
};

void pickle_init(struct pickle *pickle) {
    *pickle = (struct pickle){0};
    arena_init(&pickle->values, PICKLE_ARENA_MAX);
    map_init(&pickle->storage_map);
}

void pickle_finish(struct pickle *pickle) {
    arena_finish(&pickle->values);
    map_finish(&pickle->storage_map);
    free(pickle->storages);
}

struct wanted {
    const struct pickle *pickle;
    const char *key;
    size_t len;
};

static bool is_wanted(const void *context, uint32_t item) {
    const struct wanted *wanted = context;
    const struct pickle_value *storage = wanted->pickle->storages[item];
    return storage->text_len == wanted->len && memcmp(storage->text, wanted->key, wanted->len) == 0;
}

struct pickle_value *pickle_storage(const struct pickle *pickle, const char *key, size_t len) {
    struct wanted wanted = {pickle, key, len};
    int64_t i = map_find(&pickle->storage_map, map_hash(key, len), is_wanted, &wanted);
    return i < 0 ? NULL : pickle->storages[i];
}

bool pickle_text_is(const struct pickle_value *value, const char *text) {
    return value->kind == PICKLE_TEXT && value->text_len == strlen(text) &&
           memcmp(value->text, text, value->text_len) == 0;
}

struct pickle_value *pickle_get(const struct pickle_value *dict, const char *key) {
    for (size_t i = dict->kind == PICKLE_DICT ? dict->n_items : 0; i >= 2; i -= 2)
        if (pickle_text_is(dict->items[i - 2], key))
            return dict->items[i - 1];
    return NULL;
}

static int bad(struct machine *m, const char *format, ...) __attribute__((format(printf, 2, 3)));
static int bad(struct machine *m, const char *format, ...) {
    char what[256];
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    return err_set(m->err, ESP_EPARSE, NULL, "the pickle is refused: %s (at byte %zu)", what,
                   m->op_at);
}

static int no_memory(struct machine *m) {
    char text[32];
    mem_format_bytes((int64_t)m->pickle->values.used, text);
    return err_set(m->err, ESP_ENOMEM, NULL, "no memory for a pickle's values beyond %s", text);
}

/* Why new_value or the arena gave nothing for that many bytes. */
static int refused(struct machine *m, size_t bytes) {
    const struct arena *values = &m->pickle->values;
    if (m->pickle->n_values > PICKLE_VALUES_MAX)
        return err_set(m->err, ESP_ELIMIT, NULL, "the pickle has more than %d values",
                       PICKLE_VALUES_MAX);
    if (bytes > values->limit - values->used)
        return err_set(m->err, ESP_ELIMIT, NULL, "the pickle needs more than %d MiB for its values",
                       PICKLE_ARENA_MAX >> 20);
    return no_memory(m);
}

/* ---- Bytes ---- */

static int take(struct machine *m, size_t n, const uint8_t **ret) {
    if (n > m->len - m->at)
        return bad(m, "it ends in the middle of a value");
    *ret = m->bytes + m->at;
    m->at += n;
    return 0;
}

static int take_number(struct machine *m, int n, uint64_t *ret) {
    const uint8_t *bytes = NULL;
    int rc = take(m, (size_t)n, &bytes);
    if (rc == 0)
        *ret = little_endian(bytes, n);
    return rc;
}

static int take_line(struct machine *m, const char **ret_text, size_t *ret_len) {
    const uint8_t *from = m->bytes + m->at;
    const uint8_t *end = m->at < m->len ? memchr(from, '\n', m->len - m->at) : NULL;
    if (!end)
        return bad(m, "it ends in the middle of a line");
    *ret_text = (const char *)from;
    *ret_len = (size_t)(end - from);
    m->at += *ret_len + 1;
    return 0;
}

/* ---- Values and the stack ---- */

static struct pickle_value *new_value(struct machine *m, enum pickle_kind kind) {
    if (++m->pickle->n_values > PICKLE_VALUES_MAX)
        return NULL;
    struct pickle_value *value = arena_alloc(&m->pickle->values, sizeof *value);
    if (value)
        value->kind = kind;
    return value;
}

/* Room for one more in an array of pointers. */
static int reserve(struct machine *m, struct pickle_value ***array, size_t *cap, size_t need,
                   size_t max) {
    if (need <= *cap)
        return 0;
    if (need > max)
        return err_set(m->err, ESP_ELIMIT, NULL, "the pickle has more than %zu values", max);
    size_t larger = *cap ? 2 * *cap : 64;
    larger = larger < need ? need : larger;
    struct pickle_value **moved = realloc(*array, larger * sizeof *moved);
    if (!moved)
        return no_memory(m);
    memset(moved + *cap, 0, (larger - *cap) * sizeof *moved);
    *array = moved;
    *cap = larger;
    return 0;
}

static int push(struct machine *m, struct pickle_value *value) {
    if (!value)
        return refused(m, sizeof *value);
    int rc = reserve(m, &m->stack, &m->stack_cap, m->n_stack + 1, STACK_MAX);
    if (rc == 0)
        m->stack[m->n_stack++] = value;
    return rc;
}

static int push_new(struct machine *m, enum pickle_kind kind) {
    return push(m, new_value(m, kind));
}

static int push_integer(struct machine *m, enum pickle_kind kind, int64_t integer) {
    int rc = push_new(m, kind);
    if (rc == 0)
        m->stack[m->n_stack - 1]->integer = integer;
    return rc;
}

static int pop(struct machine *m, struct pickle_value **ret) {
    if (m->n_stack == 0 || m->stack[m->n_stack - 1]->kind == PICKLE_MARK)
        return bad(m, "it takes a value that it never gave");
    *ret = m->stack[--m->n_stack];
    return 0;
}

/* The value below those that are taken from the stack; NULL if there is none. */
static struct pickle_value *top(const struct machine *m) {
    if (m->n_stack == 0 || m->stack[m->n_stack - 1]->kind == PICKLE_MARK)
        return NULL;
    return m->stack[m->n_stack - 1];
}

/* Index behind the last mark. */
static int find_mark(struct machine *m, size_t *ret_first) {
    for (size_t i = m->n_stack; i > 0; i--)
        if (m->stack[i - 1]->kind == PICKLE_MARK) {
            *ret_first = i;
            return 0;
        }
    return bad(m, "it goes back to a mark that it never set");
}

static int append(struct machine *m, struct pickle_value *to, struct pickle_value *const *from,
                  size_t n) {
    if (to->n_items + n > to->items_cap) {
        size_t cap = 2 * to->items_cap > to->n_items + n ? 2 * to->items_cap : to->n_items + n;
        struct pickle_value **items = arena_alloc(&m->pickle->values, cap * sizeof *items);
        if (!items)
            return refused(m, cap * sizeof *items);
        if (to->n_items)
            memcpy(items, to->items, to->n_items * sizeof *items);
        to->items = items;
        to->items_cap = cap;
    }
    if (n)
        memcpy(to->items + to->n_items, from, n * sizeof *from);
    to->n_items += n;
    return 0;
}

/* The last n values become a tuple. */
static int make_tuple(struct machine *m, size_t n) {
    struct pickle_value *tuple = new_value(m, PICKLE_TUPLE);
    for (size_t i = 0; i < n; i++)
        if (i >= m->n_stack || m->stack[m->n_stack - 1 - i]->kind == PICKLE_MARK)
            return bad(m, "it takes a value that it never gave");
    int rc = tuple ? append(m, tuple, m->stack + m->n_stack - n, n) : 0;
    if (rc < 0)
        return rc;
    m->n_stack -= n;
    return push(m, tuple);
}

static int make_tuple_from_mark(struct machine *m) {
    size_t first = 0;
    int rc = find_mark(m, &first);
    if (rc < 0)
        return rc;
    struct pickle_value *tuple = new_value(m, PICKLE_TUPLE);
    rc = tuple ? append(m, tuple, m->stack + first, m->n_stack - first) : 0;
    m->n_stack = first - 1;
    return rc < 0 ? rc : push(m, tuple);
}

/* Values from index first on go into the container below them (and below the mark, if marked). */
static int extend(struct machine *m, enum pickle_kind kind, size_t first, bool marked) {
    size_t n = m->n_stack - first, base = first - marked;
    if (base == 0 || m->stack[base - 1]->kind != kind || (kind == PICKLE_DICT && n % 2 != 0))
        return bad(m, "it adds items to what is no %s", kind == PICKLE_DICT ? "dict" : "list");
    int rc = append(m, m->stack[base - 1], m->stack + first, n);
    m->n_stack = base;
    return rc;
}

static int extend_from_mark(struct machine *m, enum pickle_kind kind) {
    size_t first = 0;
    int rc = find_mark(m, &first);
    return rc < 0 ? rc : extend(m, kind, first, true);
}

static int extend_by(struct machine *m, enum pickle_kind kind, size_t n) {
    if (m->n_stack < n + 1)
        return bad(m, "it takes a value that it never gave");
    for (size_t i = 1; i <= n; i++)
        if (m->stack[m->n_stack - i]->kind == PICKLE_MARK)
            return bad(m, "it takes a mark for a value");
    return extend(m, kind, m->n_stack - n, false);
}

/* ---- The memo ---- */

static int memo_put(struct machine *m, uint64_t index) {
    struct pickle_value *value = top(m);
    if (!value)
        return bad(m, "it remembers a value that it never gave");
    if (index >= PICKLE_MEMO_MAX)
        return bad(m, "it remembers more than %d values", PICKLE_MEMO_MAX);
    int rc = reserve(m, &m->memo, &m->memo_cap, (size_t)index + 1, PICKLE_MEMO_MAX);
    if (rc == 0)
        m->memo[index] = value;
    m->n_memo++;
    return rc;
}

static int memo_get(struct machine *m, uint64_t index) {
    if (index >= m->memo_cap || !m->memo[index])
        return bad(m, "it asks for a value that it never remembered");
    return push(m, m->memo[index]);
}

/* ---- Names ---- */

static const struct {
    const char *module, *name;
    enum pickle_global global;
    enum tensor_dtype dtype;
} known_globals[] = {
    {"collections", "OrderedDict", GLOBAL_ORDERED_DICT, 0},
    {"torch._utils", "_rebuild_tensor_v2", GLOBAL_REBUILD_TENSOR_V2, 0},
    {"torch._utils", "_rebuild_tensor", GLOBAL_REBUILD_TENSOR, 0},
    {"torch._utils", "_rebuild_parameter", GLOBAL_REBUILD_PARAMETER, 0},
    {"torch", "DoubleStorage", GLOBAL_STORAGE, DTYPE_F64},
    {"torch", "FloatStorage", GLOBAL_STORAGE, DTYPE_F32},
    {"torch", "HalfStorage", GLOBAL_STORAGE, DTYPE_F16},
    {"torch", "BFloat16Storage", GLOBAL_STORAGE, DTYPE_BF16},
    {"torch", "LongStorage", GLOBAL_STORAGE, DTYPE_I64},
    {"torch", "IntStorage", GLOBAL_STORAGE, DTYPE_I32},
    {"torch", "ShortStorage", GLOBAL_STORAGE, DTYPE_I16},
    {"torch", "CharStorage", GLOBAL_STORAGE, DTYPE_I8},
    {"torch", "ByteStorage", GLOBAL_STORAGE, DTYPE_U8},
    {"torch", "BoolStorage", GLOBAL_STORAGE, DTYPE_BOOL},
};

static bool same(const char *text, size_t len, const char *other) {
    return strlen(other) == len && memcmp(text, other, len) == 0;
}

/* Printable beginning of a foreign name. */
static void shown(const char *text, size_t len, char ret_text[NAME_SHOWN + 1]) {
    size_t n = len < NAME_SHOWN ? len : NAME_SHOWN;
    for (size_t i = 0; i < n; i++)
        ret_text[i] = text[i] > ' ' && text[i] < 127 ? text[i] : '?';
    ret_text[n] = '\0';
}

static int push_global(struct machine *m, const char *module, size_t module_len, const char *name,
                       size_t name_len) {
    char module_shown[NAME_SHOWN + 1], name_shown[NAME_SHOWN + 1];
    for (size_t i = 0; i < sizeof known_globals / sizeof *known_globals; i++)
        if (same(module, module_len, known_globals[i].module) &&
            same(name, name_len, known_globals[i].name)) {
            int rc = push_new(m, PICKLE_GLOBAL);
            if (rc == 0) {
                m->stack[m->n_stack - 1]->global = known_globals[i].global;
                m->stack[m->n_stack - 1]->dtype = known_globals[i].dtype;
            }
            return rc;
        }
    shown(module, module_len, module_shown);
    shown(name, name_len, name_shown);
    return bad(m,
               "it asks for %s.%s; only tensors, dicts, lists, tuples, numbers and texts are read",
               module_shown, name_shown);
}

static int read_global(struct machine *m) {
    const char *module = NULL, *name = NULL;
    size_t module_len = 0, name_len = 0;
    int rc = take_line(m, &module, &module_len);
    if (rc == 0)
        rc = take_line(m, &name, &name_len);
    return rc < 0 ? rc : push_global(m, module, module_len, name, name_len);
}

static int read_stack_global(struct machine *m) {
    struct pickle_value *name = NULL, *module = NULL;
    int rc = pop(m, &name);
    if (rc == 0)
        rc = pop(m, &module);
    if (rc < 0)
        return rc;
    if (name->kind != PICKLE_TEXT || module->kind != PICKLE_TEXT)
        return bad(m, "it names an object by what is no text");
    return push_global(m, module->text, module->text_len, name->text, name->text_len);
}

/* ---- Tensors ---- */

static int add_storage(struct machine *m, struct pickle_value *storage) {
    struct pickle *p = m->pickle;
    int rc = reserve(m, &p->storages, &p->storages_cap, p->n_storages + 1, PICKLE_STORAGES_MAX);
    if (rc == 0)
        rc = map_add(&p->storage_map, map_hash(storage->text, storage->text_len),
                     (uint32_t)p->n_storages);
    if (rc == 0)
        p->storages[p->n_storages++] = storage;
    return rc == ESP_ENOMEM ? no_memory(m) : rc;
}

static int push_storage(struct machine *m, enum tensor_dtype dtype, const struct pickle_value *key,
                        int64_t count) {
    struct pickle_value *known = pickle_storage(m->pickle, key->text, key->text_len);
    if (known && (known->dtype != dtype || known->integer != count))
        return bad(m, "it has two different storages of one key");
    if (known)
        return push(m, known);
    int rc = push_integer(m, PICKLE_STORAGE, count);
    if (rc < 0)
        return rc;
    struct pickle_value *storage = top(m);
    storage->dtype = dtype;
    storage->text = key->text;
    storage->text_len = key->text_len;
    return add_storage(m, storage);
}

/* ("storage", type, key, location, elements[, view]) */
static int read_storage(struct machine *m) {
    struct pickle_value *id = NULL;
    int rc = pop(m, &id);
    if (rc < 0)
        return rc;
    struct pickle_value **item = id->items;
    if (id->kind != PICKLE_TUPLE || id->n_items < 5 || id->n_items > 6 ||
        !pickle_text_is(item[0], "storage") || item[1]->kind != PICKLE_GLOBAL ||
        item[1]->global != GLOBAL_STORAGE || item[2]->kind != PICKLE_TEXT ||
        item[4]->kind != PICKLE_INT || item[4]->integer < 0)
        return bad(m, "it refers to what is no storage of numbers");
    if (id->n_items == 6 && item[5]->kind != PICKLE_NONE)
        return bad(m, "it has a storage that is a view of another one");
    return push_storage(m, item[1]->dtype, item[2], item[4]->integer);
}

static int read_sizes(struct machine *m, const struct pickle_value *tuple, int n, int64_t *ret) {
    if (tuple->kind != PICKLE_TUPLE || tuple->n_items != (size_t)n)
        return bad(m, "a tensor has more than %d dimensions, or sizes that are no tuple",
                   TENSOR_FILE_DIMS_MAX);
    for (int i = 0; i < n; i++) {
        if (tuple->items[i]->kind != PICKLE_INT)
            return bad(m, "a tensor's size is no integer");
        ret[i] = tuple->items[i]->integer;
    }
    return 0;
}

/* (storage, offset, size, stride, ...) */
static int rebuild_tensor(struct machine *m, const struct pickle_value *args) {
    if (args->n_items < 4 || args->items[0]->kind != PICKLE_STORAGE ||
        args->items[1]->kind != PICKLE_INT || args->items[2]->n_items > TENSOR_FILE_DIMS_MAX)
        return bad(m, "it describes a tensor in no way that is known");
    int rc = push_new(m, PICKLE_TENSOR);
    if (rc < 0)
        return rc;
    struct pickle_value *tensor = top(m);
    tensor->storage = args->items[0];
    tensor->offset = args->items[1]->integer;
    tensor->n_dims = (int)args->items[2]->n_items;
    rc = read_sizes(m, args->items[2], tensor->n_dims, tensor->dims);
    return rc < 0 ? rc : read_sizes(m, args->items[3], tensor->n_dims, tensor->strides);
}

static int rebuild_parameter(struct machine *m, const struct pickle_value *args) {
    if (args->n_items < 1 || args->items[0]->kind != PICKLE_TENSOR)
        return bad(m, "it describes a parameter that is no tensor");
    return push(m, args->items[0]);
}

static int reduce(struct machine *m) {
    struct pickle_value *args = NULL, *function = NULL;
    int rc = pop(m, &args);
    if (rc == 0)
        rc = pop(m, &function);
    if (rc < 0)
        return rc;
    if (function->kind != PICKLE_GLOBAL || args->kind != PICKLE_TUPLE)
        return bad(m, "it calls what is no function");
    switch (function->global) {
    case GLOBAL_ORDERED_DICT:
        return args->n_items == 0 ? push_new(m, PICKLE_DICT)
                                  : bad(m, "it makes an OrderedDict of values at hand");
    case GLOBAL_REBUILD_TENSOR_V2:
    case GLOBAL_REBUILD_TENSOR:
        return rebuild_tensor(m, args);
    case GLOBAL_REBUILD_PARAMETER:
        return rebuild_parameter(m, args);
    case GLOBAL_STORAGE:
        break;
    }
    return bad(m, "it calls what is no function");
}

/* Attributes of a dict (a state_dict's _metadata) are left out. */
static int build(struct machine *m) {
    struct pickle_value *state = NULL;
    int rc = pop(m, &state);
    if (rc < 0)
        return rc;
    if (!top(m) || top(m)->kind != PICKLE_DICT || state->kind != PICKLE_DICT)
        return bad(m, "it sets attributes of what is no dict");
    return 0;
}

/* ---- Numbers and texts ---- */

static int read_text(struct machine *m, int length_bytes) {
    uint64_t n = 0;
    const uint8_t *bytes = NULL;
    int rc = take_number(m, length_bytes, &n);
    if (rc == 0 && n > m->len)
        return bad(m, "it ends in the middle of a text");
    if (rc == 0)
        rc = take(m, (size_t)n, &bytes);
    if (rc == 0)
        rc = push_new(m, PICKLE_TEXT);
    if (rc < 0)
        return rc;
    top(m)->text = (const char *)bytes;
    top(m)->text_len = (size_t)n;
    return 0;
}

static int read_integer(struct machine *m, int bytes, bool is_signed) {
    uint64_t value = 0;
    int rc = take_number(m, bytes, &value);
    if (rc < 0)
        return rc;
    return push_integer(m, PICKLE_INT, is_signed ? (int32_t)(uint32_t)value : (int64_t)value);
}

/* Two's complement of as many bytes as it needs. */
static int read_long(struct machine *m, int length_bytes) {
    uint64_t n = 0;
    const uint8_t *bytes = NULL;
    int rc = take_number(m, length_bytes, &n);
    if (rc == 0 && n > sizeof(int64_t))
        return bad(m, "it has an integer beyond 64 bits");
    if (rc == 0)
        rc = take(m, (size_t)n, &bytes);
    if (rc < 0)
        return rc;
    uint64_t value = little_endian(bytes, (int)n);
    if (n > 0 && n < sizeof value && bytes[n - 1] & 0x80)
        value |= ~UINT64_C(0) << (8 * n);
    return push_integer(m, PICKLE_INT, (int64_t)value);
}

static int read_real(struct machine *m) {
    const uint8_t *bytes = NULL;
    uint64_t bits = 0;
    int rc = take(m, sizeof bits, &bytes);
    if (rc == 0)
        rc = push_new(m, PICKLE_REAL);
    if (rc < 0)
        return rc;
    for (size_t i = 0; i < sizeof bits; i++) /* big-endian */
        bits = bits << 8 | bytes[i];
    memcpy(&top(m)->real, &bits, sizeof bits);
    return 0;
}

static int read_protocol(struct machine *m) {
    uint64_t protocol = 0;
    int rc = take_number(m, 1, &protocol);
    if (rc == 0 && (protocol < 2 || protocol > 5))
        return bad(m, "its protocol is %d; 2 to 5 are read", (int)protocol);
    return rc;
}

static int read_memo(struct machine *m, int bytes, int (*act)(struct machine *, uint64_t)) {
    uint64_t index = 0;
    int rc = take_number(m, bytes, &index);
    return rc < 0 ? rc : act(m, index);
}

static int skip_frame(struct machine *m) {
    uint64_t length = 0;
    return take_number(m, 8, &length);
}

static int drop(struct machine *m) {
    struct pickle_value *value = NULL;
    return pop(m, &value);
}

/* ---- The opcodes ---- */

static int step_container(struct machine *m, uint8_t op) {
    switch (op) {
    case '}':
        return push_new(m, PICKLE_DICT);
    case ']':
        return push_new(m, PICKLE_LIST);
    case ')':
        return push_new(m, PICKLE_TUPLE);
    case '(':
        return push_new(m, PICKLE_MARK);
    case 't':
        return make_tuple_from_mark(m);
    case 0x85:
    case 0x86:
    case 0x87:
        return make_tuple(m, (size_t)(op - 0x84));
    case 'a':
        return extend_by(m, PICKLE_LIST, 1);
    case 'e':
        return extend_from_mark(m, PICKLE_LIST);
    case 's':
        return extend_by(m, PICKLE_DICT, 2);
    case 'u':
        return extend_from_mark(m, PICKLE_DICT);
    default:
        return bad(m, "its opcode 0x%02x builds nothing that is read", op);
    }
}

static int step_scalar(struct machine *m, uint8_t op) {
    switch (op) {
    case 'N':
        return push_new(m, PICKLE_NONE);
    case 0x88:
    case 0x89:
        return push_integer(m, PICKLE_BOOL, op == 0x88);
    case 'J':
        return read_integer(m, 4, true);
    case 'K':
        return read_integer(m, 1, false);
    case 'M':
        return read_integer(m, 2, false);
    case 0x8a:
        return read_long(m, 1);
    case 0x8b:
        return read_long(m, 4);
    case 'G':
        return read_real(m);
    case 'X':
    case 'T': /* of Python 2 */
        return read_text(m, 4);
    case 0x8c:
    case 'U':
        return read_text(m, 1);
    case 0x8d:
        return read_text(m, 8);
    default:
        return step_container(m, op);
    }
}

static int step(struct machine *m, uint8_t op) {
    switch (op) {
    case 0x80:
        return read_protocol(m);
    case 0x95:
        return skip_frame(m);
    case '0':
        return drop(m);
    case 'q':
        return read_memo(m, 1, memo_put);
    case 'r':
        return read_memo(m, 4, memo_put);
    case 0x94:
        return memo_put(m, m->n_memo);
    case 'h':
        return read_memo(m, 1, memo_get);
    case 'j':
        return read_memo(m, 4, memo_get);
    case 'c':
        return read_global(m);
    case 0x93:
        return read_stack_global(m);
    case 'Q':
        return read_storage(m);
    case 'R':
        return reduce(m);
    case 'b':
        return build(m);
    default:
        return step_scalar(m, op);
    }
}

static int run(struct machine *m) {
    for (;;) {
        const uint8_t *op = NULL;
        m->op_at = m->at;
        int rc = take(m, 1, &op);
        if (rc < 0)
            return rc;
        if (*op == '.')
            return m->n_stack == 1 && top(m) ? 0 : bad(m, "it ends with other than one value");
        if ((rc = step(m, *op)) < 0)
            return rc;
    }
}

int pickle_read(struct pickle *pickle, const void *bytes, size_t len, struct err *err,
                struct pickle_value **ret_value, size_t *ret_used) {
    struct machine m = {.pickle = pickle, .bytes = bytes, .err = err};
    m.len = len < PICKLE_BYTES_MAX ? len : PICKLE_BYTES_MAX;
    int rc = run(&m);
    if (rc == 0) {
        *ret_value = m.stack[0];
        *ret_used = m.at;
    }
    free(m.stack);
    free(m.memo);
    return rc;
}
