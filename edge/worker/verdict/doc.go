// Package verdict is what the edge's front worker decides about a request: it hands the request
// to rooms/admission, the same door that selfhost uses, and writes the answer down in a form that
// the worker's glue (front.ts) acts on. The glue does all the I/O: it refuses, forwards an
// upgrade to the room's object, or serves the page.
//
// A [Judge] is made once in each isolate from [Settings] and never changes. The package is plain
// Go and is tested natively; only the command around it knows JavaScript.
package verdict
