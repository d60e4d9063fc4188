// Command beside runs a command with a DynamoDB Local beside it, whose endpoint
// is in the command's environment (DYNAMODB_LOCAL_ENDPOINT) and that ends with it.
// It exits as the command does.
// Each access key has tables of its own. The tests of all packages share it: to
// start one takes seconds of a processor.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"

	"dcv-session-broker/internal/local/dynamodblocal"
)

// usualPort is listened on where it is free: go test takes results of an earlier
// run only where the environment is the same.
const usualPort = 18439

func main() {
	code, err := run(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "beside:", err)
		code = max(code, 1)
	}
	os.Exit(code)
}

// run gives the command's exit code.
func run(args []string) (code int, err error) {
	if len(args) == 0 {
		return 1, errors.New("what command is to be run?")
	}
	options := dynamodblocal.Options{TablesByKey: true, Port: usualPort}
	server, err := dynamodblocal.Start(context.Background(), options)
	if err != nil { // perhaps because another one has the port
		options.Port = 0
		if server, err = dynamodblocal.Start(context.Background(), options); err != nil {
			return 1, err
		}
	}
	signal.Notify(make(chan os.Signal, 1), os.Interrupt) // a terminal's reaches the command, too, whose end ends this
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	command := exec.CommandContext(ctx, args[0], args[1:]...)
	command.Cancel = func() error { return command.Process.Signal(syscall.SIGTERM) }
	command.Env = append(os.Environ(), dynamodblocal.EndpointVariable+"="+server.Endpoint())
	command.Stdin, command.Stdout, command.Stderr = os.Stdin, os.Stdout, os.Stderr
	err = command.Run()
	if ended := (*exec.ExitError)(nil); errors.As(err, &ended) && ended.Exited() {
		code, err = ended.ExitCode(), nil
	}
	return code, errors.Join(err, server.Stop())
}
