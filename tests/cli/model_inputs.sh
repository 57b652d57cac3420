#!/bin/sh
# Models of volumes and of texts from C: tl_model_run gives what the network gives in Lua (texts go in as numbers of
# pieces), and to be asked for pictures they refuse in one line.
set -u
cd "$(dirname "$0")/../.." || exit 1
T=$PWD/tlua B=$PWD/${BUILD:-build}
W=$(mktemp -d)
trap 'rm -rf "$W"' EXIT
passed=0 failed=0
ok() { passed=$((passed + 1)); }
fail() { failed=$((failed + 1)); echo "FAILED: $*"; }

# Each trains a network in its folder and writes there what it gives: a number a line.
mkdir "$W/volumes" "$W/texts"
cat >"$W/write.lua" <<'LUA'
-- write(folder, y): the elements of y in folder/lua.txt
return function(folder, y)
  local f = assert(io.open(folder .. "/lua.txt", "w"))
  for _, v in ipairs(y:reshape(-1):tolist()) do f:write(("%.6g\n"):format(v)) end
  f:close()
end
LUA
cat >"$W/volumes/make.lua" <<LUA
local core, tlua = require "tlua.core", require "tlua"
local spheres = dofile "tests/lua/run_spheres.lua"
spheres.write("$W/data", core, { count = 5, size = { 10, 12, 12 } })
tlua.recipe { model = tlua.models.unet3d { levels = 2, width = 4, blocks = 1 }, loss = tlua.nn.Dice {},
  data = tlua.data.nifti { root = "$W/data", classes = { "none", "sphere" }, patch = { 8, 8, 8 }, batch = 4 },
  optim = tlua.optim.Adam { lr = 1e-2 }, schedule = { epochs = 1 }, out = "$W/volumes/run" }:run { style = "quiet" }
local net = tlua.models.load "$W/volumes/run/model.safetensors"
local x = tlua.arange(512):mod(core.full({ 1 }, 7)):reshape(1, 8, 8, 8, 1) - 3
dofile "$W/write.lua" ("$W/volumes", net(x))
LUA
"$T" docs/reviews.lua "$W/reviews" 40 >/dev/null || exit 1
cat >"$W/texts/make.lua" <<LUA
local core, tlua = require "tlua.core", require "tlua"
local bert = { width = 16, layers = 1, heads = 2, inner = 16, vocabulary = 40, positions = 32 }
tlua.recipe { model = tlua.models.bert(bert), schedule = { epochs = 1 }, out = "$W/texts/run",
  data = tlua.data.texts { path = "$W/reviews/reviews.tsv",
    tokenizer = "$W/reviews/vocab.txt" } }:run { style = "quiet" }
local net = tlua.models.load "$W/texts/run/model.safetensors"
local ids = core.tensor({ { 2, 7, 8, 9, 3 }, { 2, 7, 3, 0, 0 } }, { dtype = "int32" })
dofile "$W/write.lua" ("$W/texts", net(ids, core.tensor({ 5, 3 }, { dtype = "int32" })))
LUA

# ask volumes|texts MODEL: the same from C; with a third word it asks for a picture.
cat >"$W/ask.c" <<'C'
#include "tlua.h"
#include <stdio.h>
#include <string.h>
int main(int argc, char **argv)
{
    static float x[512], y[1024];
    int32_t ids[] = {2, 7, 8, 9, 3, 2, 7, 3, 0, 0}, lengths[] = {5, 3};
    const char *path = "x.png";
    tl_error err = {0};
    tl_device *d = tl_device_open(NULL, &err);
    tl_scope *s = tl_scope_open(d, &err);
    tl_model *m = tl_model_load(s, argv[2]);
    int texts = strcmp(argv[1], "texts") == 0, n = texts ? 4 : 1024, inputs = texts ? 2 : 1;
    for (int i = 0; i < 512; i++) x[i] = (float)(i % 7 - 3);
    tl_named in[2] = {{"volume", NULL}}, out[] = {{"output", NULL}};
    if (texts) {
        in[0] = (tl_named){"input", tl_from(s, TL_I32, 2, (int64_t[]){2, 5}, ids)};
        in[1] = (tl_named){"lengths", tl_from(s, TL_I32, 1, (int64_t[]){2}, lengths)};
    } else in[0].tensor = tl_from(s, TL_F32, 5, (int64_t[]){1, 8, 8, 8, 1}, x);
    if (argc > 3) tl_model_pictures(s, m, &path, 1);
    else if (tl_model_run(s, m, in, inputs, out, 1) == 0 && tl_read(s, out[0].tensor, y, (size_t)n * sizeof *y) == 0)
        for (int i = 0; i < n; i++) printf("%.6g\n", (double)y[i]);
    if (tl_scope_failed(s)) return fprintf(stderr, "%s\n", tl_scope_error(s)->text), 1;
    return 0;
}
C
${CC:-cc} -Isrc "$W/ask.c" -L"$B" -ltlua -Wl,-rpath,"$W" -o "$W/ask" || exit 1
ln -s "$B/libtlua.so" "$W/libtlua.so.0" # what the library calls itself

# asked volumes|texts NUMBERS WORDS: so many numbers, near those of Lua; and what is said of pictures.
asked() {
    folder=$W/$1 model=$W/$1/run/model.safetensors
    "$T" "$folder/make.lua" >/dev/null || { fail "$1: no network"; return; }
    if "$W/ask" "$1" "$model" >"$folder/c.txt" && "$T" -e 'local a, b, n = io.lines(arg[1]), io.lines(arg[2]), 0
      for line in a do
        n = n + 1
        assert(math.abs(tonumber(line) - tonumber(b())) < 1e-4, line)
      end
      assert(n == tonumber(arg[3]) and not b())' "$folder/c.txt" "$folder/lua.txt" "$2"; then ok
    else fail "$1: C and Lua differ"; fi
    if "$W/ask" "$1" "$model" pictures 2>"$W/err"; then fail "$1: pictures were taken"
    elif [ "$(wc -l <"$W/err")" = 1 ] && grep -q "$3" "$W/err"; then ok
    else fail "$1: $(cat "$W/err")"; fi
}
asked volumes 1024 "the network takes volumes; tl_model_run takes them"
asked texts 4 "the network reads; tl_model_run takes numbers of pieces"
echo "model_inputs: $passed passed, $failed failed"
[ "$failed" = 0 ] && [ "$passed" = 4 ]
