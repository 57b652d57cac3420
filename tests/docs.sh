#!/bin/sh
# Every block of code of the documents, behind those of the guides that tests/cli/guide.sh runs in `make test`: README, the pages on
# recipes, ONNX, the prompt, results and so on, and the examples of all commands (docs/reference/commands.md). `make test-docs`.
#
# Blocks fenced as text are output, or what needs hands; all others are run as they stand, in the folder where the guides have been run
# already, but for these lines: a recipe of recipes/ is trained nowhere, --help behind its words shows that they are known; `make` is only
# looked up; of Python's scripts of the source it is seen that they are there; what comes from a registry of packages is left out. `tlua watch`
# looks once; a run that is resumed is at its end already, and gets more epochs; of the cache goes
# what a network of these pages has in it. The former are counted. Examples of functions are run by tests/lua/examples.lua.
set -u
if [ "${1:-}" != in ]; then
    cd "$(dirname "$0")/.." || exit 1
    GUIDE_THEN=$PWD/tests/docs.sh exec sh tests/cli/guide.sh
fi
# Below here: in the guide's folder, the source at $2.
ROOT=$2
make -s -C "$ROOT" install PREFIX="$PWD/usr" >install.log 2>&1 || { echo "FAILED: make install: $(tail -n 3 install.log)"; exit 1; }
PATH=$PWD/usr/bin:$PATH PKG_CONFIG_PATH=$PWD/usr/lib/pkgconfig HOME=$PWD
# Python with ONNX Runtime and Pillow, where there is one.
PYTHON=${TLUA_PEERS:-$ROOT/build/peers}/bin/python
export PATH PKG_CONFIG_PATH HOME
tlua "$ROOT/tests/lua/run_docs.lua" "$ROOT" >made.log 2>&1 || { echo "FAILED: data of the documents"; tail -n 5 made.log; exit 1; }

