#!/bin/bash
# Three nodes and a Redis on this machine, until Ctrl-C: what `make cluster` runs.
# Kill any of the nodes (their process numbers are printed) and watch the page.
set -euo pipefail
cd "$(dirname "$0")/../.."

data=${ORIEL_DATA:-./data}/cluster
mkdir -p "$data"
data=$(cd "$data" && pwd)
export ORIEL_SECRET=${ORIEL_SECRET:-$(head -c 36 /dev/urandom | base64 -w0)}
export ORIEL_CLUSTER_SECRET=${ORIEL_CLUSTER_SECRET:-$(head -c 36 /dev/urandom | base64 -w0)}
export ORIEL_REDIS="unix://$data/redis.sock"

pids=()
trap 'trap - EXIT; kill "${pids[@]}" 2>/dev/null || true; wait' EXIT
trap 'exit 0' INT TERM

redis-server --port 0 --unixsocket "$data/redis.sock" --dir "$data" --appendonly yes --appendfsync always \
	--save '' --logfile "$data/redis.log" &
pids+=($!)
until redis-cli -s "$data/redis.sock" ping >/dev/null 2>&1; do
	kill -0 "${pids[0]}" || { cat "$data/redis.log"; exit 1; }
	sleep 0.1
done

for i in 1 2 3; do
	./bin/oriel serve --dev --listen "127.0.0.1:808$i" --data "$data/node$i" --cache-dir "$data/cache" \
		--cluster-listen "127.0.0.1:794$i" >"$data/node$i.out" 2>"$data/node$i.log" &
	pids+=($!)
	echo "node $i: http://127.0.0.1:808$i  (process $!, log $data/node$i.log)"
done
echo "Redis: $ORIEL_REDIS  (process ${pids[0]})"
echo "Ctrl-C ends all of them."
wait "${pids[@]}" || true # one that was killed by hand does not end the others
