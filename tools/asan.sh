#!/bin/sh
# asan.sh BUILD [TEST]... - the tests of `make asan`: every Criterion program and every Lua test, with the sanitized program as ./tlua wherever a test
# starts one. Fails on a failed test and on any report, leaks among them: those do not fail a Criterion run, so reports go to files.
# Each test has ASAN_SECONDS (7200).
set -u
cd "$(dirname "$0")/.." || exit 1
BUILD=$(realpath "$1")
shift
TREE=$BUILD/tree LOGS=$BUILD/logs
rm -rf "$TREE" "$LOGS"
mkdir -p "$TREE" "$LOGS" "$BUILD/test-cache"
chmod 1777 "$LOGS" # some tests give their rights away and report all the same
for f in *; do
    case "$f" in build | tlua | build-*) ;; *) ln -s "$PWD/$f" "$TREE/$f" ;; esac
done
ln -s "$BUILD" "$TREE/build"
ln -s "$BUILD/tlua" "$TREE/tlua"
export TLUA_CACHE="$BUILD/test-cache"
supp=$PWD/tests/sanitizers
# Sizes from damaged files are asked for and refused, as malloc would; the driver's compiler sets signal stacks of its own in our threads;
# tests/lua/compilers.lua preloads a driver of paper, which comes before the sanitizer.
export ASAN_OPTIONS="detect_leaks=1:allocator_may_return_null=1:log_path=$LOGS/report:malloc_context_size=40:use_sigaltstack=0:verify_asan_link_order=0"
export LSAN_OPTIONS="suppressions=$supp/lsan.supp:print_suppressions=0"
export UBSAN_OPTIONS="print_stacktrace=1:log_path=$LOGS/report"
# Other drivers look for libraries in ways that the sanitizers refuse.
[ -f /etc/OpenCL/vendors/pocl.icd ] && export OCL_ICD_VENDORS=/etc/OpenCL/vendors/pocl.icd
cd "$TREE" || exit 1
passed=0 failed=0
run() {
    name=$1
    shift
    start=$(date +%s)
    timeout -k 10 "${ASAN_SECONDS:-7200}" "$@" >"$LOGS/out" 2>&1
    status=$?
    # A process that gave its rights away may not look at itself for leaks, and says no more than that.
    for r in "$LOGS"/report*; do
        [ -f "$r" ] && grep -q "LeakSanitizer has encountered a fatal error" "$r" && ! grep -qE "ERROR: |runtime error|SUMMARY" "$r" && rm -f "$r"
    done
    if [ $status = 0 ] && ! ls "$LOGS"/report* >/dev/null 2>&1; then
        passed=$((passed + 1))
        echo "ok      $name  ($(($(date +%s) - start)) s)"
        return
    fi
    failed=$((failed + 1))
    echo "FAILED  $name  (status $status, $(($(date +%s) - start)) s)"
    tail -n 30 "$LOGS/out"
    for r in "$LOGS"/report*; do
        [ -f "$r" ] && head -n 60 "$r"
    done
    mkdir -p "$LOGS/$name"
    mv "$LOGS"/report* "$LOGS/out" "$LOGS/$name" 2>/dev/null
}
wanted=" $* "
is_wanted() { [ "$wanted" = "  " ] || case "$wanted" in *" $1 "*) ;; *) return 1 ;; esac; }
for t in build/tests/unit/* build/tests/op/*; do
    [ -f "$t" ] && [ -x "$t" ] || continue
    name=${t#build/tests/}
    is_wanted "$name" && run "$name" "$t" -j1
done
for t in tests/lua/*.lua tests/golden/*.lua; do
    case "$t" in */run_*) continue ;; esac
    name=${t#tests/}
    is_wanted "${name%.lua}" && run "${name%.lua}" ./tlua "$t"
done
echo
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
