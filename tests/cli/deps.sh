#!/bin/sh
# tools/install_deps.sh for root, for a user with sudo, and for one without any rights: what is missing is installed, or it is said in two
# lines what to install. Nothing is installed here: the programs it calls are stand-ins.
set -u
cd "$(dirname "$0")/../.." || exit 1
W=$(mktemp -d)
trap 'rm -rf "$W"' EXIT
failed=0
fail() { failed=$((failed + 1)); echo "FAILED: $*"; }
mkdir "$W/bin"
for tool in sh grep tail rm cat; do ln -s "$(command -v $tool)" "$W/bin/$tool"; done
stand_in() { # NAME SCRIPT
    printf '#!/bin/sh\n%s\n' "$2" >"$W/bin/$1"
    chmod 755 "$W/bin/$1"
}
# shellcheck disable=SC2016 # for the scripts
{
    stand_in cc 'exit 0'
    stand_in make 'exit 0'
    stand_in chromium 'exit 0'
    stand_in id 'echo ${FAKE_UID:-1000}'
    stand_in dpkg-query 'for a; do last=$a; done; case " $FAKE_MISSING " in *" $last "*) exit 1 ;; esac; echo "install ok installed"'
    stand_in apt-get 'echo "apt-get $*" >>"$FAKE_LOG"; exit ${FAKE_APT:-0}'
}
deps() { # UID MISSING [VAR=VALUE...]
    uid=$1 missing=$2
    shift 2
    : >"$W/log"
    env -i PATH="$W/bin" FAKE_UID="$uid" FAKE_MISSING="$missing" FAKE_LOG="$W/log" "$@" sh tools/install_deps.sh build >"$W/out" 2>"$W/err" </dev/null
    status=$?
}
installs() { grep -q "^apt-get install .* $1$" "$W/log"; }

deps 1000 ""
[ $status = 0 ] && [ ! -s "$W/out" ] && [ ! -s "$W/err" ] && [ ! -s "$W/log" ] || fail "nothing is missing: $(cat "$W/out" "$W/err" "$W/log")"
deps 0 "libspng-dev nettle-dev"
[ $status = 0 ] && installs "libspng-dev nettle-dev" && grep -q "installing libspng-dev nettle-dev" "$W/out" || fail "root: $(cat "$W/out" "$W/err" "$W/log")"
deps 0 libspng-dev FAKE_APT=100
[ $status = 1 ] && grep -q "could not install libspng-dev (is there a network? try: apt-get install libspng-dev)" "$W/err" || fail "no network: $(cat "$W/out" "$W/err")"

refused() {
    [ $status = 1 ] && [ "$(wc -l <"$W/err")" = 2 ] && grep -q "missing, and $1; ask who administers" "$W/err" && grep -q "^    apt-get install libspng-dev$" "$W/err" && [ ! -s "$W/log" ] ||
        fail "$1: status $status, $(cat "$W/out" "$W/err" "$W/log")"
}
deps 1000 libspng-dev
refused "there is no sudo to install them"
stand_in sudo 'exit 1'
deps 1000 libspng-dev
refused "sudo wants a password, and there is no terminal to ask for it"
# shellcheck disable=SC2016
stand_in sudo '[ "$1" = -n ] && shift; [ "$1" = true ] && exit 0; echo "sudo" >>"$FAKE_LOG"; exec "$@"'
deps 1000 libspng-dev
[ $status = 0 ] && installs libspng-dev && grep -q "^sudo$" "$W/log" || fail "a user with sudo: $(cat "$W/out" "$W/err" "$W/log")"
rm "$W/bin/apt-get"
deps 1000 libspng-dev
[ $status = 1 ] && grep -q "please install what corresponds to these Debian packages: libspng-dev" "$W/err" || fail "no apt-get: $(cat "$W/err")"
echo "installing what is missing: $failed failed"
[ "$failed" = 0 ]
