#!/bin/sh
# `tlua check`: a line for each family and one for a report, as text and as JSON; what is wrong is said and ends with status 1; and
# the plan of a run names a GPU on which nothing was tested.
set -u
cd "$(dirname "$0")/../.." || exit 1
T=$PWD/tlua
W=$(mktemp -d)
trap 'rm -rf "$W"' EXIT
failed=0
fail() { failed=$((failed + 1)); echo "FAILED: $*"; }

"$T" check --seconds 300 >"$W/out" 2>"$W/err" || fail "check: status $?: $(cat "$W/out" "$W/err")"
for family in "copies and views" "matrix products" convolutions attention norms "softmax and losses" optimisers "reductions and long rows" pooling \
    "embedding and dropout" "maps and masks" "element by element"; do
    grep -Eq "^$family +ok +[0-9]+ checks" "$W/out" || fail "no line for $family: $(cat "$W/out")"
done
[ "$(grep -c '^report    tlua .* | driver .* | Linux .* | all [0-9]* checks passed$' "$W/out")" = 1 ] || fail "the line for a report: $(tail -n 1 "$W/out")"
[ -s "$W/err" ] && fail "check wrote to stderr: $(cat "$W/err")"

# A result that differs.
TLUA_CHECK_WRONG=softmax "$T" check --json --seconds 300 >"$W/json" 2>"$W/err"
[ $? = 1 ] || fail "a wrong result, and no status 1"
"$T" -e '
local r = require("tlua.core").json_decode(io.open(arg[1]):read "a")
assert(r.verdict == "failed" and #r.families >= 11 and r.device.name ~= "" and r.device.platform ~= "" and r.tlua, "fields")
for _, f in ipairs(r.families) do
  assert(f.reached and f.checks > 0, f.name)
  assert((f.failures > 0) == (f.name == "softmax and losses"), f.name)
end
assert(r.report:find("checks failed: softmax and losses (softmax, sample 1: differs from the reference by ", 1, true), r.report)' "$W/json" || fail "--json: $(cat "$W/json")"

# Cut short: said, and no success.
"$T" check --seconds 0.000001 >"$W/out"
[ $? = 4 ] && grep -q "^convolutions  *not reached$" "$W/out" && grep -q "^report .* 0 checks passed, \([0-9]*\) of \1 families not checked to their end$" "$W/out" || fail "no time: $(cat "$W/out")"

# The model of the device.
"$T" check --roofline >"$W/out" 2>"$W/err" || fail "check --roofline: $(cat "$W/out" "$W/err")"
for line in "device    " "memory    [0-9.]* GB/s" "float32   [0-9]* GFLOP/s" "float16   " "launch    [0-9.]* us of a kernel"; do
    grep -q "^$line" "$W/out" || fail "check --roofline: no line for $line: $(cat "$W/out")"
done
"$T" check --roofline --json >"$W/json" && "$T" -e '
local r = require("tlua.core").json_decode(io.open(arg[1]):read "a").roofline
assert(r.gflops > 0.1 and r.gbytes > 0.1 and r.launch > 0 and r.launch < 1 and r.round_trip >= r.launch)' "$W/json" || fail "check --roofline --json: $(cat "$W/json")"

refused() { # STATUS PATTERN WORDS...
    status=$1 pattern=$2
    shift 2
    "$T" check "$@" >"$W/out" 2>"$W/err"
    [ $? = "$status" ] && [ "$(wc -l <"$W/err")" = 1 ] && grep -q "$pattern" "$W/err" && [ ! -s "$W/out" ] || fail "check $*: $(cat "$W/out" "$W/err")"
}
refused 2 "did you mean '--json'" --jsn
refused 2 "a value is missing" --device
refused 2 "positive number" --seconds soon
refused 2 "roofline makes none" --roofline --seconds 3
refused 1 "unknown device" --device quantum

# The plan, where a processor looks like a GPU and where it does not.
"$T" tests/cli/make_pictures.lua "$W" || exit 1
cat >"$W/r.lua" <<LUA
local tlua = require "tlua"
return tlua.recipe { model = tlua.models.resnet18 { width = 8 }, freeze = "*", head = tlua.nn.Linear(3), data = tlua.data.folder { root = "$W/good", size = 32, batch = 4 },
  schedule = { epochs = 1 } }
LUA
cat >"$W/plan.lua" <<'LUA'
local tlua = require "tlua"
require("tlua.train").plan(require("tlua.train.build").session(dofile(arg[1])), print)
LUA
TLUA_VECTOR=1 "$T" "$W/plan.lua" "$W/r.lua" >"$W/out" || fail "the plan of what looks like a GPU"
grep -qFx "untested  tlua's tests have not run on a GPU of this kind: \`tlua check\` runs some" "$W/out" || fail "the plan names no untested GPU: $(cat "$W/out")"
TLUA_VECTOR=8 "$T" "$W/plan.lua" "$W/r.lua" >"$W/out" || fail "the plan of a processor"
grep -q "^device " "$W/out" && ! grep -q "^untested" "$W/out" || fail "the plan of a processor: $(cat "$W/out")"
echo "check: $failed failed"
[ "$failed" = 0 ]
