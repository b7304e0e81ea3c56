package wasm

// Classes of instructions, by how their immediates are skipped.
const (
	special  = iota // everything that is not below: see reader.next
	plainNo         // no immediate
	plainOne        // one LEB128 integer
	plainTwo        // two
)

// classes is the class of each opcode.
var classes = func() (c [256]uint8) {
	c[opDrop], c[opSelect], c[opRefIsNull] = plainNo, plainNo, plainNo
	for op := 0x45; op <= opLastNumeric; op++ {
		c[op] = plainNo
	}
	// Globals are not here: an index may be that of the fuel.
	for op := opLocalGet; op <= opLocalTee; op++ {
		c[op] = plainOne
	}
	c[opI32Const], c[opI64Const] = plainOne, plainOne
	for op := 0x28; op <= 0x3e; op++ {
		c[op] = plainTwo
	}
	return c
}()

// maxPlain is longer than any plain instruction: an opcode and two integers.
const maxPlain = 1 + 2*10

// skipPlain skips plain instructions: nine of ten are. It stops before any other, when d
// has reached maxDebt, and near the end of the input. wazero checks the length of
// integers afterwards; an over-long one only ends the skipping here.
func (r *reader) skipPlain(d debt) debt {
	b, at := r.b[:r.end], r.at
	for at+maxPlain <= len(b) && d < maxDebt {
		op := b[at]
		class := classes[op]
		if class == special {
			break
		}
		end := at + 1
		if class == plainTwo && b[end] >= 1<<6 {
			break // see skipAddress
		}
		for range class - plainNo {
			for limit := end + 9; b[end] >= 0x80; end++ {
				if end == limit {
					r.at = at
					return d
				}
			}
			end++
		}
		at = end
		d = d.add(int(costs[op]))
	}
	r.at = at
	return d
}
