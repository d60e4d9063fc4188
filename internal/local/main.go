// Command local runs the whole system on one machine; `make run` starts it. It
// needs nothing but Go, and with STORE=dynamodb the official DynamoDB Local.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"dcv-session-broker/internal/local/dynamodblocal"
	"dcv-session-broker/internal/local/system"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, 0); err != nil {
		fmt.Fprintln(os.Stderr, "local:", err)
		os.Exit(1)
	}
}

// run starts the system, with its clock that far ahead, shows what happens in it,
// and ends it with ctx.
func run(ctx context.Context, ahead time.Duration) (err error) {
	s, err := readSettings()
	if err != nil {
		return err
	}
	dir, removeDir, err := s.dir()
	if err != nil {
		return err
	}
	defer removeDir()

	if s.store == "dynamodb" && s.dynamoDB == "" {
		fmt.Println("Starting DynamoDB Local ...")
		server, err := dynamodblocal.Start(ctx, dynamodblocal.Options{Port: s.dynamoDBPort})
		if err != nil {
			return fmt.Errorf("STORE=dynamodb: %w", err)
		}
		defer func() { err = errors.Join(err, server.Stop()) }()
		s.dynamoDB = server.Endpoint()
	}

	sys, err := system.New(ctx, system.Options{
		Template:    "template.yaml",
		Parameters:  s.parameters(),
		Dir:         dir,
		DynamoDB:    s.dynamoDB,
		Token:       s.token,
		GiveUpAfter: s.giveUpAfter,
		SilentAfter: s.silentAfter,
		Every:       s.every,
		Steps:       printStep,
		Log:         slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: s.logLevel})),
	})
	if err != nil {
		return err
	}
	defer sys.Close()
	sys.Advance(ahead)

	api, err := net.Listen("tcp", net.JoinHostPort(s.bind, s.port))
	if err != nil {
		return fmt.Errorf("%w (choose another port with PORT=...)", err)
	}
	if err := startDemoFleet(ctx, sys.Handler()); err != nil {
		return err
	}
	servers := []*http.Server{serve(api, sys.Handler())}
	servers[0].RegisterOnShutdown(sys.EndStreams) // it waits for them
	for _, service := range []struct {
		port    string
		handler http.Handler
	}{{s.ssmPort, sys.SystemsManager()}, {s.ec2Port, sys.EC2()}} {
		if service.port == "" {
			continue
		}
		wire, err := net.Listen("tcp", net.JoinHostPort(s.bind, service.port))
		if err != nil {
			return err
		}
		servers = append(servers, serve(wire, service.handler))
	}
	printWelcome(os.Stdout, api.Addr().String(), s)

	<-ctx.Done()
	fmt.Println("\nStopping ...")
	shutdown, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	for _, server := range servers {
		server.Shutdown(shutdown)
	}
	return nil
}

func serve(l net.Listener, h http.Handler) *http.Server {
	server := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}
	go server.Serve(l)
	return server
}

func printStep(s system.Step) {
	if s.From == s.To {
		return
	}
	from, to := s.From, s.To
	if from == "" {
		from = "(new)"
	}
	if to == "" {
		to = "(removed)"
	}
	why := ""
	if s.Why != "" {
		why = "  (" + s.Why + ")"
	}
	fmt.Printf("%s  %-20s %8s -> %-8s  %s of %s%s\n", s.At.Format("15:04:05.000"), s.SessionID, from, to, s.HostID, s.Owner, why)
}

func printWelcome(w io.Writer, addr string, s settings) {
	store := "in memory"
	if s.dynamoDB != "" {
		store = "in DynamoDB Local at " + s.dynamoDB
	}
	token := ""
	if s.token != "" {
		token = ` -H "Authorization: Bearer $TOKEN"`
	}
	fmt.Fprintf(w, `
The API is at http://%[1]s, its table %[2]s. Delete two sessions, one of which does not exist:

  curl -s http://%[1]s/deleteSessions%[3]s -H 'Content-Type: application/json' -d '[
    {"SessionId": "SessionId123", "Owner": "user1", "Force": false},
    {"SessionId": "SessionIdabc", "Owner": "user1", "Force": false}]'

  curl -s http://%[1]s/local/hosts       what really runs on the hosts
  curl -s http://%[1]s/local/sessions    the records in the table

A session that the table does not know runs on i-0a1b2c3d4e5f60003; an inventory finds it:

  curl -s -X POST http://%[1]s/local/cleanup/inventory

A session that ends behind the broker's back is a ghost in the table, until the next inventory:

  curl -s -X DELETE http://%[1]s/local/hosts/i-0a1b2c3d4e5f60001/sessions/design-review
  curl -s -X POST http://%[1]s/local/cleanup/inventory

Two desktops whose users are warned that these will be closed in a minute:

  curl -s http://%[1]s/deleteSessions%[3]s -H 'Content-Type: application/json' -d '[
    {"SessionId": "console-i-0a1b2c3d4e5f60002", "Owner": "user3", "GracePeriodSeconds": 60, "Message": "Please save your work."},
    {"SessionId": "render-7", "Owner": "user1", "GracePeriodSeconds": 60, "Message": "Please save your work."}]'

A few seconds later: what the users are shown, and a cancel of one deletion. The other desktop is closed when its minute is over:

  curl -s http://%[1]s/local/notices
  curl -s http://%[1]s/cancelDeletions%[3]s -H 'Content-Type: application/json' -d '[{"SessionId": "render-7", "Owner": "user1"}]'

And a deletion that gets stuck, because the news of it is lost:

  curl -s -X POST http://%[1]s/local/hosts/i-0a1b2c3d4e5f60003/lose-events
  curl -s http://%[1]s/deleteSessions%[3]s -H 'Content-Type: application/json' -d '[{"SessionId": "render-7", "Owner": "user1"}]'

A few seconds later let news through again, and wait up to three minutes: it is rescued after its lease of two minutes:

  curl -s -X POST http://%[1]s/local/hosts/i-0a1b2c3d4e5f60003/deliver-events

Each step of a session appears below. Ctrl-C ends it.

`, addr, store, token)
}
