#include "base/cpu.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

static _Atomic uint32_t allowed = UINT32_MAX;
static char model[128] = "unknown";
static pthread_once_t model_once = PTHREAD_ONCE_INIT;

#if defined(__x86_64__)
/* The compiler's own test looks at XCR0 too: a flag without the kernel's support counts as absent.
 */
static uint32_t detect(void) {
    uint32_t flags = CPU_SSE2;
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        flags |= CPU_AVX2;
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
        flags |= CPU_AVX512;
    return flags;
}
#elif defined(__aarch64__)
static uint32_t detect(void) {
    return CPU_NEON;
}
#else
static uint32_t detect(void) {
    return 0;
}
#endif

uint32_t cpu_flags(void) {
    return detect() & atomic_load(&allowed);
}

void cpu_set_mask(uint32_t mask) {
    atomic_store(&allowed, mask);
}

/* Takes what follows key in the first line of path that starts with it; key "" takes the first
 * line. */
static void read_model(const char *path, const char *key) {
    char line[256];
    FILE *file = fopen(path, "re");
    if (!file)
        return;
    while (fgets(line, sizeof(line), file)) {
        if (strncmp(line, key, strlen(key)) != 0)
            continue;
        const char *value = line + strlen(key);
        value += strspn(value, "\t :");
        size_t len = strcspn(value, "\n");
        if (len > 0 && len < sizeof(model)) {
            memcpy(model, value, len);
            model[len] = '\0';
        }
        break;
    }
    fclose(file);
}

static void find_model(void) {
    read_model("/proc/device-tree/model", "");
    read_model("/proc/cpuinfo", "model name");
}

const char *cpu_model_name(void) {
    pthread_once(&model_once, find_model);
    return model;
}
