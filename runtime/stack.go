package runtime

import (
	"reflect"

	"github.com/tetratelabs/wazero/api"
)

// maxStack bounds the WebAssembly stack of a turn, in bytes, as far as it can be seen between two
// slices of fuel. wazero lets it grow to 84 MB by doubling, which takes 60 ms, and walks all of it
// when a turn traps.
const maxStack = 8 << 20

// stackSize returns how far the WebAssembly stack of a function has grown, in bytes, 0 if that
// cannot be known. wazero does not say, so this reads the field in which it keeps the stack;
// TestStackIsBounded finds out when there is no such field any more.
func stackSize(f api.Function) int {
	if stack, ok := stackOf(f); ok {
		return stack.Len()
	}
	return 0
}

// isCompiled reports whether wazero has compiled a function: what it interprets has another stack. It
// interprets where it has no compiler and where the system forbids to make memory executable, and says
// neither.
func isCompiled(f api.Function) bool {
	_, ok := stackOf(f)
	return ok
}

// stackOf returns the stack of a function that is compiled.
func stackOf(f api.Function) (reflect.Value, bool) {
	v := reflect.ValueOf(f)
	if v.Kind() != reflect.Pointer || v.Elem().Kind() != reflect.Struct {
		return reflect.Value{}, false
	}
	stack := v.Elem().FieldByName("stack")
	return stack, stack.Kind() == reflect.Slice && stack.Type().Elem().Kind() == reflect.Uint8
}
