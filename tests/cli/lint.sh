#!/bin/sh
# tools/lint.sh finds what it is for: a call and an include upwards, a file that is too long, a folder that is too full,
# and with SINCE lines that have become too wide and functions too long.
set -u
cd "$(dirname "$0")/../.." || exit 1
W=$(mktemp -d)
trap 'rm -rf "$W"' EXIT
failed=0
fail() { failed=$((failed + 1)); echo "FAILED: $*"; }
command -v git >/dev/null 2>&1 || { echo "lint: SKIPPED, there is no git"; exit 0; }

# A small house in which all is well.
mkdir -p "$W/tools" "$W/src/base" "$W/src/op" "$W/lua/tlua/room" "$W/build"
cp tools/lint.sh "$W/tools"
cp src/tlua.h src/tlua_ops.h "$W/src"
echo 'int tl__low(void); int tl__low(void) { return 1; }' >"$W/src/base/low.c"
echo 'int tl__high(void); int tl__low(void); int tl__high(void) { return tl__low(); }' >"$W/src/op/high.c"
echo 'return 1' >"$W/lua/tlua/room/one.lua"
git -C "$W" init -q
keep() { git -C "$W" add -A && git -C "$W" -c user.name=t -c user.email=t@t.invalid commit -qm "$1"; }
build() {
    for f in base/low op/high; do mkdir -p "$W/build/src/${f%/*}" && ${CC:-cc} -c -o "$W/build/src/$f.o" "$W/src/$f.c" || exit 1; done
}
lint() { # STATUS PATTERN
    SINCE=${SINCE:-} sh "$W/tools/lint.sh" >"$W/out" 2>&1
    status=$?
    if [ $status != "$1" ] || { [ -n "$2" ] && ! grep -q "$2" "$W/out"; }; then
        fail "wanted $1 and \"$2\", got $status and $(cat "$W/out")"
    fi
}
echo build >"$W/.gitignore"
echo out >>"$W/.gitignore"
build
keep well
lint 0 ''

# A prototype in place of an include.
echo 'int tl__low(void); int tl__high(void); int tl__low(void) { return tl__high(); }' >"$W/src/base/low.c"
build
lint 1 'src/base/low.c calls tl__high of src/op/high.c, which is no floor below'
echo '#include "op/op.h"' >"$W/src/base/low.c"
rm "$W/build/src/base/low.o"
lint 1 'src/base/low.c includes op/, which is no floor below base/'
git -C "$W" checkout -q src
build

awk 'BEGIN { for (i = 0; i < 601; i++) print "-- line" }' >"$W/lua/tlua/room/one.lua"
lint 1 'room/one.lua has 601 lines'
git -C "$W" checkout -q lua
for i in $(seq 20); do echo 'return 1' >"$W/lua/tlua/room/f$i.lua"; done
git -C "$W" add -A
lint 1 'lua/tlua/room has 21 files'
git -C "$W" reset -q --hard

awk 'BEGIN {
    print "local function f()"
    for (i = 0; i < 60; i++) print "  print(1)"
    print "end"
    printf "--"
    for (i = 0; i < 30; i++) printf " word"
    print ""
}' >"$W/lua/tlua/room/one.lua"
lint 0 ''
SINCE=HEAD
lint 1 'room/one.lua:63 is wider than 120 columns'
lint 1 'functions over 60 lines: 1 (62 lines)'
echo "lint: $failed failed"
[ "$failed" = 0 ]
