// Package link joins the nodes of a cluster: one TLS connection for each pair of them, mutually
// authenticated, on which either side opens any number of streams. A stream carries
// frames of bytes in order; its flow control is its own, so that one that nobody reads holds up no
// other.
//
// It knows nothing of rooms, keeps nothing that was sent, and repeats nothing: when a link breaks,
// its streams end, and whoever used them starts anew.
//
// # Lifecycle
//
//	New         a node's links, none of them made
//	Serve       accepts links of other nodes from a listener
//	SetNodes    who lives: links to them are kept up, all others are cut
//	Open        a stream to a node
//	Close       ends everything
//
// # A link
//
// Of each pair the node with the smaller identity dials. Behind the TLS handshake both sides say, in
// one frame each, who they are, whom they mean, of which cluster they are and which versions of the
// link they speak ([MinVersion] to [MaxVersion]); the accepting side answers with the newest common
// one, or with why not. Then yamux carries the streams.
package link
