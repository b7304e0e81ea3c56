package member

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"

	"github.com/oriel-rooms/oriel/selfhost/ring"
)

// Limits of what a node says of itself.
const (
	// MaxAddress bounds [Options.Address], in bytes.
	MaxAddress = 255
	// MaxID bounds an identity, in bytes.
	MaxID = 300
	// MaxRecord bounds the record of a node in Redis, in bytes of JSON.
	MaxRecord = 4 << 10
	// MaxFormats bounds [Meta.Formats].
	MaxFormats = 32
)

// recordVersion is the format of a node's record. Readers ignore fields that they do not know, so it
// rises only when an old reader would be wrong about what it does know.
const recordVersion = 1

// A Member is a living node, as a [View] knows it.
type Member struct {
	// ID is the node's identity: address#generation.random, at most [MaxID] printable bytes
	// without spaces.
	ID string
	// Address is where other nodes reach it: host:port.
	Address string
	// Generation rises with every join to the fleet. No two living members have the same.
	Generation uint64
	// Weight is the node's weight in the ring, 1 to [ring.MaxWeight].
	Weight int
	// Draining is true once the node has asked to be left out of the ring.
	Draining bool
	Meta
}

// Meta is what a node tells the others of itself.
type Meta struct {
	// Version is the program's, for people.
	Version string
	// URL is where clients reach this node directly, if they can.
	URL string
	// LinkMin and LinkMax are the versions of the link between nodes that it speaks.
	LinkMin, LinkMax int
	// Formats says, by name, the highest version of each shared format that the node reads. See
	// [View.Format].
	Formats map[string]int
}

// Process is the generation as a number for [gateway.Options.Process], 1 to 2^24-1. It begins again
// after 16,777,215 joins.
//
// [gateway.Options.Process]: https://pkg.go.dev/github.com/oriel-rooms/oriel/selfhost/gateway#Options
func (m Member) Process() uint64 { return (m.Generation-1)%(1<<24-1) + 1 }

// ParseID takes an identity apart. The error wraps [ErrFormat].
func ParseID(id string) (address string, generation uint64, err error) {
	address, rest, ok := strings.Cut(id, "#")
	number, random, dot := strings.Cut(rest, ".")
	generation, parseErr := strconv.ParseUint(number, 36, 53)
	if len(id) > MaxID || !ok || !dot || parseErr != nil || generation == 0 || strconv.FormatUint(generation, 36) != number ||
		!plain(random) || random == "" || checkAddress(address) != nil {
		return "", 0, fmt.Errorf("%w: node %.310q", ErrFormat, id)
	}
	return address, generation, nil
}

func checkAddress(address string) error {
	host, port, err := net.SplitHostPort(address)
	n, portErr := strconv.ParseUint(port, 10, 16)
	switch {
	case err != nil:
		return err
	case host == "" || portErr != nil || n == 0:
		return errors.New("a host and a port from 1 to 65535 are needed")
	case len(address) > MaxAddress:
		return fmt.Errorf("longer than %d bytes", MaxAddress)
	case !plain(address) || strings.ContainsAny(address, "#{}"):
		return errors.New("a character that an address cannot have")
	}
	return nil
}

// plain reports whether s is printable ASCII without spaces.
func plain(s string) bool {
	return !strings.ContainsFunc(s, func(c rune) bool { return c <= ' ' || c > '~' })
}

// A record is a node's, as Redis keeps it.
type record struct {
	V        int            `json:"v"`
	Weight   int            `json:"weight"`
	Draining bool           `json:"draining,omitempty"`
	Version  string         `json:"version,omitempty"`
	URL      string         `json:"url,omitempty"`
	Link     [2]int         `json:"link"`
	Formats  map[string]int `json:"formats,omitempty"`
}

// encode returns m's record.
func (m Member) encode() (string, error) {
	b, err := json.Marshal(record{
		V: recordVersion, Weight: m.Weight, Draining: m.Draining, Version: m.Version, URL: m.URL,
		Link: [2]int{m.LinkMin, m.LinkMax}, Formats: m.Formats,
	})
	if err == nil && (len(b) > MaxRecord || len(m.Formats) > MaxFormats) {
		err = fmt.Errorf("%d bytes about a node, at most %d; %d formats, at most %d", len(b), MaxRecord, len(m.Formats), MaxFormats)
	}
	return string(b), err
}

// decodeMember reads a node's record. The error wraps [ErrFormat].
func decodeMember(id, rec string) (Member, error) {
	address, generation, err := ParseID(id)
	if err != nil {
		return Member{}, err
	}
	if len(rec) > MaxRecord {
		return Member{}, fmt.Errorf("%w: %d bytes about node %s", ErrFormat, len(rec), id)
	}
	var r record
	if err := json.Unmarshal([]byte(rec), &r); err != nil {
		return Member{}, fmt.Errorf("%w: node %s: %v", ErrFormat, id, err)
	}
	if r.V != recordVersion || r.Weight < 1 || r.Weight > ring.MaxWeight || len(r.Formats) > MaxFormats {
		return Member{}, fmt.Errorf("%w: node %s: version %d, weight %d, %d formats", ErrFormat, id, r.V, r.Weight, len(r.Formats))
	}
	return Member{
		ID: id, Address: address, Generation: generation, Weight: r.Weight, Draining: r.Draining,
		Meta: Meta{Version: r.Version, URL: r.URL, LinkMin: r.Link[0], LinkMax: r.Link[1], Formats: r.Formats},
	}, nil
}
