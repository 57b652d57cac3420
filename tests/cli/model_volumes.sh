#!/bin/sh
# A model of volumes from C: tl_model_run gives what the network gives in Lua, and to be asked for pictures it refuses in one line.
set -u
cd "$(dirname "$0")/../.." || exit 1
T=$PWD/tlua B=$PWD/${BUILD:-build}
W=$(mktemp -d)
trap 'rm -rf "$W"' EXIT
cat >"$W/make.lua" <<LUA
local core, tlua = require "tlua.core", require "tlua"
local spheres = dofile "tests/lua/run_spheres.lua"
spheres.write("$W/data", core, { count = 5, size = { 10, 12, 12 } })
tlua.recipe { model = tlua.models.unet3d { levels = 2, width = 4, blocks = 1 }, loss = tlua.nn.Dice {},
  data = tlua.data.nifti { root = "$W/data", classes = { "none", "sphere" }, patch = { 8, 8, 8 }, batch = 4 },
  optim = tlua.optim.Adam { lr = 1e-2 }, schedule = { epochs = 1 }, out = "$W/run" }:run { style = "quiet" }
local net = tlua.models.load "$W/run/model.safetensors"
local x = tlua.arange(512):mod(core.full({ 1 }, 7)):reshape(1, 8, 8, 8, 1) - 3
local f = io.open("$W/lua.txt", "w")
for _, v in ipairs(net(x):reshape(-1):tolist()) do f:write(("%.6g\n"):format(v)) end
f:close()
LUA
"$T" "$W/make.lua" >/dev/null || exit 1
cat >"$W/ask.c" <<C
#include "tlua.h"
#include <stdio.h>
int main(int argc, char **argv)
{
    static float x[512], y[1024];
    const char *path = "x.png";
    tl_error err = {0};
    tl_device *d = tl_device_open(NULL, &err);
    tl_scope *s = tl_scope_open(d, &err);
    tl_model *m = tl_model_load(s, argv[1]);
    for (int i = 0; i < 512; i++) x[i] = (float)(i % 7 - 3);
    tl_named in[] = {{"volume", tl_from(s, TL_F32, 5, (int64_t[]){1, 8, 8, 8, 1}, x)}}, out[] = {{"output", NULL}};
    if (argc > 2) tl_model_pictures(s, m, &path, 1);
    else if (tl_model_run(s, m, in, 1, out, 1) == 0 && tl_read(s, out[0].tensor, y, sizeof y) == 0)
        for (int i = 0; i < 1024; i++) printf("%.6g\n", (double)y[i]);
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
  assert(n == 1024 and not b())' "$W/c.txt" "$W/lua.txt" || { echo "FAILED: C and Lua differ"; exit 1; }
"$W/ask" "$W/run/model.safetensors" pictures 2>"$W/err" && { echo "FAILED: pictures were taken"; exit 1; }
grep -q "the network takes volumes; tl_model_run takes them" "$W/err" || { cat "$W/err"; exit 1; }
echo "model_volumes: 2 passed, 0 failed"
