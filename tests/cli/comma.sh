#!/bin/sh
# Decimal commas: what a C program predicts, and what a recipe that calls os.setlocale writes, is the same under every locale.
set -u
cd "$(dirname "$0")/../.." || exit 1
T=$PWD/tlua B=$PWD/${BUILD:-build}
W=$(mktemp -d)
trap 'rm -rf "$W"' EXIT
failed=0
fail() { failed=$((failed + 1)); echo "FAILED: $*"; }
mkdir "$W/locale"
localedef -i de_DE -f UTF-8 "$W/locale/de_DE.UTF-8" >/dev/null 2>&1
german() { LOCPATH="$W/locale" LC_ALL=de_DE.UTF-8 "$@"; }
german "$B/comma" >/dev/null 2>&1
if [ $? = 77 ]; then
    echo "skipped: no locale with a decimal comma can be made here (Debian package locales)"
    exit 0
fi
"$T" tests/cli/make_pictures.lua "$W" || exit 1
cat >"$W/r.lua" <<LUA
local tlua = require "tlua"
return tlua.recipe { model = tlua.models.mobilenet_v3_small {}, freeze = "*", head = tlua.nn.Linear(3), data = tlua.data.folder { root = "$W/good", size = 32, batch = 4 },
  optim = tlua.optim.Adam { lr = 1.5e-2 }, schedule = { epochs = 2 } }
LUA
{
    echo 'assert(os.setlocale("") and not os.setlocale("de_DE.UTF-8", "numeric") and os.setlocale(nil, "numeric") == "C" and tostring(1.5) == "1.5")'
    echo 'assert(not os.setlocale("de_DE.UTF-8", "collate") and os.setlocale("C", "collate") == "C" and os.setlocale("C", "numeric") == "C" and "B" < "a")'
    echo 'assert(os.setlocale(nil, "time") == "de_DE.UTF-8" and os.setlocale("nowhere") == nil)'
    cat "$W/r.lua"
} >"$W/german.lua"
"$T" "$W/r.lua" --out "$W/c" --quiet || exit 1
german "$T" "$W/german.lua" --out "$W/de" --quiet --optim.lr 0.015 || fail "the run under de_DE"
same_but_seconds() { cut -d, -f1-6 "$1/metrics.csv"; }
[ "$(same_but_seconds "$W/c")" = "$(same_but_seconds "$W/de")" ] || fail "metrics.csv: $(cat "$W/de/metrics.csv")"
"$T" -e '
local core = require "tlua.core"
local _, a = core.entries(arg[1])
local _, b = core.entries(arg[2])
assert(a["tlua.pipeline"] == b["tlua.pipeline"] and a["tlua.plan"] == b["tlua.plan"], b["tlua.pipeline"])' "$W/c/model.safetensors" "$W/de/model.safetensors" || fail "the model's texts"
"$B/predict" "$W/c/model.safetensors" "$W/good/a/0.png" "$W/good/b/1.png" >"$W/point.txt" || fail "C"
for run in c de; do
    german "$B/comma" "$W/$run/model.safetensors" "$W/good/a/0.png" "$W/good/b/1.png" >"$W/comma.txt" || fail "C under de_DE: the model of $run"
    grep -q ',' "$W/comma.txt" || fail "the program has no comma"
    tr , . <"$W/comma.txt" | cmp -s - "$W/point.txt" || fail "the model of $run: $(cat "$W/comma.txt"), not $(cat "$W/point.txt")"
done
echo "decimal commas: $failed failed"
[ "$failed" = 0 ]
