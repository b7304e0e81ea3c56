package main

import (
	"fmt"
	"go/ast"
	"go/constant"
	"go/parser"
	"go/token"
	"go/types"
	"path/filepath"
)

// A limit is one integer constant of limits.go.
type limit struct {
	name  string
	value int64
}

// readLimits takes the constants from the source, in its order: Go cannot list them otherwise,
// and a list beside them would be forgotten.
func readLimits(root string) ([]limit, error) {
	set := token.NewFileSet()
	f, err := parser.ParseFile(set, filepath.Join(root, "rooms/abi/limits.go"), nil, 0)
	if err != nil {
		return nil, err
	}
	pkg, err := new(types.Config).Check("abi", set, []*ast.File{f}, nil)
	if err != nil {
		return nil, err
	}
	var list []limit
	for _, d := range f.Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok || g.Tok != token.CONST {
			continue
		}
		for _, s := range g.Specs {
			for _, name := range s.(*ast.ValueSpec).Names {
				c, ok := pkg.Scope().Lookup(name.Name).(*types.Const)
				if !ok || c.Val().Kind() != constant.Int {
					continue
				}
				v, exact := constant.Int64Val(c.Val())
				if !exact {
					return nil, fmt.Errorf("%s does not fit 64 bits", name.Name)
				}
				list = append(list, limit{name.Name, v})
			}
		}
	}
	return list, nil
}
