package jsonx_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/oriel-rooms/oriel/rooms/session/protocol/jsonx"
)

func ExampleReader() {
	var text string
	var likes []uint64
	r := jsonx.NewReader([]byte(`{"text":"caf\u00e9","likes":[1,2,3],"later":{"a":null}}`))
	for key := range r.Object() {
		switch string(key) {
		case "text":
			text = r.String()
		case "likes":
			for range r.Array() {
				likes = append(likes, r.Uint())
			}
		}
	}
	fmt.Println(text, likes, r.End())
	// Output: café [1 2 3] <nil>
}

func ExampleObject() {
	o := jsonx.NewObject(nil)
	o.String("text", "say \"hi\"\n")
	o.Uint("offset", 131)
	o.Bool("edited", false)
	o.Raw("data", []byte(`[1,2]`))
	fmt.Println(string(o.End()))
	// Output: {"text":"say \"hi\"\n","offset":131,"edited":false,"data":[1,2]}
}

func TestValid(t *testing.T) {
	deep := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	for _, c := range []struct {
		in   string
		want error
	}{
		{`null`, nil}, {` true `, nil}, {`-0.1e+20`, nil}, {`0`, nil}, {`""`, nil}, {`[]`, nil}, {`{ }`, nil},
		{`{"a":{"b":[1,{"c":"d"}]},"a":2}`, nil}, {`"\ud800"`, nil}, {`"\/\b\f"`, nil}, {"\"\u2028\"", nil}, {"\"\x7f\"", nil}, {"{\"12345678\x7f\":\"\x7f12345678\"}", nil},
		{deep(64), nil}, {deep(65), jsonx.ErrDepth},
		{``, jsonx.ErrSyntax}, {`nul`, jsonx.ErrSyntax}, {`tru`, jsonx.ErrSyntax}, {`nulll`, jsonx.ErrSyntax}, {`+1`, jsonx.ErrSyntax},
		{`01`, jsonx.ErrSyntax}, {`1.`, jsonx.ErrSyntax}, {`.5`, jsonx.ErrSyntax}, {`-`, jsonx.ErrSyntax}, {`1e`, jsonx.ErrSyntax}, {`1e+`, jsonx.ErrSyntax},
		{`[1,]`, jsonx.ErrSyntax}, {`[,1]`, jsonx.ErrSyntax}, {`[1 2]`, jsonx.ErrSyntax}, {`[`, jsonx.ErrSyntax}, {`[1`, jsonx.ErrSyntax}, {`[}`, jsonx.ErrSyntax}, {`{]`, jsonx.ErrSyntax},
		{`{"a"}`, jsonx.ErrSyntax}, {`{"a":}`, jsonx.ErrSyntax}, {`{a:1}`, jsonx.ErrSyntax}, {`{"a":1,}`, jsonx.ErrSyntax}, {`{"a":1`, jsonx.ErrSyntax},
		{`"`, jsonx.ErrSyntax}, {`"\`, jsonx.ErrSyntax}, {`"\u12"`, jsonx.ErrSyntax}, {"\"\n\"", jsonx.ErrSyntax}, {"\"1234567\x1f\"", jsonx.ErrSyntax},
		{"\"\xff\"", jsonx.ErrUTF8}, {"\"abcdefgh\xc3\"", jsonx.ErrUTF8}, {"\"\xed\xa0\x80\"", jsonx.ErrUTF8}, {"{\"\xff\":1}", jsonx.ErrUTF8},
		{"\ufeff1", jsonx.ErrSyntax}, {`1 2`, jsonx.ErrSyntax}, {"\x00", jsonx.ErrSyntax}, {"\v1", jsonx.ErrSyntax},
	} {
		err := jsonx.Valid([]byte(c.in))
		if !errors.Is(err, c.want) || (err != nil) != (c.want != nil) {
			t.Errorf("%q: %v, want %v", c.in, err, c.want)
		}
		var e *jsonx.Error
		if err != nil && (!errors.As(err, &e) || e.Offset > len(c.in)) {
			t.Errorf("%q: %v", c.in, err)
		}
	}
}

// valid is what [jsonx.Valid] must say, by encoding/json: that one does not check UTF-8 and
// allows more depth.
func valid(b []byte) bool {
	if !json.Valid(b) || !utf8.Valid(b) {
		return false
	}
	depth, deepest := 0, 0
	d := json.NewDecoder(bytes.NewReader(b))
	for {
		tok, err := d.Token()
		if err != nil {
			return deepest <= jsonx.MaxDepth
		}
		if c, ok := tok.(json.Delim); ok {
			if c == '[' || c == '{' {
				depth++
				deepest = max(deepest, depth)
			} else {
				depth--
			}
		}
	}
}

func FuzzValid(f *testing.F) {
	for _, s := range []string{`{"a":[1,2.5e-3,"x\u00e9\n",true,false,null,{}]}`, `"éé\ud83c\udf0d"`, `[[[[]]]]`, `-12.5E+7`, ``, "\"12345678\x80\""} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		err := jsonx.Valid(b)
		if want := valid(b); want != (err == nil) {
			t.Fatalf("%q: %v, encoding/json says %v", b, err, want)
		}
		if err != nil {
			return
		}
		// Walking over every value sees what encoding/json sees.
		var want any
		d := json.NewDecoder(bytes.NewReader(b))
		d.UseNumber()
		if err := d.Decode(&want); err != nil {
			t.Fatal(err)
		}
		r := jsonx.NewReader(b)
		got := walk(r)
		if err := r.End(); err != nil {
			t.Fatalf("%q: %v", b, err)
		}
		x, _ := json.Marshal(got)
		y, _ := json.Marshal(want)
		if !bytes.Equal(x, y) {
			t.Fatalf("%q:\n%s\n%s", b, x, y)
		}
	})
}

func walk(r *jsonx.Reader) any {
	switch r.Peek() {
	case '{':
		out := map[string]any{}
		for key := range r.Object() {
			k := string(key)
			out[k] = walk(r)
		}
		return out
	case '[':
		out := []any{}
		for range r.Array() {
			out = append(out, walk(r))
		}
		return out
	case '"':
		return r.String()
	case 't', 'f':
		return r.Bool()
	case 'n':
		r.Null()
		return nil
	}
	return json.Number(r.Raw())
}

// FuzzReader reads every value as a type that it may not have.
func FuzzReader(f *testing.F) {
	f.Add([]byte(`{"a":[1,"x",true,null,{}]}`), uint64(12345))
	f.Fuzz(func(t *testing.T, b []byte, how uint64) {
		r := jsonx.NewReader(b)
		var read func(depth int)
		read = func(depth int) {
			if depth > 200 {
				t.Fatal("too deep")
			}
			n := how % 9
			how = how/9 + how*7
			switch n {
			case 0:
				for range r.Object() {
					read(depth + 1)
				}
			case 1:
				for range r.Array() {
					read(depth + 1)
				}
			case 2:
				r.Bytes()
			case 3:
				r.Uint()
			case 4:
				r.Int()
			case 5:
				r.Float()
			case 6:
				r.Bool()
			case 7:
				r.Null()
			case 8:
				r.Raw()
			}
		}
		read(0)
		if r.End() == nil && !json.Valid(b) {
			t.Fatalf("%q passed", b)
		}
	})
}

func FuzzAppendString(f *testing.F) {
	f.Add("plain", []byte("x"))
	f.Add("\x00\x1f\"\\\u2028é\U0001f30d", []byte("\xff\xc3"))
	f.Fuzz(func(t *testing.T, s string, b []byte) {
		for _, in := range []string{s, string(b)} {
			out := jsonx.AppendString(nil, in)
			if !bytes.Equal(out, jsonx.AppendString(nil, []byte(in))) {
				t.Fatal("strings and bytes differ")
			}
			var back string
			if err := json.Unmarshal(out, &back); err != nil {
				t.Fatalf("%q: %v", out, err)
			}
			if want := strings.ToValidUTF8(in, "\x00"); utf8.ValidString(in) && back != want {
				t.Fatalf("%q became %q", in, back)
			}
			r := jsonx.NewReader(out)
			if got := r.String(); r.End() != nil || got != back {
				t.Fatalf("%q read as %q, %v", out, got, r.Err())
			}
		}
	})
}

// TestAppendUint compares with strconv around every power of two and of ten.
func TestAppendUint(t *testing.T) {
	check := func(v uint64) {
		if got, want := jsonx.AppendUint([]byte("x"), v), "x"+strconv.FormatUint(v, 10); string(got) != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	for two := uint64(1); two != 0; two <<= 1 {
		check(two - 1)
		check(two)
		check(two + 1)
	}
	for ten := uint64(1); ten < 1e19; ten *= 10 {
		check(10*ten - 1)
		check(10 * ten)
		check(10*ten + 9)
	}
	check(math.MaxUint64)
}

// TestPlain puts every byte at every place of a word and behind it.
func TestPlain(t *testing.T) {
	for c := range 256 {
		want := c >= ' ' && c < 0x7f && c != '"' && c != '\\'
		for length := 1; length <= 17; length++ {
			for at := range length {
				b := bytes.Repeat([]byte{'~'}, length)
				if b[at] = byte(c); jsonx.Plain(b) != want {
					t.Fatalf("%q is plain: %v", b, !want)
				}
			}
		}
	}
	if !jsonx.Plain(nil) {
		t.Error("nothing is not plain")
	}
}

func TestNumbers(t *testing.T) {
	read := func(s string, f func(*jsonx.Reader) any) (any, error) {
		r := jsonx.NewReader([]byte(s))
		v := f(r)
		return v, r.End()
	}
	u := func(r *jsonx.Reader) any { return r.Uint() }
	i := func(r *jsonx.Reader) any { return r.Int() }
	x := func(r *jsonx.Reader) any { return r.Float() }
	for _, c := range []struct {
		in   string
		f    func(*jsonx.Reader) any
		want any
		ok   bool
	}{
		{"0", u, uint64(0), true}, {"9007199254740991", u, uint64(1<<53 - 1), true}, {"9007199254740992", u, uint64(0), false},
		{"99999999999999999999", u, uint64(0), false}, {"-1", u, uint64(0), false}, {"1.0", u, uint64(0), false}, {`"1"`, u, uint64(0), false}, {"", u, uint64(0), false},
		{"-0", i, int64(0), true}, {"-9007199254740991", i, int64(-1<<53 + 1), true}, {"-9007199254740992", i, int64(0), false}, {"7", i, int64(7), true}, {"1e2", i, int64(0), false},
		{"1e2", x, float64(100), true}, {"-0.5", x, -0.5, true}, {"1e999", x, float64(0), false}, {"null", x, float64(0), false},
	} {
		got, err := read(c.in, c.f)
		if got != c.want || (err == nil) != c.ok {
			t.Errorf("%s: %v, %v", c.in, got, err)
		}
	}
}

func TestObject(t *testing.T) {
	o := jsonx.NewObject([]byte("x"))
	if got := string(o.End()); got != "x{}" {
		t.Error(got)
	}
	o = jsonx.NewObject(nil)
	o.Float("a", math.NaN())
	o.Float("b", 0.25)
	o.Int("c", -3)
	o.Raw("d", nil)
	o.Append("e", func(b []byte) []byte { return jsonx.AppendString(b, "f") })
	if got := string(o.End()); got != `{"a":null,"b":0.25,"c":-3,"d":null,"e":"f"}` {
		t.Error(got)
	}
}

// TestFirstFault: after a fault nothing more is read, and the fault stays.
func TestFirstFault(t *testing.T) {
	mine := errors.New("mine")
	r := jsonx.NewReader([]byte(`{"a":1,"b":"x"}`))
	rounds := 0
	for range r.Object() {
		rounds++
		if r.Uint() == 1 {
			r.Fail(mine)
		}
	}
	if rounds != 1 || !errors.Is(r.End(), mine) || r.Peek() != 0 || r.Raw() != nil || r.String() != "" {
		t.Errorf("%d rounds, %v", rounds, r.Err())
	}
}
