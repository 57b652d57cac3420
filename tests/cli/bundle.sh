#!/bin/sh
# tools/bundle/run.sh, what `make gpu-bundle` packs, without packing it: no driver, wrong command lines, folders that are not empty, a driver that is
# none, a limit that leaves no time, an interruption, and that nobody outlives a limit.
set -u
cd "$(dirname "$0")/../.." || exit 1
B=$PWD/${BUILD:-build}
W=$(mktemp -d)
trap 'rm -rf "$W"' EXIT
failed=0
fail() { failed=$((failed + 1)); echo "FAILED: $*"; }

# A bundle with this machine's libraries.
mkdir -p "$W/b/bin" "$W/b/lib" "$W/empty" "$W/full" "$W/tmp"
cp tools/bundle/run.sh tools/bundle/report.lua "$W/b/"
cp tools/bundle/tlua.sh "$W/b/tlua" && chmod 755 "$W/b/tlua"
ln -s "$PWD/tlua" "$W/b/bin/tlua"
ln -s "$B/limit" "$W/b/bin/limit"
: >"$W/b/shared.txt"
echo "a test" >"$W/b/VERSION"
: >"$W/full/file"
TMPDIR=$W/tmp
export TMPDIR
RUN="sh $W/b/run.sh"

TLUA_BUNDLE_ROOT=$W/empty $RUN "$W/out" >"$W/said" 2>"$W/err"
[ $? = 3 ] || fail "no driver: status"
for word in "no OpenCL driver was found" libnvidia-opencl.so.1 libamdocl64.so libigdrcl.so /usr/lib/wsl/lib /opt/rocm /usr/local/ "$W/empty/etc/OpenCL/vendors" -- --driver; do
    grep -q -e "$word" "$W/err" || fail "no driver: no word of $word: $(cat "$W/err")"
done
[ -e "$W/out" ] && fail "no driver, and OUT is there"

refused() { # PATTERN WORDS...
    pattern=$1
    shift
    $RUN "$@" >"$W/said" 2>"$W/err"
    [ $? = 2 ] && [ "$(wc -l <"$W/err")" = 1 ] && grep -q -e "$pattern" "$W/err" && [ ! -s "$W/said" ] && [ ! -e "$W/out" ] || fail "$*: $(cat "$W/said" "$W/err")"
}
refused "OUT is missing"
refused "unknown option '--limits'" --limits 3 "$W/out"
refused "'tests' is none of all, test and bench" "$W/out" tests
refused "'more' is too much" "$W/out" test more
refused "number of seconds" --limit soon "$W/out"
refused "number of seconds" --limit=0 "$W/out"
refused "a value is missing" "$W/out" --driver
refused "there is no file '$W/none.so'" --driver "$W/none.so" "$W/out"
refused "there is no file ''" --driver "" "$W/out"
refused "number of seconds" --limit 99999999999999999999 "$W/out"
refused "$W/full is not empty" "$W/full"
refused "$W/full/file/sub cannot be made" "$W/full/file/sub"
$RUN --help | grep -q '^ *Exit status' || fail "--help: $($RUN --help)"
echo ./lost.lua >"$W/b/files.txt"
$RUN "$W/out" >"$W/said" 2>"$W/err"
[ $? = 1 ] && grep -q "not whole: lost.lua is missing" "$W/err" && [ ! -e "$W/out" ] || fail "a bundle that is not whole: $(cat "$W/err")"
rm "$W/b/files.txt"
refused "$W/full/file is not a folder" "$W/full/file"
[ -e "$W/full/file" ] || fail "a folder that was refused has changed"

# The driver is found in a folder of its own name; it is a text, so there is no device.
mkdir -p "$W/empty/opt/rocm-9/lib"
echo "not a library" >"$W/empty/opt/rocm-9/lib/libamdocl64.so.2"
TLUA_BUNDLE_ROOT=$W/empty $RUN "$W/out" >"$W/said" 2>"$W/err"
[ $? = 3 ] && grep -q "the driver $W/empty/opt/rocm-9/lib/libamdocl64.so.2 gives no device" "$W/err" && [ ! -e "$W/out" ] || fail "a driver that is none: $(cat "$W/said" "$W/err")"

# The same where an .icd file names it without its folder, as containers have it.
mkdir -p "$W/empty/etc/OpenCL/vendors"
echo "libamdocl64.so" >"$W/empty/etc/OpenCL/vendors/amd.icd"
TLUA_BUNDLE_ROOT=$W/empty $RUN "$W/out" >"$W/said" 2>"$W/err"
[ $? = 3 ] && grep -q "the driver libamdocl64.so $W/empty/opt/rocm-9/lib/libamdocl64.so.2 gives no device" "$W/err" || fail "an .icd file without a folder: $(cat "$W/err")"

