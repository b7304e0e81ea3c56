package wasm

// Opcodes that mean something to this package. The others are only skipped.
const (
	opUnreachable  = 0x00
	opBlock        = 0x02
	opLoop         = 0x03
	opIf           = 0x04
	opElse         = 0x05
	opEnd          = 0x0b
	opBr           = 0x0c
	opBrIf         = 0x0d
	opBrTable      = 0x0e
	opReturn       = 0x0f
	opCall         = 0x10
	opCallIndirect = 0x11
	opDrop         = 0x1a
	opSelect       = 0x1b
	opSelectTyped  = 0x1c
	opLocalGet     = 0x20
	opLocalTee     = 0x22
	opGlobalGet    = 0x23
	opGlobalSet    = 0x24
	opTableGet     = 0x25
	opTableSet     = 0x26
	opMemorySize   = 0x3f
	opMemoryGrow   = 0x40
	opI32Const     = 0x41
	opI64Const     = 0x42
	opF32Const     = 0x43
	opF64Const     = 0x44
	opI32LeU       = 0x4d
	opI64LtS       = 0x53
	opI64Sub       = 0x7d
	opI64Shl       = 0x86
	opI64ShrU      = 0x88
	opI64ExtendU   = 0xad
	opLastNumeric  = 0xc4
	opRefNull      = 0xd0
	opRefIsNull    = 0xd1
	opRefFunc      = 0xd2
	opMisc         = 0xfc
	opSIMD         = 0xfd

	blockByte = 0x40 // the type of a block without values
)

// blockVoid and blockOne stand for the type of a block without values and with one result.
const blockVoid, blockOne = -2, -1

// Second opcodes after opMisc.
const (
	miscMemoryInit = 8
	miscDataDrop   = 9
	miscMemoryCopy = 10
	miscMemoryFill = 11
	miscTableInit  = 12
	miscElemDrop   = 13
	miscTableCopy  = 14
	miscTableGrow  = 15
	miscTableSize  = 16
	miscTableFill  = 17
)

// instruction is one decoded instruction; values in it are what this package needs.
type instruction struct {
	op     byte
	sub    uint32   // second opcode, after opMisc and opSIMD
	index  uint32   // label, function, or type of an indirect call
	block  int64    // type of a block: its index, blockOne or blockVoid
	labels []uint32 // of br_table, the default last; reused
}

// next decodes the next instruction. Instructions that change what a swap cannot
// restore, and those of proposals that wazero has switched off, are refused.
func (r *reader) next(in *instruction) {
	op := r.byte()
	in.op = op
	switch {
	case op >= 0x45 && op <= opLastNumeric:
	case op >= 0x28 && op <= 0x3e: // loads and stores
		r.skipAddress()
	case op >= opLocalGet && op <= opTableSet:
		in.index = r.u32()
		if op == opTableSet {
			r.unsupported("table.set: a swap cannot restore a table")
		}
	case op == opBlock || op == opLoop || op == opIf:
		in.block = r.blockType()
	case op == opBr || op == opBrIf || op == opCall || op == opRefFunc:
		in.index = r.u32()
	case op == opUnreachable || op == 0x01 || op == opElse || op == opEnd || op == opReturn || op == 0x1a || op == 0x1b:
	case op == opBrTable:
		n := r.count("labels")
		in.labels = in.labels[:0]
		for range n + 1 {
			in.labels = append(in.labels, r.u32())
			if r.err != nil {
				return
			}
		}
	case op == opCallIndirect:
		in.index = r.u32()
		r.u32()
	case op == opSelectTyped:
		for range r.vector("types", maxParams) {
			r.checkValueType(r.byte())
		}
	case op == opMemorySize || op == opMemoryGrow:
		r.zero()
	case op == opRefNull:
		r.skipReference()
	case op == opI32Const:
		r.skipLEB(32)
	case op == opI64Const:
		r.skipLEB(64)
	case op == opF32Const:
		r.bytes(4)
	case op == opF64Const:
		r.bytes(8)
	case op == opRefIsNull:
	case op == opMisc:
		r.nextMisc(in)
	case op == opSIMD:
		in.sub = r.skipSIMD()
	case op == 0x12 || op == 0x13 || op == 0x14 || op == 0x15:
		r.unsupported("tail calls and typed function references (instruction %#x)", op)
	case op == 0x06 || op == 0x07 || op == 0x08 || op == 0x09 || op == 0x0a || op == 0x18 || op == 0x19 || op == 0x1f:
		r.unsupported("exceptions (instruction %#x)", op)
	case op == 0xfe:
		r.unsupported("threads (instruction 0xfe)")
	case op == 0xfb:
		r.unsupported("garbage-collected types (instruction 0xfb)")
	default:
		if r.err == nil {
			r.unsupported("instruction %#x", op)
		}
	}
}

func (r *reader) nextMisc(in *instruction) {
	in.sub = r.u32()
	switch in.sub {
	case 0, 1, 2, 3, 4, 5, 6, 7: // saturating conversions
	case miscMemoryInit:
		r.u32()
		r.zero()
	case miscMemoryCopy:
		r.zero()
		r.zero()
	case miscMemoryFill:
		r.zero()
	case miscTableSize:
		r.u32()
	case miscDataDrop:
		r.unsupported("data.drop: a swap cannot restore a segment")
	case miscElemDrop:
		r.unsupported("elem.drop: a swap cannot restore a segment")
	case miscTableInit, miscTableCopy, miscTableGrow, miscTableFill:
		names := [...]string{"table.init", "", "table.copy", "table.grow", "", "table.fill"}
		r.unsupported("%s: a swap cannot restore a table", names[in.sub-miscTableInit])
	default:
		r.unsupported("instruction 0xfc %d", in.sub)
	}
}

// The immediates below have longer forms in proposals that wazero has switched off but
// reads all the same. To read them otherwise than wazero does would be a way around the
// fuel, so they are refused here.

// skipAddress skips alignment and offset of a load or store. A second memory would be
// named by bit 6 of the alignment.
func (r *reader) skipAddress() {
	if align := r.u32(); align >= 1<<6 {
		r.unsupported("an alignment of %d (several memories?)", align)
	}
	r.u32()
}

// blockType reads the type of a block: blockVoid, blockOne, or the index of a function type,
// which is not negative.
func (r *reader) blockType() int64 {
	if r.at < r.end && r.b[r.at]&0xc0 == 0x40 { // one byte, negative
		if c := r.byte(); c != blockByte {
			r.checkValueType(c)
			return blockOne
		}
		return blockVoid
	}
	return int64(r.u32())
}

// skipReference skips the type of a null reference.
func (r *reader) skipReference() {
	if t := ValueType(r.byte()); r.err == nil && t != FuncRef && t != ExternRef {
		r.unsupported("reference type %#x", byte(t))
	}
}

// zero reads the index of the only memory.
func (r *reader) zero() {
	if c := r.byte(); c != 0 {
		r.unsupported("memory %d", c)
	}
}

// skipSIMD skips a vector instruction and returns its number (WebAssembly Core 2.0, section
// 5.4.8).
func (r *reader) skipSIMD() uint32 {
	sub := r.u32()
	switch {
	case sub <= 11 || sub == 92 || sub == 93:
		r.skipAddress()
	case sub == 12 || sub == 13:
		r.bytes(16)
	case sub >= 21 && sub <= 34:
		r.byte()
	case sub >= 84 && sub <= 91:
		r.skipAddress()
		r.byte()
	case sub > 255:
		r.unsupported("relaxed vector instruction %d", sub)
	}
	return sub
}
