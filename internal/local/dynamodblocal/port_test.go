package dynamodblocal

import "testing"

// While a server is about to open its port, no other caller gets that port.
func TestPortsAreClaimed(t *testing.T) {
	given := make(map[int]bool)
	for range 1000 {
		port, claim, err := claimPort(0)
		if err != nil {
			t.Fatal(err)
		}
		defer claim.Close()
		if given[port] {
			t.Fatalf("port %d is given twice", port)
		}
		given[port] = true
	}
}
