package runtime

import "github.com/oriel-rooms/oriel/runtime/internal/wasm"

// Prepare checks a module and writes into it what a host other than this one cannot: fuel, as
// the exported mutable i64 "\x00oriel.fuel", and the limit of its memory in bytes. The edge host
// runs prepared modules; [Runtime.Load] prepares plain ones itself. The error is a *[ModuleError].
func Prepare(binary []byte, memoryLimit uint64) ([]byte, error) {
	if len(binary) > DefaultMaxModule {
		return nil, moduleError(ErrTooLarge, "%d bytes, the limit is %d", len(binary), DefaultMaxModule)
	}
	parsed, err := wasm.Parse(binary)
	if err != nil {
		return nil, asModuleError(err)
	}
	if err := checkABI(parsed, memoryLimit); err != nil {
		return nil, err
	}
	out, _, err := parsed.Rewrite(wasm.RewriteOptions{MaxPages: uint32(memoryLimit / wasm.PageSize)})
	if err != nil {
		return nil, asModuleError(err)
	}
	return out, nil
}
