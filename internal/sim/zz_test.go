package sim

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
)

func TestZZList(t *testing.T) {
	for s := uint64(1); s <= 20000; s++ {
		st := newSetup(newDice(s), newOtherDice(s))
		if st.large() || st.sessionsAHost > 2 {
			fmt.Println(s, st.hosts, st.sessionsAHost, st.steps)
		}
	}
}

// ZZ: "a-b" or list with commas
func TestZZ(t *testing.T) {
	var seeds []uint64
	for _, p := range strings.Split(os.Getenv("ZZ"), ",") {
		a, b, ok := strings.Cut(p, "-")
		x, _ := strconv.ParseUint(a, 10, 64)
		y := x
		if ok {
			y, _ = strconv.ParseUint(b, 10, 64)
		}
		for ; x <= y; x++ {
			seeds = append(seeds, x)
		}
	}
	f, _ := os.Create(os.Getenv("ZZOUT"))
	defer f.Close()
	for _, s := range seeds {
		out := Run(t, s, false)
		fmt.Fprintf(f, "%d %x %d %v\n", s, out.Digest, out.Events, out.Broken)
	}
}
