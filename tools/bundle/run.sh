#!/bin/sh
# run.sh - finds the machine's OpenCL driver, runs tlua's tests on its device and measures it:
#   sh run.sh [--driver FILE] [--limit SECONDS] OUT [all|test|bench]
# OUT then holds summary.txt, results.json and logs.tar.gz. Nothing is installed, downloaded or left behind elsewhere.
# Exit status: 0 everything ran and passed; 1 something failed or took longer than its own limit, or the results could not be written; 2 a wrong
# command line; 3 no driver or no device; 4 nothing failed, but the time was over before the end; 130 interrupted (OUT holds what there was).
set -u
LC_ALL=C
export LC_ALL
here=$(cd "$(dirname "$0")" && pwd) || exit 1
start=$(date +%s)
# Whoever reads may go: the results matter more than what is shown meanwhile.
[ -e /proc/self/fd/1 ] || exec >/dev/null
[ -e /proc/self/fd/2 ] || exec 2>/dev/null
trap '' PIPE

usage() {
    echo "run.sh: $1; usage: run.sh [--driver FILE] [--limit SECONDS] OUT [all|test|bench]" >&2
    exit 2
}

driver='' named='' limit=480 out='' what=''
while [ $# -gt 0 ]; do
    case $1 in
    --driver | --limit)
        [ $# -ge 2 ] || usage "$1: a value is missing"
        if [ "$1" = --driver ]; then driver=$2 named=1; else limit=$2; fi
        shift
        ;;
    --driver=*) driver=${1#*=} named=1 ;;
    --limit=*) limit=${1#*=} ;;
    -h | --help)
        sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$here/run.sh"
        exit 0
        ;;
    -*) usage "unknown option '$1'" ;;
    *)
        if [ -z "$out" ]; then out=$1; elif [ -z "$what" ]; then what=$1; else usage "'$1' is too much"; fi
        ;;
    esac
    shift
done
[ -n "$out" ] || usage "OUT is missing"
case ${what:=all} in all | test | bench) ;; *) usage "'$what' is none of all, test and bench" ;; esac
case $limit in '' | *[!0-9]* | 0* | ???????*) usage "--limit: a number of seconds is needed, not '$limit'" ;; esac
[ -z "$named" ] || [ -f "$driver" ] || usage "--driver: there is no file '$driver', or it may not be seen"
case $driver in '' | /*) ;; *) driver=$(pwd)/$driver ;; esac
if [ -e "$out" ] || [ -L "$out" ]; then
    [ -d "$out" ] || usage "$out is not a folder"
    [ -z "$(ls -A "$out")" ] || usage "$out is not empty"
fi
for tool in awk sed grep tar gzip mktemp; do
    command -v $tool >/dev/null 2>&1 || { echo "run.sh: $tool is missing on this machine" >&2 && exit 1; }
done
[ ! -f "$here/files.txt" ] || while read -r file; do
    [ -f "$here/$file" ] || { echo "run.sh: this bundle is not whole: ${file#./} is missing; unpack it again" >&2 && exit 1; }
done <"$here/files.txt" || exit 1

# OUT is made, tried and taken now, not after eight minutes: whoever makes .part has it.
made=''
if [ ! -d "$out" ]; then
    mkdir -p "$out" 2>/dev/null || usage "$out cannot be made"
    made=1
fi
out=$(cd "$out" && pwd -P) || usage "$out cannot be entered"
mkdir "$out/.part" 2>/dev/null || { [ -e "$out/.part" ] && usage "$out is in use by another run"; usage "$out cannot be written"; }
work=$(mktemp -d "${TMPDIR:-/tmp}/tlua-gpu.XXXXXX" 2>/dev/null) && work=$(cd "$work" && pwd -P) || {
    rmdir "$out/.part"
    [ -z "$made" ] || rmdir "$out"
    usage "TMPDIR: no folder can be made in ${TMPDIR:-/tmp}"
}
child='' interrupted='' keep=''
leave() { # nothing of ours stays, but results that could not be handed over
    rmdir "$out/.part" 2>/dev/null
    [ -z "$made" ] || rmdir "$out" 2>/dev/null
    [ -n "$keep" ] || rm -rf "$work"
}
trap leave EXIT
trap 'interrupted=1; [ -z "$child" ] || kill "$child" 2>/dev/null' INT TERM HUP
mkdir "$work/icd" "$work/lib" "$work/logs" "$work/cache" || exit 1

# ---- the driver ----

# TLUA_BUNDLE_ROOT stands before every folder that is looked at, for tests.
root=${TLUA_BUNDLE_ROOT:-}
names="libnvidia-opencl.so.1 libamdocl64.so libigdrcl.so"
folders="/usr/lib/x86_64-linux-gnu /lib/x86_64-linux-gnu /usr/lib64 /lib64 /usr/lib /usr/lib/x86_64-linux-gnu/nvidia/current
 /usr/lib/nvidia* /usr/lib64/nvidia* /usr/lib/x86_64-linux-gnu/intel-opencl /usr/lib64/intel-opencl /usr/lib/intel-opencl
 /usr/lib/wsl/lib /usr/lib/wsl/drivers/* /opt/rocm*/lib /opt/rocm*/lib64 /opt/rocm*/opencl/lib /opt/amdgpu*/lib/x86_64-linux-gnu
 /opt/amdgpu*/lib64 /opt/intel/opencl* /usr/local/lib /usr/local/lib64 /usr/local/lib/intel-opencl /usr/local/nvidia/lib64
 /usr/local/cuda*/lib64 /usr/local/cuda*/compat /run/opengl-driver/lib"
