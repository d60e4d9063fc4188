// Command withserver starts a DynamoDB Local and runs a command, with the server's
// endpoint in its environment (DYNAMODB_LOCAL_ENDPOINT). The server ends with the
// command, whose exit code is the program's. Each access key has its own tables. The
// tests of all packages share one server, since a start takes seconds of processor
// time.
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

// usualPort is used if it is free: go test reuses cached results only if the
// environment is the same.
const usualPort = 18439

func main() {
	code, err := run(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "withserver:", err)
		code = max(code, 1)
	}
	os.Exit(code)
}

// run returns the command's exit code.
func run(args []string) (code int, err error) {
	if len(args) == 0 {
		return 1, errors.New("no command to run was given")
	}
	options := dynamodblocal.Options{TablesByKey: true, Port: usualPort}
	server, err := dynamodblocal.Start(context.Background(), options)
	if err != nil { // perhaps because another program has the port
		options.Port = 0
		if server, err = dynamodblocal.Start(context.Background(), options); err != nil {
			return 1, err
		}
	}
	signal.Notify(make(chan os.Signal, 1), os.Interrupt) // a terminal's interrupt also reaches the command, whose end ends this program
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
