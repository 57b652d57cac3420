#!/bin/sh
# The operators' tests on every OpenCL implementation at hand: PoCL, Intel's CPU runtime (PyPI packages intel-opencl-rt and
# intel-cmplr-lib-rt, installed under build/), Mesa's rusticl with llvmpipe (Debian's mesa-opencl-icd), and small shapes
# under Oclgrind (Debian's oclgrind). One line each; what is not there is skipped and said so. Fails if any test failed.
# ONLY="unit/gemm op/ops": these programs only.
set -u
cd "$(dirname "$0")/.." || exit 1
BUILD=${BUILD:-build}
TESTS="op/ops op/golden unit/gemm unit/core unit/arena unit/pool unit/optim unit/optim_tables unit/again unit/launch unit/attention unit/row_groups"
ONLY=${ONLY:-}
failed=0 asked=""
TLUA_CACHE=$PWD/$BUILD/test-cache
export TLUA_CACHE
mkdir -p "$TLUA_CACHE"

wanted() { case " $ONLY " in "  " | *" $1 "*) return 0 ;; *) return 1 ;; esac; }
suite() { # NAME PROGRAM... ; environment set by the caller
    name=$1
    shift
    for t in "$@"; do
        wanted "$t" || continue
        asked="$asked $t"
        if [ ! -x "$BUILD/tests/$t" ]; then
            echo "FAILED  $name: there is no $BUILD/tests/$t: make tests-built"
            failed=1
            continue
        fi
        start=$(date +%s)
        log="$BUILD/devices-$name-$(basename "$t").log"
        if timeout 3000 "$BUILD/tests/$t" -j1 ${TEST_ARGS:-} >"$log" 2>&1; then
            echo "ok      $name: $t ($(($(date +%s) - start)) s) $(tail -n 1 "$log" | cut -c1-90)"
        else
            echo "FAILED  $name: $t ($log)"
            grep -vE '^(wrong|strides),' "$log" | tail -n 12
            failed=1
        fi
    done
}
device_there() { ./tlua devices 2>/dev/null | grep -qi "$1"; }

if device_there "portable computing"; then
    TLUA_DEVICE=portable TLUA_TEST_WHOLE=1 suite pocl $TESTS unit/conv
    # The tiles for narrower registers, and the makers for GPUs, on the same device; and CLBlast, which compiles for half a minute.
    TLUA_DEVICE=portable TLUA_VECTOR=8 suite pocl-vector8 op/ops unit/gemm
    TLUA_DEVICE=portable TLUA_VECTOR=4 suite pocl-vector4 unit/gemm
    TLUA_DEVICE=portable TLUA_VECTOR=1 suite pocl-gpu-kernels op/ops op/golden unit/gemm unit/launch unit/optim unit/optim_tables
    # Every sample over the edges of groups of sixteen, launches of more than two groups in pieces.
    TLUA_DEVICE=portable TLUA_VECTOR=1 TLUA_GEMM=own TLUA_GROUP=16 TLUA_MAX_GROUPS=2 suite pocl-gpu-pieces op/ops
    TLUA_DEVICE=portable TLUA_TEST_CLBLAST=1 suite pocl-clblast unit/gemm
else
    echo "skipped pocl: Debian package pocl-opencl-icd is not installed"
fi

INTEL=$PWD/$BUILD/intel
lib=$INTEL/lib/libintelocl.so
if [ ! -e "$lib" ]; then
    rm -rf "$INTEL"
    { python3 -m venv "$INTEL" && "$INTEL/bin/pip" install -q intel-opencl-rt intel-cmplr-lib-rt; } >"$BUILD/intel.log" 2>&1
