#!/usr/bin/env bash
# Builds what the edge needs into edge/build, which git ignores:
#
#   edge/build.sh app       the front, the shipped module, the list of kinds, the page
#   edge/build.sh test      the modules of the host's tests
set -euo pipefail
cd "$(dirname "$0")/.."

# module SOURCE TARGET [FLAGS]: a room module with fuel and a memory limit inside. The plain
# module stays beside it as TARGET.plain.
module() {
	local source=$1 target=$2
	shift 2
	mkdir -p "$(dirname "$target")"
	CGO_ENABLED=0 GOOS=wasip1 GOARCH=wasm go build -buildmode=c-shared -trimpath -ldflags="-s -w" -o "$target.plain" "$source"
	go run ./runtime/cmd/prepare "$@" "$target.plain" "$target"
}

# glue TARGET: what a Go front needs of JavaScript. workers-assets-gen empties its output folder: it
# gets one of its own.
glue() {
	go run github.com/syumai/workers/cmd/workers-assets-gen -mode=go -o edge/build/assets
	cp edge/build/assets/wasm_exec.js "$1/"
}

case "${1:-}" in
app)
	out=edge/build/app
	mkdir -p $out/public
	module ./rooms/shipped $out/shipped.wasm -kinds $out/kinds.json
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
	;;
*)
	echo "usage: edge/build.sh app|test" >&2
	exit 2
	;;
esac
