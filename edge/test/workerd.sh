#!/usr/bin/env bash
# workerd that dies when its parent does, as a killed server's sockets would (Linux).
set -euo pipefail
workerd=$(dirname "$0")/../../node_modules/workerd/bin/workerd
if command -v setpriv >/dev/null; then exec setpriv --pdeathsig KILL "$workerd" "$@"; fi
exec "$workerd" "$@"
