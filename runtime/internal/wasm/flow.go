package wasm

import "slices"

// debt is the greatest cost that is unpaid on any path to a place, or unreached if no path
// leads there.
type debt int

const unreached debt = -1

func (d debt) add(n int) debt {
	if d == unreached {
		return d
	}
	return d + debt(n)
}

// frame is an open block of the function that is being read.
type frame struct {
	loop bool
	// carries is how many values a branch to the block moves, results how many its end does.
	carries, results int
	// skip is the debt on the path past the first arm of an if that has no else yet.
	skip debt
	// join is the debt of the branches to the end.
	join debt
	// forgotten is what the loops that are open here, this frame among them, have not paid for
	// beginning: it is owed again where they are left.
	forgotten debt
}

// open opens the frame of a block, a loop or an if.
func (w *meter) open(in *instruction) {
	params, results := w.arity(in)
	f := frame{carries: results, results: results, skip: unreached, join: unreached}
	switch in.op {
	case opLoop:
		f.loop, f.carries = true, params
	case opIf:
		f.skip = w.debt
	}
	if n := len(w.frames); n > 0 {
		f.forgotten = w.frames[n-1].forgotten
	}
	w.frames = append(w.frames, f)
}

// arity returns how many values a block takes and leaves.
func (w *meter) arity(in *instruction) (params, results int) {
	switch {
	case in.block == blockVoid:
		return 0, 0
	case in.block == blockOne:
		return 0, 1
	case in.block >= int64(len(w.m.types)):
		w.r.fail("a block without a type")
		return 0, 0
	}
	t := &w.m.types[in.block]
	return len(t.Params), len(t.Results)
}

// flow follows the control flow over an instruction: it opens and closes frames and
// carries the debt to where branches lead.
func (w *meter) flow(in *instruction) {
	switch in.op {
	case opBlock, opLoop, opIf:
		w.open(in)
	case opElse:
		f := &w.frames[len(w.frames)-1]
		f.join = max(f.join, w.debt)
		w.debt, f.skip = f.skip, unreached
	case opEnd:
		f := &w.frames[len(w.frames)-1]
		w.debt = max(w.debt, f.join, f.skip)
		if len(w.frames) > 1 {
			w.debt = w.debt.add(w.forgotten(w.frames[len(w.frames)-2]))
		}
		w.frames = w.frames[:len(w.frames)-1]
	case opBr, opBrIf:
		w.branch(in.index)
	case opBrTable:
		for _, label := range in.labels {
			w.branch(label)
		}
	}
	switch in.op {
	case opBr, opBrTable, opReturn, opUnreachable:
		w.debt = unreached
	}
}

// target returns the frame of a label, nil if there is none.
func (w *meter) target(label uint32) *frame {
	if uint64(label) >= uint64(len(w.frames)) {
		w.r.fail("branch to an unknown label")
		return nil
	}
	return &w.frames[len(w.frames)-1-int(label)]
}

func (w *meter) branch(label uint32) {
	if f := w.target(label); f != nil && !f.loop {
		f.join = max(f.join, w.debt.add(w.forgotten(*f)))
	}
}

// forgotten returns what is owed again when the loops inside of a frame are left.
func (w *meter) forgotten(f frame) int {
	return int(w.frames[len(w.frames)-1].forgotten - f.forgotten)
}

// leaving returns what is owed again where an instruction leads, at most.
func (w *meter) leaving(in *instruction) (n int) {
	switch in.op {
	case opReturn:
		return w.forgotten(w.frames[0])
	case opBr, opBrIf:
		if f := w.target(in.index); f != nil {
			n = w.forgotten(*f)
		}
	case opBrTable:
		for _, label := range in.labels {
			if f := w.target(label); f != nil {
				n = max(n, w.forgotten(*f))
			}
		}
	}
	return n
}

// back reports whether an instruction may branch to the header of a loop.
func (w *meter) back(in *instruction) bool {
	return w.branches(in, func(f *frame) bool { return f.loop })
}

// exit reports whether an instruction may end the function.
func (w *meter) exit(in *instruction) bool {
	switch in.op {
	case opReturn:
		return true
	case opEnd:
		return len(w.frames) == 1
	}
	return w.branches(in, func(f *frame) bool { return f == &w.frames[0] })
}

// branches reports whether an instruction may branch to such a frame.
func (w *meter) branches(in *instruction, such func(*frame) bool) bool {
	is := func(label uint32) bool {
		f := w.target(label)
		return f != nil && such(f)
	}
	switch in.op {
	case opBr, opBrIf:
		return is(in.index)
	case opBrTable:
		return slices.ContainsFunc(in.labels, is)
	}
	return false
}
