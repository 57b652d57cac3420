#!/bin/sh
# What a compiler does not check: who may know whom, sizes of files and folders, exported names. Fails with one line a finding.
# SINCE=COMMIT also looks at what changed since then: lines over 120 columns, functions over 60 lines.
set -u
cd "$(dirname "$0")/.." || exit 1
BUILD=${BUILD:-build}
bad=0
say() { echo "lint: $*"; bad=1; }

# The floors of the house, lowest first: a folder of src, then those below that it may include and call.
FLOORS='
base
device base
tensor base device
op     base device tensor
grad   base device tensor op
plan   base device tensor op
io     base
draw   base io
data   base io text
text   base
task   base
model  base device tensor op plan io data task
check  base device tensor op grad
lua    base device tensor op grad plan io draw data text task model check
'
# Whether floor $1 may know floor $2.
may() {
    [ "$1" = "$2" ] || echo "$FLOORS" | grep -qE "^$1 .*\b$2\b"
}

for f in $(git ls-files 'src/*/*.[ch]' 'src/*/*/*.[ch]'); do
    own=$(echo "$f" | cut -d/ -f2)
    for inc in $(sed -n 's/^ *# *include "\([a-z]*\)\/.*/\1/p' "$f" | sort -u); do
        may "$own" "$inc" || say "$f includes $inc/, which is no floor below $own/"
    done
    grep -nE '^ *# *include <(CL/|clblast)' "$f" | grep -v '^src/device' >/dev/null && [ "$own" != device ] && say "$f uses OpenCL outside device/"
    grep -nE '^ *# *include [<"]l(ua|auxlib|ualib)\.h' "$f" >/dev/null && [ "$own" != lua ] && say "$f uses lua.h outside lua/"
    grep -nE '(^|[^a-z_])(abort|exit|printf|puts)\(' "$f" >/dev/null && [ "$own" != lua ] && say "$f prints, exits or aborts"
done

# The same of what is linked: a prototype can be had without an include. Each undefined name of ours must be defined on the
# same floor or one below. Objects of files that have moved away may lie about, so the list is git's.
objects=$(git ls-files 'src/*/*.c' 'src/*/*/*.c' | sed "s|^|$BUILD/|; s|c\$|o|")
found=
for o in $objects; do
    if [ -f "$o" ]; then found="$found $o"; else missing=$o; fi
done
if [ -n "${missing:-}" ] && [ -n "$found" ]; then say "$missing is not built: make"; fi
if [ -n "$found" ]; then
    # shellcheck disable=SC2086
    upward=$(nm -A $found | awk -v build="$BUILD/" -v floors="$FLOORS" '
        BEGIN {
            n = split(floors, line, "\n")
            for (i = 1; i <= n; i++) {
                m = split(line[i], word, " ")
                for (k = 1; k <= m; k++) may[word[1], word[k]] = 1
            }
        }
        {
            file = $1
            sub(/:.*/, "", file)
            file = substr(file, length(build) + 1)
            sub(/o$/, "c", file)
            split(file, part, "/")
            kind = $(NF - 1)
            name = $NF
            if (name !~ /^tl_/) next
            if (kind ~ /^[TDBRVWC]$/) { room[name] = part[2]; home[name] = file }
            else if (kind == "U" || kind ~ /U$/) wants[file, name] = part[2]
        }
        END {
            for (w in wants) {
                split(w, part, SUBSEP)
                name = part[2]
                if (name in room && !((wants[w], room[name]) in may)) print part[1] " calls " name " of " home[name]
            }
        }' | sort)
    [ -n "$upward" ] && { echo "$upward" | sed 's/^/lint: /; s/$/, which is no floor below/'; bad=1; }
fi

for f in $(git ls-files 'src/*.[ch]' 'cl/*' 'lua/*.lua' 'recipes/*.lua'); do
    case "$f" in *labels.lua) continue ;; esac
    n=$(wc -l <"$f")
    [ "$n" -gt 600 ] && say "$f has $n lines; 600 are enough for a file"
done
# What networks and data are made of knows nothing of those who train with it, but data of the task that its fields imply.
up=$(grep -nrE 'require *\(?"tlua\.(train|run|command|report|repl)[."]' lua/tlua/nn lua/tlua/models lua/tlua/data lua/tlua/onnx || true
    grep -nrE 'require *\(?"tlua\.task[."]' lua/tlua/nn lua/tlua/models lua/tlua/onnx || true)
[ -n "$up" ] && say "calls upwards: $up"
for room in $(git ls-files 'lua/tlua/*.lua' | sed 's|/[^/]*$||' | sort | uniq -c | awk '$1 > 16 { print $2 ":" $1 }'); do
    say "${room%:*} has ${room#*:} files; 16 are enough for a folder"
done
if [ -f "$BUILD/libtlua.so" ]; then
    extra=$(nm -D --defined-only "$BUILD/libtlua.so" | awk '$2 ~ /[TDBR]/ {print $3}' | grep -v '^tl_' || true)
    [ -n "$extra" ] && say "libtlua.so exports $(echo "$extra" | tr '\n' ' ')"
fi
# A header that C++ cannot read would shut out those who embed the library.
if command -v c++ >/dev/null 2>&1; then
    echo '#include "tlua.h"
int main() { tl_error e = {}; return e.code; }' | c++ -x c++ -std=c++11 -Wall -Wextra -Wpedantic -Isrc -fsyntax-only - || say "tlua.h is not C++"
fi

# Older code is wider and longer here and there; what is new need not be. Files that only moved are not new.
if [ -n "${SINCE:-}" ]; then
    code="src/*.[ch] cl/* lua/*.lua recipes/*.lua tests/*.c tests/*.lua"
    # shellcheck disable=SC2086
    wide=$(set -f && git diff -M -U0 "$SINCE" -- $code | awk '
        /^\+\+\+ / { file = substr($2, 3); next }
        /^@@/ { split($3, at, ","); line = substr(at[1], 2) + 0; next }
        /^\+/ { if (length($0) > 121) print "lint: " file ":" line " is wider than 120 columns"; line++ }')
    [ -n "$wide" ] && { echo "$wide"; bad=1; }
    # shellcheck disable=SC2086
    for f in $(set -f && git diff -M --name-only --diff-filter=AM "$SINCE" -- $code); do
        case "$f" in tests/*) continue ;; esac
        long=$(awk '
            FILENAME ~ /\.lua$/ {
                match($0, /^ */)
                indent = RLENGTH
                if ($0 ~ /^ *(local )?function / || $0 ~ /function *\([^()]*\)$/) {
                    if ($0 !~ /[^a-z_]end[),]*$/) from[indent] = FNR
                } else if ($0 ~ /^ *end/ && indent in from) {
                    if (FNR - from[indent] + 1 > 60) printf "%d (%d lines) ", from[indent], FNR - from[indent] + 1
                    delete from[indent]
                }
                next
            }
            /^{$/ { start = FNR }
            /^}/ { if (start && FNR - start + 1 > 60) printf "%d (%d lines) ", start, FNR - start + 1; start = 0 }' "$f")
        [ -n "$long" ] && say "$f: functions over 60 lines: $long"
    done
fi
exit $bad
