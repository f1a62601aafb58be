#include "devices/backend.h"

#include <stdio.h>
#include <string.h>

const struct backend *const backends[] = {&backend_native, &backend_exec, &backend_sim, NULL};

int backend_find(const char *name, struct err *err, const struct backend **ret_backend) {
    char names[256];
    size_t at = 0;

    for (int i = 0; backends[i]; i++) {
        if (!strcmp(name, backends[i]->name)) {
            *ret_backend = backends[i];
            return 0;
        }
        at += (size_t)snprintf(names + at, sizeof(names) - at, "%s%s", i ? ", " : "",
                               backends[i]->name);
    }
    return err_set(err, ESP_EINVAL, NULL, "there is no back end \"%s\" (there are %s)", name,
                   names);
}
