#!/bin/sh
# Installs the Debian packages that building and testing tlua need, if any is missing: as root directly, otherwise
# through sudo. `make demo` and `make test` call it. With "demo" it adds what the demo trains on.
set -u

# name                     why
build="
 gcc make pkg-config
 ocl-icd-opencl-dev
 opencl-headers
 pocl-opencl-icd
 libclblast-dev
 liblua5.4-dev
 zlib1g-dev
 libturbojpeg0-dev
 libspng-dev
 libcurl4-openssl-dev
 libcjson-dev
 libarchive-dev
 libedit-dev
 nettle-dev
 libcriterion-dev"
demo="
 dataset-fashion-mnist
 python3-pip"

wanted="$build"
[ "${1:-}" = demo ] && wanted="$build $demo"

missing=""
for p in $wanted; do
    case "$p" in
    # A compiler or pip that is there in another way serves as well.
    gcc) command -v "${CC:-cc}" >/dev/null 2>&1 && continue ;;
    make) command -v make >/dev/null 2>&1 && continue ;;
    python3-pip) python3 -m pip --version >/dev/null 2>&1 && continue ;;
    esac
    dpkg-query -W -f='${Status}' "$p" 2>/dev/null | grep -q 'ok installed' || missing="$missing $p"
done
[ -z "$missing" ] && exit 0

if ! command -v apt-get >/dev/null 2>&1; then
    echo "tlua: please install what corresponds to these Debian packages:$missing" >&2
    exit 1
fi
run=""
if [ "$(id -u)" != 0 ]; then
    if ! command -v sudo >/dev/null 2>&1; then
        echo "tlua: these Debian packages are missing and there is no sudo to install them:$missing" >&2
        exit 1
    fi
    run="sudo"
fi
echo "tlua: installing$missing"
export DEBIAN_FRONTEND=noninteractive
# shellcheck disable=SC2086 # a list of words
if ! $run apt-get install -y -qq --no-install-recommends $missing >/dev/null 2>&1; then
    $run apt-get update -qq >/dev/null 2>&1
    if ! $run apt-get install -y -qq --no-install-recommends $missing >/tmp/tlua-apt.$$ 2>&1; then
        tail -n 5 /tmp/tlua-apt.$$ >&2
        rm -f /tmp/tlua-apt.$$
        echo "tlua: could not install$missing (is there a network? try: apt-get install$missing)" >&2
        exit 1
    fi
    rm -f /tmp/tlua-apt.$$
fi