three() { [ "$(ls "$1" | tr '\n' ' ')" = "logs.tar.gz results.json summary.txt " ] || fail "$2: OUT holds $(ls "$1" 2>&1)"; }
if ./tlua devices >/dev/null 2>&1; then
    # Time for little or nothing.
    mkdir "$W/out"
    $RUN --limit 10 "$W/out" test >"$W/said" 2>"$W/err"
    [ $? = 4 ] || fail "no time: status $?: $(cat "$W/said" "$W/err")"
    three "$W/out" "no time"
    ./tlua -e '
    local core = require "tlua.core"
    local r, n = core.json_decode(core.read_file(arg[1] .. "/results.json")), 0
    local known = { ok = true, ["cut short"] = true, ["not reached"] = true }
    for _, s in ipairs(r.steps) do
      assert(known[s.state], s.name .. " " .. s.state)
      if s.state == "not reached" then n = n + 1 end
    end
    assert(n >= 8 and r.counts.missed == n and r.counts.failed == 0 and r.tlua == core.version and r.meta.limit == "10" and r.meta.bundle == "a test", n)
    assert(core.read_file(arg[1] .. "/summary.txt"):find(("%d not reached"):format(n), 1, true))' "$W/out" || fail "no time: $(cat "$W/out/summary.txt")"
    tar tzf "$W/out/logs.tar.gz" | grep -q '^logs/system.log$' || fail "logs.tar.gz: $(tar tzf "$W/out/logs.tar.gz")"

    # Into the folder one stands in, by a link, with a slash; readers that go, errors nobody wants; a folder for work with a blank in its name; two at once.
    mkdir "$W/here" "$W/t mp"
    (cd "$W/here" && TMPDIR="../t mp" $RUN --limit 8 . test 2>"$W/err" | head -n 0)
    three "$W/here" "a folder as ."
    [ -z "$(ls "$W/t mp")" ] || fail "left in TMPDIR: $(ls "$W/t mp")"
    rm -rf "$W/here" && mkdir "$W/here" && ln -s here "$W/link"
    $RUN --limit 8 "$W/link/" test >&- 2>&-
    [ $? = 4 ] || fail "closed streams: status $?"
    three "$W/here" "a link with a slash"
    rm -rf "$W/here" && mkdir -p "$W/here/.part"
    $RUN --limit 8 "$W/here" test >"$W/said" 2>"$W/err"
    [ $? = 2 ] && grep -q "is not empty\|in use by another run" "$W/err" || fail "two runs into one folder: $(cat "$W/err")"
    TLUA_DEVICE=nothing_like_it $RUN --limit 8 "$W/never" test >"$W/said" 2>"$W/err"
    [ $? = 3 ] && [ "$(wc -l <"$W/err")" = 1 ] && grep -q nothing_like_it "$W/err" && [ ! -e "$W/never" ] || fail "a device that is not there: $(cat "$W/err")"

    # Interrupted while the check runs: what there is is kept, nobody is left.
    rm -rf "$W/out"
    : >"$W/steps"
    $RUN --limit 300 "$W/out" test >>"$W/steps" 2>"$W/err" &
    pid=$!
    n=0
    while ! grep -q '^devices ' "$W/steps" && [ $n -lt 1200 ]; do sleep 0.05; n=$((n + 1)); done
    kill -TERM $pid
    wait $pid
    [ $? = 130 ] || fail "interrupted: status"
    three "$W/out" interrupted
    grep -q "; interrupted$" "$W/out/summary.txt" || fail "interrupted: $(head -n 12 "$W/out/summary.txt")"
    left=$(grep -l "$W/[b]" /proc/[0-9]*/cmdline 2>/dev/null)
    [ -z "$left" ] || fail "interrupted, and these are left: $left"
else
    echo "skipped: runs on a device, since there is none"
fi
[ -z "$(ls "$W/tmp")" ] || fail "left in TMPDIR: $(ls "$W/tmp")"

# Nobody outlives a limit, whatever session it is in.
[ "$("$B/limit" 60 "$W/log" sh -c 'echo said; exit 7' | cut -d' ' -f1)" = 7 ] && grep -qx said "$W/log" || fail "limit: the status or the output"
[ "$("$B/limit" 1 "$W/log" sh -c "(setsid sleep 98765 2>/dev/null || sleep 98765) & sleep 98765" | cut -d' ' -f1)" = 124 ] || fail "limit: the time"
left=$(grep -l "9876[5]" /proc/[0-9]*/cmdline 2>/dev/null)
for p in $left; do [ "$(tr '\0' ' ' <"$p" 2>/dev/null)" = "sleep 98765 " ] && fail "limit: $p is left"; done
echo "bundle: $failed failed"
[ "$failed" = 0 ]
