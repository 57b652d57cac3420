#!/bin/sh
# Bad input from the command line: each case is one clear line on stderr, exit status 1 (2 for a wrong command line),
# and nothing half-written.
set -u
cd "$(dirname "$0")/../.." || exit 1
T=$PWD/tlua
W=$(mktemp -d)
trap 'umount "$W/small" 2>/dev/null; rm -rf "$W"' EXIT
passed=0 failed=0
# expect NAME STATUS PATTERN COMMAND...   the first line of stderr must match; there must be few lines; no traceback
expect() {
    name=$1 status=$2 pattern=$3
    shift 3
    "$@" >"$W/out" 2>"$W/err"
    got=$?
    if [ "$got" != "$status" ] || ! grep -qE "$pattern" "$W/err" || [ "$(wc -l <"$W/err")" -gt 4 ] || grep -q 'stack traceback' "$W/err"; then
        failed=$((failed + 1))
        echo "FAILED $name: status $got (wanted $status), wanted /$pattern/, stderr:"
        head -n 6 "$W/err"
    else
        passed=$((passed + 1))
    fi
}
absent() {
    if [ -e "$1" ]; then failed=$((failed + 1)); echo "FAILED: $1 was left behind"; else passed=$((passed + 1)); fi
}

# A tiny data set of class folders, and a recipe on it.
"$T" tests/cli/make_pictures.lua "$W" || { echo "FAILED making pictures"; exit 1; }
cat >"$W/r.lua" <<LUA
local tlua = require "tlua"
return tlua.recipe {
  model = tlua.models.resnet18 { width = 8 },
  freeze = "*",
  head = tlua.nn.Linear(3),
  data = tlua.data.folder { root = "$W/good", size = 32, batch = 4 },
  loss = tlua.nn.CrossEntropy {},
  optim = tlua.optim.Adam { lr = 1e-3 },
  schedule = { epochs = 1 },
}
LUA
R="$T $W/r.lua --out $W/run"
if ! $R >"$W/out" 2>"$W/err"; then echo "FAILED: the good run"; cat "$W/err"; exit 1; fi
M=$W/run/model.safetensors

