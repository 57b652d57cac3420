#!/bin/sh
# The prompt, driven in a pseudo-terminal (tests/pty.c).
set -u
cd "$(dirname "$0")/../.." || exit 1
BUILD=${BUILD:-build}
T=$PWD/tlua
PTY=$PWD/$BUILD/pty
W=$(mktemp -d)
trap 'rm -rf "$W"' EXIT
passed=0 failed=0
# A cache folder of its own for the history; compiled kernels come from the tests' one.
mkdir -p "$W/cache"
[ -n "${TLUA_CACHE:-}" ] && [ -d "$TLUA_CACHE/kernels" ] && ln -s "$TLUA_CACHE/kernels" "$W/cache/kernels"
export TLUA_CACHE="$W/cache" TERM=xterm COLORTERM= LC_ALL=C.UTF-8
unset NO_COLOR TMUX KITTY_WINDOW_ID TLUA_GRAPHICS TLUA_HISTORY TERM_PROGRAM

# session NAME COMMAND...   what to type and to expect stands on stdin
session() {
    name=$1
    shift
    if "$PTY" "$@" >"$W/out"; then passed=$((passed + 1)); else
        failed=$((failed + 1))
        echo "FAILED $name"
        cat "$W/out"
    fi
}
check() {
    name=$1
    shift
    if "$@"; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "FAILED $name"; fi
}

session values "$T" <<'END'
expect help() tells what there is
line 1 + 1
expect 2
line tlua.zeros(300, 300)
expect tensor (300, 300) float32
expect ...
line tlua.tensor { 0/0, 1/0, 3 }
expect nan
expect inf
line tlua.nn.Sequential(tlua.nn.Linear(3, 4), tlua.nn.ReLU())
expect 16 parameters
expect nn.Linear(3 -> 4)
expect weight (4, 3)
line { 1, b = "x" }
expect { 1, b = "x" }
line local a = 1
expect without `local` the name stays
prompt
send \x04
end
END

session "several lines" "$T" <<'END'
line for i = 1, 2 do
prompt
line

line   print("turn " .. i * 10)
line end
expect turn 10
expect turn 20
line print([[one
expect >> 
line two]])
expect one
expect two
line 20 +
expect >> 
line 3
expect 23
line "abc
expect unfinished string
line 7
expect 7
absent >>
prompt
send \x04
end
END

session completion "$T" <<'END'
prompt
send tlua.nn.Lin\t
expect tlua.nn.Linear
send (2, 3)\r
expect nn.Linear(2 -> 3), 9 parameters
line x = tlua.zeros(3)
send x:nume\t
expect x:numel
send ()\r
expect 3
line net = tlua.models.resnet18 {}
send net.layer1:parame\t
expect parameter
send \t
expect parameters
send \x03
expect ^C
line list = { alpha = 5, alps = 6 }
send list.al\t
expect list.alp
send \t
expect alpha
expect alps
send h\t
expect list.alpha
send \r
expect 5
prompt
send require "tlua.train.st\t\t
expect stage
expect step
send \x03
prompt
send "tests/cli/err\t
expect tests/cli/errors.sh"
send \r
prompt
send whi\t
expect while
send \x03
prompt
send \x04
end
END

session errors "$T" <<'END'
line tlua.zeros(2):sum()
line before = tlua.memory()
line x = tlua.zeros(2, 3):matmul(tlua.zeros(2, 3))
expect matmul: (2, 3) x (2, 3)
absent traceback
absent stdin:1
line local a = tlua.zeros(1000, 1000) local b = a + 1 error("boom")
expect boom
line tlua.memory() == before
expect true
line tlua.zerros(3)
expect did you mean 'zeros'
line error({})
expect error object
line setmetatable({}, { __tostring = function() error "in tostring" end })
expect in tostring
line y = )
expect unexpected symbol
line 6 * 7
expect 42
prompt
send \x04
end
END

session "Ctrl-C" "$T" <<'END'
prompt
send nonsense
expect nonsense
send \x03
expect ^C
line 40 + 2
expect 42
line for i = 1, 3 do
expect >> 
send \x03
expect ^C
line 50 + 1
expect 51
send print "begun" while true do end\r
expect begun
expect begun
send \x03
expect interrupted
prompt
line x = tlua.randn(1024, 1024) before = tlua.memory()
send do print "begun" local y = x while true do y = x:matmul(y) * 0.03 tlua.sync() end end\r
expect begun
expect begun
send \x03
expect interrupted
line tlua.memory() == before
expect true
send do print "begun" while true do pcall(function() return x:matmul(x):sum():item() end) end end\r
expect begun
expect begun
send \x03
expect interrupted
line x:shape(1)
expect 1024
line tlua.ones(64, 64):matmul(tlua.ones(64, 64)):sum():item()
expect 262144
prompt
send \x04
end
END

session help "$T" <<'END'
line help()
expect operators
expect matmul
line help(tlua.nn.Linear)
expect nn.Linear(in_features, out_features, { options })
expect y = x w' + b
line help "matmul"
expect transpose_b
expect PyTorch:
line help(tlua.optim.Adam)
expect weight_decay
line help "convv"
expect did you mean 'conv'?
line help(tlua.nn.CrossEntropy {})
expect label_smoothing
prompt
send \x04
end
END

