#!/bin/sh
# Installs the Debian packages that building and testing tlua need, if any is missing: as root directly, otherwise
# through sudo. `make demo` and `make test` call it. With "demo" it adds what the demo trains on, with "test" a browser
# that loads the reports, with "test-compilers" compilers for GPUs; without one of these the tests that need it say that they were skipped.
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
 libwebp-dev
 libtiff-dev
 libsndfile1-dev
 libsoxr-dev
 libgdcm-dev g++
 libgif-dev
 libcurl4-openssl-dev
 libcjson-dev
 libprotobuf-c-dev
 protobuf-c-compiler
 libonnx-dev
 libutf8proc-dev
 libpcre2-dev
 libarchive-dev
 libfreetype-dev
 libharfbuzz-dev
 libfontconfig-dev
 libfribidi-dev
 libedit-dev
 nettle-dev
 libcriterion-dev"
demo="
 dataset-fashion-mnist
 python3-pip"
# The makers' compilers: NVIDIA's ptxas is no Debian package, tools/test_compilers.sh takes it from CUDA or PyPI.
compilers="
 clang-15
 llvm-15
 libclc-15
 libclc-15-dev
 lld-15
 rocm-device-libs
 intel-opencl-icd"

there() { dpkg-query -W -f='${Status}' "$1" 2>/dev/null | grep -q 'ok installed'; }
wanted="$build"
[ "${1:-}" = demo ] && wanted="$build $demo"

wish="" # good to have
if [ "${1:-}" = test ]; then
    wish=" chromium"
    for b in chromium chromium-browser google-chrome; do command -v "$b" >/dev/null 2>&1 && wish=""; done
    for p in fonts-noto-core fonts-noto-cjk; do there "$p" || wish="$wish $p"; done # names of any script in pictures
    [ -f /usr/share/i18n/locales/de_DE ] || wish="$wish locales" # a decimal comma for tests/cli/comma.sh
fi
if [ "${1:-}" = test-compilers ]; then
    for p in $compilers; do there "$p" || wish="$wish $p"; done
fi

missing=""
for p in $wanted; do
    case "$p" in
    # A compiler or pip that is there in another way serves as well.
    gcc) command -v "${CC:-cc}" >/dev/null 2>&1 && continue ;;
    g++) command -v "${CXX:-c++}" >/dev/null 2>&1 && continue ;;
    make) command -v make >/dev/null 2>&1 && continue ;;
    python3-pip) python3 -m pip --version >/dev/null 2>&1 && continue ;;
    esac
    there "$p" || missing="$missing $p"
done
[ -z "$missing$wish" ] && exit 0
# Nobody is asked for a password, and nothing fails, for what can be done without.
if [ -z "$missing" ]; then
    command -v apt-get >/dev/null 2>&1 || exit 0
    [ "$(id -u)" = 0 ] || sudo -n true 2>/dev/null || exit 0
fi

if ! command -v apt-get >/dev/null 2>&1; then
    echo "tlua: please install what corresponds to these Debian packages:$missing" >&2
    exit 1
fi
# Who may not install is told what to ask for.
ask() {
    echo "tlua: these Debian packages are missing, and $1; ask who administers this machine for:" >&2
    echo "    apt-get install$missing" >&2
    exit 1
}
run=""
if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null 2>&1 || ask "there is no sudo to install them"
    if ! sudo -n true 2>/dev/null; then
        [ -t 0 ] || ask "sudo wants a password, and there is no terminal to ask for it"
        echo "tlua: to install$missing"
        sudo -v || ask "sudo does not let you install them"
    fi
    run="sudo"
fi
export DEBIAN_FRONTEND=noninteractive
log=/tmp/tlua-apt.$$
trap 'rm -f "$log"' EXIT
install() { $run apt-get install -y -qq --no-install-recommends "$@" >"$log" 2>&1; }
fetch() {
    install "$@" && return
    $run apt-get update -qq >/dev/null 2>&1
    install "$@"
}
if [ -n "$missing" ]; then
    echo "tlua: installing$missing"
    # shellcheck disable=SC2086 # a list of words
    if ! fetch $missing; then
        tail -n 5 "$log" >&2
        echo "tlua: could not install$missing (is there a network? try: ${run:+$run }apt-get install$missing)" >&2
        exit 1
    fi
fi
if [ -n "$wish" ]; then
    echo "tlua: installing$wish"
    # shellcheck disable=SC2086 # a list of words
    fetch $wish || for p in $wish; do # what can be had of them
        install "$p" || echo "tlua: could not install $p; the tests that need it will be skipped"
    done
fi
exit 0
