package admission

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/rooms/session/protocol/jsonx"
)

// forge signs any header and payload with the test secret, as no library would.
func forge(header, payload string) string { return sign(encode(header), encode(payload)) }

func encode(part string) string { return base64.RawURLEncoding.EncodeToString([]byte(part)) }

func sign(header, payload string) string {
	text := header + "." + payload
	mac := hmac.New(sha256.New, []byte(strings.Repeat("k", MinSecret)))
	mac.Write([]byte(text))
	return text + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

const plainHeader = `{"alg":"HS256","typ":"JWT"}`

// payload is a good one with more members.
func payload(more string) string {
	return fmt.Sprintf(`{"sub":"ann","exp":%d%s}`, now.Add(time.Hour).Unix(), more)
}

func TestVerify(t *testing.T) {
	d := testDoor(t, nil)
	exp := now.Add(time.Hour).Unix()
	tests := []struct {
		name  string
		token string
		code  abi.Code // 0: good
	}{
		{"good", forge(plainHeader, payload("")), 0},
		{"no typ", forge(`{"alg":"HS256"}`, payload("")), 0},
		{"access token", forge(`{"alg":"HS256","typ":"at+jwt"}`, payload("")), 0},
		{"unknown kid, nameless secret", forge(`{"alg":"HS256","kid":"2026"}`, payload("")), 0},
		{"fraction of a second", forge(plainHeader, fmt.Sprintf(`{"sub":"ann","exp":%d.5}`, exp)), 0},
		{"within the leeway", forge(plainHeader, fmt.Sprintf(`{"sub":"ann","exp":%d}`, now.Add(-Leeway+time.Second).Unix())), 0},
		{"nbf within the leeway", forge(plainHeader, payload(fmt.Sprintf(`,"nbf":%d`, now.Add(Leeway).Unix()))), 0},

		{"at the leeway", forge(plainHeader, fmt.Sprintf(`{"sub":"ann","exp":%d}`, now.Add(-Leeway).Unix())), abi.CodeTokenExpired},
		{"expired at 0", forge(plainHeader, `{"sub":"ann","exp":0}`), abi.CodeTokenExpired},
		{"not yet valid", forge(plainHeader, payload(fmt.Sprintf(`,"nbf":%d`, now.Add(Leeway+time.Second).Unix()))), abi.CodeUnauthenticated},
		{"no exp", forge(plainHeader, `{"sub":"ann"}`), abi.CodeUnauthenticated},
		{"EXP is not exp", forge(plainHeader, fmt.Sprintf(`{"sub":"ann","EXP":%d}`, exp)), abi.CodeUnauthenticated},
		{"exp null", forge(plainHeader, `{"sub":"ann","exp":null}`), abi.CodeUnauthenticated},
		{"exp text", forge(plainHeader, fmt.Sprintf(`{"sub":"ann","exp":"%d"}`, exp)), abi.CodeUnauthenticated},
		{"exp too large", forge(plainHeader, `{"sub":"ann","exp":1e300}`), abi.CodeUnauthenticated},
		{"exp out of range of a float", forge(plainHeader, `{"sub":"ann","exp":1e999}`), abi.CodeUnauthenticated},
		{"exp negative", forge(plainHeader, `{"sub":"ann","exp":-1}`), abi.CodeUnauthenticated},
		{"no sub", forge(plainHeader, fmt.Sprintf(`{"exp":%d}`, exp)), abi.CodeUnauthenticated},
		{"SUB is not sub", forge(plainHeader, fmt.Sprintf(`{"SUB":"bob","exp":%d}`, exp)), abi.CodeUnauthenticated},
		{"sub empty", forge(plainHeader, fmt.Sprintf(`{"sub":"","exp":%d}`, exp)), abi.CodeUnauthenticated},
		{"sub null", forge(plainHeader, fmt.Sprintf(`{"sub":null,"exp":%d}`, exp)), abi.CodeUnauthenticated},
		{"sub a number", forge(plainHeader, fmt.Sprintf(`{"sub":7,"exp":%d}`, exp)), abi.CodeUnauthenticated},
		{"sub at the limit", forge(plainHeader, fmt.Sprintf(`{"sub":%q,"exp":%d}`, strings.Repeat("a", abi.MaxUser), exp)), 0},
		{"sub past the limit", forge(plainHeader, fmt.Sprintf(`{"sub":%q,"exp":%d}`, strings.Repeat("a", abi.MaxUser+1), exp)), abi.CodeUnauthenticated},
		{"sub with a control character", forge(plainHeader, fmt.Sprintf(`{"sub":"a\nb","exp":%d}`, exp)), abi.CodeUnauthenticated},
		{"sub of half a surrogate pair", forge(plainHeader, fmt.Sprintf(`{"sub":"a\ud800","exp":%d}`, exp)), abi.CodeUnauthenticated},
		{"sub that is not UTF-8", forge(plainHeader, fmt.Sprintf("{\"sub\":\"a\xff\",\"exp\":%d}", exp)), abi.CodeUnauthenticated},
		{"claim that is not UTF-8", forge(plainHeader, payload(",\"x\":\"\xff\"")), abi.CodeUnauthenticated},

		{"alg none", strings.TrimRight(forge(`{"alg":"none"}`, payload("")), "x") + "", abi.CodeUnauthenticated},
		{"alg none, no signature", cutSignature(forge(`{"alg":"none"}`, payload(""))), abi.CodeUnauthenticated},
		{"alg None", cutSignature(forge(`{"alg":"None"}`, payload(""))), abi.CodeUnauthenticated},
		{"alg missing", forge(`{"typ":"JWT"}`, payload("")), abi.CodeUnauthenticated},
		{"alg a list", forge(`{"alg":["HS256"]}`, payload("")), abi.CodeUnauthenticated},
		{"alg hs256", forge(`{"alg":"hs256"}`, payload("")), abi.CodeUnauthenticated},
		{"alg RS256 over an HMAC", forge(`{"alg":"RS256"}`, payload("")), abi.CodeUnauthenticated},
		{"alg HS512", signWith(t, jwt.SigningMethodHS512, []byte(strings.Repeat("k", MinSecret))), abi.CodeUnauthenticated},
		{"other secret", signWith(t, jwt.SigningMethodHS256, []byte(strings.Repeat("x", MinSecret))), abi.CodeUnauthenticated},
		{"crit", forge(`{"alg":"HS256","crit":["b64"],"b64":false}`, payload("")), abi.CodeUnauthenticated},
		{"crit empty", forge(`{"alg":"HS256","crit":[]}`, payload("")), abi.CodeUnauthenticated},
		{"typ of something else", forge(`{"alg":"HS256","typ":"dpop+jwt"}`, payload("")), abi.CodeUnauthenticated},
		{"typ a number", forge(`{"alg":"HS256","typ":1}`, payload("")), abi.CodeUnauthenticated},
		{"kid a number", forge(`{"alg":"HS256","kid":1}`, payload("")), abi.CodeUnauthenticated},
		{"kid a path", forge(`{"alg":"HS256","kid":"../../dev/null"}`, payload("")), 0}, // only ever compared
		{"kid too long", forge(`{"alg":"HS256","kid":"`+strings.Repeat("a", maxKeyID+1)+`"}`, payload("")), abi.CodeUnauthenticated},

		{"empty", "", abi.CodeUnauthenticated},
		{"dots", "..", abi.CodeUnauthenticated},
		{"one part", "abc", abi.CodeUnauthenticated},
		{"five parts", forge(plainHeader, payload("")) + ".a.b", abi.CodeUnauthenticated},
		{"padding", forge(plainHeader, payload("")) + "=", abi.CodeUnauthenticated},
		{"newline", forge(plainHeader, payload("")) + "\n", abi.CodeUnauthenticated},
		{"signature cut", cutSignature(forge(plainHeader, payload(""))), abi.CodeUnauthenticated},
		{"signature's spare bits set", spareBit(forge(plainHeader, payload(""))), abi.CodeUnauthenticated},
		{"header is not JSON", forge(`{`, payload("")), abi.CodeUnauthenticated},
		{"header null", forge(`null`, payload("")), abi.CodeUnauthenticated},
		{"payload null", forge(plainHeader, `null`), abi.CodeUnauthenticated},
		{"payload a list", forge(plainHeader, `[]`), abi.CodeUnauthenticated},
		{"payload twice", forge(plainHeader, payload("")+payload("")), abi.CodeUnauthenticated},
		{"deep", forge(plainHeader, payload(`,"x":`+nested(jsonx.MaxDepth))), 0},
		{"too deep", forge(plainHeader, payload(`,"x":`+nested(jsonx.MaxDepth+1))), abi.CodeUnauthenticated},
		{"header too deep", forge(`{"alg":"HS256","x":`+nested(jsonx.MaxDepth+1)+`}`, payload("")), abi.CodeUnauthenticated},
		{"header twice", forge(plainHeader+plainHeader, payload("")), abi.CodeUnauthenticated},
		{"alg twice", forge(`{"alg":"HS256","alg":"none"}`, payload("")), abi.CodeUnauthenticated},
		{"alg twice, the last not a text", forge(`{"alg":"HS256","alg":1}`, payload("")), abi.CodeUnauthenticated},
		{"typ twice, one of something else", forge(`{"alg":"HS256","typ":"dpop+jwt","typ":"JWT"}`, payload("")), abi.CodeUnauthenticated},
		{"crit before kid and typ", forge(`{"crit":[],"alg":"HS256","kid":"a","typ":"JWT"}`, payload("")), abi.CodeUnauthenticated},
		{"typ before kid", forge(`{"typ":"dpop+jwt","alg":"HS256","kid":"a"}`, payload("")), abi.CodeUnauthenticated},
		{"kid of a wrong type before typ", forge(`{"kid":1,"alg":"HS256","typ":"JWT"}`, payload("")), abi.CodeUnauthenticated},
		{"header's spare bits set", sign(spareBit(encode(`{"alg":"HS256" }`)), encode(payload(""))), abi.CodeUnauthenticated},
		{"payload's spare bits set", sign(encode(plainHeader), spareBit(encode(`{"sub":"ann","exp":99999999999}`))), abi.CodeUnauthenticated},
		{"payload with spare bits", sign(encode(plainHeader), encode(`{"sub":"ann","exp":99999999999}`)), 0},
		{"names escaped", forge(`{"\u0061lg":"HS256"}`, strings.Replace(payload(""), `"sub"`, `"\u0073ub"`, 1)), 0},
		{"sub twice", forge(plainHeader, payload(`,"sub":""`)), abi.CodeUnauthenticated},
		{"name that is not UTF-8", forge(plainHeader, payload(",\"\xff\":1")), abi.CodeUnauthenticated},

		{"claims at the limit", forge(plainHeader, payload(`,"x":"`+strings.Repeat("a", abi.MaxClaims-len(`{"x":""}`))+`"`)), 0},
		{"claims past the limit", forge(plainHeader, payload(`,"x":"`+strings.Repeat("a", abi.MaxClaims-len(`{"x":""}`)+1)+`"`)), abi.CodeTooLarge},
		{"token past the limit", strings.Repeat("a", MaxToken+1), abi.CodeTooLarge},
		{"token at the limit", strings.Repeat("a", MaxToken), abi.CodeUnauthenticated},
		{"huge token", strings.Repeat("a", 1<<22), abi.CodeTooLarge},

		{"grants", forge(plainHeader, payload(`,"oriel":{"rooms":["chat/*"]}`)), 0},
		{"grants misspelt", forge(plainHeader, payload(`,"oriel":{"room":["chat/*"]}`)), abi.CodeUnauthenticated},
		{"grants null", forge(plainHeader, payload(`,"oriel":null`)), abi.CodeUnauthenticated},
		{"grants' rooms null", forge(plainHeader, payload(`,"oriel":{"rooms":null}`)), abi.CodeUnauthenticated},
		{"grants a list", forge(plainHeader, payload(`,"oriel":["chat/*"]`)), abi.CodeUnauthenticated},
	}
	for _, tt := range tests {
		id, err := d.Verify(tt.token, now)
		switch {
		case tt.code == 0 && err != nil, tt.code != 0 && !errors.Is(err, tt.code):
			t.Errorf("%s: got %v, want %v", tt.name, err, tt.code)
		case tt.code != 0 && (id.User != "" || id.Claims != nil || id.Grants.Allows(ActionConnect, "a", "b")):
			t.Errorf("%s: got %+v with the error", tt.name, id)
		case err != nil && len(tt.token) > 20 && strings.Contains(err.Error(), tt.token[:20]):
			t.Errorf("%s: the error quotes the token: %v", tt.name, err)
		}
	}
}

// nested is a list in a list and so on.
func nested(depth int) string { return strings.Repeat("[", depth) + strings.Repeat("]", depth) }

func cutSignature(token string) string { return token[:strings.LastIndexByte(token, '.')+1] }

// spareBit changes the last character in a bit that carries nothing (RFC 4648, section 3.5).
func spareBit(token string) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	i := strings.IndexByte(alphabet, token[len(token)-1])
	return token[:len(token)-1] + alphabet[i^1:i^1+1]
}

