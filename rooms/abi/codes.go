package abi

import (
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Action is what a client does after an error or a close.
type Action uint8

// The actions.
const (
	// ActionRetry: try again, after the server's suggested delay if there is one.
	ActionRetry Action = iota + 1
	// ActionReauthenticate: get a new credential first, then try again.
	ActionReauthenticate
	// ActionStop: trying again cannot help.
	ActionStop
)

// String returns "retry", "reauthenticate" or "stop".
func (a Action) String() string {
	switch a {
	case ActionRetry:
		return "retry"
	case ActionReauthenticate:
		return "reauthenticate"
	default:
		return "stop"
	}
}

// Code is an error of this project: the code of a WebSocket close frame, the
// name in an error message, a status of an HTTP answer, and what the client does
// next. Its number says the action even to a client that does not know it:
// 4000-4099 and 4400-4499 retry, 4100-4199 and 4500-4599 re-authenticate, all
// other numbers from 4000 to 4999 stop. 4400 to 4999 are free for room authors.
type Code uint16

// The codes. The standard ones (RFC 6455, section 7.4.1) are here because a
// client meets them and needs to know what to do.
const (
	CodeNormal          Code = 1000
	CodeGoingAway       Code = 1001
	CodeProtocolError   Code = 1002
	CodeUnsupportedData Code = 1003
	CodeNoStatus        Code = 1005
	CodeAbnormal        Code = 1006
	CodeInvalidUTF8     Code = 1007
	CodePolicy          Code = 1008
	CodeTooBig          Code = 1009
	CodeInternal        Code = 1011
	CodeServiceRestart  Code = 1012
	CodeTryAgainLater   Code = 1013

	CodeRestarting          Code = 4000
	CodeOverloaded          Code = 4001
	CodeSlowConsumer        Code = 4002
	CodeHeartbeatTimeout    Code = 4003
	CodeRoomUnavailable     Code = 4004
	CodeRateLimited         Code = 4005
	CodeRoomFull            Code = 4006
	CodeTooManyConnections  Code = 4007
	CodeStorageUnavailable  Code = 4008
	CodeHelloTimeout        Code = 4009
	CodeOutOfOrder          Code = 4010
	CodeTooManyOpen         Code = 4011
	CodeTimeout             Code = 4012
	CodeUnauthenticated     Code = 4100
	CodeTokenExpired        Code = 4101
	CodeForbidden           Code = 4200
	CodeUnknownKind         Code = 4201
	CodeBadName             Code = 4202
	CodeUnknownProtocol     Code = 4203
	CodeMalformed           Code = 4204
	CodeWrongOrder          Code = 4205
	CodeTooLarge            Code = 4206
	CodeTakenOver           Code = 4207
	CodeKicked              Code = 4208
	CodeRejected            Code = 4209
	CodeSessionLost         Code = 4210
	CodeUnknownEvent        Code = 4211
	CodeInvalid             Code = 4212
	CodeNotFound            Code = 4213
	CodeMethodNotAllowed    Code = 4214
	CodeUnsupportedEncoding Code = 4215
)

// A CodeInfo is one row of the table.
type CodeInfo struct {
	Code   Code
	Name   string // in error messages and close reasons
	Status int    // of an HTTP answer
	Action Action
	Text   string // one sentence for people
}

// codeTable is the one table of error and close codes; the tables of ABI.md are held equal
// to it by a test, and the TypeScript constants are generated from it.
var codeTable = [...]CodeInfo{
	{CodeNormal, "normal", 200, ActionStop, "The connection ended as agreed."},
	{CodeGoingAway, "going_away", 503, ActionRetry, "The peer is going away."},
	{CodeProtocolError, "protocol_error", 400, ActionStop, "A frame broke the WebSocket protocol."},
	{CodeUnsupportedData, "unsupported_data", 415, ActionStop, "A frame had a type that is not accepted."},
	{CodeNoStatus, "no_status", 503, ActionRetry, "The connection was closed without a code."},
	{CodeAbnormal, "abnormal", 503, ActionRetry, "The connection broke."},
	{CodeInvalidUTF8, "invalid_utf8", 400, ActionStop, "A text frame was not UTF-8."},
	{CodePolicy, "policy", 403, ActionStop, "The connection broke a rule."},
	{CodeTooBig, "message_too_big", 413, ActionStop, "A frame was larger than the room accepts."},
	{CodeInternal, "internal", 500, ActionRetry, "The server failed; it was not the client's fault."},
	{CodeServiceRestart, "service_restart", 503, ActionRetry, "The server restarts."},
	{CodeTryAgainLater, "try_again_later", 503, ActionRetry, "The server is busy."},

	{CodeRestarting, "restarting", 503, ActionRetry, "The server restarts; come back after the suggested delay."},
	{CodeOverloaded, "overloaded", 503, ActionRetry, "The room or the server has more work than it can take."},
	{CodeSlowConsumer, "slow_consumer", 503, ActionRetry, "The client read more slowly than its queue allows."},
	{CodeHeartbeatTimeout, "heartbeat_timeout", 408, ActionRetry, "Nothing was heard from the client for too long."},
	{CodeRoomUnavailable, "room_unavailable", 503, ActionRetry, "The room cannot run at the moment."},
	{CodeRateLimited, "rate_limited", 429, ActionRetry, "Too many messages in too short a time."},
	{CodeRoomFull, "room_full", 503, ActionRetry, "The room has as many members as it takes."},
	{CodeTooManyConnections, "too_many_connections", 429, ActionRetry, "Too many connections from one address or user."},
	{CodeStorageUnavailable, "storage_unavailable", 503, ActionRetry, "The room's storage cannot be written at the moment."},
	{CodeHelloTimeout, "hello_timeout", 408, ActionRetry, "The client did not say hello in time."},
	{CodeOutOfOrder, "out_of_order", 409, ActionRetry, "A publish came with another number than the expected one."},
	{CodeTooManyOpen, "too_many_open", 429, ActionRetry, "Too many publishes of one session await their answers."},
	{CodeTimeout, "timeout", 504, ActionRetry, "The room did not answer in time."},
	{CodeUnauthenticated, "unauthenticated", 401, ActionReauthenticate, "The credential is missing or not valid."},
	{CodeTokenExpired, "token_expired", 401, ActionReauthenticate, "The credential has expired."},
	{CodeForbidden, "forbidden", 403, ActionStop, "The identity or the origin may not do this."},
	{CodeUnknownKind, "unknown_kind", 404, ActionStop, "No module has a kind of this name."},
	{CodeBadName, "bad_name", 400, ActionStop, "A kind or room name is not allowed."},
	{CodeUnknownProtocol, "unknown_protocol", 400, ActionStop, "The room speaks none of the offered subprotocols."},
	{CodeMalformed, "malformed", 400, ActionStop, "A message is not a well-formed envelope."},
	{CodeWrongOrder, "wrong_order", 409, ActionStop, "A message came before or after its time, such as a publish before hello."},
	{CodeTooLarge, "too_large", 413, ActionStop, "A value is larger than its limit."},
	{CodeTakenOver, "taken_over", 409, ActionStop, "A newer connection took the session over."},
	{CodeKicked, "kicked", 403, ActionStop, "The room closed the connection."},
	{CodeRejected, "rejected", 500, ActionStop, "The room failed on this message; it was not applied."},
	{CodeSessionLost, "session_lost", 410, ActionStop, "The session is not known any more; the outcome of what was not answered is unknown."},
	{CodeUnknownEvent, "unknown_event", 400, ActionStop, "The room knows no event of this name."},
	{CodeInvalid, "invalid", 422, ActionStop, "The room refuses the content of this message."},
	{CodeNotFound, "not_found", 404, ActionStop, "What the message names does not exist."},
	{CodeMethodNotAllowed, "method_not_allowed", 405, ActionStop, "The address does not take this method."},
	{CodeUnsupportedEncoding, "unsupported_encoding", 415, ActionStop, "The message came in an encoding that the subprotocol does not have."},
}

// Codes returns the table, in the order of the numbers.
func Codes() []CodeInfo { return append([]CodeInfo(nil), codeTable[:]...) }

// Info returns the row of c. For a code that is not in the table it returns a
// row whose Name is "code_" and the number, with the action of c's range.
func (c Code) Info() CodeInfo {
	for i := range codeTable {
		if codeTable[i].Code == c {
			return codeTable[i]
		}
	}
	return CodeInfo{Code: c, Name: "code_" + strconv.Itoa(int(c)), Status: 500, Action: c.Action(), Text: "A code of the room's own."}
}

// String returns the name of c.
func (c Code) String() string { return c.Info().Name }

// Error makes a Code usable as an error.
func (c Code) Error() string { return c.Info().Name + ": " + c.Info().Text }

// Action says what a client does next, also for numbers that are not in the table.
func (c Code) Action() Action {
	for i := range codeTable {
		if codeTable[i].Code == c {
			return codeTable[i].Action
		}
	}
	switch {
	case c >= 4000 && c < 4100, c >= 4400 && c < 4500:
		return ActionRetry
	case c >= 4100 && c < 4200, c >= 4500 && c < 4600:
		return ActionReauthenticate
	case c >= 4000 && c < 5000, c >= 3000:
		return ActionStop
	default:
		return ActionRetry
	}
}

// CodeByName returns the code of a name in the table.
func CodeByName(name string) (Code, bool) {
	for i := range codeTable {
		if codeTable[i].Name == name {
			return codeTable[i].Code, true
		}
	}
	return 0, false
}

// Sendable reports whether c may stand in a close frame (RFC 6455, section
// 7.4.2: 1005, 1006 and 1015 never travel).
func (c Code) Sendable() bool {
	switch {
	case c >= 3000 && c < 5000:
		return true
	case c >= 1000 && c <= 1003, c >= 1007 && c <= 1014:
		return true
	}
	return false
}

// CloseReason builds the reason of a close frame: the code's name, the suggested
// delay when there is one, and a detail for people, cut to [MaxCloseReason]:
//
//	restarting; retry=1500; deploying
func CloseReason(c Code, retry time.Duration, detail string) string {
	s := c.Info().Name
	if retry > 0 {
		s += "; retry=" + strconv.FormatInt(retry.Milliseconds(), 10)
	}
	if detail != "" {
		s += "; " + detail
	}
	return CutReason(s)
}

// CutReason cuts a close reason to [MaxCloseReason] bytes of whole characters; what is not
// UTF-8 becomes U+FFFD.
func CutReason(s string) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if len(s) <= MaxCloseReason {
		return s
	}
	s = s[:MaxCloseReason]
	for len(s) > 0 {
		if r, n := utf8.DecodeLastRuneInString(s); r != utf8.RuneError || n != 1 {
			break
		}
		s = s[:len(s)-1]
	}
	return s
}

// RetryHint reads the suggested delay out of a close reason; 0 when there is none.
// It never returns more than an hour, whatever the reason says.
func RetryHint(reason string) time.Duration {
	for part := range strings.SplitSeq(reason, ";") {
		v, ok := strings.CutPrefix(strings.TrimSpace(part), "retry=")
		if !ok {
			continue
		}
		n, err := strconv.ParseUint(v, 10, 32)
		if err != nil {
			return 0
		}
		return min(time.Duration(n)*time.Millisecond, time.Hour)
	}
	return 0
}
