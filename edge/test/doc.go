// Package test runs rooms/conformance on the Durable Object host under workerd. Its tests need a running
// worker: conformance.test.ts starts one and then runs them, as a part of `npm run test:edge`. Everything else
// in this folder is TypeScript.
package test
