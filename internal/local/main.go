// Command local runs the whole system on one machine; `make run` starts it. It needs
// only Go, and with STORE=dynamodb the official DynamoDB Local.
package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"dcv-session-broker/internal/local/dynamodblocal"
	"dcv-session-broker/internal/local/story"
	"dcv-session-broker/internal/local/system"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second Ctrl-C does not wait
	if err := run(ctx, 0); err != nil {
		fail(err)
	}
}

func fail(err error) {
	for _, line := range strings.Split(err.Error(), "\n") {
		fmt.Fprintln(os.Stderr, "make run:", line)
	}
	os.Exit(1)
}

// run starts the system with its clock set forward by ahead, prints what happens, and
// stops the system when ctx ends.
func run(ctx context.Context, ahead time.Duration) (err error) {
	s, err := readSettings()
	if err != nil {
		return err
	}
	ports, err := s.listen()
	if err != nil {
		return err
	}
	api := ports[0].listener.Addr()
	dir, err := s.openStateDir()
	if err != nil {
		return err
	}
	defer dir.close()
	if err := dir.owned("http://" + api.String()); err != nil {
		return fmt.Errorf("STATE_DIR: %w", err)
	}
	log, err := s.openLog(api)
	if err != nil {
		return err
	}
	if log != os.Stderr { // which still receives why it ends
		defer log.Close()
	}

	ended := make(<-chan struct{}) // never
	if s.store == "dynamodb" && s.dynamoDB == "" {
		fmt.Println("Starting DynamoDB Local ...")
		server, err := dynamodblocal.Start(ctx, dynamodblocal.Options{Port: s.dynamoDBPort, DataDir: dir.tables()})
		if ctx.Err() != nil {
			return errors.New("stopped before it had started")
		}
		if err != nil {
			return fmt.Errorf("STORE=dynamodb: %w", err)
		}
		defer func() { err = errors.Join(err, server.Stop()) }()
		s.dynamoDB, ended = server.Endpoint(), server.Done()
	}

	lines := story.New(os.Stdout, s.width)
	sys, err := system.New(ctx, system.Options{
		Template:    "template.yaml",
		Parameters:  s.parameters(),
		Dir:         dir.path,
		DynamoDB:    s.dynamoDB,
		Token:       s.token,
		GiveUpAfter: s.giveUpAfter,
		SilentAfter: s.silentAfter,
		Every:       s.every,
		Steps:       lines.Tell,
		Log:         s.logger(log, lines.Tell),
	})
	if err != nil {
		return err
	}
	defer sys.Close()
	sys.Advance(ahead)
	found, err := find(ctx, sys.Handler())
	if err != nil {
		return err
	}
	if found.empty() {
		if err := startDemoFleet(ctx, sys.Handler()); err != nil {
			return err
		}
	}
	printWelcome(os.Stdout, welcome{settings: s, address: api.String(), log: log.Name(), dir: dir, found: found})
	var servers []*http.Server
	for _, p := range ports {
		servers = append(servers, serve(p.listener, p.handler(sys)))
	}
	servers[0].RegisterOnShutdown(sys.EndStreams) // Shutdown waits for them
	lines.Start()
	defer lines.Stop()
	if found.Hosts > 0 {
		if _, err := call(ctx, sys.Handler(), http.MethodPost, "/local/cleanup/inventory", ""); err != nil {
			return err
		}
	}

	select {
	case <-ctx.Done():
		fmt.Println("\nStopping ..." + dir.left())
	case <-ended:
		err = errors.New("DynamoDB Local has ended: start again")
	}
	shutdown, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	for _, server := range servers {
		server.Shutdown(shutdown)
	}
	return err
}
