// Package bridge is the Go side of the front's glue (front.ts): a question comes as one text through the
// memory and is answered by another in a single call, which never waits. It is built with GOOS=js only.
package bridge
