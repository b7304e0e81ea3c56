// Command classes makes Durable Object classes of the room modules that edge/modules.toml lists:
//
//	classes -modules edge/modules.toml list
//	classes -modules edge/modules.toml -config wrangler.toml -out edge/build/app write
//
// list prints the name and the source of each, for edge/build.sh to build as OUT/NAME.wasm and
// OUT/NAME.kinds.json (see runtime/cmd/prepare). write makes of them the worker's entry
// OUT/index.ts and the list of all kinds OUT/kinds.json, and brings wrangler.toml up to date: the
// bindings between its marks are written anew, and a migration is appended for what is new.
// The same input gives the same output, and nothing is written when something does not fit.
package main

import (
	"flag"
	"fmt"
	"os"
)

func main() {
	modules := flag.String("modules", "edge/modules.toml", "the list of modules, a `file`")
	config := flag.String("config", "wrangler.toml", "wrangler's `file`, which write changes")
	out := flag.String("out", "edge/build/app", "the `folder` of the built modules")
	flag.Parse()
	if err := run(flag.Args(), *modules, *config, *out); err != nil {
		fmt.Fprintln(os.Stderr, "classes:", err)
		os.Exit(1)
	}
}

func run(args []string, modules, config, out string) error {
	if len(args) != 1 || args[0] != "list" && args[0] != "write" {
		return fmt.Errorf("want one argument, list or write")
	}
	text, err := os.ReadFile(modules)
	if err != nil {
		return err
	}
	list, err := parseList(text)
	if err != nil {
		return fmt.Errorf("%s: %w", modules, err)
	}
	if args[0] == "list" {
		for _, m := range list.Modules {
			fmt.Printf("%s\t%s\n", m.Name, m.Source)
		}
		return nil
	}
	return write(list, config, out)
}
