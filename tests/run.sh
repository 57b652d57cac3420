#!/bin/sh
# Every test behind `make test`; each line says what ran. Fails if anything failed.
set -u
cd "$(dirname "$0")/.." || exit 1
BUILD=${BUILD:-build}
# Tests use a cache of their own, kept between runs: compiled kernels are reused, downloads of the user untouched.
TLUA_CACHE=${TLUA_CACHE:-$PWD/$BUILD/test-cache}
export TLUA_CACHE
mkdir -p "$TLUA_CACHE"
passed=0 failed=0
run() {
    name=$1
    shift
    start=$(date +%s)
    if "$@" >"$BUILD/test.log" 2>&1; then
        passed=$((passed + 1))
        echo "ok      $name  ($(($(date +%s) - start)) s)  $(tail -n 1 "$BUILD/test.log" | cut -c1-110)"
    else
        failed=$((failed + 1))
        echo "FAILED  $name"
        tail -n 40 "$BUILD/test.log"
    fi
}
for t in "$BUILD"/tests/unit/* "$BUILD"/tests/op/*; do
    [ -x "$t" ] && [ ! -d "$t" ] || continue
    case "$t" in *.d) continue ;; esac
    run "${t#"$BUILD"/tests/}" "$t" -j2
done
run embedding "$BUILD/embedding"
# Inputs of the fuzz targets, found faults among them.
for t in "$BUILD"/tests/fuzz/*; do
    [ -x "$t" ] || continue
    name=${t##*/} more=
    [ -d "tests/fuzz/inputs/$name" ] && more=tests/fuzz/inputs/$name
    [ "$name" = archive ] && more="$more tests/golden/io"
    run "fuzz/$name" "$t" $more
done
for t in tests/lua/*.lua tests/golden/*.lua; do
    [ -f "$t" ] || continue
    case "$t" in */run_*) continue ;; esac
    run "${t#tests/}" ./tlua "$t"
done
for t in tests/*/*.sh; do
    [ -f "$t" ] || continue
    run "${t#tests/}" sh "$t"
done
run crash ./tlua tests/crash/crash.lua 4
[ "${TLUA_TEST_LINT:-1}" = 1 ] && run lint sh tools/lint.sh
echo
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
