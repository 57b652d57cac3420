#!/bin/sh
# What `make install` puts where, and that `make uninstall` takes it away; the manual page and the completion of shells are those of this
# version, and complete.
set -u
cd "$(dirname "$0")/../.." || exit 1
T=$PWD/tlua
W=$(mktemp -d)
trap 'rm -rf "$W"' EXIT
failed=0
fail() { failed=$((failed + 1)); echo "FAILED: $*"; }
make -s install DESTDIR="$W/root" PREFIX=/usr >"$W/out" 2>&1 || fail "make install: $(cat "$W/out")"
S=$W/root/usr/share
for file in ../bin/tlua ../include/tlua.h ../lib/libtlua.so ../lib/libtlua_dicom.so ../lib/pkgconfig/tlua.pc man/man1/tlua.1 bash-completion/completions/tlua zsh/site-functions/_tlua \
    fish/vendor_completions.d/tlua.fish doc/tlua/README.md doc/tlua/guide.md doc/tlua/recipes.md doc/tlua/reference/layers.md tlua/tlua.d.lua tlua/recipes/own_net.lua tlua/examples/predict.c; do
    [ -s "$S/$file" ] || fail "$file is not installed"
done
same() { "$T" tools/command_line.lua "$1" | cmp -s - "$S/$2" || fail "$2 is stale: make docs"; }
same man man/man1/tlua.1
same bash bash-completion/completions/tlua
same zsh zsh/site-functions/_tlua
same fish fish/vendor_completions.d/tlua.fish

# The Debian package holds the same, says what it is linked with, and runs from where it was unpacked.
if command -v dpkg-deb >/dev/null 2>&1 && command -v dpkg-shlibdeps >/dev/null 2>&1; then
    make -s deb BUILD="${BUILD:-build}" >"$W/deb.out" 2>&1 || fail "make deb: $(cat "$W/deb.out")"
    deb=$(sed 's/: .*//' "$W/deb.out" | tail -n 1)
    dpkg-deb -x "$deb" "$W/deb" || fail "$deb cannot be unpacked"
    for file in bin/tlua include/tlua.h lib/libtlua.so.0 share/man/man1/tlua.1.gz share/doc/tlua/changelog.gz share/tlua/recipes/own_net.lua; do
        [ -s "$W/deb/usr/$file" ] || fail "$file is not in the package"
    done
    dpkg-deb -f "$deb" Depends | grep -q 'liblua5.4-0' || fail "the package does not ask for Lua: $(dpkg-deb -f "$deb" Depends)"
    dpkg-deb -f "$deb" Recommends | grep -q 'libsndfile1' || fail "the package does not recommend what is loaded when it is used"
    for library in libfreetype6 libharfbuzz0b libfontconfig1 libfribidi0; do
        dpkg-deb -f "$deb" Recommends | grep -q "$library" || fail "the package does not recommend $library, which draws letters"
    done
    [ "$("$W/deb/usr/bin/tlua" --version)" = "$("$T" --version)" ] || fail "the package's program says another version"
else
    echo "skipped: dpkg-dev is not here, so no package is built"
fi

# Every link between the documents leads to a file, in the source and where it is installed.
links() { # FOLDER FILE...
    from=$1
    shift
    for page in "$@"; do
        grep -oE '\]\([A-Za-z_./0-9]+(#[^)]*)?\)' "$from/$page" | sed 's/^](//; s/[#)].*//' | sort -u | while read -r to; do
            [ -e "$(dirname "$from/$page")/$to" ] || echo "$page: $to"
        done
    done | grep -v ': F.linear$' >"$W/dead"
    [ -s "$W/dead" ] && fail "dead links below $from: $(cat "$W/dead")"
}
links . README.md README.ko.md CONTRIBUTING.md CHANGELOG.md docs/*.md docs/reference/*.md
links "$S/doc/tlua" $(cd "$S/doc/tlua" && ls ./*.md ./reference/*.md)

# The page names every command, and formats without a complaint.
for name in $("$T" -e 'print(table.concat(require("tlua.command.commands").names(), " "))'); do
    grep -q "^\.SS tlua $name" "$S/man/man1/tlua.1" || fail "the manual page does not know $name"
done
if command -v man >/dev/null 2>&1; then
    LC_ALL=C.UTF-8 MANWIDTH=100 man --warnings -l "$S/man/man1/tlua.1" >"$W/page" 2>"$W/err" || fail "man: $(cat "$W/err")"
    [ -s "$W/err" ] && fail "man complains: $(cat "$W/err")"
    # A system without its manual pages has a man that prints nothing of this.
    grep -q "TLUA_CACHE" "$W/page" || ! grep -q "transfer learning" "$W/page" || fail "the page is cut"
fi

if command -v bash >/dev/null 2>&1; then
    cat >"$W/try.bash" <<'END'
source "$1"
shift
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
_tlua
echo "${COMPREPLY[*]}"
END
    completes() { # WANTED WORDS...
        want=$1
        shift
        got=$(bash "$W/try.bash" "$S/bash-completion/completions/tlua" "$@" 2>&1)
        case " $got " in *" $want "*) ;; *) fail "bash: $* gives '$got', not $want" ;; esac
    }
    completes predict tlua pre
    completes --resume tlua --re
    completes recipes/own_net.lua tlua recipes/own
    completes resnet50 tlua predict res
    completes --batch tlua predict --b
    completes --schedule.epochs tlua mine.lua --sched
    completes AdamW tlua mine.lua --optim Ada
    completes mobilenet_v2 tlua mine.lua --model mob
    completes docs tlua mine.lua --data.root do
    completes clear tlua cache ""
    completes docs tlua watch --text do
    completes --steps tlua lr recipes/own_net.lua --st
    completes --optim.lr tlua lr recipes/own_net.lua --optim
    completes test tlua show r.lua --part ""
fi
if command -v zsh >/dev/null 2>&1; then
    zsh -n "$S/zsh/site-functions/_tlua" || fail "zsh"
fi
if command -v fish >/dev/null 2>&1; then
    HOME=$W fish -c "source $S/fish/vendor_completions.d/tlua.fish; complete -C 'tlua pre'; complete -C 'tlua mine.lua --optim Ada'; complete -C 'tlua predict --ba'" >"$W/out" 2>"$W/err"
    grep -q "^predict" "$W/out" && grep -q "^AdamW" "$W/out" && grep -q "^--batch" "$W/out" && [ ! -s "$W/err" ] || fail "fish: $(cat "$W/out" "$W/err")"
fi

make -s uninstall DESTDIR="$W/root" PREFIX=/usr >"$W/out" 2>&1 || fail "make uninstall: $(cat "$W/out")"
[ -z "$(find "$W/root" -type f -o -type l)" ] || fail "make uninstall leaves $(find "$W/root" -type f -o -type l)"
echo "installed files: $failed failed"
[ "$failed" = 0 ]
