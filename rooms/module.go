package rooms

import "github.com/oriel-rooms/oriel/rooms/abi"

// Version is the SDK's version as modules report it.
const Version = "oriel-go/0.1"

// A Module is a set of kinds: what one .wasm file holds. The zero value is empty and
// ready to use. It is filled before the first room starts and read-only from then on.
type Module struct {
	kinds []registered
	list  []abi.KindOptions
}

// registered is one kind of a module.
type registered struct {
	options abi.KindOptions // with defaults
	new     func() Kind
}

// find returns a kind, or nil.
func (m *Module) find(name string) *registered {
	for i := range m.kinds {
		if m.kinds[i].options.Name == name {
			return &m.kinds[i]
		}
	}
	return nil
}

// Register adds a kind under a name. It panics on a bad name, on a name taken, and on
// options out of their limits: these are mistakes in the program, found by its first test.
func (m *Module) Register(name string, newKind func() Kind, o Options) {
	options := o.abi(name)
	if err := options.Validate(); err != nil {
		panic("rooms: Register " + name + ": " + err.Error())
	}
	if newKind == nil {
		panic("rooms: Register " + name + ": no constructor")
	}
	if m.find(name) != nil {
		panic("rooms: Register " + name + ": the name is taken")
	}
	m.kinds = append(m.kinds, registered{options.WithDefaults(), newKind})
	m.list = append(m.list, options)
}

// Manifest describes the module to a host.
func (m *Module) Manifest() *abi.Manifest {
	return &abi.Manifest{SDK: Version, Shareable: true, Kinds: m.list}
}

// program is the module that Register fills and that the exports of a
// WebAssembly build serve. It is written by init functions only.
var program Module

// Register adds a kind to the program's module. Call it from an init function: the
// main function of a room module never runs.
func Register(name string, newKind func() Kind, o Options) { program.Register(name, newKind, o) }

// Registered returns the module that [Register] has filled.
func Registered() *Module { return &program }
