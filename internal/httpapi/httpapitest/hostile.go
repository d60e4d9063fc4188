package httpapitest

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"dcv-session-broker/internal/httpapi"
)

const largestBody = 6 << 20 // that the gateway lets through

// Fill repeats a text up to the size of the largest body.
func Fill(before, text, after string) string {
	return before + strings.Repeat(text, (largestBody-len(before)-len(after))/len(text)) + after
}

// Fields are as many as there is room for, each with a name of its own.
func Fields(before, after string) string {
	var b strings.Builder
	b.WriteString(before)
	for n := 0; b.Len() < largestBody-20; n++ {
		fmt.Fprintf(&b, `"%x":1,`, n)
	}
	return b.String() + `"end":1` + after
}

// allocated is how many bytes are taken while f runs, those freed meanwhile
// included.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// TakesLittleMemory checks that reading a hostile body takes little, and that its
// sender is told the fault.
func TakesLittleMemory(t *testing.T, name, text, fault string, parse func(body []byte) []httpapi.Fault) {
	t.Helper()
	body := []byte(text)
	var faults []httpapi.Fault
	got := allocated(func() { faults = parse(body) })
	if most := 15 * uint64(len(body)); got > most {
		t.Errorf("%s: %.1f times the body is allocated", name, float64(got)/float64(len(body)))
	}
	if len(faults) == 0 || !strings.HasPrefix(faults[0].Reason, fault) {
		t.Errorf("%s: %.300v", name, faults)
	}
}
