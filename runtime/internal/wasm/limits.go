package wasm

// Limits of a module, most of them those that browsers agree on (WebAssembly JavaScript
// Interface, "Implementation-defined limits") or lower. wazero makes room for what a
// module claims to have before it looks at it, so nothing reaches it that is not there.
const (
	maxTypes     = 100_000
	maxFunctions = 1_000_000
	maxImports   = 1_000 // there are twenty functions to import
	maxExports   = 100_000
	maxGlobals   = 100_000
	maxSegments  = 100_000
	maxTables    = 16
	// maxTableSize bounds all tables together, in entries of 8 bytes for each instance.
	maxTableSize = 1_000_000
	// maxParams bounds the parameters, and the results, of one function.
	maxParams = 1_000
	// maxLocals bounds the locals of one function, maxAllLocals those of all together:
	// wazero keeps a byte for each.
	maxLocals, maxAllLocals = 50_000, 4_000_000
)

// vector reads the length of a vector whose items take at least one byte each, so that
// no allocation is larger than the input warrants.
func (r *reader) vector(what string, limit int) int {
	n := r.count(what)
	if n > limit {
		r.unsupported("%d %s, at most %d", n, what, limit)
		return 0
	}
	return n
}
