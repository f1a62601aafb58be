#!/bin/sh
# Prints a C file that holds a hash of the runtime's sources and compiler flags.
# Usage: revision.sh "FLAGS" FILE...
set -eu
flags=$1
shift
hash=$({ printf '%s\n' "$flags"; cat "$@"; } | sha256sum | cut -c 1-32)
printf '#include "runtime/plan.h"\n\nconst char *runtime_revision(void) {\n    return "%s";\n}\n' "$hash"
