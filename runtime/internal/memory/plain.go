package memory

// plain makes views by copying the image to the heap.
type plain struct{ image []byte }

func newPlain(image []byte) *plain { return &plain{image: image} }

func (p *plain) alloc() ([]byte, error) {
	view := make([]byte, len(p.image))
	copy(view, p.image)
	return view, nil
}

// reset leaves the view to the collector: copying the image over it now would cost as
// much as a new view costs later, if there ever is one.
func (p *plain) reset([]byte) ([]byte, bool) { return nil, false }

// changed does not know more than its caller.
func (p *plain) changed(view []byte, span func(from, to int)) { span(0, len(view)) }

func (p *plain) free([]byte) {}

func (p *plain) close() error { return nil }
