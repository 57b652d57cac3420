#!/bin/sh
# examples/detect.c: boxes from C are those that `tlua predict` says, in pixels of the pictures, however these are prepared; what finds no
# boxes is refused in one line.
set -u
cd "$(dirname "$0")/../.." || exit 1
T=$PWD/tlua B=$PWD/${BUILD:-build}
D=$B/detect
W=$(mktemp -d)
trap 'rm -rf "$W"' EXIT
failed=0
fail() { failed=$((failed + 1)); echo "FAILED: $*"; }
"$T" docs/squares.lua "$W/squares" || exit 1

run() { # NAME NETWORK EPOCHS DATA TASK
    cat >"$W/$1.lua" <<LUA
local tlua = require "tlua"
return tlua.recipe { model = tlua.models.$2 {}, data = tlua.data.yolo { root = "$W/squares", batch = 8, $4 }, augment = { flip = true },
  task = tlua.task.detect { $5 }, optim = tlua.optim.SGD { lr = 0.02, momentum = 0.9, nesterov = true }, schedule = { epochs = $3 },
  batchnorm = 0.2, test_every = 0 }
LUA
    "$T" "$W/$1.lua" --out "$W/$1" --quiet >"$W/log" 2>&1 || fail "$1: $(cat "$W/log")"
}
run yolox yolox_nano 12 'size = 96' 'confidence = 0.05'
run yolov8 yolov8n 12 'size = 64, fit = "stretch", interpolation = "bilinear"' 'confidence = 0.002, most = 30, per_class = false'

# Pictures of other sizes and forms beside the squares.
"$T" -e 'local core = require "tlua.core"
local x = core.image_read(arg[1], 3):to "float32"
local function write(to, h, w)
  core.image_write(to, core.ops.interpolate(x:reshape(1, x:shape(1), x:shape(2), 3), { size = { h, w }, mode = "linear" }):reshape(h, w, 3):to "uint8")
end
write(arg[2] .. "/wide.png", 40, 333)
write(arg[2] .. "/high.png", 151, 37)' "$W/squares/images/test/square60.png" "$W" || fail "pictures"

# Both run the calls of the file then, so the boxes are the same and not just near: of a network that has learnt little, scores are so close
# that what is rounded otherwise changes their order, and which of two that overlap stays. "shorter": pictures are prepared in another way.
calls() { # FROM TO [shorter]
    "$T" -e 'local core = require "tlua.core"
    local tensors, meta = core.load(arg[1])
    local info = core.json_decode(meta.tlua)
    info.model, info.options = "custom", nil
    if arg[3] == "shorter" then
      local p = info.preprocessing
      p.fit, p.size, p.resize, p.interpolation = "shorter", 96, 103, "bilinear"
      local text, n = meta["tlua.pipeline"]:gsub("letterbox%b()", "resize(size=103); center_crop(size=96)")
      assert(n == 1)
      meta["tlua.pipeline"] = text
    end
    meta.tlua = core.json_encode(info)
    core.save(arg[2], tensors, meta)' "$@" || fail "the calls of $1"
}
same() { # MODEL
    "$D" "$1" "$W"/squares/images/test/*.png "$W/wide.png" "$W/high.png" | tr '\t' ',' >"$W/c.csv" || fail "$1 from C"
    "$T" predict "$1" "$W"/squares/images/test/*.png "$W/wide.png" "$W/high.png" --csv --batch 8 >"$W/lua.csv" || fail "$1 from Lua"
    sed -e 1d -e '/,,,,,,/d' -e 's/,$//' "$W/lua.csv" >"$W/wanted.csv"
    cmp -s "$W/c.csv" "$W/wanted.csv" || fail "C and Lua differ on $1: $(diff "$W/c.csv" "$W/wanted.csv" | head -n 4)"
    [ -n "${VERBOSE:-}" ] && { wc -l "$W/c.csv"; head -n 3 "$W/c.csv"; }
    [ "$(wc -l <"$W/c.csv")" -ge 40 ] && grep -q wide.png "$W/c.csv" && grep -q high.png "$W/c.csv" || fail "$1: little was found"
}
calls "$W/yolox/model.safetensors" "$W/letterbox.safetensors"
calls "$W/yolox/model.safetensors" "$W/shorter.safetensors" shorter
calls "$W/yolov8/model.safetensors" "$W/stretch.safetensors"
for name in letterbox shorter stretch; do same "$W/$name.safetensors"; done
"$T" export "$W/yolox/last.safetensors" --to "$W/exported.safetensors" >/dev/null || fail "export of a checkpoint"
"$D" "$W/exported.safetensors" "$W/wide.png" >"$W/a" && "$D" "$W/yolox/model.safetensors" "$W/wide.png" >"$W/b" || fail "an exported checkpoint"
cmp "$W/a" "$W/b" || fail "an exported checkpoint says something else"

# One line, which says what is wrong, and nothing else.
refused() { # TEXT MODEL PICTURE
    "$D" "$2" "$3" >"$W/out" 2>"$W/err"
    status=$?
    [ $status = 1 ] && [ "$(wc -l <"$W/err")" = 1 ] && grep -q "$1" "$W/err" && [ ! -s "$W/out" ] || fail "$2: status $status, wanted /$1/: $(cat "$W/err")"
}
"$T" export squeezenet1_1 --weights none --to "$W/labels.safetensors" >/dev/null || fail "export of random weights"
refused "networks that find boxes, and this network was made for another task: classify" "$W/labels.safetensors" "$W/wide.png"
refused "none.png: " "$W/yolox/model.safetensors" "$W/none.png"
head -c 60 "$W/wide.png" >"$W/cut.png"
refused "cut.png: damaged" "$W/yolox/model.safetensors" "$W/cut.png"
echo "boxes from C: $failed failed"
[ "$failed" = 0 ]
