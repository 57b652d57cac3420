#!/bin/sh
# Makes the folder that runs tlua's tests and benchmarks on a bare machine with a GPU (x86-64 Linux, glibc 2.36 or later), and a
# .tar.gz of it: sh tools/gpu_bundle.sh [FOLDER]. `make gpu-bundle` builds what it packs, and calls it. Not packed: drivers, glibc.
set -eu
cd "$(dirname "$0")/.."
BUILD=${BUILD:-build}
to=${1:-$BUILD/gpu-bundle}
TESTS="op/ops op/golden unit/core unit/optim unit/optim_tables unit/gemm unit/launch unit/attention unit/again unit/arena"
# Libraries that most systems bring and drivers load too: run.sh takes the system's where there are any.
SHARED="libstdc++.so.6 libgcc_s.so.1 libz.so.1 libtinfo.so.6 libedit.so.2 libbsd.so.0 libmd.so.0 libffi.so.8 libcrypto.so.3 libpcre2-8.so.0"
MOST=50000000 # bytes
say() { echo "gpu-bundle: $*" >&2; }
[ "$(uname -sm)" = "Linux x86_64" ] || { say "it is made on x86-64 Linux"; exit 1; }
for tool in ldd objdump strip dpkg-query; do command -v $tool >/dev/null || { say "$tool is missing (it is made on Debian or Ubuntu)"; exit 1; }; done

rm -rf "$to" "$to.tar.gz"
mkdir -p "$to/bin" "$to/lib" "$to/tests/bin" "$to/tests/golden" "$to/tests/lua" "$to/bench"
cp tlua "$BUILD/bench_gemm" "$BUILD/bench_conv" "$BUILD/limit" "$to/bin/"
for t in $TESTS; do cp "$BUILD/tests/$t" "$to/tests/bin/"; done
strip "$to"/bin/* "$to"/tests/bin/*
cp tools/bundle/run.sh tools/bundle/bits.lua tools/bundle/report.lua "$to/"
cp tools/bundle/tlua.sh "$to/tlua"
chmod 755 "$to/run.sh" "$to/tlua"
cp tests/golden/ops.safetensors tests/golden/special.safetensors tests/golden/models.safetensors tests/golden/optim.safetensors tests/golden/models.lua tests/golden/run_values.lua "$to/tests/golden/"
cp tests/lua/run_pictures.lua "$to/tests/lua/"
for f in works.lua worker.lua bert.lua profile.lua compare.py peer_worker.py; do cp "bench/$f" "$to/bench/"; done

# ---- libraries ----

clblast=$(ldconfig -p | sed -n 's/^[[:space:]]*libclblast.so.1 .* => //p' | head -n 1)
[ -n "$clblast" ] || { say "libclblast.so.1 is missing: sh tools/install_deps.sh"; exit 1; }
cp -L "$clblast" "$to/lib/libclblast.so.1"
ldd "$to"/bin/* "$to"/tests/bin/* "$to"/lib/* >"$to/libraries.all"
if grep 'not found' "$to/libraries.all" >&2; then say "a library is missing: sh tools/install_deps.sh"; exit 1; fi
awk '$2 == "=>" && $3 ~ /^\// { print $1, $3 }' "$to/libraries.all" | sort -u >"$to/libraries"
while read -r name path; do
    case $name in
    libc.so.* | libm.so.* | libdl.so.* | libpthread.so.* | librt.so.* | libresolv.so.* | libutil.so.* | libnss_* | ld-linux*) continue ;;
    esac
    cp -L "$path" "$to/lib/$name"
done <"$to/libraries"
for name in $SHARED; do [ ! -e "$to/lib/$name" ] || echo "$name"; done >"$to/shared.txt"
strip --strip-unneeded "$to"/lib/*
rm "$to/libraries" "$to/libraries.all"

# ---- licences ----

{
    echo "tlua, its tests and benchmarks (bin, tests, bench, run.sh, *.lua):"
    echo
    cat LICENSE
    echo
    echo "The folder lib holds libraries of Debian packages, unchanged but for stripped symbols. Each may be replaced by another build of the same"
    echo "name. Their sources: the packages named below, at the versions named, by \`apt-get source PACKAGE=VERSION\`."
} >"$to/LICENSES.txt"
owners=$(mktemp)
for library in "$to"/lib/*; do
    name=${library##*/}
    path=$(ldconfig -p | sed -n "s/^[[:space:]]*$name (.*x86-64.*) => //p" | head -n 1)
    owner=''
    for p in "$path" "$(readlink -f "$path")" "${path#/usr}" "/usr$path" "$(readlink -f "$path" | sed 's|^/usr||')"; do
        [ -n "$owner" ] || owner=$(dpkg-query -S "$p" 2>/dev/null | head -n 1 | cut -d: -f1)
    done
    [ -n "$owner" ] || { say "no package owns $name, so its licence is not known"; exit 1; }
    echo "$owner $name" >>"$owners"
