// Command dcvbroker is what people who run fleets type: it shows, deletes and cancels sessions, tells why one is stuck, and looks
// after a stack. It speaks to a stack, which it finds as the AWS CLI does (AWS_PROFILE, AWS_REGION, single sign-on), or to
// the address of an API. Nothing that is deployed is made of it.
//
// Each verb has a file of its own here, which only wires. What a verb does is in a package below.
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

// width is that of a terminal; 0 if the file is none.
func width(f *os.File) int {
	columns, _, err := term.GetSize(int(f.Fd()))
	if err != nil {
		return 0
	}
	return columns
}
