#!/bin/sh
# Writes the built-in spaces as C strings: embed.sh OUTPUT FILE.json...
set -eu
output=$1
shift
{
    echo '#include <stddef.h>'
    echo 'extern const char *const space_builtin_names[], *const space_builtin_texts[];'
    echo 'const char *const space_builtin_names[] = {'
    for file; do echo "    \"$(basename "$file" .json)\","; done
    echo '    NULL};'
    echo 'const char *const space_builtin_texts[] = {'
    for file; do
        sed -e 's/\\/\\\\/g' -e 's/"/\\"/g' -e 's/^/    "/' -e 's/$/\\n"/' "$file"
        echo '    ,'
    done
    echo '    NULL};'
} >"$output"
