package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"dcv-session-broker/internal/operate/proxy"
	"dcv-session-broker/internal/operate/token"
)

func (p *program) proxyCommand() *cobra.Command {
	listen := ""
	cmd := &cobra.Command{
		Use:   "proxy",
		Short: "Adds an access token to calls of clients that have none",
		Long: `Listens for clients that cannot send access tokens, and passes their calls
of /deleteSessions, /describeSessions and /cancelDeletions on to the broker with
its own token, until it is interrupted. It gets another token before that one
expires, or when the broker refuses it.

Whoever can connect to it can see and delete every session. On 127.0.0.1, the
default, that is every user of this machine. On another address it is everybody
who can reach that address: restrict that with a firewall, and put a server for
https in front, since this one has none. It does not answer browsers.

For a stack it needs the permissions cloudformation:DescribeStacks and
cognito-idp:DescribeUserPoolClient; with --url and TOKEN_URL, CLIENT_ID and
CLIENT_SECRET none.`,
		Example: `  dcvbroker proxy --stack studio
  dcvbroker proxy --url https://abc123.execute-api.eu-west-1.amazonaws.com
  dcvbroker proxy --listen 10.0.4.20:8081`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return p.proxy(cmd.Context(), listen) },
	}
	cmd.Flags().StringVar(&listen, "listen", "127.0.0.1:8081", "where clients connect")
	return cmd
}

func (p *program) proxy(ctx context.Context, listen string) error {
	c, err := p.connect(ctx)
	if err != nil {
		return err
	}
	if _, err := c.API.Tokens.Token(ctx, ""); err != nil {
		return fmt.Errorf("get an access token: %w", err)
	}
	if _, fixed := c.API.Tokens.(token.Given); fixed {
		fmt.Fprintln(p.err, "note: the token in TOKEN is never replaced: after it has expired, every call is answered 502. With TOKEN_URL, CLIENT_ID and CLIENT_SECRET the proxy gets new ones")
	}
	l, err := net.Listen("tcp", listen)
	if err != nil {
		return fmt.Errorf("%w (choose another address with --listen HOST:PORT)", err)
	}
	passing := &proxy.Proxy{
		URL: c.API.URL, HTTP: c.API.HTTP, Tokens: c.API.Tokens, Now: p.now,
		LocalOnly: l.Addr().(*net.TCPAddr).IP.IsLoopback(),
		Log:       func(line string) { fmt.Fprintln(p.err, line) },
	}
	who := "all users of this machine"
	if !passing.LocalOnly {
		who = "everybody who can connect to it"
	}
	fmt.Fprintf(p.err, "http://%s passes calls on to %s. With it %s can delete every session.\n", l.Addr(), c.API.URL, who)
	return serve(ctx, l, &http.Server{Handler: passing.Handler(), ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 30 * time.Second})
}