# The terminal says nothing when it is asked for its graphics; that must not hang, and half blocks come.
session show "$T" <<'END'
line show(tlua.rand(8, 8, 3))
expect ▀▀▀▀
expect (8, 8, 3) float32
line show "tests/golden/data/grey.jpg"
expect ▀▀▀▀
expect grey.jpg
line show(tlua.zeros(4))
expect a picture is
line show "nowhere.png"
expect nowhere.png
prompt
send \x04
end
END
TLUA_GRAPHICS=kitty session "show in shades" env NO_COLOR=1 TLUA_GRAPHICS=blocks "$T" <<'END'
line show(tlua.ones(8, 8, 3))
expect ████
prompt
send \x04
end
END
printf 'show(tlua.ones(4, 4, 3))\n1 +\n1\nfor\n' | "$T" >"$W/plain" 2>"$W/plain.err"
check "no terminal: a note instead of a picture" grep -q 'not drawn' "$W/plain"
check "no terminal: several lines" grep -qx 2 "$W/plain"
check "no terminal: no escape sequences" sh -c "! grep -q '$(printf '\033')' '$W/plain' '$W/plain.err'"
check "the end within a block is told" grep -q 'near <eof>' "$W/plain.err"

# History: kept, in order, several lines as one entry; not with a space before it, not when it is switched off.
rm -rf "$W/cache/prompt"
session "history, first session" "$T" <<'END'
line first = 41
line  secret = 1
line for i = 1, 1 do
line print("loop " .. i) end
expect loop 1
prompt
send \x04
end
END
session "history, second session" "$T" <<'END'
prompt
send \e[A\e[A
expect first = 41
send \r
prompt
line first + 1
expect 42
send \e[A\e[A\e[A
expect for i = 1, 1 do
send \r
expect loop 1
prompt
send \x04
end
END
cp "$W/cache/prompt/history" "$W/history"
TLUA_HISTORY=0 session "history, switched off" "$T" <<'END'
line unkept = 1
prompt
send \x04
end
END
check "what was typed is in the history" grep -qx 'first = 41' "$W/history"
check "a line with a space before it is not" sh -c "! grep -q secret '$W/history'"
check "several lines are one entry" grep -q '^for i = 1, 1 do\\nprint' "$W/history"
check "nothing is kept when it is switched off" cmp -s "$W/history" "$W/cache/prompt/history"
i=0
while [ $i -lt 1500 ]; do echo "x = $i"; i=$((i + 1)); done >"$W/cache/prompt/history"
session "history, bounded" "$T" <<'END'
line last = 1
prompt
send \x04
end
END
check "no more than 1000 entries" [ "$(wc -l <"$W/cache/prompt/history")" = 1000 ]
check "the newest is the last" [ "$(tail -n 1 "$W/cache/prompt/history")" = "last = 1" ]

# A recipe before its training.
"$T" tests/cli/make_pictures.lua "$W" || { echo "FAILED making pictures"; exit 1; }
cat >"$W/r.lua" <<LUA
local tlua = require "tlua"
return tlua.recipe {
  model = tlua.models.resnet18 {}, freeze = "*", head = tlua.nn.Linear(3),
  data = tlua.data.folder { root = "$W/good", size = 32, batch = 4 },
  optim = tlua.optim.Adam { lr = 1e-3 }, schedule = { epochs = 1 }, cache = false, out = "$W/run",
}
LUA
session "a recipe at the prompt" "$T" -i "$W/r.lua" --schedule.epochs 100000 --optim.lr 0.25 <<'END'
expect recipe
expect model       resnet18
expect optimiser   Adam, rate 0.25
line optimiser:lr()
expect 0.25
line x, labels = batch()
line loss(model(x), labels)
expect tensor () float32
absent nil
line nil
expect nil
line model.fc
expect nn.Linear(512 -> 3)
send recipe:run()\r
expect [Epoch 2]
send \x03
expect stopped in epoch
prompt
line model.fc.weight:shape(1)
expect 3
prompt
send \x04
end
END
# The same network twice, all of it trained; the results name their parts.
cat >"$W/own.lua" <<LUA
local tlua = require "tlua"
local nn = tlua.nn
return tlua.recipe {
  model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)),
  data = tlua.data.folder { root = "$W/good", size = 16, batch = 4, mean = 0.5, std = 0.5 }, schedule = { epochs = 1 },
}
LUA
session "a recipe run twice" "$T" -i "$W/own.lua" --out "$W/own" <<'END'
line recipe
expect optim     optim.Adam
line optimiser
expect optimiser, rate 0.001
line done = recipe:run()
expect [Epoch 1]
line done = recipe:run { force = true }
expect [Epoch 1]
line #done.epochs
expect 1
line optimiser:lr()
expect 0.001
prompt
send \x04
end
END
echo "$passed checks passed, $failed failed"
[ "$failed" = 0 ]
