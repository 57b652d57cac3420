#!/bin/sh
# Names and texts that are not UTF-8 (class folders of old archives, comments in CP949, paths): a run with them ends with its model, all
# that is written is UTF-8, and the bytes come back where they count.
set -u
cd "$(dirname "$0")/../.." || exit 1
T=$PWD/tlua P=$PWD/${BUILD:-build}/predict
W=$(mktemp -d)
trap 'rm -rf "$W"' EXIT
failed=0
fail() { failed=$((failed + 1)); echo "FAILED: $*"; }
"$T" tests/cli/make_pictures.lua "$W" || exit 1
D=$W/$(printf 'd\351') O=$W/$(printf 'o\351') E=$(printf 'caf\351')
mkdir "$D"
cp -r "$W/good" "$D/train"
cp -r "$W/good" "$D/test"
if ! mv "$D/train/a" "$D/train/$E" 2>/dev/null; then
    echo "skipped: this file system wants names in UTF-8"
    exit 0
fi
mv "$D/test/a" "$D/test/$E"
{
    printf -- '-- \261\271\274\366 \272\320\267\371\n'
    cat <<LUA
local tlua = require "tlua"
return tlua.recipe { model = tlua.models.mobilenet_v3_small {}, freeze = "*", head = tlua.nn.Linear(3), data = tlua.data.folder { root = "data", size = 32, batch = 4 },
  optim = tlua.optim.Adam { lr = 1e-2 }, schedule = { epochs = 2 } }
LUA
} >"$W/r.lua"

"$T" "$W/r.lua" --data.root "$D" --out "$O" --json >"$W/events" 2>"$W/err" || fail "the run: $(cat "$W/err")"
for name in model last best; do [ -s "$O/$name.safetensors" ] || fail "no $name.safetensors"; done
grep -q "not written" "$O/log.txt" && fail "$(grep "not written" "$O/log.txt")"
M=$O/model.safetensors
"$T" predict "$M" "$D/test" --csv >"$W/p.csv" || fail "predict --csv"
"$T" predict "$M" "$D/test" --json >"$W/p.json" || fail "predict --json"
"$T" report "$O" --to "$W/one.html" >/dev/null || fail "report"
"$T" report "$O" "$O" --to "$W/two.html" >/dev/null || fail "report of two"
"$T" -e '
local core, wrong = require "tlua.core", 0
for i = 1, #arg do
  if not utf8.len(core.read_file(arg[i])) then print(arg[i] .. " is not UTF-8") wrong = 1 end
end
os.exit(wrong)' "$W/events" "$W/p.csv" "$W/p.json" "$W/one.html" "$W/two.html" "$O/report.html" "$O/report.json" || fail "what is written"
grep -q 'caf\\xE9' "$O/report.html" && grep -q 'caf\\xE9' "$W/p.csv" || fail "the name of the class is not to be read"

# Where bytes count they are what they were: classes, paths, the command line of a run, the recipe.
"$T" -e '
local core = require "tlua.core"
local _, meta = core.entries(arg[1] .. "/model.safetensors")
for _, text in pairs(meta) do assert(utf8.len(text)) end
local info = core.json_decode(meta.tlua)
assert(info.labels[3] == arg[2] and info.recipe == core.read_file(arg[3]), "the description")
local list = core.json_decode(core.read_file(arg[4]))
assert(#list == 18 and core.exists(list[18].file) and list[18].file:find(arg[2], 1, true), "predict --json")' "$O" "$E" "$W/r.lua" "$W/p.json" || fail "bytes that come back"
"$T" eval "$M" >"$W/out" 2>"$W/err" && grep -q "of 18[,)]" "$W/out" || fail "eval: $(cat "$W/out" "$W/err")"
"$P" "$M" "$D/test/$E/0.png" "$D/test/b/0.png" >"$W/c.txt" || fail "from C"
"$T" predict "$M" "$D/test/$E/0.png" "$D/test/b/0.png" --top 1 >"$W/lua.txt"
[ "$(grep -c . "$W/c.txt")" = 2 ] && [ "$(grep -c "$E [0-9.]* %" "$W/lua.txt")" = "$(grep -c "	$E	" "$W/c.txt")" ] || fail "C and Lua name other classes"
"$T" "$W/r.lua" --resume "$O" --schedule.epochs 3 --force --quiet 2>"$W/err" || fail "--resume: $(cat "$W/err")"
grep -q "Epoch 3" "$O/log.txt" || fail "--resume did not go on"

# A parameter that no file can name is refused before the training.
cat >"$W/named.lua" <<'LUA'
local tlua = require "tlua"
local nn = tlua.nn
local Net = nn.class "Net"
function Net:init() self["w\xe9"] = nn.Linear(3 * 16 * 16, 3) end
function Net:forward(x) return self["w\xe9"](x:reshape(-1, 3 * 16 * 16)) end
return tlua.recipe { model = Net(), data = tlua.data.folder { root = "data", size = 16, batch = 4, mean = 0.5, std = 0.5 }, schedule = { epochs = 1 } }
LUA
"$T" "$W/named.lua" --data.root "$D" --out "$W/no" >/dev/null 2>"$W/err"
[ $? = 1 ] && grep -q 'w\\xE9.*is not UTF-8' "$W/err" && [ ! -e "$W/no" ] || fail "a name that is not UTF-8: $(cat "$W/err")"
echo "bytes that are not UTF-8: $failed failed"
[ "$failed" = 0 ]
