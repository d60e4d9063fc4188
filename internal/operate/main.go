// Command dcvbroker is the operator's command: it shows and deletes sessions, cancels deletions, explains why one is stuck,
// and checks a stack. It connects to a stack, which it finds as the AWS CLI does (AWS_PROFILE, AWS_REGION, single sign-on),
// or to the address of an API. It is no part of the deployed stack.
//
// Each verb has its own file here, which only wires. The work of a verb is in a package below.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"golang.org/x/term"

	"dcv-session-broker/internal/operate/token"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	p := program{
		in: os.Stdin, out: os.Stdout, err: os.Stderr, getenv: os.Getenv, now: time.Now, pause: time.Second,
		interactive: term.IsTerminal(int(os.Stdin.Fd())) && term.IsTerminal(int(os.Stderr.Fd())),
		width:       width(os.Stdout), errWidth: width(os.Stderr),
	}
	var err error
	if p.cacheDir, err = token.Dir(); err != nil {
		fmt.Fprintln(os.Stderr, "note: tokens are not kept, and may be billed each time:", err)
	}
	os.Exit(p.run(ctx, os.Args[1:]))
}

// width returns the width of a terminal, or 0 if the file is none.
func width(f *os.File) int {
	columns, _, err := term.GetSize(int(f.Fd()))
	if err != nil {
		return 0
	}
	return columns
}
