package admission

import (
	"encoding/json"

	"github.com/oriel-rooms/oriel/rooms/abi"
)

// FirstMessage reads the credential out of a socket's first message, which answers
// [NeedFirstMessage]: a text message with exactly these members, whatever the
// subprotocol.
//
//	{"type":"auth","token":"eyJ…"}
//
// The host keeps it from the room. The error is an *[Error]: wrong_order when it is
// another message, so that a client which forgot to authenticate can tell.
func FirstMessage(data []byte) (token string, err error) {
	const most = MaxToken + 64
	if len(data) > most {
		return "", refused("credential", abi.CodeTooLarge, "the first message is too large for a credential")
	}
	var members map[string]json.RawMessage
	if json.Unmarshal(data, &members) != nil {
		return "", refused("credential", abi.CodeMalformed, "the first message is not a JSON object")
	}
	var kind string
	if json.Unmarshal(members["type"], &kind) != nil || kind != "auth" {
		return "", refused("credential", abi.CodeWrongOrder, "the first message is not the credential")
	}
	if json.Unmarshal(members["token"], &token) != nil || len(members) != 2 {
		return "", refused("credential", abi.CodeMalformed, "the first message has other members than type and token")
	}
	if err := checkToken(token); err != nil {
		return "", err
	}
	return token, nil
}
