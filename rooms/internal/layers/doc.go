// Package layers holds the test of the directions in which the packages of this module may import
// each other. It has no code of its own.
package layers
