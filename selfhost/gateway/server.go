package gateway

import (
	"io"
	"log"
	"net"
	"net/http"
	"time"
)

// ServerOptions configure [NewHTTPServer]. Zero values mean the defaults.
type ServerOptions struct {
	// Handler serves what arrives; usually a mux with the [Gateway] under [Prefix].
	Handler http.Handler
	// Gateway counts the transport connections of each address. Nil: nothing is counted.
	Gateway *Gateway
	// HeaderTimeout bounds the time from the first byte, or the TLS handshake, to the
	// end of a request's head. Default 10 s.
	HeaderTimeout time.Duration
	// MaxHeaderBytes bounds a request's head, in bytes; net/http adds 4 KiB to it.
	// Default 16,384.
	MaxHeaderBytes int
	// ReadTimeout and WriteTimeout bound a whole request and its answer. They end
	// with an upgrade. Default 60 s each.
	ReadTimeout, WriteTimeout time.Duration
	// IdleTimeout bounds how long a connection waits for its next request. Default 75 s.
	IdleTimeout time.Duration
	// MaxPeersPerAddress bounds the transport connections of one address that are not a
	// WebSocket: in a handshake, in a request, or idle. What comes above it is closed at
	// once. Trusted proxies are not bounded. Default 512; negative: no bound.
	MaxPeersPerAddress int
	// ErrorLog gets net/http's complaints about clients. Default: nowhere, because
	// anybody can cause them.
	ErrorLog *log.Logger
}

// NewHTTPServer returns an http.Server with the bounds that one on the internet needs: a
// client that never ends its handshake, or sends a head without end, is cut.
// net/http's own defaults have none of them.
func NewHTTPServer(o ServerOptions) *http.Server {
	or(&o.HeaderTimeout, 10*time.Second)
	or(&o.MaxHeaderBytes, 16<<10)
	or(&o.ReadTimeout, time.Minute)
	or(&o.WriteTimeout, time.Minute)
	or(&o.IdleTimeout, 75*time.Second)
	or(&o.MaxPeersPerAddress, 512)
	if o.ErrorLog == nil {
		o.ErrorLog = log.New(io.Discard, "", 0)
	}
	s := &http.Server{
		Handler:           o.Handler,
		ReadHeaderTimeout: o.HeaderTimeout,
		MaxHeaderBytes:    o.MaxHeaderBytes,
		ReadTimeout:       o.ReadTimeout,
		WriteTimeout:      o.WriteTimeout,
		IdleTimeout:       o.IdleTimeout,
		ErrorLog:          o.ErrorLog,
	}
	if o.Gateway != nil && o.MaxPeersPerAddress >= 0 {
		p := &peers{g: o.Gateway, limit: o.MaxPeersPerAddress}
		s.ConnState = p.changed
	}
	return s
}

// peers counts the transport connections that net/http has, by address.
type peers struct {
	g     *Gateway
	limit int
}

// changed follows a connection from accept to its end or its upgrade.
func (p *peers) changed(nc net.Conn, state http.ConnState) {
	addr := peerAddress(nc.RemoteAddr().String())
	if isTrusted(addr, p.g.opts.TrustedProxies) {
		return
	}
	switch state {
	case http.StateNew:
		if !p.g.addresses.openPeer(share(addr), p.limit) {
			_ = nc.Close() // net/http finds it closed, and says so in StateClosed
		}
	case http.StateHijacked, http.StateClosed:
		p.g.addresses.closePeer(share(addr))
	}
}
