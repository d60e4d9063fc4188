package documents_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
)

// The sh and awk that Amazon Linux, RHEL and Ubuntu have, and busybox as a third opinion.
var (
	shells = []struct{ program, option string }{{"dash", ""}, {"bash", "--posix"}, {"busybox", "sh"}}
	awks   = []string{"gawk", "mawk", "busybox"} // in this order: that of busybox with its sh
)

// A kind is what a host runs scripts with.
type kind struct{ shell, option, awk string }

func everyKind() []kind {
	var kinds []kind
	for _, shell := range shells {
		for _, awk := range awks {
			if shell.program == "busybox" && awk != "busybox" {
				continue // its sh takes its own awk, whatever PATH says
			}
			kinds = append(kinds, kind{shell.program, shell.option, awk})
		}
	}
	return kinds
}

// eachOnce has each sh once, and each awk.
func eachOnce() []kind {
	var kinds []kind
	for i, shell := range shells {
		kinds = append(kinds, kind{shell.program, shell.option, awks[i]})
	}
	return kinds
}

// usualKind is the first that this machine has. Without any, it is one that makes a test say what to install.
func usualKind() kind {
	kinds := everyKind()
	return kinds[max(0, slices.IndexFunc(kinds, func(k kind) bool {
		_, noShell := exec.LookPath(k.shell)
		_, noAwk := exec.LookPath(k.awk)
		return noShell == nil && noAwk == nil
	}))]
}

// alwaysOnEveryHost runs a test on hosts with each sh and with each awk, and with REQUIRE_ALL=1 on those with each pair of
// them. It is for the few tests that run most lines of a script.
func alwaysOnEveryHost(t *testing.T, test func(*testing.T, *host)) {
	kinds := eachOnce()
	if os.Getenv("REQUIRE_ALL") == "1" {
		kinds = everyKind()
	}
	onEach(t, kinds, test)
}

// onEveryHost runs a test on hosts with each sh and with each awk, with REQUIRE_ALL=1; else on the usual host, which finds most
// faults. The two have nothing to do with each other that alwaysOnEveryHost, with each pair of them, would not see: a script is
// awk, between a few lines of sh that hand parameters over, and what awk starts it starts with /bin/sh.
func onEveryHost(t *testing.T, test func(*testing.T, *host)) {
	kinds := []kind{usualKind()}
	if os.Getenv("REQUIRE_ALL") == "1" {
		kinds = eachOnce()
	}
	onEach(t, kinds, test)
}

// onEveryAwk is for tests of what happens in awk alone.
func onEveryAwk(t *testing.T, test func(*testing.T, *host)) {
	if os.Getenv("REQUIRE_ALL") != "1" {
		onEach(t, []kind{usualKind()}, test)
		return
	}
	var kinds []kind
	for _, awk := range awks {
		kinds = append(kinds, kind{"dash", "", awk})
	}
	onEach(t, kinds, test)
}

// onEach runs a test in parallel with others.
func onEach(t *testing.T, kinds []kind, test func(*testing.T, *host)) {
	t.Parallel()
	for _, k := range kinds {
		on(t, k, test)
	}
}

func on(t *testing.T, k kind, test func(*testing.T, *host)) {
	t.Run(k.shell+" with "+k.awk, func(t *testing.T) {
		t.Parallel()
		h := &host{t: t, bin: t.TempDir(), state: t.TempDir(), dir: t.TempDir(), shell: []string{program(t, k.shell)}}
		if k.option != "" {
			h.shell = append(h.shell, k.option)
		}
		if err := os.Symlink(program(t, k.awk), filepath.Join(h.bin, "awk")); err != nil {
			t.Fatal(err)
		}
		standIn, err := filepath.Abs("../../local/fleet/dcv.sh")
		if err != nil {
			t.Fatal(err)
		}
		h.shim("dcv", ". "+standIn)
		h.twin = k == usualKind() && hasPowerShell(t)
		test(t, h)
	})
}

// program is the path of a program that the test cannot do without.
func program(t *testing.T, name string) string {
	path, err := exec.LookPath(name)
	switch {
	case err == nil:
		return path
	case os.Getenv("REQUIRE_ALL") == "1":
		t.Fatalf("there is no %s here; install the package %[1]s", name)
	default:
		t.Skipf("there is no %s here; install the package %[1]s to run this", name)
	}
	return ""
}
