#!/bin/sh
# Served by the daemon as /api/v1/worker-builds/install.sh: fetches espalier-worker for this board, checks it against the
# digests below and starts it. Works in the home folder, without root. Needs uname, tar, gzip, sha256sum, and curl or wget:
# busybox has them all.
#
# usage: ESPALIER_INSTALLER=URL [ESPALIER_ENROL_TOKEN=...] sh -c "$(this file)" espalier [--service | --no-start] [WORKER-OPTION...]
# URL is what this file was fetched from; the download is asked for with the same ticket. --service: a systemd user
# service instead of the foreground. --no-start: only unpack. Without them the options are passed to the worker.
set -eu

say() { echo "espalier: $*" >&2; }
die() {
    say "$*"
    say "nothing was started"
    exit 1
}

mode=foreground
case ${1-} in
    --service) mode=service && shift ;;
    --no-start) mode=unpack && shift ;;
esac

from=${ESPALIER_INSTALLER:?names where this installer came from}
base=${from%/install.sh*}
ticket=${from##*/install.sh}
ESPALIER_DAEMON=${from%%/api/v1/*}
export ESPALIER_DAEMON

machine=$(uname -m)
case $machine in
    x86_64 | amd64) arch=x86_64 ;;
    aarch64 | arm64) arch=aarch64 ;;
    *) die "no worker is made for processors of the kind $machine, only for x86_64 and aarch64" ;;
esac

digest='' bytes=0
while read -r name sum size; do
    if [ "$name" = "$arch" ]; then digest=$sum bytes=$size; fi
done <<'END'
@BUILDS@
END
[ -n "$digest" ] || die "this daemon carries no worker for $arch: ./scripts/worker-tarball $arch makes one where Espalier is built"

home=${XDG_DATA_HOME:-${HOME:?}/.local/share}/espalier-worker
folder=$home/$arch-$digest
current=$home/current
part=$home/part.$$

# What comes is compared with its digest, so the certificate need not be checked.
fetch() { # URL FILE
    if command -v curl >/dev/null; then
        curl -fsSk --connect-timeout 20 --speed-limit 1 --speed-time 60 -o "$2" "$1"
    elif command -v wget >/dev/null; then
        case $1 in
            https:*) wget -q --no-check-certificate -O "$2" "$1" ;;
            *) wget -q -O "$2" "$1" ;;
        esac
    else
        die "there is neither curl nor wget"
    fi
}

if [ ! -d "$folder" ]; then
    mkdir -p "$home" || die "$home cannot be written to"
    trap 'rm -rf "$part" "$part.tar.gz"' EXIT
    trap 'exit 130' HUP INT TERM
    say "fetching the worker for $arch, $(((bytes + 99999) / 1000000)) MB"
    fetch "$base/$arch$ticket" "$part.tar.gz" || die "the download from $ESPALIER_DAEMON broke off or was refused; the same command may be run again"
    [ "$(sha256sum <"$part.tar.gz")" = "$digest  -" ] || die "what came from $ESPALIER_DAEMON is not the worker: its SHA-256 is another than the command promised"
    rm -rf "$part" && mkdir "$part"
    gzip -dc "$part.tar.gz" | tar xf - -C "$part" || die "it cannot be unpacked below $home"
    [ -x "$part/espalier-worker-$arch/espalier-worker" ] || die "it cannot be unpacked whole below $home"
    mv "$part" "$folder"
    rm -f "$part.tar.gz"
fi

# By rename, so that current is at no moment missing; of older builds only the one before stays, which may still run.
before=$(readlink "$current" 2>/dev/null || true)
if [ "$before" != "$folder/espalier-worker-$arch" ]; then
    ln -s "$folder/espalier-worker-$arch" "$current.$$"
    mv -f -T "$current.$$" "$current" 2>/dev/null || { rm -f "$current" && mv "$current.$$" "$current"; }
    for old in "$home"/x86_64-* "$home"/aarch64-*; do
        case $old in "$folder" | "${before%/*}") ;; *) rm -rf "$old" ;; esac
    done
fi

case $mode in
    unpack) say "unpacked: $current/espalier-worker" ;;
    foreground)
        say "starting it; from now on $current/espalier-worker is all there is to run"
        exec "$current/espalier-worker" "$@"
        ;;
    service) exec "$current/install-service" "$@" ;;
esac
