#!/bin/sh
# Makes the pictures of the documentation again: sh docs/make_pictures.sh repl|report|names
# repl: the prompt, typed into tmux; what then stands on the screen becomes docs/pictures/repl.svg (docs/screen.lua).
# report: the head of the report that `make demo` has left, in headless Chromium, becomes docs/pictures/report.png.
# names: `show` and `explain` on the pictures of docs/animals.lua, whose names are Korean, with the network of docs/guide.md.
set -eu
cd "$(dirname "$0")/.."
mkdir -p docs/pictures

screen() { tmux -L tlua-pictures "$@"; }
# Waits for the prompt.
ready() {
    i=0
    until [ "$(screen capture-pane -p | sed '/^$/d' | tail -n 1 | sed 's/ *$//')" = ">" ]; do
        i=$((i + 1))
        [ $i -lt 600 ] || { echo "make_pictures: the prompt does not come back" >&2; exit 1; }
        sleep 0.2
    done
}
# Types one line as it is and waits for the next prompt.
type_line() {
    screen send-keys -l "$1"
    screen send-keys Enter
    sleep 0.3
    ready
}

repl() {
    command -v tmux >/dev/null || { echo "make_pictures: tmux is needed" >&2; exit 1; }
    trap 'screen kill-server 2>/dev/null || true' EXIT
    screen new-session -d -x 110 -y 56 "exec env COLORTERM=truecolor LC_ALL=C.UTF-8 TLUA_HISTORY=0 ./tlua"
    ready
    type_line 'x = tlua.randn(64, 512)'
    type_line 'x'
    type_line 'tlua.nn.Sequential(tlua.nn.Linear(512, 64), tlua.nn.ReLU(), tlua.nn.Linear(64, 10))'
    type_line 'x:matmul(tlua.zeros(8, 8))'
    type_line 'help "softmax"'
    type_line 'y, x = (tlua.arange(20) / 3):reshape { 20, 1, 1 }, (tlua.arange(80) / 8):reshape { 1, 80, 1 }'
    type_line 'show(tlua.concat(y:sin() * x:cos(), y:cos() * x:sin(), (x * 0.7 + y):sin(), { axis = 3 }) * 0.5 + 0.5)'
    screen send-keys -l 'tlua.nn.Co'
    screen send-keys Tab Tab
    sleep 0.5
    screen capture-pane -p -e >"$1"
}

case "${1:-}" in
repl)
    t=$(mktemp)
    repl "$t"
    ./tlua docs/screen.lua "$t" docs/pictures/repl.svg 110
    rm -f "$t"
    ;;
report)
    page=$PWD/runs/demo/report.html
    [ -f "$page" ] || { echo "make_pictures: there is no $page: make demo first" >&2; exit 1; }
    command -v chromium >/dev/null || { echo "make_pictures: chromium is needed" >&2; exit 1; }
    chromium --headless --no-sandbox --disable-gpu --hide-scrollbars --window-size=1000,1020 \
        --screenshot="$PWD/docs/pictures/report.png" "file://$page" 2>/dev/null
    ;;
names)
    t=$(mktemp -d)
    trap 'rm -rf "$t"' EXIT
    cat >"$t/mine.lua" <<END
local tlua = require "tlua"
return tlua.recipe {
  model = tlua.models.efficientnet_lite0 { weights = "imagenet" }, freeze = "*", head = tlua.nn.Linear(3),
  data = tlua.data.folder { root = "$t/동물", size = 96, batch = 16 },
  optim = tlua.optim.Adam { lr = 1e-3 }, schedule = { epochs = 4 },
}
END
    ./tlua docs/animals.lua "$t/동물"
    ./tlua show "$t/mine.lua" --to docs/pictures/names_show.png --pictures 12 --columns 6 --augment.rotate 10
    ./tlua "$t/mine.lua" --out "$t/run" --quiet
    ./tlua explain "$t/run" "$t/동물/test/고양이/고양이 01.png" --layer _blocks.10 --to "$t"
    cp "$t/고양이 01.png" docs/pictures/names_explain.png
    ;;
*)
    echo "usage: sh docs/make_pictures.sh repl|report|names" >&2
    exit 2
    ;;
esac
