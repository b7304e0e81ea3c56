#!/usr/bin/env bash
# esbuild that dies when its parent does (Linux): by itself it outlives a killed wrangler for a minute, with the
# pipe that a test reads.
set -euo pipefail
esbuild=$(dirname "$0")/../../node_modules/esbuild/bin/esbuild
if command -v setpriv >/dev/null; then exec setpriv --pdeathsig KILL "$esbuild" "$@"; fi
exec "$esbuild" "$@"
