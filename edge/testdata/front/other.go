//go:build !js

// This file keeps the package whole elsewhere: it runs in tests of the worker only (GOOS=js).
package main

func main() {}
