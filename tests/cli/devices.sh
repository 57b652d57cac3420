#!/bin/sh
# `tlua devices`: a line for each device; with --all what the driver says and what tlua makes of it; --json for programs.
set -u
cd "$(dirname "$0")/../.." || exit 1
T=$PWD/tlua
W=$(mktemp -d)
trap 'rm -rf "$W"' EXIT
failed=0
fail() { failed=$((failed + 1)); echo "FAILED: $*"; }

"$T" devices >"$W/short" || fail "devices"
"$T" devices --all >"$W/all" || fail "devices --all"
n=$(grep -cE '^[0-9]+  (cpu|gpu|accelerator) .*, [0-9]+ units, .*B \(.*\)$' "$W/short")
[ "$n" -ge 1 ] && [ "$n" = "$(wc -l <"$W/short")" ] || fail "lines: $(cat "$W/short")"
[ "$(grep -cE '^[0-9]+  (cpu|gpu|accelerator) ' "$W/all")" = "$n" ] || fail "devices of --all: $(cat "$W/all")"
[ "$(grep -c '; taken where none is named$' "$W/all")" = 1 ] || fail "which one is taken: $(cat "$W/all")"
for line in driver vendor units memory "local memory" groups vectors extensions tlua tested; do
    [ "$(grep -cE "^   $line +[^ ]" "$W/all")" = "$n" ] || fail "--all has no '$line': $(cat "$W/all")"
done
grep -qE '^   groups .* at most [0-9]+ work-items, .* multiples of [0-9]+ preferred' "$W/all" || fail "groups: $(grep groups "$W/all")"

# The same numbers for programs.
"$T" devices --json >"$W/short.json" && "$T" devices --all --json >"$W/all.json" || fail "--json"
"$T" -e '
local core = require "tlua.core"
local short, all = core.json_decode(io.open(arg[1]):read "a"), core.json_decode(io.open(arg[2]):read "a")
assert(#short == tonumber(arg[3]) and #all == #short)
local own, chosen = core.device_info(), 0
for i, d in ipairs(all) do
  assert(d.index == i and d.name == short[i].name and d.platform == short[i].platform and d.type == short[i].type and d.bytes == short[i].bytes)
  assert(d.units >= 1 and d.local_bytes > 0 and d.max_group >= 1 and #d.max_items == 3 and d.max_buffer > 0 and d.driver ~= "" and d.version ~= "", i)
  assert(d.builds == true and d.preferred_multiple >= 1 and d.preferred_vector >= 0 and d.extensions and (d.kernels == "gpu" or d.kernels == "processor"), i)
  if d.chosen then
    chosen = chosen + 1
    assert(d.name == own.name and d.platform == own.platform and d.driver == own.driver and d.tested == own.tested)
  end
end
assert(chosen == 1, chosen)' "$W/short.json" "$W/all.json" "$n" || fail "--json: $(cat "$W/all.json")"

# A processor that looks like a GPU is one of a kind that was never tested.
TLUA_VECTOR=1 "$T" devices --all >"$W/gpu"
grep -q '^   tlua  *kernels for GPUs, ' "$W/gpu" && grep -q "^   tested  *tlua's tests have not run on this kind: .tlua check. runs some$" "$W/gpu" || fail "like a GPU: $(cat "$W/gpu")"

"$T" devices --al >"$W/out" 2>"$W/err"
[ $? = 2 ] && grep -q "did you mean '--all'" "$W/err" && [ "$(wc -l <"$W/err")" = 1 ] || fail "an unknown option: $(cat "$W/err")"
for words in "" --all --json "--all --json"; do
    # shellcheck disable=SC2086 # words
    OCL_ICD_VENDORS=$W/none "$T" devices $words >"$W/out" 2>"$W/err"
    [ $? = 1 ] && grep -q pocl-opencl-icd "$W/err" && [ ! -s "$W/out" ] || fail "no device ($words): $(cat "$W/out" "$W/err")"
done
echo "devices: $failed failed"
[ "$failed" = 0 ]
