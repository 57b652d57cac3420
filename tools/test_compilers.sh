#!/bin/sh
# What the makers' own compilers make of the kernels, without a GPU (`make test-compilers`). The operators' tests and a step and a plan of four
# kinds of networks run on cards of paper (tests/compilers/fake_gpu.c), one for each target; what would be built there is compiled by
#   NVIDIA  sm_80            clang and libclc to PTX, then NVIDIA's ptxas
#   AMD     gfx906, gfx1030  clang with ROCm's device libraries
#   Intel   dg2 (Arc)        ocloc
# and tools/compilers/report.lua reads what they say: a line for each finding, a table in build/compilers/table.md ("docs" writes it into
# docs/gpu.md too). Ends with 0 when all passed, 1 when a kernel of ours does not compile, spills or wants too much, 2 when nothing failed but a
# compiler could not be had. What was compiled is kept, so a second run compiles what has changed.
#   sh tools/test_compilers.sh [docs]        TARGETS="sm_80 dg2": only these;  JOBS=1;  LLVM=16: another clang than 15;  PTXAS=FILE
set -u
cd "$(dirname "$0")/.." || exit 1
BUILD=${BUILD:-build}
OUT=$PWD/$BUILD/compilers
LLVM=${LLVM:-15}
BITCODE=${BITCODE:-/usr/lib/x86_64-linux-gnu/amdgcn/bitcode}
TARGETS=${TARGETS:-sm_80 gfx906 gfx1030 dg2}

# ---- one program for one target: called by xargs below; what the compiler said stays in KEY.log, whether it liked it in KEY.ok or KEY.bad ----

FRONT="-x cl -Xclang -finclude-default-header -Xclang -fdeclare-opencl-builtins -O3 -w -Werror=array-bounds"
for_nvidia() { # FILE OPTIONS
    # shellcheck disable=SC2086 # lists of words
    clang-$LLVM $FRONT $2 -target nvptx64-unknown-nvidiacl -c -emit-llvm -o "$t.a.bc" "$1" &&
        llvm-link-$LLVM --only-needed --internalize "$t.a.bc" /usr/lib/clc/nvptx64--nvidiacl.bc -o "$t.b.bc" &&
        opt-$LLVM -O3 "$t.b.bc" -o "$t.a.bc" && llc-$LLVM -O3 -mcpu=sm_80 -mattr=+ptx74 "$t.a.bc" -o "$t.ptx" &&
        "$PTXAS" -v -arch=sm_80 "$t.ptx" -o "$t.cubin"
}
for_amd() { # FILE OPTIONS CHIP WAVE64
    libs=""
    for l in opencl ocml ockl oclc_daz_opt_off oclc_unsafe_math_off oclc_finite_only_off oclc_correctly_rounded_sqrt_on oclc_abi_version_400 \
        "oclc_wavefrontsize64_$4" "oclc_isa_version_${3#gfx}"; do
        libs="$libs -Xclang -mlink-builtin-bitcode -Xclang $BITCODE/$l.bc"
    done
    # shellcheck disable=SC2086
    clang-$LLVM $FRONT $2 -target amdgcn-amd-amdhsa -mcpu="$3" -nogpulib -Rpass-analysis=kernel-resource-usage $libs -o "$t.co" "$1"
}
for_intel() { # FILE OPTIONS
    mkdir -p "$t.d" &&
        ocloc compile -file "$1" -device dg2 --format zebin -options "$2" -output p -output_no_suffix -exclude_ir -out_dir "$t.d" &&
        ocloc disasm -file "$t.d/p" -device dg2 -dump "$t.d" && cat "$t.d/.ze_info"
}
if [ "${1:-}" = one ]; then
    file=$2 target=$3
    key=$(basename "$file" .cl)
    to=$OUT/out/$target/$key t=$OUT/scratch/$target-$key
    [ -e "$to.ok" ] && exit 0
    rm -f "$to.bad"
    options=$(sed -n '1s/^.*OPTIONS //p' "$file")
    case $target in
    sm_80) for_nvidia "$file" "$options" ;;
    gfx906) for_amd "$file" "$options" gfx906 on ;;
    gfx1030) for_amd "$file" "$options" gfx1030 off ;;
    dg2) for_intel "$file" "$options" ;;
    esac >"$t.log" 2>&1 && end=ok || end=bad
    mv "$t.log" "$to.log" && : >"$to.$end"
    rm -rf "$t".*
    exit 0
fi

# ---- the compilers ----

