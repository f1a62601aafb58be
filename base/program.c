#include "base/program.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

void program_folder(char *ret_path, size_t size) {
    ssize_t n = readlink("/proc/self/exe", ret_path, size - 1);
    ret_path[n > 0 && n < (ssize_t)size - 1 ? n : 0] = 0;
    char *slash = strrchr(ret_path, '/');
    if (slash)
        *slash = 0;
}

int program_find(const char *const *places, struct err *err, char *ret_path, size_t size) {
    char self[PATH_MAX];
    program_folder(self, sizeof self);
    for (int i = 0; places[i]; i++) {
        if (snprintf(ret_path, size, "%s/%s", self, places[i]) >= (int)size)
            return err_set(err, ESP_ELIMIT, NULL, "a path is longer than %zu bytes", size - 1);
        if (access(ret_path, X_OK) == 0)
            return 0;
    }
    return err_set(err, ESP_ENOTFOUND, NULL, "%s was not found beside this program",
                   strrchr(places[0], '/') ? strrchr(places[0], '/') + 1 : places[0]);
}
