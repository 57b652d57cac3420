#!/bin/sh
# The folder of a run: a finished run is not written over in silence, its model stays until the new one is whole, and a disk without room is
# noticed before the training and said again when writing fails.
set -u
cd "$(dirname "$0")/../.." || exit 1
T=$PWD/tlua
W=$(mktemp -d)
trap 'umount "$W/small" 2>/dev/null; rm -rf "$W"' EXIT
failed=0
fail() { failed=$((failed + 1)); echo "FAILED: $*"; }
"$T" tests/cli/make_pictures.lua "$W" || exit 1
# STOP=SIGNAL makes the run stop itself in its third step.
cat >"$W/r.lua" <<LUA
local tlua = require "tlua"
local nn, n = tlua.nn, 0
local function loss(logits, labels)
  n = n + 1
  if n == 3 and os.getenv "STOP" then os.execute(("kill -%s %d"):format(os.getenv "STOP", require("tlua.core").getpid())) end
  return nn.functional.cross_entropy(logits, labels)
end
return tlua.recipe { model = tlua.models.resnet18 {}, freeze = "*", head = nn.Linear(3), cache = false, loss = loss,
  data = tlua.data.folder { root = "$W/good", size = 32, batch = 4 }, schedule = { epochs = 2 } }
LUA
R=$W/run
run() { "$T" "$W/r.lua" --out "$R" "$@" >"$W/out" 2>"$W/err"; }
hash_of() { sha256sum <"$1" 2>/dev/null; }
run || fail "the run: $(cat "$W/err")"
grep -q "^kept in $R: model.safetensors, report.html, metrics.csv, log.txt, and to go on from: last.safetensors, best.safetensors$" "$W/out" || fail "what is kept: $(grep kept "$W/out")"
old=$(hash_of "$R/model.safetensors")
refused() {
    before=$(cat "$R"/*.safetensors "$R"/*.txt 2>/dev/null | sha256sum)
    run && fail "$1 was written over"
    grep -q "$2" "$W/err" && grep -q -- "--out names another folder" "$W/err" && grep -q -- "--force begins anew" "$W/err" || fail "$1: $(cat "$W/err")"
    [ "$(cat "$R"/*.safetensors "$R"/*.txt 2>/dev/null | sha256sum)" = "$before" ] || fail "$1: something was changed"
}
refused "a finished run" "holds a finished run"
mkdir "$W/put-by"
mv "$R"/last.safetensors "$R"/previous.safetensors "$R"/best.safetensors "$W/put-by"
refused "a model without checkpoints" "holds model.safetensors of another run"
mv "$R/model.safetensors" "$W/put-by"
cp "$W/put-by/previous.safetensors" "$R"
echo damaged >"$R/last.safetensors"
refused "a damaged checkpoint with a whole one before it" "holds last.safetensors of another run"
cp "$W"/put-by/* "$R"

# With --force the old model stays until there is a whole new one: after a stop, after a crash, after another --force.
STOP=TERM run --force --seed 2
[ $? = 130 ] && [ "$(hash_of "$R/old/model.safetensors")" = "$old" ] && [ -s "$R/old/report.html" ] || fail "the old model is not put aside: $(ls "$R" "$R/old")"
[ -s "$R/model.safetensors" ] && [ "$(hash_of "$R/model.safetensors")" != "$old" ] || fail "the stopped run has no model of its own: $(ls "$R")"
STOP=TERM run --force --seed 3
[ $? = 130 ] && [ "$(hash_of "$R/old/model.safetensors")" = "$old" ] && [ -s "$R/old/report.html" ] || fail "a stopped run took the old model's place: $(ls "$R" "$R/old")"
"$T" "$W/r.lua" --resume "$R" --quiet || fail "--resume"
[ ! -e "$R/old" ] && [ -s "$R/model.safetensors" ] && [ "$(hash_of "$R/model.safetensors")" != "$old" ] || fail "the old model is still there: $(ls "$R")"
old=$(hash_of "$R/model.safetensors")
STOP=KILL run --force
[ ! -e "$R/model.safetensors" ] && [ "$(hash_of "$R/old/model.safetensors")" = "$old" ] || fail "after a crash: $(ls "$R")"
STOP=KILL run --force
[ "$(hash_of "$R/old/model.safetensors")" = "$old" ] || fail "after a second crash: $(ls "$R")"
run || fail "a folder that holds nothing but an old model: $(cat "$W/err")"
[ ! -e "$R/old" ] || fail "old/ is still there"

# Two runs without --out that begin together have two folders.
(cd "$W" && "$T" -e '
local folder, core, r = require "tlua.run.run_folder", require "tlua.core", dofile(arg[1])
local s = r:build()
s.epochs, s.out = s.data.epochs, folder.name(r)
local stem = assert(s.out:match "^(runs/.*)1$", s.out)
core.mkdirs(s.out)
local other = assert(core.lock(s.out .. "/run.lock"))
core.mkdirs(stem .. "2") -- and one that has come to its end already
core.write_file(stem .. "2/model.safetensors", "x")
core.mkdirs(stem .. "3")
core.write_file(stem .. "3/last.safetensors.link99999", "x") -- of a run that was killed
folder.name = function() folder.name = function() return stem .. "3" end return stem .. "2" end
folder.take(s, false, false)
assert(s.out == stem .. "3" and s.lock and not core.exists(stem .. "3/last.safetensors.link99999"), s.out)
assert(core.read_file(stem .. "2/model.safetensors") == "x")' "$W/r.lua") || fail "two runs at the same time"

# No room. What a run takes is foreseen: a model and three checkpoints of this network are 45 MB each.
"$T" -e '
local folder, r = require "tlua.run.run_folder", dofile(arg[1])
local s = r:build()
s.epochs, s.out = s.data.epochs, arg[2]
assert(folder.lacks_room(s, nil) == nil and folder.lacks_room(s, 400e6) == nil)
local why = assert(folder.lacks_room(s, 100e6))
assert(why:find("3 checkpoints of 45", 1, true) or why:find("3 checkpoints of 46", 1, true), why)
assert(folder.lacks_room(s, 170e6) and not folder.lacks_room(s, 190e6))
s.out = arg[3] -- what is there will be written anew
assert(not folder.lacks_room(s, 100e6) and folder.lacks_room(s, 20e6))' "$W/r.lua" "$W/nothing" "$R" || fail "the room that is foreseen"
if mkdir "$W/small" && mount -t tmpfs -o size=60m tmpfs "$W/small" 2>/dev/null; then
    R=$W/small/run
    run
    [ $? = 1 ] && grep -q "would write .* to $R .*, and 6[0-9].* are free there: make room, .*--out" "$W/err" && [ ! -e "$R" ] || fail "a small disk: $(cat "$W/err")"
    R=$W/run
else
    echo "skipped: a small disk (this user may not mount a tmpfs)"
fi

# Writing fails: here since no file may be larger than some 10 MB. What was kept before stays, and the way on is said.
(ulimit -f 20000 && R=$W/limited && run)
[ $? = 1 ] && grep -q "the model is not written: cannot write $W/limited/model.safetensors: File too large; make room in $W/limited; nothing is kept so far" "$W/err" || fail "no checkpoint at all: $(cat "$W/err")"
grep -q "checkpoint not written: cannot write $W/limited/last.safetensors: File too large; there is none yet" "$W/out" || fail "$(cat "$W/out")"
R="$W/stopped here"
STOP=TERM run
[ $? = 130 ] && grep -q "tlua $W/r.lua --resume '$R' goes on from here" "$W/out" || fail "a stop: $(cat "$W/out" "$W/err")"
kept=$(hash_of "$R/last.safetensors")
(ulimit -f 20000 && "$T" "$W/r.lua" --resume "$R" >"$W/out" 2>"$W/err")
[ $? = 1 ] && grep -q "make room in $R, then tlua $W/r.lua --resume '$R' goes on from epoch 1, step [0-9]" "$W/err" && [ "$(hash_of "$R/last.safetensors")" = "$kept" ] || fail "with a checkpoint: $(cat "$W/err")"
ls "$R"/*.tmp* >/dev/null 2>&1 && fail "something half-written was left"
"$T" "$W/r.lua" --resume "$R" --quiet && [ -s "$R/model.safetensors" ] || fail "going on with room"
echo "run folders: $failed failed"
[ "$failed" = 0 ]
