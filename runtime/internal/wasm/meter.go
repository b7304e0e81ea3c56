package wasm

import (
	"runtime"
	"slices"
	"sync"
)

// meter copies function bodies and puts charges in.
type meter struct {
	m      *Module
	r      *reader
	fuel   uint32 // index of the fuel global
	out    []byte // the body that is being written
	copied int    // first byte of the input that is not copied yet
	in     instruction
	frames []frame
	debt   debt
	// owes says that the function has not paid enterCost yet. It pays at its first
	// branch, or by the charge of a loop that begins before any.
	owes bool
	// leaves holds, for each defined function, its weight if it is a free leaf, else -1.
	leaves []int8
	bodies []span
	locals int // of all functions so far
	stats  Stats
}

// span is a range of the input.
type span struct{ from, to int }

// code rewrites the code section.
func (m *Module) meterCode(fuel uint32) ([]byte, Stats, error) {
	if m.code < 0 {
		return nil, Stats{}, nil
	}
	s := m.sections[m.code]
	// The reader's offsets are those of the section, so that bodies alias it.
	r := newReader(s.body)
	w := &meter{m: m, r: r, fuel: fuel}
	n := r.vector("function bodies", maxFunctions)
	if r.err == nil && n != len(m.funcs) {
		r.fail("%d functions but %d bodies", len(m.funcs), n)
	}
	w.bodies = make([]span, 0, n)
	for range n {
		size := r.u32()
		at := r.at
		r.bytes(size)
		w.bodies = append(w.bodies, span{at, at + int(size)})
	}
	if r.err == nil && r.at != r.end {
		r.fail("trailing bytes after the code")
	}
	if r.err != nil {
		return nil, Stats{}, r.shifted(s.at)
	}
	w.findLeaves()
	parts := w.split(min(runtime.GOMAXPROCS(0), maxParts))
	var done sync.WaitGroup
	for _, p := range parts {
		done.Go(p.run)
	}
	done.Wait()
	out := appendU32(make([]byte, 0, len(s.body)+len(s.body)/4+16), uint32(n))
	stats, locals := Stats{Functions: n}, 0
	for _, p := range parts {
		if p.meter.r.err != nil {
			return nil, Stats{}, p.meter.r.shifted(s.at)
		}
		out = append(out, p.out...)
		stats.add(p.meter.stats)
		locals += p.meter.locals
	}
	if locals > maxAllLocals {
		r.unsupported("more than %d locals in all functions", maxAllLocals)
		return nil, Stats{}, r.shifted(s.at)
	}
	return out, stats, nil
}

// maxParts bounds the goroutines that rewrite a code section.
const maxParts = 4

// part is a range of functions, rewritten beside others.
type part struct {
	meter    meter
	from, to int // functions
	out      []byte
}

// split shares the functions out in up to n parts of about the same length.
func (w *meter) split(n int) (parts []*part) {
	each := len(w.r.b)/n + 1
	for from := 0; from < len(w.bodies); {
		to := from + 1
		for to < len(w.bodies) && w.bodies[to].to-w.bodies[from].from < each {
			to++
		}
		m := meter{m: w.m, r: newReader(w.r.b), fuel: w.fuel, leaves: w.leaves, bodies: w.bodies}
		parts = append(parts, &part{meter: m, from: from, to: to})
		from = to
	}
	return parts
}

func (p *part) run() {
	for i := p.from; i < p.to; i++ {
		p.meter.body(i)
		if p.meter.r.err != nil {
			return
		}
		p.out = appendU32(p.out, uint32(len(p.meter.out)))
		p.out = append(p.out, p.meter.out...)
	}
}

func (s *Stats) add(o Stats) {
	s.Loops += o.Loops
	s.Charges += o.Charges
	s.Bulk += o.Bulk
}

// shifted returns the fault with its offset counted from the start of the module.
func (r *reader) shifted(by int) error {
	e := *r.err
	e.Offset += by
	return &e
}

// findLeaves fills w.leaves by reading the bodies that are short enough.
func (w *meter) findLeaves() {
	w.leaves = make([]int8, len(w.bodies))
	for i, body := range w.bodies {
		w.leaves[i] = -1
		if body.to-body.from <= 4*leafLimit {
			w.leaves[i] = w.leafWeight(&reader{b: w.r.b, at: body.from, end: body.to})
		}
	}
}

