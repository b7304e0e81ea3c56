#!/usr/bin/env bash
# Runs the edge worker on this machine, with tokens for whoever asks: no account, no network.
# ORIEL_EDGE_LISTEN says where, default 127.0.0.1:8787. Build it first: edge/build.sh app
set -euo pipefail
cd "$(dirname "$0")/.."

listen=${ORIEL_EDGE_LISTEN:-127.0.0.1:8787}
export PATH="$PWD/node_modules/.bin:$PATH"
export WRANGLER_SEND_METRICS=false CLOUDFLARE_CF_FETCH_ENABLED=false WRANGLER_HIDE_BANNER=true
exec wrangler dev --env "" --ip "${listen%:*}" --port "${listen##*:}" --var ORIEL_DEV:1 --show-interactive-dev-session=false
