package link

import "errors"

var (
	// ErrClosed means that the links, the link or the stream were closed.
	ErrClosed = errors.New("link: closed")
	// ErrUnreachable means that there is no link to a node and none could be made in time.
	ErrUnreachable = errors.New("link: the node does not answer")
	// ErrUnknown means that a node is not among those that live.
	ErrUnknown = errors.New("link: not a living node")
	// ErrSecret means that the other side has another secret, or a certificate of nobody that we trust.
	ErrSecret = errors.New("link: the other side does not have the cluster's secret")
	// ErrRefused means that the other side speaks to this node, but not as a part of its cluster.
	ErrRefused = errors.New("link: refused")
	// ErrFrame means that a frame is malformed or beyond its limit.
	ErrFrame = errors.New("link: bad frame")
)