func signWith(t *testing.T, m jwt.SigningMethod, key any) string {
	t.Helper()
	s, err := jwt.NewWithClaims(m, jwt.MapClaims{"sub": "ann", "exp": now.Add(time.Hour).Unix()}).SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// keySet holds an RSA public key, as a key set of later may.
type keySet struct{ public *rsa.PublicKey }

func (keySet) Algorithms() []string { return []string{"RS256"} }
func (k keySet) Lookup(algorithm, _ string) []Key {
	if algorithm != "RS256" {
		return nil
	}
	return []Key{k}
}

func (k keySet) Verify(input string, signature []byte) error {
	return jwt.SigningMethodRS256.Verify(input, signature, k.public)
}

func TestAlgorithmConfusion(t *testing.T) {
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	d := testDoor(t, func(p *Policy) { p.Keys = keySet{&private.PublicKey} })
	if _, err := d.Verify(signWith(t, jwt.SigningMethodRS256, private), now); err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(&private.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range [][]byte{der, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})} {
		if _, err := d.Verify(signWith(t, jwt.SigningMethodHS256, key), now); !errors.Is(err, abi.CodeUnauthenticated) {
			t.Errorf("a public key is taken for a secret: %v", err)
		}
	}
	// And the other way round: a door with a secret takes no RSA.
	if _, err := testDoor(t, nil).Verify(signWith(t, jwt.SigningMethodRS256, private), now); !errors.Is(err, abi.CodeUnauthenticated) {
		t.Errorf("got %v", err)
	}
}

