#!/bin/sh
# The installed library as somebody else's program sees it: `make install` into a folder that the loader does not know, and the examples
# built with pkg-config start, linked with the shared library and with the static one.
set -u
cd "$(dirname "$0")/../.." || exit 1
W=$(mktemp -d)
trap 'rm -rf "$W"' EXIT
failed=0
fail() { failed=$((failed + 1)); echo "FAILED: $*"; }
unset LD_LIBRARY_PATH MAKEFLAGS MAKELEVEL
make -s install PREFIX="$W/prefix" >"$W/log" 2>&1 || { cat "$W/log"; exit 1; }
PKG_CONFIG_PATH=$W/prefix/lib/pkgconfig
export PKG_CONFIG_PATH
cd "$W" || exit 1
CC=${CC:-cc}
for example in predict predict_memory detect; do
    # shellcheck disable=SC2046
    $CC "$W/prefix/share/tlua/examples/$example.c" $(pkg-config --cflags --libs tlua) -o $example || fail "$example is not built"
    ./$example >out 2>&1 </dev/null
    [ $? = 2 ] && grep -q "^usage: " out || fail "$example does not start: $(cat out)"
done
ldd ./predict | grep -q "libtlua.so.0 => $W/prefix/lib/" || fail "another library: $(ldd ./predict)"
mkdir static && cp prefix/lib/libtlua.a static
# shellcheck disable=SC2046
$CC "$W/prefix/share/tlua/examples/predict.c" $(pkg-config --cflags tlua) -Lstatic $(pkg-config --static --libs tlua | sed 's|-L[^ ]*prefix[^ ]*||; s|-Wl,-rpath[^ ]*||') -o alone ||
    fail "the static library is not linked"
ldd ./alone | grep -q libtlua && fail "the static library is a shared one"
./alone >out 2>&1
grep -q "^usage: " out || fail "a program with the static library does not start"
"$W/prefix/bin/tlua" --version >/dev/null || fail "the program does not start"
cd - >/dev/null || exit 1
# A distribution's package: no path in the programs that use it.
make -s install DESTDIR="$W/root" PREFIX=/usr >"$W/log" 2>&1 || cat "$W/log"
grep -q rpath "$W/root/usr/lib/pkgconfig/tlua.pc" && fail "a package of /usr has an rpath"
echo "installed library: $failed failed"
[ "$failed" = 0 ]
