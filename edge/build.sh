#!/usr/bin/env bash
# Builds what the edge needs into edge/build, which git ignores:
#
#   edge/build.sh app       the front, the modules of edge/modules.toml, the entry, the page; brings
#                           the classes and migrations in wrangler.toml up to date
#   edge/build.sh test      the modules of the host's tests, and a worker with two modules
#   edge/build.sh bench     the front that the benchmarks compare with
set -euo pipefail
cd "$(dirname "$0")/.."

# module SOURCE TARGET [FLAGS]: a room module with fuel and a memory limit inside. SOURCE is the folder
# of a Go package or a .wasm file. The plain module stays beside it as TARGET.plain.
module() {
	local source=$1 target=$2
	shift 2
	mkdir -p "$(dirname "$target")"
	if [ -f "$source" ]; then
		cp "$source" "$target.plain"
	else
		local plain=$PWD/$target.plain
		(cd "$source" && CGO_ENABLED=0 GOOS=wasip1 GOARCH=wasm go build -buildmode=c-shared -trimpath -ldflags="-s -w" -o "$plain" .)
	fi
	go run ./runtime/cmd/prepare "$@" "$target.plain" "$target"
}

# glue TARGET: what a Go front needs of JavaScript. workers-assets-gen empties its output folder: it
# gets one of its own.
glue() {
	go run github.com/syumai/workers/cmd/workers-assets-gen -mode=go -o edge/build/assets
	cp edge/build/assets/wasm_exec.js "$1/"
}

# modules LIST CONFIG OUT: the modules of a list, the entry that exports their classes, and the classes
# in wrangler's CONFIG.
modules() {
	local list=$1 config=$2 out=$3 sources name source
	mkdir -p "$out"
	sources=$(go run ./edge/cmd/classes -modules "$list" list)
	while IFS=$'\t' read -r name source; do
		module "$source" "$out/$name.wasm" -kinds "$out/$name.kinds.json" </dev/null
	done <<<"$sources"
	go run ./edge/cmd/classes -modules "$list" -config "$config" -out "$out" write
}

case "${1:-}" in
app)
	out=edge/build/app
	mkdir -p $out/public
	modules edge/modules.toml wrangler.toml $out
	CGO_ENABLED=0 GOOS=js GOARCH=wasm go build -trimpath -ldflags="-s -w" -o $out/front.wasm ./edge/worker
	glue $out
	if [ -f selfhost/page/dist/index.html ]; then cp -r selfhost/page/dist/. $out/public/; fi
	;;
test)
	module ./edge/testdata/probe edge/build/test/probe.wasm
	module ./runtime/testdata/guest edge/build/test/guest.wasm
	module ./rooms/conformance/module edge/build/test/conformance.wasm
	cp edge/build/test/probe.wasm.plain edge/build/test/plain.wasm
	cp edge/build/test/conformance.wasm.plain edge/build/test/conformance-next.wasm
	CGO_ENABLED=0 GOOS=js GOARCH=wasm go build -trimpath -ldflags="-s -w" -o edge/build/test/front.wasm ./edge/testdata/front
	glue edge/build/test
	modules edge/test/two.modules.toml edge/test/two.toml edge/build/two
	CGO_ENABLED=0 GOOS=js GOARCH=wasm go build -trimpath -ldflags="-s -w" -o edge/build/two/front.wasm ./edge/worker
	glue edge/build/two
	;;
bench)
	CGO_ENABLED=0 GOOS=js GOARCH=wasm go build -trimpath -ldflags="-s -w" -o edge/build/bench/es256.wasm ./edge/bench/es256
	;;
*)
	echo "usage: edge/build.sh app|test|bench" >&2
	exit 2
	;;
esac
