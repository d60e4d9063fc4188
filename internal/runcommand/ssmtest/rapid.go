package ssmtest

import (
	"testing"

	"pgregory.net/rapid"
)

// asTB is the test for rapid, which would ask a *testing.T for its deadline: in a bubble of virtual time there is none.
func asTB(t *testing.T) rapid.TB { return struct{ *testing.T }{t} }
