#!/bin/sh
# What a run writes for people and for machines: --quiet says nothing, --json one object a line, pipes get no colours.
set -u
cd "$(dirname "$0")/../.." || exit 1
T=$PWD/tlua
W=$(mktemp -d)
trap 'rm -rf "$W"' EXIT
failed=0
fail() { failed=$((failed + 1)); echo "FAILED: $*"; }
"$T" tests/cli/make_pictures.lua "$W" || exit 1
cat >"$W/r.lua" <<LUA
local tlua = require "tlua"
return tlua.recipe { model = tlua.models.resnet18 { width = 8 }, freeze = "*", head = tlua.nn.Linear(3), cache = false,
  data = tlua.data.folder { root = "$W/good", size = 32, batch = 4 }, schedule = { epochs = 2 } }
LUA
"$T" "$W/r.lua" --out "$W/quiet" --quiet >"$W/out" 2>"$W/err" || fail "--quiet ended with an error: $(cat "$W/err")"
[ -s "$W/out" ] || [ -s "$W/err" ] && fail "--quiet said something: $(head -n 1 "$W/out" "$W/err")"
grep -q "Epoch 2" "$W/quiet/log.txt" || fail "log.txt of a quiet run is not whole"
"$T" "$W/r.lua" --optim.lr zero --quiet >"$W/out" 2>"$W/err"
[ $? = 2 ] && grep -q optim.lr "$W/err" || fail "--quiet hides errors"

"$T" "$W/r.lua" --json --out "$W/json" >"$W/out" 2>"$W/err" || fail "--json ended with an error: $(cat "$W/err")"
"$T" -e '
local core, seen = require "tlua.core", {}
for line in io.lines(arg[1]) do
  local e = core.json_decode(line)
  seen[#seen + 1] = e.event
  seen[e.event] = e
end
assert(seen.start.classes == 3 and seen.start.train_pictures > 0 and seen.start.out == arg[2], "start")
assert(seen.epoch.epoch == 2 and seen.epoch.loss and seen.epoch.test_accuracy, "epoch")
assert(seen[#seen] == "done" and seen.done.epochs == 2 and seen.done.accuracy == seen.epoch.test_accuracy and seen.done.interrupted == false, "done")
' "$W/out" "$W/json" || fail "--json: $(head -n 3 "$W/out")"

"$T" "$W/r.lua" --out "$W/plain" >"$W/out" 2>"$W/err" || fail "plain"
grep -q "$(printf '\033')" "$W/out" && fail "colours in a pipe"
cmp -s "$W/plain/model.safetensors" /dev/null && fail "no model"
echo "output for people and machines: $failed failed"
[ "$failed" = 0 ]
