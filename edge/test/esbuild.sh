#!/usr/bin/env bash
# esbuild that dies when its parent does: an orphan would keep the pipes open that it inherited (Linux).
set -euo pipefail
esbuild=$(dirname "$0")/../../node_modules/esbuild/bin/esbuild
if command -v setpriv >/dev/null; then exec setpriv --pdeathsig KILL "$esbuild" "$@"; fi
exec "$esbuild" "$@"