// careless finds its key for every algorithm.
type careless struct{ secret Secret }

func (careless) Algorithms() []string          { return []string{algorithm} }
func (k careless) Lookup(string, string) []Key { return []Key{k.secret} }

func TestAlgorithmIsPinned(t *testing.T) {
	d := testDoor(t, func(p *Policy) { p.Keys = careless{testSecret(t, "", "k")} })
	if _, err := d.Verify(forge(plainHeader, payload("")), now); err != nil {
		t.Fatal(err)
	}
	for _, header := range []string{`{"alg":"none"}`, `{"alg":"HS512"}`, `{"alg":"hs256"}`, `{"alg":""}`, `{}`} {
		if _, err := d.Verify(forge(header, payload("")), now); !errors.Is(err, abi.CodeUnauthenticated) {
			t.Errorf("%s: got %v", header, err)
		}
	}
}

func TestRotation(t *testing.T) {
	a, b, c := testSecret(t, "", "a"), testSecret(t, "", "b"), testSecret(t, "k3", "c")
	d := testDoor(t, func(p *Policy) { p.Keys = Secrets{a, b, c} })
	claims := Claims{User: "ann", Expires: now.Add(time.Hour)}
	for i, s := range []Secret{a, b, c} {
		token, err := Mint(s, claims)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := d.Verify(token, now); err != nil {
			t.Errorf("secret %d: %v", i, err)
		}
	}
	// A token that names a key is not tried on others, nor a named key on other tokens.
	for _, s := range []Secret{testSecret(t, "k3", "a"), testSecret(t, "", "c"), testSecret(t, "k4", "c")} {
		token, err := Mint(s, claims)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := d.Verify(token, now); !errors.Is(err, abi.CodeUnauthenticated) {
			t.Errorf("kid %q: got %v", s.ID(), err)
		}
	}
}

