package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"dcv-session-broker/internal/operate/page"
	shown "dcv-session-broker/internal/page"
)

func (p *program) pageCommand() *cobra.Command {
	port, every := 0, 10*time.Second
	cmd := &cobra.Command{
		Use:   "page",
		Short: "Shows sessions on a page in your browser, to delete them there",
		Long: `Serves a page on this machine that shows, explains and deletes the sessions of
the stack, and cancels deletions, with your credentials and your token. It
prints the page's address and runs until it is interrupted.

Whoever has the address has your rights on the page: after its # is a secret
that is valid until this ends. Other machines, other users of this one and pages
of other sites get nothing.

While the page is open it lists all sessions every few seconds. That costs what
describeSessions costs: --every says how often.

It also needs dynamodb:BatchGetItem on the table of hosts, and for a session's
story what dcvbroker explain needs.`,
		Example: `  dcvbroker page
  dcvbroker page --stack studio --every 30s
  dcvbroker page --url http://127.0.0.1:8080 --port 8081`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if every < 2*time.Second || every > time.Hour {
				return fmt.Errorf("--every is %v; it can be 2s to 1h: see %s --help", every, cmd.CommandPath())
			}
			return p.page(cmd.Context(), port, every)
		},
	}
	cmd.Flags().IntVar(&port, "port", 0, "the page's port (default: a free one)")
	durationFlag(cmd, &every, "every", every, "how often the sessions are listed\nwhile the page is open")
	return cmd
}

func (p *program) page(ctx context.Context, port int, every time.Duration) error {
	c, err := p.connect(ctx)
	if err != nil {
		return err
	}
	notes, err := c.notes()
	if err != nil {
		return err
	}
	if err := c.API.Send(ctx, "/describeSessions", map[string]int{"MaxResults": 1}, &struct{}{}); err != nil {
		return err
	}
	options := page.Options{API: c.API, About: p.aboutPage(c), Every: every, Notes: notes, Explain: p.explanation}
	l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return fmt.Errorf("%w (choose another port with --port, or leave it out)", err)
	}
	served := page.New(options)
	server := &http.Server{Handler: served.Handler(), ReadHeaderTimeout: 10 * time.Second}
	server.RegisterOnShutdown(served.Close)
	p.note("The page of %s, until you press Ctrl-C.", options.About.Broker)
	p.note("Keep its address secret: whoever has it can delete sessions.")
	fmt.Fprintf(p.out, "http://%s/#%s\n", l.Addr(), served.Secret)
	return serve(ctx, l, server)
}

// serve answers until it is interrupted. Open calls then have five seconds to end.
func serve(ctx context.Context, l net.Listener, server *http.Server) error {
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(l) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	shutdown, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	server.Shutdown(shutdown)
	return nil
}

// explanation returns the output of dcvbroker explain for a session.
func (p *program) explanation(ctx context.Context, sessionID string) (string, error) {
	teller, err := p.teller(ctx, sinceYesterday)
	if err != nil {
		return "", err
	}
	told, err := teller.Tell(ctx, sessionID)
	if err != nil {
		return "", err
	}
	var text strings.Builder
	told.Print(&text, teller.Now())
	return text.String(), nil
}

// aboutPage describes the system to the page, with the flags by which dcvbroker finds it.
func (p *program) aboutPage(c *connection) shown.About {
	about := shown.About{Broker: "the stack " + p.stack, NeedsToken: true, Explains: true, Address: c.API.URL, Arguments: []string{"--stack", p.stack}}
	if c.Stack == nil {
		about.Broker, about.Arguments = p.url, []string{"--url", p.url}
	}
	for _, flag := range []struct{ name, value string }{{"--region", p.region}, {"--profile", p.profile}} {
		if flag.value != "" && c.Stack != nil {
			about.Arguments = append(about.Arguments, flag.name, flag.value)
		}
	}
	return about
}
