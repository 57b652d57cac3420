#!/bin/sh
# Runs every command of docs/guide.md, docs/speech.md, docs/medicine.md, docs/texts.md and docs/detection.md as it stands there, in a folder of its own. `make demo` is only looked up, since it
# installs packages; in place of the published weights stand random ones under their name, so nothing is downloaded.
set -u
cd "$(dirname "$0")/../.." || exit 1
ROOT=$PWD
W=$(mktemp -d)
trap 'rm -rf "$W"' EXIT
ln -s "$ROOT/tlua" "$ROOT/docs" "$ROOT/recipes" "$ROOT/tests" "$W"
make -n demo >/dev/null || { echo "FAILED: make has no demo"; exit 1; }

# The kernels of the tests' cache serve here too; features and weights are this test's own.
TLUA_CACHE=$W/cache
export TLUA_CACHE
mkdir -p "$TLUA_CACHE/weights"
[ -d "$ROOT/build/test-cache/kernels" ] && ln -s "$ROOT/build/test-cache/kernels" "$TLUA_CACHE/kernels"
./tlua -e 'tlua.manual_seed(1)
local net = tlua.models.efficientnet_lite0 {}
net:ready()
require("tlua.core").save(arg[1], net:state_dict(), { format = "pt" })' \
    "$TLUA_CACHE/weights/efficientnet-lite0-57934424.pth" || { echo "FAILED: making weights"; exit 1; }

# Blocks fenced without a language are commands; each is run by a shell of its own.
cd "$W" || exit 1
blocks() {
    awk -v dir="$W" -v name="$1" '
    /^```$/ && inside { inside = 0; close(file); next }
    /^```text/ { other = 1; next }
    /^```$/ && other { other = 0; next }
    /^```$/ { inside = 1; file = sprintf("%s/block-%s-%02d.sh", dir, name, ++n); printf "set -e\n" > file; next }
    inside { print > file }' "$ROOT/docs/$1.md"
}
blocks guide
blocks speech
blocks medicine
blocks texts
blocks detection
failed=0 ran=0
for block in "$W"/block-*.sh; do
    grep -q '^make demo' "$block" && continue
    if sh "$block" >"$block.log" 2>&1; then ran=$((ran + 1)); else
        failed=$((failed + 1))
        echo "FAILED:"
        cat "$block"
        tail -n 5 "$block.log"
    fi
done
for made in squares.png found/predictions.json found/labels/square60.txt runs/squares/report.html explain/square60.png ct.png patients.csv worklist.json runs/ct/report.html fed.png fed.html heard.csv heard.srt runs/speech/report.html runs/letters/model.safetensors lr.svg runs/mine/report.html runs/mine/model.safetensors runs/deeper/metrics.csv; do
    [ -s "$W/$made" ] || { failed=$((failed + 1)); echo "FAILED: $made was not made"; }
done
# examples/hear.c: from C the same is heard.
for clip in 001 002 003; do
    want=$("$ROOT/tlua" predict "$W/runs/speech" "$W/recordings/$clip.wav")
    got=$(tail -c +45 "$W/recordings/$clip.wav" | "$ROOT/build/hear" "$W/runs/speech/model.safetensors" 2>&1)
    [ "$got" = "$want" ] || { failed=$((failed + 1)); echo "FAILED: hear says '$got' of $clip.wav, and predict '$want'"; }
done
tail -c +45 "$W/recordings/001.wav" | "$ROOT/build/hear" "$W/runs/letters/model.safetensors" | grep -q '^odd	0\.' ||
    { failed=$((failed + 1)); echo "FAILED: hear gives no class"; }
"$ROOT/build/hear" "$W/runs/speech/model.safetensors" </dev/null 2>&1 | grep -q 'hears nothing' || { failed=$((failed + 1)); echo "FAILED: hear of nothing"; }
[ "$(wc -l <"$W/runs/mine/metrics.csv")" = 7 ] || { failed=$((failed + 1)); echo "FAILED: runs/mine has not six epochs"; }
echo "$ran blocks of docs/guide.md, docs/speech.md, docs/medicine.md, docs/texts.md and docs/detection.md ran, $failed failed"
# tests/docs.sh goes on here with the other documents.
if [ -n "${GUIDE_THEN:-}" ]; then sh "$GUIDE_THEN" in "$ROOT" || failed=$((failed + 1)); fi
[ "$failed" = 0 ] && [ "$ran" -ge 14 ]