done
for owner in $(cut -d' ' -f1 "$owners" | sort -u); do
    copyright=/usr/share/doc/$owner/copyright
    [ -f "$copyright" ] || { say "the package $owner has no $copyright"; exit 1; }
    {
        echo
        echo "================================================================================"
        echo "$owner $(dpkg-query -W -f='${Version} (source ${source:Package} ${source:Version})' "$owner" | head -n 1):" $(sed -n "s/^$owner //p" "$owners")
        echo "================================================================================"
        cat "$copyright"
    } >>"$to/LICENSES.txt"
done
rm -f "$owners"
# The licences that these texts name by a path of Debian's.
for path in $(grep -o '/usr/share/common-licenses/[A-Za-z0-9.-]*[A-Za-z0-9]' "$to/LICENSES.txt" | sort -u); do
    [ -f "$path" ] || continue
    {
        echo
        echo "================================================================================"
        echo "$path"
        echo "================================================================================"
        cat "$path"
    } >>"$to/LICENSES.txt"
done

# ---- is it what it is said to be? ----

newest=$(objdump -T "$to"/bin/* "$to"/tests/bin/* "$to"/lib/* 2>/dev/null | grep -o 'GLIBC_2\.[0-9]*' | sort -t. -k2n | tail -n 1)
[ "${newest#GLIBC_2.}" -le 36 ] || { say "something wants $newest: build it on a system with glibc 2.36 or older (Debian bookworm)"; exit 1; }
commit=$(git rev-parse --short HEAD 2>/dev/null || echo "no commit")
git diff --quiet HEAD 2>/dev/null || commit="$commit with changes"
echo "tlua $(sed -n 's/^.define TLUA_VERSION "\(.*\)"/\1/p' src/tlua.h), $commit" >"$to/VERSION"
cat >"$to/README.txt" <<'END'
tlua's tests and benchmarks for a machine with a GPU. x86-64 Linux with glibc 2.36 or later, the GPU's driver, and what every Linux
has (sh, awk, sed, grep, tar, gzip) are all that is needed.

    sh run.sh OUT               everything, eight minutes at most; OUT then holds summary.txt, results.json and logs.tar.gz
    sh run.sh OUT test          tests alone; or bench
    sh run.sh --limit 1800 OUT  more time
    sh run.sh --driver /where/it/lies/libamdocl64.so OUT
    ./tlua check                a short test of the operators alone; ./tlua runs like any tlua

Nothing is installed or downloaded. Where python3 with PyTorch is found, some work is timed beside it (TLUA_PYTHON names another python).
TLUA_DEVICE chooses a device (a number of `./tlua devices`, or a part of a name). What the exit status says stands at the head of run.sh.
Licences: LICENSES.txt.
END
list=$(cd "$to" && find . -type f | sort) # before files.txt is there, which is not in it
printf '%s\n' "$list" >"$to/files.txt"
bytes=$(du -sb "$to" | cut -f1)
[ "$bytes" -le $MOST ] || { say "$to has $bytes bytes, more than $MOST"; exit 1; }
(cd "$(dirname "$to")" && tar czf "$(basename "$to").tar.gz" --owner=0 --group=0 "$(basename "$to")")
say "$to: $((bytes / 1000000)) MB, $(ls "$to/lib" | wc -l) libraries, wants $newest; $to.tar.gz: $(($(stat -c %s "$to.tar.gz") / 1000000)) MB"
