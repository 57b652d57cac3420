#!/bin/sh
# tlua with the libraries that came along; run.sh names those that suit the machine.
self=$(readlink -f "$0" 2>/dev/null) || self=$0 # by a link from ~/bin, say
here=$(cd "$(dirname "$self")" && pwd) || exit 1
LD_LIBRARY_PATH=${TLUA_BUNDLE_LIBS:-$here/lib}${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
export LD_LIBRARY_PATH
exec "$here/bin/tlua" "$@"