vendors=$root/etc/OpenCL/vendors

# The libraries that ld.so knows, x86-64 alone: "NAME PATH" a line.
cached() {
    [ -z "$root" ] || return 0
    for tool in ldconfig /sbin/ldconfig /usr/sbin/ldconfig; do
        "$tool" -p 2>/dev/null | sed -n 's/^[[:space:]]*\([^ ]*\) (.*x86-64.*) => \(.*\)/\1 \2/p' && return
    done
}
cached >"$work/cached"

# Where a library of that name lies, the first place; later versions of the name (libamdocl64.so.2) count too.
find_library() {
    found=$(awk -v name="$1" 'index($1, name) == 1 { print $2; exit }' "$work/cached")
    if [ -z "$found" ]; then
        for pattern in $folders; do # not expanded yet (set -f below)
            for file in $(set +f && cd / && ls -d $root$pattern/$1 $root$pattern/$1.* 2>/dev/null); do
                [ -f "$file" ] && found=$file && break 2
            done
        done
    fi
    [ -z "$found" ] || echo "$found"
}

: >"$work/drivers" # a line each
if [ -n "$driver" ]; then
    echo "$driver" >"$work/icd/named.icd"
    echo "$driver" >"$work/drivers"
else
    for icd in "$vendors"/*.icd; do
        [ -f "$icd" ] || continue
        cp "$icd" "$work/icd/" && head -n 1 "$icd" >>"$work/drivers"
    done
    set -f
    for name in $names; do
        file=$(find_library "$name") known=$(grep -lr "$name" "$work/icd" | head -n 1)
        [ -n "$file" ] || continue
        # An .icd file names it already: as it is, unless ld.so would not find it (containers mount drivers anywhere).
        if [ -n "$known" ]; then
            grep -q '^/' "$known" || grep -q "^$name" "$work/cached" || { echo "$file" >"$known" && echo "$file" >>"$work/drivers"; }
            continue
        fi
        echo "$file" >"$work/icd/found-$name.icd"
        echo "$file" >>"$work/drivers"
    done
    set +f
fi
looked() {
    echo "  looked for $names" >&2
    # shellcheck disable=SC2086 # in one line
    (set -f && echo "  in ld.so's cache (ldconfig -p) and in" $folders >&2)
    echo "  and for .icd files in $vendors" >&2
    echo "  a driver that lies elsewhere is named with --driver FILE" >&2
}
drivers=$(tr '\n' ' ' <"$work/drivers" | sed 's/ *$//')
if [ -z "$drivers" ]; then
    echo "run.sh: no OpenCL driver was found on this machine" >&2
    looked
    exit 3
fi

# ---- libraries ----

# Some come with nearly every system and are used by drivers too: the system's are taken, which its driver was made for. Of the C++
# library the newer one is.
newest_symbol() { grep -ao 'GLIBCXX_3\.4\.[0-9]*' "$1" | sort -t. -k3n | tail -n 1 | sed 's/.*\.//'; }
system_has() {
    file=$(awk -v name="$1" '$1 == name { print $2; exit }' "$work/cached")
    for folder in /usr/lib/x86_64-linux-gnu /lib/x86_64-linux-gnu /usr/lib64 /lib64; do
        [ -n "$file" ] && break
        [ -f "$folder/$1" ] && file=$folder/$1
    done
    [ -n "$file" ] || return 1
    [ "$1" != libstdc++.so.6 ] || [ "$(newest_symbol "$file")" -ge "$(newest_symbol "$here/lib/$1")" ]
}
link_libraries() { # with the system's where it has them: yes or no
    rm -f "$work"/lib/*
    for library in "$here"/lib/*; do
        [ -f "$library" ] || continue
        name=${library##*/}
        if [ "$1" = yes ] && grep -qx "$name" "$here/shared.txt" && system_has "$name"; then continue; fi
        ln -s "$library" "$work/lib/$name"
    done
}
TLUA_BUNDLE_LIBS=$work/lib
while read -r file; do # what a driver of no usual place needs lies beside it
    case $file in /*) grep -qF " $file" "$work/cached" || TLUA_BUNDLE_LIBS=$TLUA_BUNDLE_LIBS:$(dirname "$file") ;; esac
done <"$work/drivers"
TLUA_CACHE=$work/cache/tlua POCL_CACHE_DIR=$work/cache/pocl CUDA_CACHE_PATH=$work/cache/nv XDG_CACHE_HOME=$work/cache
OCL_ICD_VENDORS=$work/icd
export TLUA_BUNDLE_LIBS TLUA_CACHE POCL_CACHE_DIR CUDA_CACHE_PATH XDG_CACHE_HOME OCL_ICD_VENDORS
mkdir -p "$POCL_CACHE_DIR"
cd "$here" || exit 1
link_libraries yes
if ! ./tlua --version >"$work/logs/version.log" 2>&1; then
    link_libraries no
    if ! ./tlua --version >"$work/logs/version.log" 2>&1; then
        echo "run.sh: tlua does not start here (x86-64 Linux with glibc 2.36 or later is needed): $(tail -n 1 "$work/logs/version.log")" >&2
        exit 1
    fi
fi

# ---- steps ----

deadline=$((start + limit)) reserve=6
run_limited() { # SECONDS LOG COMMAND...: sets code and seconds
    "$here/bin/limit" "$@" >"$work/ended" &
    child=$!
    wait "$child"
    [ -n "$interrupted" ] && wait "$child" # the trap has ended the first wait
    child=''
    code=1 seconds=0
    read -r code seconds <"$work/ended"
}
libs=$TLUA_BUNDLE_LIBS${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
record() { printf '%s\t%s\t%s\t%s\t%s\n' "$1" "$2" "$3" "$4" "$5" >>"$work/steps.tsv"; }
say() { printf '%-16s %-12s %7s s  %s\n' "$1" "$2" "$3" "$4" 2>/dev/null || :; }

step() { # NAME KIND SECONDS COMMAND...
    name=$1 kind=$2 most=$3
    shift 3
    [ "$limit" -le 480 ] || most=$((most * limit / 480)) # who gives more time as a whole gives it to each
    [ -z "$interrupted" ] || return 0
    case $what in "$kind" | all) ;; *) [ "$kind" = always ] || return 0 ;; esac
    room=$((deadline - reserve - $(date +%s)))
    if [ "$room" -lt 3 ]; then
        record "$name" "$kind" "not reached" 0 0
        say "$name" "not reached" 0 ""
        return 0
    fi
    over="over time"
    [ "$room" -ge "$most" ] || { most=$room over="cut short"; }
    run_limited "$most" "$work/logs/$name.log" "$@"
    case $code in 0) state=ok ;; 4) [ "$name" = check ] && state="cut short" || state=FAILED ;; 124) state=$over ;; 130) state=interrupted ;; *) state=FAILED ;; esac
    record "$name" "$kind" "$state" "$code" "$seconds"
    say "$name" "$state" "$seconds" "$(tail -n 1 "$work/logs/$name.log" 2>/dev/null | cut -c1-110)"
}
skip() { # NAME KIND WHY
    case $what in "$2" | all) ;; *) return 0 ;; esac
    record "$1" "$2" skipped 0 0
    echo "$3" >"$work/logs/$1.log"
    say "$1" skipped 0 "$3"
}

tlua=$here/tlua
longest=$work/longest.txt

# A driver without a device is no driver. Some take long to begin: then it is found out below.
run_limited 8 "$work/logs/list.log" env TLUA_GEMM=own "$tlua" -e 'local n = #require("tlua.core").devices() print(n, "devices") if n == 0 then os.exit(9) end
    if os.getenv "TLUA_DEVICE" then require("tlua.core").device() end'
if [ "$code" != 0 ] && [ "$code" != 124 ]; then
    said=$(tail -n 1 "$work/logs/list.log")
    if [ "$code" = 9 ]; then # why not: the loader of OpenCL does not say, the system's does
        said=''
        while read -r file; do
            said="$said$("$tlua" -e 'local f, e = package.loadlib(arg[1], "*") if not f then print("; it cannot be loaded: " .. e) end' "$file" 2>/dev/null)"
        done <"$work/drivers"
        said=${said:-; it can be loaded, and finds no device of its own}
        echo "run.sh: the driver $drivers gives no device$said" >&2
        [ -n "$named" ] || looked
    else
        echo "run.sh: ${said#tlua: }" >&2
    fi
    exit 3
fi
{
    uname -a
    cat /etc/os-release /proc/cpuinfo /proc/meminfo
    for tool in nvidia-smi rocm-smi clinfo lspci; do command -v "$tool" && "$here/bin/limit" 5 "$work/logs/system.log" "$tool"; done
    echo "drivers: $drivers"
    ls -l "$work/lib"
} >>"$work/logs/system.log" 2>&1

# ---- what is run ----

devices() { step devices always 60 sh -c '"$1" devices --all && "$1" devices --all --json >"$2"' - "$tlua" "$work/devices.json"; }
check() { # who gives more time as a whole gives it more too
    most=80
    [ "$limit" -le 480 ] || most=$((80 * limit / 480))
    step check test 90 "$tlua" check --seconds "$most" # which ends with 4 where that was too short
}
# Each test of a program is a process of its own, which would compile CLBlast on a GPU for seconds, for products too small for it:
# these go without it, and those of the matrix product have it, where it is a GPU.
criterion() { step "$1" test "$2" env LD_LIBRARY_PATH="$libs" TLUA_GEMM=own "$here/tests/bin/$1" -j1; }
timed() { step "$1" test "$2" env LD_LIBRARY_PATH="$libs" TLUA_GEMM=own TLUA_LONGEST="$longest" "$here/tests/bin/$1" -j1; }
gemm() {
    clblast=''
    [ "$type" != gpu ] || clblast=TLUA_TEST_CLBLAST=1
    step gemm test 120 env LD_LIBRARY_PATH="$libs" TLUA_LONGEST="$longest" $clblast "$here/tests/bin/gemm" -j1
}
longest() { step longest test 20 "$tlua" report.lua longest "$longest" "$type"; }
bits() { step bits test 120 "$tlua" bits.lua "$work/bits"; }
models() { step models test 90 "$tlua" tests/golden/models.lua resnet18 efficientnet_lite0 deit_tiny_patch16_224; }
profile() { step "$1" bench 90 "$tlua" bench/profile.lua "$2" "$3" "$4" "$work/logs/$1.trace.json"; }
products() { step products bench 90 env LD_LIBRARY_PATH="$libs" "$here/bin/bench_gemm"; }
convolutions() { step convolutions bench 90 env LD_LIBRARY_PATH="$libs" "$here/bin/bench_conv" forward; }
tune() { step tune bench 120 "$tlua" tune --quick; }

# PyTorch, where the machine has one. Ours is the GPU or the processor, so PyTorch's is too.
python=${TLUA_PYTHON:-python3} torch='' on='' no_torch="no $(printf %s "${TLUA_PYTHON:-python3}") with PyTorch"
find_torch() {
    case $what in test) return 0 ;; esac
    command -v "$python" >/dev/null 2>&1 || return 0
    room=$((deadline - reserve - $(date +%s)))
    no_torch="no time to look for PyTorch"
    [ "$room" -ge 3 ] && [ -z "$interrupted" ] || return 0
    [ "$room" -le 60 ] || room=60
    run_limited "$room" "$work/logs/torch.log" "$python" -c 'import torch; print("PyTorch", torch.__version__, "cuda" if torch.cuda.is_available() else "cpu")'
    no_torch="no $python with PyTorch"
    [ "$code" != 124 ] || no_torch="$python did not load PyTorch in $room s"
    [ "$code" = 0 ] && torch=$(tail -n 1 "$work/logs/torch.log")
    on=${torch##* }
    [ "$type" = gpu ] || on=cpu
}
beside() { # NAME SECONDS OPTIONS...
    name=$1 most=$2
    shift 2
    if [ -z "$torch" ]; then skip "$name" bench "$no_torch"; return 0; fi
    step "$name" bench "$most" env BENCH_ROUNDS=5 PYTHONDONTWRITEBYTECODE=1 "$python" bench/compare.py --measure --peer torch --json "$work/compare.jsonl" \
        --peer-device "$on" "$@"
}

# The most telling first, since the time may be over before the end.
BENCH_THREADS=$(nproc 2>/dev/null || echo 2)
export BENCH_THREADS
devices
# "gpu" or "processor": which of tlua's kernels the device gets.
type=$("$tlua" -e 'for _, d in ipairs(require("tlua.core").json_decode(io.open(arg[1]):read "a")) do if d.chosen then print(d.kernels) end end' \
    "$work/devices.json" 2>/dev/null)
check
timed ops 150
timed golden 60
bits
profile profile_resnet full resnet50 16
products
find_torch
beside pytorch 120 --seconds 80 full bert
timed optim 60
criterion core 60
models
profile profile_bert bert bert_base 32
convolutions
beside pytorch_more 120 --seconds 80 forward fe layer4 blocks10
gemm
tune
if [ "$on" = cuda ]; then beside pytorch_tf32 90 --seconds 60 --tf32 full bert forward; else skip pytorch_tf32 bench "TF32 is for GPUs of NVIDIA"; fi
timed launch 60
timed attention 90
longest
criterion again 60
criterion arena 30
step gradients bench 120 env LD_LIBRARY_PATH="$libs" "$here/bin/bench_conv" training

# ---- the three files ----

{
    printf 'what\t%s\n' "$what"
    printf 'limit\t%s\n' "$limit"
    printf 'seconds\t%s\n' "$(($(date +%s) - start))"
    printf 'date\t%s\n' "$(date -u +%Y-%m-%dT%H:%M:%SZ)"
    printf 'system\t%s, %s\n' "$(sed -n 's/^PRETTY_NAME="\(.*\)"/\1/p' /etc/os-release 2>/dev/null)" "$(uname -srm)"
    printf 'processor\t%s, %s\n' "$(sed -n 's/^model name[[:space:]]*: //p' /proc/cpuinfo | head -n 1)" "$BENCH_THREADS"
    printf 'torch\t%s\n' "$torch"
    printf 'bundle\t%s\n' "$(cat VERSION)"
    printf 'interrupted\t%s\n' "$interrupted"
} >"$work/meta.tsv"
mkdir "$work/out" || exit 1
"$tlua" report.lua "$work" "$work/out" >"$work/logs/report.log" 2>&1 || {
    cp "$work/steps.tsv" "$work/out/summary.txt"
    echo '{"error":"the report could not be made; the steps stand in summary.txt, the rest in logs.tar.gz"}' >"$work/out/results.json"
    tail -n 3 "$work/logs/report.log" >&2
}
for file in steps.tsv meta.tsv longest.txt devices.json compare.jsonl; do [ ! -f "$work/$file" ] || cp "$work/$file" "$work/logs/"; done
(cd "$work" && tar czf out/logs.tar.gz logs) || echo "run.sh: the logs could not be packed; the other two files are whole" >&2
if ! { cp "$work"/out/* "$out/.part/" && mv "$out"/.part/* "$out/"; }; then
    keep=1
    rm -f "$out"/.part/*
    echo "run.sh: $out could not be written; the results stay in $work/out" >&2
    exit 1
fi
rmdir "$out/.part"
made=''
{ echo && sed -n '1,/^$/p' "$out/summary.txt" && echo "summary.txt, results.json and logs.tar.gz are in $out"; } 2>/dev/null || :
[ -z "$interrupted" ] || exit 130
awk -F '\t' '$3 == "FAILED" || $3 == "over time" { bad = 1 } $3 == "cut short" || $3 == "not reached" { late = 1 } END { exit bad ? 1 : late ? 4 : 0 }' "$work/steps.tsv"
