#!/bin/sh
# tlua with the libraries that came along; run.sh names those that suit the machine.
here=$(cd "$(dirname "$0")" && pwd) || exit 1
LD_LIBRARY_PATH=${TLUA_BUNDLE_LIBS:-$here/lib}${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
export LD_LIBRARY_PATH
exec "$here/bin/tlua" "$@"
