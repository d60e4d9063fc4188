package main

import (
	"strings"
	"testing"
)

func TestRunbookIsBuiltIn(t *testing.T) {
	book, err := readRunbook()
	if err != nil {
		t.Fatal(err)
	}
	for _, reason := range []string{"", "The host is not connected to Systems Manager."} {
		if advice, ok := book.Advice(reason, "i-1"); !ok || len(advice) < 40 {
			t.Errorf("%q has the advice %q", reason, advice)
		}
	}
	const timedOut = "The host did not answer the close command (Systems Manager: ExecutionTimedOut)."
	if advice, _ := book.Advice(timedOut, "i-1"); !strings.HasPrefix(advice, "The script ran for a minute") || strings.Contains(advice, "\n") {
		t.Errorf("%q has the advice %q", timedOut, advice)
	}
}
