#!/bin/sh
# A model of texts from C: tl_model_run gives what the network gives in Lua for numbers of pieces, and to be asked for pictures it refuses in one line.
set -u
cd "$(dirname "$0")/../.." || exit 1
T=$PWD/tlua B=$PWD/${BUILD:-build}
W=$(mktemp -d)
trap 'rm -rf "$W"' EXIT
"$T" docs/reviews.lua "$W/reviews" 40 >/dev/null || exit 1
cat >"$W/make.lua" <<LUA
local core, tlua = require "tlua.core", require "tlua"
tlua.recipe { model = tlua.models.bert { width = 16, layers = 1, heads = 2, inner = 16, vocabulary = 40, positions = 32 },
  data = tlua.data.texts { path = "$W/reviews/reviews.tsv", tokenizer = "$W/reviews/vocab.txt" }, schedule = { epochs = 1 },
  out = "$W/run" }:run { style = "quiet" }
local net = tlua.models.load "$W/run/model.safetensors"
local ids = core.tensor({ { 2, 7, 8, 9, 3 }, { 2, 7, 3, 0, 0 } }, { dtype = "int32" })
local f = io.open("$W/lua.txt", "w")
for _, v in ipairs(net(ids, core.tensor({ 5, 3 }, { dtype = "int32" })):reshape(-1):tolist()) do f:write(("%.6g\n"):format(v)) end
f:close()
LUA
"$T" "$W/make.lua" >/dev/null || exit 1
cat >"$W/ask.c" <<C
#include "tlua.h"
#include <stdio.h>
int main(int argc, char **argv)
{
    int32_t ids[] = {2, 7, 8, 9, 3, 2, 7, 3, 0, 0}, lengths[] = {5, 3};
    float y[4];
    const char *path = "x.png";
    tl_error err = {0};
    tl_device *d = tl_device_open(NULL, &err);
    tl_scope *s = tl_scope_open(d, &err);
    tl_model *m = tl_model_load(s, argv[1]);
    tl_named in[] = {{"input", tl_from(s, TL_I32, 2, (int64_t[]){2, 5}, ids)},
                     {"lengths", tl_from(s, TL_I32, 1, (int64_t[]){2}, lengths)}}, out[] = {{"output", NULL}};
    if (argc > 2) tl_model_pictures(s, m, &path, 1);
    else if (tl_model_run(s, m, in, 2, out, 1) == 0 && tl_read(s, out[0].tensor, y, sizeof y) == 0)
        for (int i = 0; i < 4; i++) printf("%.6g\n", (double)y[i]);
    if (tl_scope_failed(s)) return fprintf(stderr, "%s\n", tl_scope_error(s)->text), 1;
    return 0;
}
C
${CC:-cc} -Isrc "$W/ask.c" -L"$B" -ltlua -Wl,-rpath,"$W" -o "$W/ask" || exit 1
ln -s "$B/libtlua.so" "$W/libtlua.so.0" # what the library calls itself
"$W/ask" "$W/run/model.safetensors" >"$W/c.txt" || exit 1
"$T" -e 'local a, b, n = io.lines(arg[1]), io.lines(arg[2]), 0
  for line in a do
    n = n + 1
    assert(math.abs(tonumber(line) - tonumber(b())) < 1e-4, line)
  end
  assert(n == 4 and not b())' "$W/c.txt" "$W/lua.txt" || { echo "FAILED: C and Lua differ"; exit 1; }
"$W/ask" "$W/run/model.safetensors" pictures 2>"$W/err" && { echo "FAILED: pictures were taken"; exit 1; }
grep -q "the network reads; tl_model_run takes numbers of pieces" "$W/err" || { cat "$W/err"; exit 1; }
echo "model_texts: 2 passed, 0 failed"
