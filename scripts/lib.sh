# shellcheck shell=bash
# What the scripts share; sourced, never run.

say() { printf '%s\n' "$*"; }
die() {
    printf '%s\n' "$*" >&2
    exit 1
}

as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        die "this needs root and there is no sudo; as root, run: $*"
    fi
}

# run_logged LOG COMMAND...: output goes to LOG; every 20 seconds a line says that it goes on, and where it is.
run_logged() {
    local log=$1 started=$SECONDS next=$((SECONDS + 20)) status=0
    shift
    "$@" >"$log" 2>&1 </dev/null &
    local pid=$!
    while kill -0 "$pid" 2>/dev/null; do
        sleep 0.2
        if [ "$SECONDS" -ge "$next" ]; then
            next=$((SECONDS + 20))
            printf '   … %s, %d s: %.100s\n' "$(basename "$log" .log)" $((SECONDS - started)) "$(tail -c 400 "$log" | tr '\r' '\n' | grep -v '^ *$' | tail -n 1)"
        fi
    done
    wait "$pid" || status=$?
    return $status
}

# The suites of their own that every run of the tests has: executables that take a build folder. The longest begin.
own_suites() { printf '%s\n' tests/integration/{api,worker,faults,quickstart}/run tests/*/run tests/integration/{boards,fleet,processors,package}/run; }