func TestAudienceAndIssuer(t *testing.T) {
	d := testDoor(t, func(p *Policy) { p.Audience, p.Issuer = []string{"rooms", "chat"}, "auth.example" })
	for _, tt := range []struct {
		more string
		ok   bool
	}{
		{`,"aud":"rooms","iss":"auth.example"`, true},
		{`,"aud":["x","chat"],"iss":"auth.example"`, true},
		{`,"aud":"x","iss":"auth.example"`, false},
		{`,"aud":[],"iss":"auth.example"`, false},
		{`,"aud":["chat",1],"iss":"auth.example"`, false},
		{`,"aud":["chat",null],"iss":"auth.example"`, false},
		{`,"aud":{"rooms":1},"iss":"auth.example"`, false},
		{`,"aud":null,"iss":"auth.example"`, false},
		{`,"iss":"auth.example"`, false},
		{`,"aud":"rooms"`, false},
		{`,"aud":"rooms","iss":"auth.example.evil"`, false},
		{`,"aud":"rooms","iss":7`, false},
	} {
		_, err := d.Verify(forge(plainHeader, payload(tt.more)), now)
		if (err == nil) != tt.ok || err != nil && !errors.Is(err, abi.CodeUnauthenticated) {
			t.Errorf("%s: got %v", tt.more, err)
		}
	}
}