# FILE -> a file for each block: NAME-LINE.LANGUAGE, without the indentation of lists.
blocks() {
    name=$(echo "${1%.md}" | tr / _)
    awk -v name="$name" '
    match($0, /^ *```/) && !inside {
        inside = 1; indent = RLENGTH - 3
        kind = substr($0, RLENGTH + 1)
        file = sprintf("block-%s-%04d.%s", name, FNR, kind == "" ? "sh" : kind)
        printf "" > file
        next
    }
    /^ *```$/ && inside { inside = 0; close(file); next }
    inside { print substr($0, indent + 1) > file }' "$ROOT/$1"
}
# What a line becomes that cannot be run as it stands; a letter before it says why: h, m, p, n.
ways() {
    awk '
    { line = line $0 }
    /\\$/ { sub(/\\$/, "", line); next }
    { sub(/(^|[ \t]+)#( .*)?$/, "", line) }
    line ~ /^\$ tlua -i / { sub(/^\$ /, "", line); print "cat >typed <<'"'END'"'"; next_typed = line; line = ""; next }
    line ~ /^> / { sub(/^> /, "", line); print line; line = ""; next }
    line ~ /^make / { sub(/^make /, "make -n -C \"$ROOT\" ", line); print line " >/dev/null #m"; line = ""; next }
    line ~ /^tlua (lr |--profile )?recipes\// || line ~ /^tlua compare / || line ~ /^tlua (check|tune)($| --quick| --device)/ {
        sub(/--resume [^ ]+/, "", line)
        print line " --help #h"; line = ""; next
    }
    line ~ /^tlua (eval|predict|tools|bench)[^ ]* *[A-Z][A-Z]+( |$)/ || line ~ /^tlua (tools|bench)\// {
        if (match(line, /(tools|bench)\/[a-z_]+\.lua/)) print "test -f \"$ROOT/" substr(line, RSTART, RLENGTH) "\" #p"
        else print "tlua " (line ~ /^tlua eval/ ? "eval" : "predict") " --help #h"
        line = ""; next
    }
    line ~ /python[0-9]* [^-]/ && match(line, /(tools|bench)\/[a-z_]+\.py/) { print "test -f \"$ROOT/" substr(line, RSTART, RLENGTH) "\" #p"; line = ""; next }
    line ~ /^(pip|unzip|mkdir -p ~|python )/ { print ": #n"; line = ""; next }
    line ~ /^sh bench\// || line ~ /bench\/[a-z]+\.lua/ { match(line, /bench\/[a-z_]+\.(sh|lua)/); print "test -f \"$ROOT/" substr(line, RSTART, RLENGTH) "\" #p"; line = ""; next }
    line ~ /^tlua .*--out runs\// { match(line, /--out runs\/[a-z]+/); print "rm -rf " substr(line, RSTART + 6, RLENGTH - 6) }
    line ~ /^tlua watch / { sub(/ --text$/, "", line); line = line " --once" }
    line ~ /^tlua --resume [^ ]+$/ { sub(/RUN/, "runs/mine", line); line = line " --epochs 9 --force" }
    line ~ /^tlua cache clear / { sub(/clear .*/, "clear net.onnx", line) }
    line ~ /^arecord / { sub(/^arecord[^|]*/, "tail -c +45 recordings/003.wav ", line) }
    { print line; line = "" }
    # The prompt goes on behind an error, and says it on standard error.
    END { if (next_typed) print "END\n" next_typed " <typed 2>typed.err || cat typed.err\ncat typed.err >&2\ntest ! -s typed.err" }'
}

failed=0 ran=0
run() { # BLOCK COMMAND...
    block=$1
    shift
    if "$@" >"$block.log" 2>&1 </dev/null; then ran=$((ran + 1)); else
        failed=$((failed + 1))
        echo "FAILED: $block"
        cat "$block"
        tail -n 5 "$block.log"
    fi
}
for page in README.md README.ko.md docs/recipes.md docs/onnx.md docs/repl.md docs/results.md docs/performance.md docs/format.md docs/internals.md docs/gpu.md \
    docs/faults.md docs/reference/commands.md; do blocks "$page"; done
ls "$ROOT"/docs/*.md | sed 's|.*/||' | grep -vxE 'ops.md|guide.md|speech.md|medicine.md|texts.md|detection.md' | while read -r page; do
    grep -q "docs/$page" "$ROOT/tests/docs.sh" || echo "$page"
done >unknown
[ -s unknown ] && { failed=$((failed + 1)); echo "FAILED: tests/docs.sh does not know $(tr '\n' ' ' <unknown)"; }
without_python=0
for block in block-*-[0-9][0-9][0-9][0-9].*; do
    case "$block" in
    *.text | *.log) ;;
    *.sh)
        ways <"$block" >"$block.run"
        run "$block" env ROOT="$ROOT" sh -e "$block.run"
        # The recipe of that page is no longer mine.lua.
        case "$block" in block-docs_onnx-*) [ ! -f guides_mine.lua ] || mv guides_mine.lua mine.lua ;; esac
        ;;
    *.lua | *.json)
        case "$block" in block-docs_onnx-*)
            if grep -q '^return tlua.recipe' "$block"; then mv mine.lua guides_mine.lua && cp "$block" mine.lua; fi
            ;;
        esac
        run "$block" tlua "$ROOT/tests/lua/run_docs.lua" "$ROOT" "$block"
        ;;
    *.python)
        tlua export runs/mine --to mine.onnx --normalize >>made.log 2>&1 && tlua export runs/pests --to pests.onnx --boxes nms --normalize >>made.log 2>&1
        if "$PYTHON" -c 'import onnxruntime, PIL' 2>/dev/null; then run "$block" "$PYTHON" "$block"; else without_python=$((without_python + 1)); fi
        ;;
    *)
        failed=$((failed + 1))
        echo "FAILED: $block is in no language that tests/docs.sh knows"
        ;;
    esac
done
echo "$ran more blocks of the documents ran, $failed failed; lines of them: $(cat block-*.run | grep -c '#h$') by --help alone, \
$(cat block-*.run | grep -c '#m$') of make looked up, $(cat block-*.run | grep -c '#p$') scripts looked up, $(cat block-*.run | grep -c '#n$') need a registry"
[ "$without_python" = 0 ] || echo "$without_python blocks of Python were not run: $PYTHON has no ONNX Runtime or no Pillow (make bench-peers)"
[ "$failed" = 0 ] && [ "$ran" -ge 40 ]
