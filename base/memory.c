#include "base/memory.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#if MEM_REDZONE > 0
#include <sanitizer/asan_interface.h>
#endif

/* Kernels walk through large buffers in pieces of a few kilobytes that lie far apart: with small
 * pages each piece costs a miss of the address cache (5 to 40 % of a training kernel's time). The
 * kernel may refuse the advice, which does no harm. */
enum {
    CHUNK_BYTES = 64 * 1024,
    HUGE_PAGE_BYTES = 2 * 1024 * 1024,
    HUGE_FROM_BYTES = 4 * 1024 * 1024
};

/* The header takes one line, so that what follows it is aligned. */
struct arena_chunk {
    struct arena_chunk *next;
    size_t size, used; /* bytes behind the header */
} __attribute__((aligned(MEM_ALIGN)));

/* The number in the file's first line; 0 when there is none ("max" means no limit). */
static int64_t read_number(const char *path) {
    long long number = 0;
    FILE *file = fopen(path, "re");
    if (!file || fscanf(file, "%lld", &number) != 1)
        number = 0;
    if (file)
        fclose(file);
    return number;
}

/* Control groups, version 2 and 1, as a container sees its own. */
int64_t mem_machine_bytes(void) {
    static const char *const limits[] = {"/sys/fs/cgroup/memory.max",
                                         "/sys/fs/cgroup/memory/memory.limit_in_bytes"};
    long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    int64_t bytes = pages > 0 && page > 0 ? (int64_t)pages * page : 0;
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        int64_t limit = read_number(limits[i]);
        if (limit > 0 && (bytes == 0 || limit < bytes))
            bytes = limit;
    }
    return bytes;
}

void mem_format_bytes(int64_t bytes, char ret_text[32]) {
    static const char *const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB"};
    double value = (double)bytes;
    size_t unit = 0;
    for (; value >= 1024 && unit + 1 < sizeof units / sizeof *units; unit++)
        value /= 1024;
    snprintf(ret_text, 32, "%.*f %s", unit > 2 && value < 100 ? 1 : 0, value, units[unit]);
}

void *mem_array(size_t count, size_t size) {
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes) || bytes > PTRDIFF_MAX)
        return NULL;
    return calloc(1, bytes ? bytes : 1);
}

/* bytes up to the next multiple of MEM_ALIGN, at least one; 0 on overflow. */
static size_t round_up(size_t bytes) {
    if (bytes == 0)
        return MEM_ALIGN;
    if (bytes > PTRDIFF_MAX - MEM_ALIGN)
        return 0;
    return (bytes + MEM_ALIGN - 1) / MEM_ALIGN * MEM_ALIGN;
}

void *mem_aligned(size_t count, size_t size) {
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes))
        return NULL;
    bytes = round_up(bytes);
    if (bytes == 0)
        return NULL;
    bool large = bytes >= HUGE_FROM_BYTES;
    void *memory = NULL;
    /* Not aligned_alloc: that wants the size to be a multiple of the alignment. */
    if (posix_memalign(&memory, large ? HUGE_PAGE_BYTES : MEM_ALIGN, bytes) != 0)
        return NULL;
    if (large)
        madvise(memory, bytes / HUGE_PAGE_BYTES * HUGE_PAGE_BYTES, MADV_HUGEPAGE);
    memset(memory, 0, bytes);
    return memory;
}

static size_t whole_pages(size_t bytes) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    if (bytes > PTRDIFF_MAX - page)
        return 0;
    return bytes == 0 ? page : (bytes + page - 1) / page * page;
}

void *mem_pages(size_t bytes) {
    size_t whole = whole_pages(bytes);
    if (whole == 0)
        return NULL;
    void *pages = mmap(NULL, whole, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (pages == MAP_FAILED)
        return NULL;
    if (whole >= HUGE_FROM_BYTES)
        madvise(pages, whole, MADV_HUGEPAGE);
    return pages;
}

void mem_pages_free(void *pages, size_t bytes) {
    if (pages)
        munmap(pages, whole_pages(bytes));
}

void mem_poison(const void *memory, size_t bytes) {
#if MEM_REDZONE > 0
    __asan_poison_memory_region(memory, bytes);
#endif
}

void mem_unpoison(const void *memory, size_t bytes) {
#if MEM_REDZONE > 0
    __asan_unpoison_memory_region(memory, bytes);
#endif
}

char *mem_strdup(const char *text) {
    return text ? strdup(text) : NULL;
}

void arena_init(struct arena *arena, size_t limit_bytes) {
    *arena = (struct arena){.limit = limit_bytes};
}

/* Chunks grow with what the arena holds already, so their number stays logarithmic. */
static struct arena_chunk *chunk_add(struct arena *arena, size_t bytes) {
    size_t size = CHUNK_BYTES;
    for (const struct arena_chunk *chunk = arena->chunks; chunk; chunk = chunk->next)
        size += chunk->size;
    if (arena->limit && size > arena->limit - arena->used)
        size = round_up(arena->limit - arena->used);
    if (size < bytes)
        size = bytes;
    if (size > PTRDIFF_MAX - sizeof(struct arena_chunk))
        return NULL;
    struct arena_chunk *chunk = aligned_alloc(MEM_ALIGN, sizeof(*chunk) + size);
    if (!chunk)
        return NULL;
    *chunk = (struct arena_chunk){.next = arena->chunks, .size = size};
    arena->chunks = chunk;
    return chunk;
}

void *arena_alloc(struct arena *arena, size_t bytes) {
    bytes = round_up(bytes);
    if (bytes == 0)
        return NULL;
    if (arena->limit && (arena->used > arena->limit || bytes > arena->limit - arena->used))
        return NULL;
    struct arena_chunk *chunk = arena->chunks;
    while (chunk && chunk->size - chunk->used < bytes)
        chunk = chunk->next;
    if (!chunk)
        chunk = chunk_add(arena, bytes);
    if (!chunk)
        return NULL;
    void *memory = (char *)(chunk + 1) + chunk->used;
    chunk->used += bytes;
    arena->used += bytes;
    return memset(memory, 0, bytes);
}

void arena_reset(struct arena *arena) {
    for (struct arena_chunk *chunk = arena->chunks; chunk; chunk = chunk->next)
        chunk->used = 0;
    arena->used = 0;
}

void arena_finish(struct arena *arena) {
    struct arena_chunk *chunk = arena->chunks;
    while (chunk) {
        struct arena_chunk *next = chunk->next;
        free(chunk);
        chunk = next;
    }
    arena_init(arena, arena->limit);
}
