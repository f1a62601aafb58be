/* Refusals of what stands in the query of a request. */
#pragma once

#include "base/error.h"

/* As err_set, of the parameter name: "the parameter NAME" stands before what format says (" must be
 * …", ": …"), and the pointer becomes "?NAME". What is beyond 62 bytes of a name is
 * cut off. */
int parameter_refuse(struct err *err, int code, const char *name, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
