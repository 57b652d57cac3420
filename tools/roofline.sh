#!/bin/sh
# What three pieces of work would take at least on cards that are not at hand, from their published peaks and from what is launched on cards of
# paper (tools/compilers/roofline.lua). Prints the tables; "docs" writes them into docs/gpu.md.
#   sh tools/roofline.sh [docs]
set -u
cd "$(dirname "$0")/.." || exit 1
BUILD=${BUILD:-build}
OUT=$PWD/$BUILD/compilers/roofline
rm -rf "$OUT"
mkdir -p "$OUT/cache" || exit 1
./tlua tools/compilers/roofline.lua list >"$OUT/list" || exit 1
while read -r target kind name batch; do
    mkdir -p "$OUT/programs/$target/raw"
    FAKE_GPU=$target FAKE_GPU_OUT=$OUT/programs/$target TLUA_GEMM=own TLUA_TUNING=0 TLUA_KERNEL_CACHE=0 TLUA_CACHE=$OUT/cache TLUA_DEVICE='' LD_PRELOAD=$PWD/$BUILD/fake_gpu.so \
        timeout 900 ./tlua tools/compilers/roofline.lua walk "$kind" "$name" "$batch" "$OUT/$target-$kind-$name.json" >"$OUT/log" 2>&1 </dev/null ||
        { echo "FAILED $target, $kind of $name:" && tail -n 5 "$OUT/log" && exit 1; } || exit 1
done <"$OUT/list"
./tlua tools/compilers/roofline.lua table "$OUT" "${1:-}"
