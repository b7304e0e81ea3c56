#!/usr/bin/env bash
# Stands in for the oriel binary where a test starts a server, kills it and starts it again:
#
#   ORIEL_LISTEN=127.0.0.1:8787 ORIEL_DATA=folder edge/test/oriel.sh serve [--dev]
#
# runs the built worker under `wrangler dev`, without `--dev` under the secret ORIEL_SECRET. workerd
# dies with it, however it dies (Linux).
set -euo pipefail
cd "$(dirname "$0")/../.."

if [ "${1:-}" != serve ]; then
	echo "usage: oriel.sh serve [--dev]" >&2
	exit 2
fi
vars=()
if [ "${2:-}" = --dev ]; then vars+=(--var ORIEL_DEV:1); fi
if [ -n "${ORIEL_SECRET:-}" ]; then vars+=(--var "ORIEL_SECRET:$ORIEL_SECRET"); fi
export MINIFLARE_WORKERD_PATH="$PWD/edge/test/workerd.sh" ESBUILD_BINARY_PATH="$PWD/edge/test/esbuild.sh"
export WRANGLER_SEND_METRICS=false CLOUDFLARE_CF_FETCH_ENABLED=false WRANGLER_HIDE_BANNER=true
exec node_modules/.bin/node --no-warnings node_modules/wrangler/wrangler-dist/cli.js dev \
	--ip "${ORIEL_LISTEN%:*}" --port "${ORIEL_LISTEN##*:}" --inspector-port 0 \
	--persist-to "$ORIEL_DATA" --show-interactive-dev-session=false "${vars[@]}"