sh tools/install_deps.sh test-compilers
skipped=""
skip() { # TARGET WHY
    echo "skipped $1: $2"
    skipped="$skipped $1"
}
has() { command -v "$1" >/dev/null 2>&1; }
ptxas_of_pypi() {
    has python3 || return
    { [ -x "$OUT/nvcc/bin/pip" ] || python3 -m venv "$OUT/nvcc"; } >"$OUT/nvcc.log" 2>&1 && "$OUT/nvcc/bin/pip" install -q nvidia-cuda-nvcc-cu12 >>"$OUT/nvcc.log" 2>&1
    find "$OUT/nvcc" -name ptxas -type f 2>/dev/null | head -n 1
}
mkdir -p "$OUT/scratch" "$OUT/cache"
PTXAS=${PTXAS:-$(command -v ptxas || { [ -x /usr/local/cuda/bin/ptxas ] && echo /usr/local/cuda/bin/ptxas; } || ptxas_of_pypi)}
export PTXAS OUT
there=""
for t in $TARGETS; do
    why=""
    case $t in
    sm_80)
        for p in clang llvm-link opt llc; do has $p-$LLVM || why="$p-$LLVM is missing (Debian packages clang-$LLVM and llvm-$LLVM)"; done
        [ -e /usr/lib/clc/nvptx64--nvidiacl.bc ] || why="libclc is missing (Debian package libclc-$LLVM)"
        [ -x "$PTXAS" ] || why="NVIDIA's ptxas is missing (CUDA, or PyPI's nvidia-cuda-nvcc-cu12)" ;;
    gfx*)
        has clang-$LLVM || why="clang-$LLVM is missing (Debian package clang-$LLVM)"
        [ -e "$BITCODE/opencl.bc" ] || why="ROCm's device libraries are missing (Debian package rocm-device-libs)"
        has ld.lld-$LLVM || has ld.lld || why="the linker is missing (Debian package lld-$LLVM)" ;;
    dg2) has ocloc || why="Intel's ocloc is missing (Debian package intel-opencl-icd)" ;;
    *) echo "test-compilers: there is no target $t" && exit 1 ;;
    esac
    [ -n "$why" ] && skip "$t" "$why" || there="$there $t"
done
version() { # what an output depends on, but for the program
    case $1 in
    sm_80) "$PTXAS" --version | tail -n 1 && clang-$LLVM --version | head -n 1 ;;
    gfx*) clang-$LLVM --version | head -n 1 && cksum "$BITCODE/ocml.bc" ;;
    dg2) dpkg-query -W intel-opencl-icd libigc1 2>/dev/null || cksum "$(command -v ocloc)" ;;
    esac
    sed -n '/^FRONT=/,/^if /p' tools/test_compilers.sh | cksum
}

# ---- what is built and launched, on paper ----

start=$(date +%s)
walk() { # TARGET COMMAND...: a crash loses what would have come after it
    target=$1
    shift
    FAKE_GPU=$target FAKE_GPU_OUT=$OUT/programs/$target TLUA_KERNEL_CACHE=0 TLUA_CACHE=$OUT/cache TLUA_DEVICE='' LD_PRELOAD=$PWD/$BUILD/fake_gpu.so timeout 300 "$@" \
        >"$OUT/programs/$target/walk.log" 2>&1 && return
    tail -n 5 "$OUT/programs/$target/walk.log"
    echo "FAILED $target: $* on paper ($OUT/programs/$target/walk.log)" | tee -a "$OUT/walks"
}
walks() { # TARGET
    rm -rf "$OUT/programs/$1"
    mkdir -p "$OUT/programs/$1/raw"
    for w in "$BUILD"/walks/*/*; do
        case $w in *.d) ;; *) walk "$1" "$w" -j1 ;; esac
    done
    walk "$1" ./tlua tests/compilers/networks.lua
    # What goes round CLBlast's products, which nothing chooses while our own tiles stand before them.
    walk "$1" env TLUA_GEMM=clblast TLUA_TEST_CLBLAST=1 "$BUILD/walks/unit/gemm" -j1 "--filter=gemm/strides_offsets_batches_and_epilogues"
}
rm -f "$OUT/walks"
docs=${1:--}
# shellcheck disable=SC2086
set -- $there
while [ $# -gt 0 ]; do # two at a time
    if [ -n "${2:-}" ]; then walks "$2" & fi
    walks "$1"
    wait
    shift
    [ $# -gt 0 ] && shift
done
echo "programs written down in $(($(date +%s) - start)) s"

# ---- compiling ----

for t in $there; do
    mkdir -p "$OUT/out/$t"
    version "$t" >"$OUT/scratch/version"
    cmp -s "$OUT/scratch/version" "$OUT/out/$t/version" || { rm -rf "$OUT/out/$t" && mkdir -p "$OUT/out/$t" && mv "$OUT/scratch/version" "$OUT/out/$t/version"; }
    for f in "$OUT/programs/$t"/*.cl; do echo "$f $t"; done
done | xargs -P "${JOBS:-2}" -n 2 nice sh tools/test_compilers.sh one
echo "compiled after $(($(date +%s) - start)) s"

# ---- what they say ----

[ -e "$OUT/walks" ] && walked=1 || walked=0
./tlua tools/compilers/report.lua "$OUT" "$walked" "$docs" "$there" "$skipped"
