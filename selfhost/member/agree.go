package member

import (
	"context"
	"fmt"
)

// Agree returns the version of a format that may be written, at least 1: version, if every living node
// reads it ([Meta.Formats]), otherwise what was agreed on before. Both are one step: from then on no node
// joins that does not read it. So there is no way back from a version that was agreed on. Errors are of type
// [*Error].
func (m *Membership) Agree(ctx context.Context, name string, version int) (int, error) {
	reply, err := m.keys.run(ctx, m.o.Redis, agreeScript, name, version)
	if n, ok := reply.(int64); err == nil && ok && n > 0 {
		return int(n), nil
	} else if err == nil {
		err = fmt.Errorf("%w: answer of a script", ErrFormat)
	}
	return 0, &Error{Op: "agree", Node: m.id, Err: err}
}

// misfit says why the script of Join has refused a program: what is "format" or "link".
func misfit(reply []any, own Meta) error {
	what, _ := reply[0].(string)
	name, _ := reply[1].(string)
	theirs, _ := reply[2].(string)
	switch what {
	case "format":
		return fmt.Errorf("%w: they write version %.20s of the format %.100q, it reads up to %d: it is too old", ErrVersion, theirs, name, own.Formats[name])
	case "link":
		return fmt.Errorf("%w: %.300s speaks versions %.50s of the link, it speaks %d to %d", ErrVersion, name, theirs, own.LinkMin, own.LinkMax)
	}
	return fmt.Errorf("%w: answer of a script", ErrFormat)
}
