#!/bin/sh
# Standard output that is full, closed or read no longer; hang-up. A command whose output is cut says so, and no run ends by it.
set -u
cd "$(dirname "$0")/../.." || exit 1
T=$PWD/tlua
W=$(mktemp -d)
trap 'rm -rf "$W"' EXIT
failed=0
fail() { failed=$((failed + 1)); echo "FAILED: $*"; }
"$T" tests/cli/make_pictures.lua "$W" || exit 1
# STOP=SIGNAL makes the run hang up (or the like) on itself in its third step.
cat >"$W/r.lua" <<LUA
local tlua = require "tlua"
local nn, n = tlua.nn, 0
local function loss(logits, labels)
  n = n + 1
  if n == 3 and os.getenv "STOP" then os.execute(("kill -%s %d"):format(os.getenv "STOP", require("tlua.core").getpid())) end
  return nn.functional.cross_entropy(logits, labels)
end
return tlua.recipe {
  model = nn.Sequential(nn.Conv2d(3, 8, 3, { stride = 2, padding = 1 }), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 3)),
  data = tlua.data.folder { root = "$W/good", size = 16, batch = 4, mean = 0.5, std = 0.5 }, loss = loss, schedule = { epochs = 2 } }
LUA
cat >"$W/n.lua" <<LUA
local tlua = require "tlua"
return tlua.recipe { model = tlua.models.resnet18 { width = 8 }, freeze = "*", head = tlua.nn.Linear(3), cache = false,
  data = tlua.data.folder { root = "$W/good", size = 32, batch = 4 }, schedule = { epochs = 1 } }
LUA
"$T" "$W/n.lua" --out "$W/n" --quiet || exit 1
M=$W/n/model.safetensors

# ---- a full disk behind stdout ----
if [ -w /dev/full ]; then
    full() {
        "$@" >/dev/full 2>"$W/err"
        status=$?
        [ $status = 1 ] && [ "$(grep -c "cannot write to stdout: No space left on device" "$W/err")" = 1 ] && [ "$(wc -l <"$W/err")" = 1 ] || fail "$*: status $status, $(cat "$W/err")"
    }
    full "$T" predict "$M" "$W/good" --csv
    full "$T" predict "$M" "$W/good" --json
    full "$T" eval "$M" --data.root "$W/good" --json
    full "$T" "$W/n.lua" --help
    full "$T" cache list
    full "$T" --help
    full "$T" --version
    full "$T" -e 'print(1)'
    full "$T" -e 'print(1) os.exit(0)'
    full "$T" "$W/r.lua" --out "$W/full"
    full "$T" "$W/r.lua" --out "$W/full-json" --json
    for run in full full-json; do
        [ -s "$W/$run/model.safetensors" ] && grep -q "^\[Epoch 2\]" "$W/$run/log.txt" || fail "a full disk behind stdout ended the run"
    done
    "$T" -e 'io.write(("x"):rep(100000))' >/dev/full 2>"$W/err"
    [ $? = 1 ] && grep -q "cannot write to stdout" "$W/err" || fail "io.write: $(cat "$W/err")"
fi

# ---- nobody reads ----
{ "$T" "$W/r.lua" --out "$W/pipe" 2>"$W/err"; echo $? >"$W/status"; } | head -n 1 >/dev/null
[ "$(cat "$W/status")" = 0 ] && [ ! -s "$W/err" ] && [ -s "$W/pipe/model.safetensors" ] && grep -q "^done in" "$W/pipe/log.txt" || fail "a closed pipe: status $(cat "$W/status"), $(cat "$W/err")"
{ "$T" "$W/r.lua" --out "$W/pipe2" --json 2>"$W/err"; echo $? >"$W/status"; } | head -n 1 >/dev/null
[ "$(cat "$W/status")" = 0 ] && [ ! -s "$W/err" ] && [ -s "$W/pipe2/model.safetensors" ] || fail "--json into a closed pipe: status $(cat "$W/status"), $(cat "$W/err")"
{ "$T" predict "$M" "$W/good" --batch 1 2>"$W/err"; echo $? >"$W/status"; } | true
[ "$(cat "$W/status")" != 0 ] && [ ! -s "$W/err" ] || fail "predict | true: status $(cat "$W/status"), $(cat "$W/err")"

# ---- streams that are closed from the beginning: no file of the run comes to stand under their numbers ----
"$T" "$W/r.lua" --out "$W/closed" >&- 2>"$W/err" || fail "closed stdout: $(cat "$W/err")"
"$T" "$W/r.lua" --out "$W/closed-all" <&- >&- 2>&- || fail "closed streams"
for run in closed closed-all; do
    "$T" predict "$W/$run/model.safetensors" "$W/good/a/0.png" >/dev/null 2>"$W/err" || fail "the model of $run is not whole: $(cat "$W/err")"
    head -n 1 "$W/$run/log.txt" | grep -q "^device" && head -n 1 "$W/$run/metrics.csv" | grep -q "^epoch" || fail "the files of $run are not what they were"
done
"$T" predict "$M" "$W/good" >&- 2>"$W/err"
[ $? = 1 ] && grep -q "cannot write to stdout: Bad file descriptor" "$W/err" || fail "predict >&-: $(cat "$W/err")"

# ---- hang-up ----
"$T" "$W/r.lua" --out "$W/whole" --quiet || fail "the whole run"
for signal in HUP TERM; do
    STOP=$signal "$T" "$W/r.lua" --out "$W/$signal" >"$W/out" 2>"$W/err"
    status=$?
    [ $status = 130 ] && [ -s "$W/$signal/last.safetensors" ] && grep -q "goes on from here" "$W/out" || fail "SIG$signal: status $status, $(cat "$W/out" "$W/err")"
    "$T" "$W/r.lua" --resume "$W/$signal" --quiet || fail "--resume after SIG$signal"
    [ "$(cut -d, -f1-6 "$W/$signal/metrics.csv")" = "$(cut -d, -f1-6 "$W/whole/metrics.csv")" ] || fail "after SIG$signal the run is another"
done
# Kernel and shell may both say it; it is not taken for impatience.
cat >"$W/thrice.lua" <<'LUA'
local core = require "tlua.core"
core.catch_interrupt(true)
for i = 1, 5 do os.execute(("kill -HUP %d"):format(core.getpid())) end
assert(core.interrupted())
core.catch_interrupt(false)
print "still here"
LUA
[ "$("$T" "$W/thrice.lua")" = "still here" ] || fail "three hang-ups"
# nohup keeps its word.
(trap '' HUP; STOP=HUP "$T" "$W/r.lua" --out "$W/nohup" --quiet) || fail "nohup: status $?"
[ "$(cut -d, -f1-6 "$W/nohup/metrics.csv")" = "$(cut -d, -f1-6 "$W/whole/metrics.csv")" ] || fail "nohup"
echo "full and closed output, hang-up: $failed failed"
[ "$failed" = 0 ]