expect "no such recipe" 1 "nowhere.lua" "$T" "$W/nowhere.lua"
expect "unknown option" 2 "learningrate|did you mean|unknown" "$T" "$W/r.lua" --optim.lrr 3
expect "unknown field" 2 "did you mean 'optim'|did you mean \"optim\"|optim" "$T" "$W/r.lua" --optm.lr 3
expect "value of the wrong type" 2 "epochs.*number|number.*epochs" "$T" "$W/r.lua" --schedule.epochs many
expect "unknown model" 2 "resnet50" "$T" "$W/r.lua" --model resnet51
expect "unknown device" 1 "unknown device" "$T" "$W/r.lua" --device quantum --out "$W/x"
absent "$W/x"
expect "missing weights" 1 "none.pth" "$T" "$W/r.lua" --weights "$W/none.pth" --out "$W/x"
absent "$W/x"
head -c 3000 tests/golden/io/plain.pth >"$W/cut.pth" 2>/dev/null || head -c 300 tests/golden/models.safetensors >"$W/cut.pth"
expect "truncated .pth" 1 "cut.pth" "$T" "$W/r.lua" --weights "$W/cut.pth" --out "$W/x"
head -c 100000 "$M" >"$W/cut.safetensors"
expect "truncated .safetensors" 1 "cut.safetensors" "$T" predict "$W/cut.safetensors" "$W/good/a/0.png"
printf '\377\377\377\377\377\377\377\177{}' >"$W/lie.safetensors"
expect "a header length that lies" 1 "lie.safetensors" "$T" "$W/r.lua" --weights "$W/lie.safetensors" --out "$W/x"
expect "a pickle that wants os.system" 1 "system" "$T" "$W/r.lua" --weights tests/golden/io/evil.pth --out "$W/x"
absent "$W/x"
expect "a JPEG cut short" 1 "cut.jpg" "$T" "$W/r.lua" --data.root "$W/cut" --out "$W/x"
absent "$W/x"
expect "an empty class folder" 1 "empty" "$T" "$W/r.lua" --data.root "$W/empty" --out "$W/x"
expect "one class only" 1 "one class|only one" "$T" "$W/r.lua" --data.root "$W/one" --out "$W/x"
expect "no such data" 1 "nothing-here" "$T" "$W/r.lua" --data.root "$W/nothing-here" --out "$W/x"
absent "$W/x"
sed "s/Linear(3)/Linear(512, 2)/" "$W/r.lua" >"$W/narrow.lua"
expect "a head too narrow for the classes" 1 "narrow.lua:|classes" "$T" "$W/narrow.lua" --out "$W/x"
sed "s/Linear(3)/Linear(2048, 3)/" "$W/r.lua" >"$W/wide.lua"
expect "a head of the wrong width" 1 "wide.lua:5.*64" "$T" "$W/wide.lua" --out "$W/x"
absent "$W/x"
expect "a wrong augmentation" 2 "^tlua: --augment.crop takes 2 numbers, not 1" "$T" "$W/r.lua" --augment.crop 0.5 --out "$W/x"
expect "a page for a recipe that is none" 1 "script.lua gives no recipe" sh -c "echo 'x = 1' > $W/script.lua; $T show $W/script.lua"
expect "a page that cannot be written" 1 "nowhere/page.png" "$T" show "$W/r.lua" --to "$W/nowhere/page.png"
cat >"$W/label.lua" <<'LUA'
local tlua = require "tlua"
local y = tlua.tensor({ 0, 7 }, { dtype = "int32" })
local loss = tlua.nn.functional.cross_entropy(tlua.zeros(2, 3), y)
print(loss:item())
LUA
expect "a label out of range" 1 "label 7 is out of range" "$T" "$W/label.lua"
expect "predict without a picture" 1 "gone.jpg" "$T" predict "$M" "$W/gone.jpg"
expect "no OpenCL at all" 1 "pocl-opencl-icd" env OCL_ICD_VENDORS="$W/no-vendors" "$T" "$W/r.lua" --out "$W/x"
absent "$W/x"
expect "an error in the recipe" 1 "syntax.lua:1" sh -c "echo 'return +' > $W/syntax.lua; $T $W/syntax.lua"
# Reasons: paths may hold parentheses, and what cannot be looked at is not the same as what is not there.
mv "$W/run" "$W/run (2)"
cp "$W/run (2)/last.safetensors" "$W/whole"
head -c "$(($(wc -c <"$W/whole") - 100))" "$W/whole" >"$W/run (2)/last.safetensors"
expect "a damaged checkpoint" 1 "run \(2\)/last.safetensors is damaged: the tensor .* it is cut short" "$T" "$W/r.lua" --resume "$W/run (2)"
long=$W/$(printf '%0300d' 0)
expect "a model that cannot be looked at" 1 "cannot open .*: File name too long" "$T" predict "$long" "$W/good/a/0.png"
expect "weights that cannot be looked at" 1 "cannot open .*: File name too long" "$T" "$W/r.lua" --weights "$long" --out "$W/x"
expect "a recipe that cannot be looked at" 1 "cannot open .*: File name too long" "$T" "$long.lua"
expect "data that cannot be looked at" 1 "cannot be opened: File name too long" "$T" "$W/r.lua" --data.root "$long" --out "$W/x"
expect "data that are a file" 1 "r.lua: it is no folder" "$T" "$W/r.lua" --data.root "$W/r.lua" --out "$W/x"
expect "a report of nothing" 1 "report: there is no folder $W/gone" "$T" report "$W/gone"
"$T" -e 'local util = require "tlua.util"
local url = "https://a/b(1).zip"
assert(util.download_reason("x.lua:1: /c (2)/b(1).zip: could not be had from " .. url .. " (Could not resolve host (a)); fetch it elsewhere and put it there", url) == "Could not resolve host (a)")
assert(util.download_reason("/c (2)/b: cannot be written: No space left on device", url) == "/c (2)/b: cannot be written: No space left on device")' ||
    { failed=$((failed + 1)); echo "FAILED: the reason of a download"; }
