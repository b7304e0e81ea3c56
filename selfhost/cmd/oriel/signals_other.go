//go:build !unix

package main

import "os"

// reloadSignals is empty where there is no SIGHUP; Notify with none would relay them all.
var reloadSignals = []os.Signal{unheard{}}

// unheard is a signal that never comes.
type unheard struct{}

func (unheard) String() string { return "none" }
func (unheard) Signal()        {}
