// Package server puts a node together: modules, store, scheduler, gateway, door, page,
// metrics; and takes it apart in the right order. What each of them does is in its own
// package; what they are told comes from the command line by package config.
//
// # Lifecycle
//
//	New     opens the store, loads the modules, starts what is due, listens
//	Serve   answers until its context ends or the store stops
//	drain   readiness off; clients are told to come back, spread over time; rooms finish
//	        what waits; the store is closed
package server