# A home that cannot be written, as under `docker run --user`.
N="env -i PATH=$PATH"
[ "$(id -u)" = 0 ] && N="setpriv --reuid 65534 --regid 65534 --clear-groups $N"
if command -v setpriv >/dev/null 2>&1 && $N "$T" --version >/dev/null 2>&1; then
    mkdir -m 777 "$W/cache"
    chmod 755 "$W"
    $N HOME=/nonexistent TLUA_CACHE="$W/cache" "$T" devices | grep -q "^1 " || { failed=$((failed + 1)); echo "FAILED: no device although TLUA_CACHE can be written"; }
    "$T" devices | grep -qv "Portable Computing" || {
        expect "no place for PoCL" 1 "PoCL.*/nonexistent/.cache/pocl/kcache is none; set TLUA_CACHE" $N HOME=/nonexistent "$T" devices
        expect "no place for PoCL, in a script" 1 "PoCL.*/kcache is none; set TLUA_CACHE" $N HOME=/ "$T" -e 'tlua.device()'
        expect "a place for PoCL that is none" 1 "PoCL.*/none/pocl is none" $N HOME=/nonexistent TLUA_CACHE="$W/cache" POCL_CACHE_DIR=/none/pocl "$T" devices
    }
    expect "no place for weights" 1 "cannot make folder /nonexistent: .*; TLUA_CACHE names another" $N HOME=/nonexistent POCL_CACHE_DIR="$W/cache/pocl" "$T" -e 'tlua.models.resnet18 { weights = "imagenet" }:ready()'
else
    echo "skipped: a home that cannot be written (no setpriv)"
fi
# A full disk, where this user may mount one.
mkdir "$W/small"
if mount -t tmpfs -o size=1m tmpfs "$W/small" 2>/dev/null; then
    expect "a full disk" 1 "make room" "$T" "$W/r.lua" --out "$W/small/run"
    absent "$W/small/run"
    expect "a full disk all the same" 1 "No space left on device; make room in $W/small/run" "$T" "$W/r.lua" --out "$W/small/run" --force
    absent "$W/small/run/model.safetensors"
    ls "$W"/small/run/*.tmp* >/dev/null 2>&1 && { failed=$((failed + 1)); echo "FAILED: a temporary file was left"; }
else
    echo "skipped: a full disk (this user may not mount a tmpfs)"
fi
# Words that want no value elsewhere; an empty variable of a shell; numbers that are named twice.
expect "a flag of other tools" 2 "unknown option '--local-rank': a run has one device" "$T" "$W/r.lua" --local-rank --epochs 2
expect "a flag of other tools at the end" 2 "unknown option '--local-rank': a run has one device" "$T" "$W/r.lua" --local-rank
expect "an empty list of names" 2 "freeze: globs, like .*, or none is needed, not ''" "$T" "$W/r.lua" --freeze ''
expect "a seed twice" 1 "compare: seeds names 1 twice" "$T" compare "$W/r.lua" --compare.seeds 1,1 --out "$W/twice"
expect "a convolution nobody knows" 1 "TLUA_CONV: no convolution is computed by 'winogard'" env TLUA_CONV=winogard "$T" "$W/r.lua" --weights none --out "$W/wino"

# A model is tested on the classes that it knows, and has figures where its outputs are numbers.
"$T" "$W/r.lua" --weights none --out "$W/three" --quiet || { failed=$((failed + 1)); echo "FAILED: the run for eval"; }
"$T" -e 'dofile("tests/lua/run_pictures.lua").cifar(arg[1], 10)' "$W/cifar"
expect "other classes" 1 "eval: the classes in .*cifar are others than the network's: 10 \(airplane, automobile, bird, ...\), and it knows 3" \
    "$T" eval "$W/three" --data cifar10 --data.root "$W/cifar"
expect "an option of training" 2 "data.augment is for training" "$T" eval "$W/three" --data.augment standard
"$T" -e 'local core = require "tlua.core"
local tensors, about = core.load(arg[1])
tensors["fc.bias"] = core.tensor { 0 / 0, 0, 0 }
core.save(arg[2], tensors, about)' "$W/three/model.safetensors" "$W/nan.safetensors"
expect "outputs that are no numbers" 1 "eval: the network's outputs are no numbers \(nan\) for [0-9]+ of [0-9]+ pictures" "$T" eval "$W/nan.safetensors"
expect "a prediction that is none" 1 "outputs are no numbers \\(nan\\) for [0-9]+ of [0-9]+ pictures" "$T" predict "$W/nan.safetensors" "$W/good"

echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
