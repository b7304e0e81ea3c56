// Package config reads what an operator tells the oriel command: flags, environment
// variables and an optional TOML file, which say the same things under the same names.
//
// There is one table of settings. From it come the flag (--heartbeat), the variable
// (ORIEL_HEARTBEAT), the key of the file (heartbeat), the help text and the checks, so the
// three cannot drift apart. A flag wins over a variable, a variable over the file, the
// file over the default.
//
// [Parse] returns a [Command] with a validated [Config], or an *[Error]: one line that names
// the setting and where its value came from. The package only describes; it opens no
// listener, prints nothing and reads no file but the configuration and the secrets it is
// pointed to. No secret is ever part of an error, a log line or a printed value.
package config
