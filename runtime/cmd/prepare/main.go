// Command prepare writes fuel and a memory limit into a room module, for hosts that cannot do
// so when they load it (see edge), and can say which kinds the module has:
//
//	go run ./runtime/cmd/prepare -memory 67108864 -kinds kinds.json plain.wasm prepared.wasm
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"

	"github.com/oriel-rooms/oriel/runtime"
)

func main() {
	memory := flag.Uint64("memory", runtime.DefaultMemoryLimit, "most `bytes` of memory")
	kinds := flag.String("kinds", "", "`file` for a JSON list of the kinds' options")
	flag.Parse()
	if err := run(flag.Args(), *memory, *kinds); err != nil {
		fmt.Fprintln(os.Stderr, "prepare:", err)
		os.Exit(1)
	}
}

func run(args []string, memory uint64, kinds string) error {
	if len(args) != 2 {
		return fmt.Errorf("want two arguments: the module to read and the module to write")
	}
	plain, err := os.ReadFile(args[0])
	if err != nil {
		return err
	}
	prepared, err := runtime.Prepare(plain, memory)
	if err != nil {
		return fmt.Errorf("%s: %w", args[0], err)
	}
	if err := os.WriteFile(args[1], prepared, 0o644); err != nil || kinds == "" {
		return err
	}
	list, err := kindsOf(plain)
	if err != nil {
		return fmt.Errorf("%s: %w", args[0], err)
	}
	return os.WriteFile(kinds, list, 0o644)
}

// kindsOf asks the module itself.
func kindsOf(plain []byte) ([]byte, error) {
	ctx := context.Background()
	r, err := runtime.New(ctx, runtime.Options{Interpret: true})
	if err != nil {
		return nil, err
	}
	defer func() { _ = r.Close(ctx) }() // the process ends
	m, err := r.Load(ctx, plain)
	if err != nil {
		return nil, err
	}
	return json.Marshal(m.Manifest().Kinds)
}
