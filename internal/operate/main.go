// Command dcvbroker is what people who run fleets type: it shows, deletes and cancels sessions, tells why one is stuck, and looks
// after a stack. It speaks to a stack, which it finds as the AWS CLI does (AWS_PROFILE, AWS_REGION, single sign-on), or to
// the address of an API. Nothing that is deployed is made of it.
//
// Each verb has a file of its own here, which only wires. What a verb does is in a package below.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/term"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	p := program{
		in: os.Stdin, out: os.Stdout, err: os.Stderr, getenv: os.Getenv,
		interactive:  term.IsTerminal(int(os.Stdin.Fd())) && term.IsTerminal(int(os.Stderr.Fd())),
		showProgress: term.IsTerminal(int(os.Stderr.Fd())),
	}
	if width, _, err := term.GetSize(int(os.Stdout.Fd())); err == nil {
		p.width = width
	}
	os.Exit(p.run(ctx, os.Args[1:]))
}
