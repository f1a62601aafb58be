/* Allocation with overflow-checked sizes, aligned buffers for kernels, and arenas. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define MEM_ALIGN 64 /* bytes: a cache line, and what every kernel may assume */

/* Zeroed array of count items; NULL on overflow, on memory exhaustion, never for count 0. Free with
 * free(). */
void *mem_array(size_t count, size_t size);
/* Like mem_array, aligned to MEM_ALIGN and touched. Free with free(). */
void *mem_aligned(size_t count, size_t size);
/* Zeroed pages, aligned to MEM_ALIGN and beyond, that are not touched: each costs time and memory
 * when it is first used. For buffers of up to gigabytes, which take seconds to touch at once. NULL
 * on memory exhaustion, never for 0 bytes. */
void *mem_pages(size_t bytes);
void mem_pages_free(void *pages, size_t bytes); /* as many as were asked for; takes NULL */
/* Bytes that nobody may touch from now on: builds with the address sanitizer end at a touch, in
 * others this does nothing. For what lies between the pieces of one allocation, MEM_REDZONE bytes
 * behind each; unpoison before freeing. */
#if defined(__SANITIZE_ADDRESS__)
#define MEM_REDZONE 256
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define MEM_REDZONE 256
#endif
#endif
#ifndef MEM_REDZONE
#define MEM_REDZONE 0
#endif
void mem_poison(const void *memory, size_t bytes);
void mem_unpoison(const void *memory, size_t bytes);
/* What this machine, or the container that this process is in, has; 0 if not known. */
int64_t mem_machine_bytes(void);
/* "768 MiB", "3.2 GiB": for people. */
void mem_format_bytes(int64_t bytes, char ret_text[32]);
char *mem_strdup(const char *text); /* NULL on memory exhaustion or text NULL */

/* Bump allocator: everything of one request, generation or training step, freed at once. Not
 * thread-safe. */
struct arena {
    struct arena_chunk *chunks;
    size_t used, limit; /* bytes; limit 0 = none */
};
void arena_init(struct arena *arena, size_t limit_bytes);
void *arena_alloc(struct arena *arena,
                  size_t bytes);       /* zeroed, 64-byte aligned; NULL past the limit */
void arena_reset(struct arena *arena); /* forgets everything, keeps the memory */
void arena_finish(struct arena *arena);
