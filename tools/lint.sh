#!/bin/sh
# What a compiler does not check: who may include whom, sizes of files, exported names. Fails with one line a finding.
set -u
cd "$(dirname "$0")/.." || exit 1
bad=0
say() { echo "lint: $*"; bad=1; }

# base < device < tensor < op < grad, plan < model; io, text, data, draw, task use base (and tensor); lua uses everything.
rank() {
    case "$1" in
    base) echo 0 ;; device) echo 1 ;; tensor) echo 2 ;; op) echo 3 ;; grad | plan) echo 4 ;; model | check) echo 5 ;;
    io | text | data | draw | task) echo 2 ;; lua) echo 9 ;; *) echo 9 ;;
    esac
}
for f in $(git ls-files 'src/*/*.[ch]' 'src/*/*/*.[ch]'); do
    own=$(echo "$f" | cut -d/ -f2)
    for inc in $(sed -n 's/^ *# *include "\([a-z]*\)\/.*/\1/p' "$f" | sort -u); do
        [ "$(rank "$inc")" -gt "$(rank "$own")" ] && say "$f includes $inc/ above it"
    done
    grep -nE '^ *# *include <(CL/|clblast)' "$f" | grep -v '^src/device' >/dev/null && [ "$own" != device ] && say "$f uses OpenCL outside device/"
    grep -nE '^ *# *include [<"]l(ua|auxlib|ualib)\.h' "$f" >/dev/null && [ "$own" != lua ] && say "$f uses lua.h outside lua/"
    grep -nE '(^|[^a-z_])(abort|exit|printf|puts)\(' "$f" >/dev/null && [ "$own" != lua ] && say "$f prints, exits or aborts"
done
for f in $(git ls-files 'src/*.[ch]' 'cl/*' 'lua/*.lua' 'recipes/*.lua'); do
    case "$f" in *labels.lua) continue ;; esac
    n=$(wc -l <"$f")
    [ "$n" -gt 650 ] && say "$f has $n lines"
done
if [ -f build/libtlua.so ]; then
    extra=$(nm -D --defined-only build/libtlua.so | awk '$2 ~ /[TDBR]/ {print $3}' | grep -v '^tl_' || true)
    [ -n "$extra" ] && say "libtlua.so exports $(echo "$extra" | tr '\n' ' ')"
fi
# A header that C++ cannot read would shut out those who embed the library.
if command -v c++ >/dev/null 2>&1; then
    echo '#include "tlua.h"
int main() { tl_error e = {}; return e.code; }' | c++ -x c++ -std=c++11 -Wall -Wextra -Wpedantic -Isrc -fsyntax-only - || say "tlua.h is not C++"
fi
exit $bad
