package wasm

// Fuel is a mutable global, and what is inserted into the code takes from it.
//
// A payment only subtracts. A charge looks at what is left, too, and calls the asker if that is
// below zero: at loop headers, on entering functions that are no free leaves, after every
// maxUnchecked units of straight code, and before operations whose cost only the running code
// knows. So code that runs on and on meets a charge.
//
// The asker is a function that [Module.Rewrite] appends. It ends the code, or lets the host
// decide: it asks for a page of memory, which is the only call of the host that every module may
// make, and goes on if there is fuel again afterwards. A charge at a loop's header jumps to the
// header again after that instead of falling through, so that wazero need not expect, on the path
// that is always taken, that a call has changed memory and globals.

// askPages is the growth that the asker asks for. It never happens.
const askPages = 1

// appendPayment appends the payment of n units.
func appendPayment(o []byte, fuel uint32, n int) []byte {
	o = appendU32(append(o, opGlobalGet), fuel)
	o = appendS64(append(o, opI64Const), int64(n))
	return appendU32(append(o, opI64Sub, opGlobalSet), fuel)
}

// appendCheck appends the look at what is left. again is the label of the loop that it is at the
// header of, as seen from there, or -1.
func (w *meter) appendCheck(o []byte, again int) []byte {
	o = appendU32(append(o, opGlobalGet), w.fuel)
	o = append(o, opI64Const, 0, opI64LtS, opIf, blockByte)
	o = appendU32(append(o, opCall), w.asker)
	if again >= 0 {
		o = appendU32(append(o, opBr), uint32(again)+1)
	}
	return append(o, opEnd)
}

// appendBulkCharge appends the payment for a bulk operation whose length in bytes is
// the i32 on top of the stack, where it stays. local is an i32 of ours.
func (w *meter) appendBulkCharge(o []byte, local uint32) []byte {
	o = appendU32(append(o, opLocalTee), local)
	o = appendU32(append(o, opGlobalGet), w.fuel)
	o = appendU32(append(o, opLocalGet), local)
	o = append(o, opI64ExtendU, opI64Const, BulkShift, opI64ShrU, opI64Sub)
	return w.appendCheck(appendU32(append(o, opGlobalSet), w.fuel), -1)
}

// appendGrowCharge is appendBulkCharge for a growth by a number of pages. One that is larger than
// any memory fails, and costs nothing.
func (w *meter) appendGrowCharge(o []byte, local uint32) []byte {
	o = appendU32(append(o, opLocalTee), local)
	o = appendU32(append(o, opGlobalGet), w.fuel)
	o = appendU32(append(o, opLocalGet), local)
	o = append(o, opI64ExtendU, opI64Const, growShift, opI64Shl, opI64Const, 0)
	o = appendU32(append(o, opLocalGet), local)
	o = appendS64(append(o, opI32Const), int64(w.maxPages))
	o = append(o, opI32LeU, opSelect, opI64Sub)
	return w.appendCheck(appendU32(append(o, opGlobalSet), w.fuel), -1)
}

// askerBody returns the body of the asker, with its length before it.
func askerBody(fuel uint32, ask bool) []byte {
	b := []byte{0} // no locals
	if ask {
		b = appendU32(append(b, opGlobalGet), fuel)
		b = append(b, opI64Const, 0, opI64LtS, opIf, blockByte)
		b = append(b, opI32Const, askPages, opMemoryGrow, 0, opDrop, opEnd)
	}
	b = appendU32(append(b, opGlobalGet), fuel)
	b = append(b, opI64Const, 0, opI64LtS, opIf, blockByte, opUnreachable, opEnd, opEnd)
	return append(appendU32(nil, uint32(len(b))), b...)
}
