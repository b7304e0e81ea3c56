package abi

// ValidName reports whether s may name a kind or a room: 1 to [MaxName] bytes of
// A-Z a-z 0-9 . _ ~ -, and neither "." nor "..". These are the unreserved
// characters of RFC 3986, so a name stands in a URL as it is.
func ValidName(s string) bool {
	if len(s) == 0 || len(s) > MaxName || s == "." || s == ".." {
		return false
	}
	for i := range len(s) {
		c := s[i]
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
		case c == '.', c == '_', c == '~', c == '-':
		default:
			return false
		}
	}
	return true
}

// ValidNotification reports whether s may name what a [NotifyEffect] is about: 1 to
// [MaxNotification] printable ASCII characters, 0x21 to 0x7e, without " and \.
func ValidNotification(s string) bool {
	if s == "" || len(s) > MaxNotification {
		return false
	}
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c > '~' || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}
