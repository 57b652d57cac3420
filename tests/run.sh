#!/bin/sh
# Every test behind `make test`; each line says what ran. Fails if anything failed. As many at once as there are processors, since much of a
# test is a compiler with a single thread; JOBS=1: one after another, for times that can be compared. What each said stays in BUILD/logs.
set -u
cd "$(dirname "$0")/.." || exit 1
BUILD=${BUILD:-build}
JOBS=${JOBS:-$(nproc 2>/dev/null || echo 1)}
LOGS=$BUILD/logs

# ---- one test: called by xargs below ----
if [ "${1:-}" = one ]; then
    # Processor time of what this shell has waited for: minutes and seconds of user and system, the second line of
    # `times`, which goes through a file: a shell in $() would tell its own.
    processors() { awk 'NR == 2 { gsub(/[ms]/, " "); printf "%.0f s of processors", 60 * $1 + $2 + 60 * $3 + $4 }' "$log.times"; }
    name=$2 log=$LOGS/$(echo "$2" | tr / _).log
    shift 2
    # Kernels of these tests take far longer to be compiled than to run, and most of them no other test uses: without
    # optimisation it is a third of the time. op/ops, the goldens and all of Lua have them as users do, and all tests of
    # make test-whole and make test-devices.
    [ -n "${TLUA_TEST_WHOLE:-}" ] || case $name in
    unit/* | op/failures) POCL_EXTRA_BUILD_FLAGS=${POCL_EXTRA_BUILD_FLAGS--cl-opt-disable} && export POCL_EXTRA_BUILD_FLAGS ;;
    esac
    start=$(date +%s)
    if "$@" >"$log" 2>&1 </dev/null; then
        times >"$log.times"
        echo "ok      $name  ($(($(date +%s) - start)) s, $(processors))  $(tail -n 1 "$log" | cut -c1-110)" >"$log.said"
    else
        { echo "FAILED  $name  ($log)" && grep -a '^FAILED' "$log" | head -n 20 && tail -n 40 "$log"; } >"$log.said"
    fi
    # In one write, so that two tests that end together do not mix their lines.
    dd if="$log.said" bs=1M 2>/dev/null
    exit 0
fi

# Tests use a cache of their own, kept between runs: compiled kernels are reused, downloads of the user untouched.
TLUA_CACHE=${TLUA_CACHE:-$PWD/$BUILD/test-cache}
export TLUA_CACHE
rm -rf "$LOGS"
mkdir -p "$TLUA_CACHE" "$LOGS"
listed() { # NAME COMMAND... on a line for each test
    for t in "$BUILD"/tests/unit/* "$BUILD"/tests/op/*; do
        [ -x "$t" ] && [ ! -d "$t" ] || continue
        case "$t" in *.d) continue ;; esac
        echo "${t#"$BUILD"/tests/} $t -j$JOBS"
    done
    echo "embedding $BUILD/embedding"
    # Inputs of the fuzz targets, found faults among them.
    for t in "$BUILD"/tests/fuzz/*; do
        [ -x "$t" ] || continue
        name=${t##*/} more=
        [ -d "tests/fuzz/inputs/$name" ] && more=tests/fuzz/inputs/$name
        [ "$name" = archive ] && more="${more:+$more }tests/golden/io"
        [ "$name" = dicom ] && more="${more:+$more }tests/golden/dicom"
        [ "$name" = nifti ] && more="${more:+$more }tests/golden/nifti"
        [ "$name" = tokenizer ] && more="${more:+$more }tests/golden/tokenizers"
        [ "$name" = sentencepiece ] && more="${more:+$more }tests/golden/tokenizer_files"
        echo "fuzz/$name $t${more:+ $more}" # xargs -L joins a line that ends in a blank with the next
    done
    for t in tests/lua/*.lua tests/golden/*.lua; do
        [ -f "$t" ] || continue
        case "$t" in */run_*) continue ;; esac
        echo "${t#tests/} ./tlua $t"
    done
    for t in tests/*/*.sh; do
        [ -f "$t" ] && echo "${t#tests/} sh $t"
    done
    echo "crash ./tlua tests/crash/crash.lua 4"
    [ "${TLUA_TEST_LINT:-1}" != 1 ] || echo "lint sh tools/lint.sh"
}
# The longest first: at the end, one alone would leave the other processors nothing to do.
LONGEST=" crash cli/guide.sh golden/models.lua lua/cache.lua lua/training.lua lua/failing.lua lua/detect_task.lua "
all() {
    listed | awk -v longest="$LONGEST" '
        index(longest, " " $1 " ") { print; next }
        { rest = rest $0 "\n" }
        END { printf "%s", rest }'
}
all | xargs -P "$JOBS" -L 1 sh tests/run.sh one
failed=$(head -qn 1 "$LOGS"/*.said | grep -c '^FAILED  ')
passed=$(head -qn 1 "$LOGS"/*.said | grep -c '^ok ')
echo
echo "$passed passed, $failed failed"
[ "$failed" = 0 ] && [ "$passed" = "$(all | wc -l)" ]
