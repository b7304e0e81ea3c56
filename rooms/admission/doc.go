// Package admission decides who may come in: routes, credentials, origins, grants,
// subprotocols and rates. Every host uses it, so that a self-hosted server and an
// edge worker answer the same request in the same way.
//
// It does no I/O and reads no clock. A host describes what arrived in a [Request] and
// what it knows in [Facts]; [Door.Decide] answers with a [Decision], one of
//
//   - [Allow]: the route, the identity and the subprotocol to answer with,
//   - [Refuse]: a code of the table in rooms/abi and a sentence for people,
//   - [Need]: something that the host must get first, such as the credential that
//     comes as a socket's first message. The host asks again with it in the Facts.
//
// A [Door] is made once from a [Policy], never changes, and may be used by many
// goroutines. [Limiter] and [Tally] hold state; they are safe for concurrent use.
//
// The package never logs, never echoes a credential, in an answer or in an error, and
// believes nothing of a token before its signature is verified. All input is bounded
// before it is parsed.
package admission
