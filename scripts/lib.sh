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

# tell_of LOG PROCESS: every 20 seconds, as long as there is the process, a line says where it is. Waits without a process of its own.
tell_of() {
    local log=$1 started=$SECONDS never
    exec {never}<> <(:)
    until read -rt 20 -u "$never" || ! kill -0 "$2" 2>/dev/null; do
        printf '   … %s, %d s: %.100s\n' "$(basename "$log" .log)" $((SECONDS - started)) "$(tail -c 400 "$log" | tr '\r' '\n' | grep -v '^ *$' | tail -n 1)"
    done
}

# run_logged LOG COMMAND...: output goes to LOG; every 20 seconds a line says that it goes on, and where it is.
run_logged() {
    local log=$1 status=0 pid teller
    shift
    "$@" >"$log" 2>&1 </dev/null &
    pid=$!
    tell_of "$log" "$pid" &
    teller=$!
    wait "$pid" || status=$?
    kill "$teller" 2>/dev/null || true
    wait "$teller" 2>/dev/null || true
    return $status
}

# The suites of their own that every run of the tests has: executables that take a build folder. The longest begin.
own_suites() { printf '%s\n' tests/integration/{api,worker,faults}/run tests/e2e/run tests/integration/{quickstart,boards,fleet,processors,package}/run tests/*/run | awk '!seen[$0]++'; }