func TestClaimsForTheRoom(t *testing.T) {
	d := testDoor(t, nil)
	for more, want := range map[string]string{
		"": "",
		`,"iss":"a","aud":"b","nbf":1,"iat":2,"jti":"c"`:    "",
		`, "z": 1, "a" : { "b" : [1, 2.50, 1e2] }`:          `{"a":{"b":[1,2.50,1e2]},"z":1}`,
		`,"big":12345678901234567890,"html":"<a&b>"`:        `{"big":12345678901234567890,"html":"<a&b>"}`,
		`,"Sub":"bob","oriel":{"actions":["connect"]}`:      `{"Sub":"bob","oriel":{"actions":["connect"]}}`,
		`,"name":"first","name":"last","nul":null,"t":true`: `{"name":"last","nul":null,"t":true}`,
	} {
		id, err := d.Verify(forge(plainHeader, payload(more)), now)
		if err != nil || string(id.Claims) != want {
			t.Errorf("%s: got %s, %v", more, id.Claims, err)
		}
	}
}

func TestMintRefuses(t *testing.T) {
	secret := testSecret(t, "", "k")
	good := Claims{User: "ann", Expires: now}
	for name, change := range map[string]func(*Claims){
		"no user":        func(c *Claims) { c.User = "" },
		"long user":      func(c *Claims) { c.User = strings.Repeat("a", abi.MaxUser+1) },
		"no expiry":      func(c *Claims) { c.Expires = time.Time{} },
		"expiry past":    func(c *Claims) { c.Expires = time.Unix(abi.MaxTime, 0) },
		"registered":     func(c *Claims) { c.More = map[string]any{"sub": "bob"} },
		"grants in more": func(c *Claims) { c.More = map[string]any{GrantsClaim: 1} },
		"not JSON":       func(c *Claims) { c.More = map[string]any{"f": func() {}} },
		"large":          func(c *Claims) { c.More = map[string]any{"x": strings.Repeat("a", abi.MaxClaims)} },
		"large audience": func(c *Claims) { c.Audience = []string{strings.Repeat("a", MaxToken)} },
		"pattern":        func(c *Claims) { c.Rooms = []string{"chat"} },
		"action":         func(c *Claims) { c.Actions = []string{"fly"} },
	} {
		c := good
		change(&c)
		if token, err := Mint(secret, c); !errors.Is(err, ErrClaims) || token != "" {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if _, err := Mint(Secret{}, good); !errors.Is(err, ErrSecret) {
		t.Errorf("got %v", err)
	}
	c := good
	c.Rooms = []string{}
	token, err := Mint(secret, c)
	if err != nil {
		t.Fatal(err)
	}
	id, err := testDoor(t, nil).Verify(token, now)
	if err != nil || id.Grants.Allows(ActionConnect, "chat", "lobby") {
		t.Errorf("an empty list of rooms allows: %v", err)
	}
}

func TestParseGrants(t *testing.T) {
	long := strings.Repeat("a", abi.MaxName)
	patterns := func(n int) string {
		b, _ := json.Marshal(strings.Split(strings.Repeat("a/b ", n-1)+"a/b", " "))
		return `{"rooms":` + string(b) + `}`
	}
	for claim, ok := range map[string]bool{
		`{}`: true, `{"rooms":[]}`: true, `{"rooms":["*/*","a*/b*","a/.*"]}`: true, `{"actions":["connect","connect"]}`: true,
		`{"rooms":["` + long + `/` + long + `*"]}`: false, `{"rooms":["` + long[1:] + `*/` + long[1:] + `*"]}`: true,
		patterns(maxPatterns): true, patterns(maxPatterns + 1): false,
		`{"rooms":["*"]}`: false, `{"rooms":["a"]}`: false, `{"rooms":["a/b/c"]}`: false, `{"rooms":["a/*b"]}`: false,
		`{"rooms":["a/**"]}`: false, `{"rooms":["a/.."]}`: false, `{"rooms":["/b"]}`: false, `{"rooms":["a/"]}`: false,
		`{"rooms":["a/b c*"]}`: false, `{"rooms":"a/b"}`: false, `{"rooms":[1]}`: false, `{"Rooms":["a/b"]}`: false,
		`{"actions":["fly"]}`: false, `{"actions":["Connect"]}`: false, `{"actions":null}`: false, `[]`: false, ``: false, `null`: false,
	} {
		if _, err := ParseGrants([]byte(claim)); (err == nil) != ok || err != nil && !errors.Is(err, ErrClaims) {
			t.Errorf("%.80s: got %v", claim, err)
		}
	}
}

func TestGrants(t *testing.T) {
	g, err := ParseGrants([]byte(`{"rooms":["chat/team-*","arena*/lobby"],"actions":["connect","presence"]}`))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		action     Action
		kind, room string
		want       bool
	}{
		{ActionConnect, "chat", "team-1", true},
		{ActionConnect, "chat", "team-", true},
		{ActionConnect, "chat", "team", false},
		{ActionConnect, "chats", "team-1", false},
		{ActionConnect, "arena2", "lobby", true},
		{ActionConnect, "arena2", "lobby2", false},
		{ActionPresence, "chat", "team-1", true},
		{ActionPublish, "chat", "team-1", false},
		{ActionConnect | ActionPublish, "chat", "team-1", false},
		{ActionConnect | ActionPresence, "chat", "team-1", true},
		{0, "chat", "team-1", false},
	} {
		if g.Allows(tt.action, tt.kind, tt.room) != tt.want {
			t.Errorf("%v %s/%s: got %v", tt.action, tt.kind, tt.room, !tt.want)
		}
	}
	if g.AllowsEverywhere(ActionConnect) || !Everything().AllowsEverywhere(allActions) || (Grants{}).AllowsEverywhere(ActionConnect) || Everything().AllowsEverywhere(0) {
		t.Error("AllowsEverywhere is wrong")
	}
	all, _ := ParseGrants([]byte(`{"rooms":["*/*"]}`))
	if !all.AllowsEverywhere(ActionConnect) || !all.Allows(ActionConnect, "a", "b") {
		t.Error("*/* is not every room")
	}
	if ActionPublish.String() != "publish" || Action(64).String() != "action_64" {
		t.Error("String is wrong")
	}
}

// FuzzVerify: nobody comes in whom the library would refuse, or by another name.
func FuzzVerify(f *testing.F) {
	d := testDoor(f, nil)
	library := jwt.NewParser(jwt.WithValidMethods([]string{"HS256"}), jwt.WithStrictDecoding(), jwt.WithExpirationRequired(),
		jwt.WithLeeway(Leeway), jwt.WithTimeFunc(func() time.Time { return now }))
	key := func(*jwt.Token) (any, error) { return []byte(strings.Repeat("k", MinSecret)), nil }
	f.Add(plainHeader, payload(""), false)
	f.Add(`{"alg":"none"}`, payload(`,"x":{"y":[1e5]}`), true)
	f.Add(plainHeader, `{"sub":"ann","exp":1e10,"oriel":{"rooms":["a/*"]}}`, false)
	f.Add(`{"alg":"HS256","x":1e999}`, payload(`,"x":1e999`), false)
	f.Add(`{"alg":"HS256","typ":"at+jwt","kid":"a","x":[{}]}`, payload(`,"nbf":1.5,"aud":["a","b"],"s\u0075b":"\ud83d\ude00"`), false)
	f.Fuzz(func(t *testing.T, header, payload string, raw bool) {
		token := header + "." + payload
		if !raw {
			token = forge(header, payload)
		}
		id, err := d.Verify(token, now)
		if err != nil {
			var e *Error
			if !errors.As(err, &e) || e.Detail == "" {
				t.Fatalf("untyped error %v", err)
			}
			return
		}
		if raw {
			t.Fatalf("%q is admitted without a signature", token)
		}
		if !ValidUser(id.User) || !id.Expires.After(now.Add(-Leeway)) || len(id.Claims) > abi.MaxClaims || id.Claims != nil && !json.Valid(id.Claims) {
			t.Fatalf("got %+v", id)
		}
		claims := jwt.MapClaims{}
		if _, err := library.ParseWithClaims(token, claims, key); err != nil {
			if strings.Contains(err.Error(), "cannot unmarshal number") { // 1e999, where nobody reads it
				return
			}
			t.Fatalf("the library refuses %q: %v", token, err)
		}
		if sub, err := claims.GetSubject(); err != nil || sub != id.User {
			t.Fatalf("the library says that it is %q, not %q: %v", sub, id.User, err)
		}
		if exp, err := claims.GetExpirationTime(); err != nil || exp.Sub(id.Expires).Abs() > time.Second {
			t.Fatalf("the library says that it ends at %v, not %v: %v", exp, id.Expires, err)
		}
	})
}

func FuzzFirstMessage(f *testing.F) {
	f.Add([]byte(`{"type":"auth","token":"a.b.c"}`))
	f.Add([]byte(`{"type":"hello"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		token, err := FirstMessage(data)
		var e *Error
		if err != nil && !errors.As(err, &e) || err == nil && checkToken(token) != nil {
			t.Fatalf("got %q, %v", token, err)
		}
	})
}
