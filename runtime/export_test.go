package runtime

import "context"

// Swap swaps two awake rooms in and out of one instance, n times each.
func Swap(m *Module, a, b *Room, n int) error {
	in, err := m.acquire(context.Background())
	if err != nil {
		return err
	}
	defer m.release(in, false)
	for range n {
		for _, r := range [...]*Room{a, b} {
			if err := in.enter(r.memory); err != nil {
				return err
			}
			if err := in.leave(r.memory); err != nil {
				return err
			}
		}
	}
	return nil
}

// Wake gives a room its memory and puts it under an instance once, without a turn.
func Wake(r *Room) error {
	in, err := r.module.acquire(context.Background())
	if err != nil {
		return err
	}
	defer r.module.release(in, false)
	if r.memory, err = r.module.image.New(); err != nil {
		return err
	}
	if err := in.enter(r.memory); err != nil {
		return err
	}
	return in.leave(r.memory)
}
