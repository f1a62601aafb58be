#include "base/parameter.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/utf8.h"

int parameter_refuse(struct err *err, int code, const char *name, const char *format, ...) {
    char text[sizeof(err->message)], pointer[64];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    int len = snprintf(pointer, sizeof(pointer), "?%s", name);
    if (len >= (int)sizeof(pointer))
        pointer[utf8_trim(pointer, sizeof(pointer) - 1)] = '\0';
    return err_set(err, code, pointer, "the parameter %s%s", pointer + 1, text);
}
