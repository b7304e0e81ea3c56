package wasm

import (
	"runtime"
	"slices"
	"sync"
)

// meter copies function bodies and puts charges in.
type meter struct {
	m     *Module
	r     *reader
	fuel  uint32 // index of the fuel global
	asker uint32 // index of the function that a charge calls when the fuel is below zero
	// maxPages is more than any memory of the module can have.
	maxPages uint32
	out      []byte // the body that is being written
	copied   int    // first byte of the input that is not copied yet
	in       instruction
	frames   []frame
	debt     debt
	// unchecked is what has been paid since the last check, in the order of the code.
	unchecked int
	// wide is what it costs where paths meet, because of the function's many locals.
	wide int
	// owes says that the function has not checked its fuel yet. It does at its first branch,
	// or at the header of a loop that begins before any.
	owes bool
	// leaves holds, for each defined function, its weight if it is a free leaf, else -1.
	leaves []int8
	bodies []span
	locals int // of all functions so far
	stats  Stats
}

// span is a range of the input.
type span struct{ from, to int }

// meterCode rewrites the code section and appends the asker, if there is anybody to call it.
func (m *Module) meterCode(o RewriteOptions) ([]byte, Stats, error) {
	if m.code < 0 {
		return nil, Stats{}, nil
	}
	s := m.sections[m.code]
	// The reader's offsets are those of the section, so that bodies alias it.
	r := newReader(s.body)
	w := &meter{m: m, r: r, fuel: m.fuelGlobal(), asker: m.asker(), maxPages: o.MaxPages}
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
	if n == 0 {
		return s.body, Stats{}, nil
	}
	out := appendU32(make([]byte, 0, len(s.body)+len(s.body)/4+64), uint32(n)+1)
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
	return append(out, askerBody(w.fuel, o.Ask)...), stats, nil
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
		// A part shares what is only read from here on, and no buffer.
		m := meter{m: w.m, r: newReader(w.r.b), fuel: w.fuel, asker: w.asker, maxPages: w.maxPages, leaves: w.leaves, bodies: w.bodies}
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
	s.Payments += o.Payments
	s.Checks += o.Checks
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
			w.leaves[i] = w.leafWeight(i, &reader{b: w.r.b, at: body.from, end: body.to})
		}
	}
}

func (w *meter) leafWeight(f int, r *reader) int8 {
	_, n := r.locals()
	t := &w.m.types[w.m.funcs[f]]
	if len(t.Results) > 1 || len(t.Params)+int(n) > freeLocals {
		return -1
	}
	weight := 0
	for r.more() {
		r.next(&w.in)
		switch w.in.op {
		case opCall, opCallIndirect, opLoop, opMemoryGrow, opRefFunc, opMisc, opSIMD:
			return -1
		case opGlobalGet, opGlobalSet:
			if int64(w.in.index) >= int64(len(w.m.globals)) {
				return -1
			}
		case opBlock, opIf:
			if w.in.block >= 0 {
				return -1
			}
		case opBr, opBrIf, opBrTable, opReturn, opElse, opEnd:
			weight += moveCost // for the value that it may carry
		}
		weight += int(costs[w.in.op])
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

// pay appends the payment of what is unpaid.
func (w *meter) pay() {
	n := max(int(w.debt), 0)
	w.debt = min(w.debt, 0)
	w.stats.Payments++
	w.out = appendPayment(w.out, w.fuel, n)
	if w.unchecked += n; w.unchecked >= maxUnchecked {
		w.check(-1)
	}
}

// check appends a look at what is left.
func (w *meter) check(again int) {
	w.unchecked = 0
	w.stats.Checks++
	w.out = w.appendCheck(w.out, again)
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
	if w.leaves[i] >= 0 { // its callers pay
		w.out = append(w.out, r.b[span.from:span.to]...)
		return
	}
	t := &w.m.types[w.m.funcs[i]]
	local := uint32(len(t.Params)) + n
	w.copied = span.from
	w.frames = append(w.frames[:0], frame{carries: len(t.Results), results: len(t.Results), skip: unreached, join: unreached})
	w.wide = max(0, int(local)-freeLocals) / 2
	w.debt, w.unchecked = debt(w.wide+max(0, span.to-span.from-smallBody)/32), 0
	w.owes = true
	counts := false
	for len(w.frames) > 0 && r.err == nil {
		w.debt = r.skipPlain(w.debt)
		if w.debt >= maxDebt {
			w.flush(r.at)
			w.pay()
			continue
		}
		at := r.at
		r.next(&w.in)
		if r.err != nil {
			return
		}
		switch {
		case w.in.op == opMisc && (w.in.sub >= miscMemoryInit && w.in.sub <= miscMemoryFill):
			w.flush(at)
			w.stats.Bulk++
			w.out = w.appendBulkCharge(w.out, local)
			counts = true
		case w.in.op == opMemoryGrow:
			w.flush(at)
			w.out = w.appendGrowCharge(w.out, local)
			counts = true
		}
		w.instruction(&w.in, at)
	}
	if r.err == nil && r.at != r.end {
		r.fail("code after the end of a function")
	}
	w.flush(r.at)
	if counts && r.err == nil {
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

// instruction accounts for one instruction that begins at byte at, and puts what it pays before
// or after it.
func (w *meter) instruction(in *instruction, at int) {
	if in.op == opElse && len(w.frames) < 2 {
		w.r.fail("else without if")
		return
	}
	w.debt = w.debt.add(w.weigh(in) + w.moves(in))
	if w.r.err != nil {
		return
	}
	if w.owes {
		switch in.op {
		case opLoop:
			w.owes = false // its header is passed on every path from here
		case opIf, opElse, opEnd, opBr, opBrIf, opBrTable, opReturn, opUnreachable, opCall, opCallIndirect:
			w.owes = false
			w.flush(at)
			w.debt = w.debt.add(enterCost)
			w.pay()
			w.check(-1)
		}
	}
	back := w.back(in)
	if back {
		w.debt = w.debt.add(loopCost + w.leaving(in))
	}
	exit := false
	if !back && w.exit(in) {
		if owed := w.debt.add(w.leaving(in)); owed > exitDebt {
			w.debt, exit = owed, true
		}
	}
	if w.debt != unreached && (back || in.op == opLoop && w.debt > entryDebt || exit) {
		w.flush(at)
		w.pay()
	}
	w.flow(in)
	if w.r.err != nil || len(w.frames) == 0 {
		return
	}
	if in.op == opLoop {
		w.header(in)
	}
	if in.op == opMemoryGrow {
		// The host may have taken fuel back, which wazero does not expect of a growth: a call
		// makes the code read the fuel again.
		w.flush(w.r.at)
		w.out = appendU32(append(w.out, opCall), w.asker)
	}
	if w.debt >= maxDebt {
		w.flush(w.r.at)
		w.pay()
	}
}

// header checks at the header of a loop.
func (w *meter) header(in *instruction) {
	w.stats.Loops++
	w.flush(w.r.at)
	// No pass pays again what was unpaid at the entry: it is owed where the loop is left.
	w.frames[len(w.frames)-1].forgotten += max(w.debt, 0) + headerCost
	w.debt = min(w.debt, 0)
	again := 0
	if params, _ := w.arity(in); params > 0 {
		again = -1 // the branch would have to carry what is out of reach
	}
	w.check(again)
}