fi
if [ -e "$lib" ]; then
    mkdir -p "$BUILD/icd"
    echo "$lib" >"$BUILD/icd/intel.icd"
    OCL_ICD_VENDORS=$PWD/$BUILD/icd LD_LIBRARY_PATH=$INTEL/lib TLUA_DEVICE=intel suite intel $TESTS
    OCL_ICD_VENDORS=$PWD/$BUILD/icd LD_LIBRARY_PATH=$INTEL/lib TLUA_DEVICE=intel TLUA_VECTOR=1 suite intel-gpu-kernels op/ops op/golden unit/gemm unit/launch
    OCL_ICD_VENDORS=$PWD/$BUILD/icd LD_LIBRARY_PATH=$INTEL/lib TLUA_DEVICE=intel suite intel unit/conv
else
    echo "skipped intel: pip could not fetch intel-opencl-rt"
fi

# What Mesa 22.3's rusticl cannot do is in docs/internals.md.
if RUSTICL_ENABLE=llvmpipe device_there llvmpipe; then
    RUSTICL_ENABLE=llvmpipe TLUA_DEVICE=llvmpipe suite rusticl op/ops
    TEST_ARGS="--filter=gemm/[stlncm]*" RUSTICL_ENABLE=llvmpipe TLUA_DEVICE=llvmpipe suite rusticl unit/gemm
    RUSTICL_ENABLE=llvmpipe TLUA_DEVICE=llvmpipe suite rusticl unit/launch
    TEST_ARGS="--filter=row_groups/small" RUSTICL_ENABLE=llvmpipe TLUA_DEVICE=llvmpipe suite rusticl unit/row_groups
    TEST_ARGS="--filter=attention/small" RUSTICL_ENABLE=llvmpipe TLUA_DEVICE=llvmpipe suite rusticl unit/attention
else
    echo "skipped rusticl: Debian package mesa-opencl-icd is not installed, or has no llvmpipe"
fi

if command -v oclgrind >/dev/null 2>&1; then
    # Not --uninitialized: it takes lanes that a short vector load leaves alone for a use of them.
    simulated() { # NAME PROGRAM ARGS... ; environment set by the caller
        name=$1 t=$2
        shift 2
        wanted "$t" || return
        asked="$asked $t"
        log=$BUILD/devices-$name-$(basename "$t").log
        if TLUA_TEST_SMALL=1 TLUA_DEVICE=oclgrind timeout 3000 oclgrind --data-races "$BUILD/tests/$t" -j1 "$@" >"$log" 2>&1 &&
            ! grep -qE 'Invalid (read|write)|data race' "$log"; then
            echo "ok      $name: $t $(tail -n 1 "$log" | cut -c1-90)"
        else
            echo "FAILED  $name: $t ($log)"
            grep -E 'Invalid|race|Uninit|FAIL|check' "$log" | sort | uniq -c | head -n 10
            failed=1
        fi
    }
    simulated oclgrind op/ops
    simulated oclgrind unit/optim
    # All but the tests that walk allocations or samples of operators.
    simulated oclgrind unit/gemm "--filter=gemm/[stlncm]*"
    TLUA_VECTOR=1 simulated oclgrind-gpu-kernels unit/gemm "--filter=gemm/[stlncm]*"
    TLUA_VECTOR=1 simulated oclgrind-gpu-kernels op/ops
    TLUA_VECTOR=1 simulated oclgrind-gpu-kernels unit/optim
    TLUA_VECTOR=1 simulated oclgrind-gpu-kernels unit/attention --filter=attention/small
    TLUA_VECTOR=1 simulated oclgrind-gpu-kernels unit/conv --filter=conv/small
    TLUA_VECTOR=1 simulated oclgrind-gpu-kernels unit/row_groups --filter=row_groups/small
    # Without the two tests of many rows.
    simulated oclgrind-gpu-kernels unit/launch "--filter=launch/[rw]*"
else
    echo "skipped oclgrind: Debian package oclgrind is not installed"
fi
for t in $ONLY; do
    case " $asked " in *" $t "*) ;; *) echo "FAILED  ONLY: no device runs $t" && failed=1 ;; esac
done
exit $failed
