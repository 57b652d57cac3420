#!/bin/sh
# fuzz.sh BUILD_FOLDER TARGET... - each target for FUZZ_SECONDS (120), beginning with its inputs. Stops at the first finding, which
# stands in BUILD_FOLDER/found-TARGET-*: make it small (run_TARGET -minimize_crash=1 -max_total_time=60 FILE), mend the fault, and
# keep it in tests/fuzz/inputs/TARGET.
set -u
folder=$1
shift
# One OpenCL driver: others than PoCL may load their parts in ways that sanitizers refuse.
[ -f /etc/OpenCL/vendors/pocl.icd ] && export OCL_ICD_VENDORS=/etc/OpenCL/vendors/pocl.icd
export LSAN_OPTIONS=suppressions=tests/sanitizers/lsan.supp:print_suppressions=0
for target; do
    grown=$folder/grown/$target inputs=tests/fuzz/inputs/$target log=$folder/$target.log words= leaks=1
    mkdir -p "$grown"
    [ -d "$inputs" ] || inputs=
    [ -f "tests/fuzz/$target.dict" ] && words=-dict=tests/fuzz/$target.dict
    case $target in
    archive) inputs="$inputs tests/golden/io" ;;
    dicom | nifti) inputs="$inputs tests/golden/$target" ;;
    tokenizer) inputs="$inputs tests/golden/tokenizers" ;;
    sentencepiece) inputs="$inputs tests/golden/tokenizer_files" ;;
    plan | model) leaks=0 ;; # what the OpenCL driver keeps is its own
    esac
    # shellcheck disable=SC2086
    if ASAN_OPTIONS=${ASAN_OPTIONS:-allocator_may_return_null=1} "$folder/run_$target" -max_total_time="${FUZZ_SECONDS:-120}" -timeout=20 -rss_limit_mb=2048 -max_len=16384 \
        -detect_leaks=$leaks -print_final_stats=1 -verbosity=0 -artifact_prefix="$folder/found-$target-" $words "$grown" $inputs >"$log" 2>&1; then
        echo "fuzz: $target: nothing found in $(sed -n 's/^stat::number_of_executed_units: *//p' "$log") inputs"
    else
        grep -v '^"' "$log" | tail -n 60
        echo "fuzz: $target: see $log and $folder/found-$target-*"
        exit 1
    fi
done
