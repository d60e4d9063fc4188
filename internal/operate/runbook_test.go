package main

import "testing"

func TestRunbookIsBuiltIn(t *testing.T) {
	book, err := readRunbook()
	if err != nil {
		t.Fatal(err)
	}
	for _, reason := range []string{"", "The host is not connected to Systems Manager."} {
		if advice, ok := book.Advice(reason); !ok || len(advice) < 40 {
			t.Errorf("%q has the advice %q", reason, advice)
		}
	}
}