func (w *meter) leafWeight(r *reader) int8 {
	r.locals()
	weight := 0
	for r.more() {
		r.next(&w.in)
		switch w.in.op {
		case opCall, opCallIndirect, opLoop, opMemoryGrow, opMisc:
			return -1
		}
		weight += w.weigh(&w.in)
	}
	if r.err != nil || weight > leafLimit {
		return -1
	}
	return int8(weight)
}

// locals skips the declarations of locals and returns the number of groups and of
// locals.
func (r *reader) locals() (groups int, n uint32) {
	groups = r.count("locals")
	for range groups {
		g := r.u32()
		r.checkValueType(r.byte())
		if uint64(n)+uint64(g) > maxLocals {
			r.unsupported("a function of more than %d locals", maxLocals)
		}
		if r.err != nil {
			return 0, 0
		}
		n += g
	}
	return groups, n
}

// flush copies the input up to a place.
func (w *meter) flush(to int) {
	w.out = append(w.out, w.r.b[w.copied:to]...)
	w.copied = to
}

func (w *meter) charge(n int) {
	w.stats.Charges++
	w.out = appendCharge(w.out, w.fuel, n)
}

// body writes the body of defined function i, with charges inside, to w.out.
func (w *meter) body(i int) {
	span := w.bodies[i]
	section := w.r
	r := &reader{b: section.b, at: span.from, end: span.to}
	w.r = r
	defer func() { w.r, section.err = section, r.err }()

	w.out = w.out[:0]
	groups, n := r.locals()
	localsEnd := r.at
	if w.locals += int(n); w.locals > maxAllLocals {
		r.unsupported("more than %d locals in all functions", maxAllLocals)
		return
	}
	local := uint32(len(w.m.types[w.m.funcs[i]].Params)) + n
	w.copied = span.from
	w.frames = append(w.frames[:0], frame{skip: unreached, join: unreached})
	w.debt = 0
	w.owes = w.leaves[i] < 0
	bulk := false
	for len(w.frames) > 0 && r.err == nil {
		w.debt = r.skipPlain(w.debt)
		if w.debt >= maxDebt {
			w.settleDebt()
			continue
		}
		at := r.at
		r.next(&w.in)
		if r.err != nil {
			return
		}
		if w.in.op == opMisc && (w.in.sub >= miscMemoryInit && w.in.sub <= miscMemoryFill) {
			w.flush(at)
			w.stats.Bulk++
			w.out = appendBulkCharge(w.out, w.fuel, local)
			bulk = true
		}
		w.instruction(&w.in, at)
	}
	if r.err == nil && r.at != r.end {
		r.fail("code after the end of a function")
	}
	w.flush(r.at)
	if bulk && r.err == nil {
		// One more group of locals: one i32. The groups begin after their count.
		counter := &reader{b: w.r.b, at: span.from, end: span.to}
		counter.u32()
		head := localsEnd - span.from
		body := appendU32(nil, uint32(groups)+1)
		body = append(body, w.out[counter.at-span.from:head]...)
		body = append(body, 1, byte(I32))
		w.out = slices.Replace(w.out, 0, head, body...)
	}
}

// instruction accounts for one instruction that begins at byte at, and copies it where
// a charge has to come before or after it.
func (w *meter) instruction(in *instruction, at int) {
	if w.owes {
		switch in.op {
		case opLoop:
			w.owes = false // its header is passed on every path from here
		case opIf, opElse, opEnd, opBr, opBrIf, opBrTable, opReturn, opUnreachable, opCall, opCallIndirect:
			w.owes = false
			w.flush(at)
			w.charge(enterCost)
		}
	}
	if in.op == opElse && len(w.frames) < 2 {
		w.r.fail("else without if")
		return
	}
	w.debt = w.debt.add(w.weigh(in))
	w.flow(in)
	if w.r.err != nil || len(w.frames) == 0 {
		return
	}
	if in.op == opLoop {
		w.stats.Loops++
		w.flush(w.r.at)
		w.charge(loopCost)
	}
	if w.debt >= maxDebt {
		w.settleDebt()
	}
}

// settleDebt pays for what has run so far.
func (w *meter) settleDebt() {
	w.flush(w.r.at)
	w.charge(int(w.debt))
	w.debt = 0
}
