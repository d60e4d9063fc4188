package main

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"dcv-session-broker/internal/operate/api"
	"dcv-session-broker/internal/session"
)

// completionTimeout is how long a user who has pressed the tab key waits.
const completionTimeout = 2 * time.Second

// completeIDs proposes the IDs of sessions that are not DELETED.
func (p *program) completeIDs(cmd *cobra.Command, given []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
	return p.complete(cmd, given, begun, func(s api.Session) string { return s.ID })
}

// completeHosts proposes the hosts of sessions.
func (p *program) completeHosts(cmd *cobra.Command, given []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(given) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return p.complete(cmd, nil, begun, api.Session.HostID)
}

// completeHostFlag proposes hosts, not files, for --host.
func (p *program) completeHostFlag(cmd *cobra.Command) {
	_ = cmd.RegisterFlagCompletionFunc("host", func(cmd *cobra.Command, _ []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
		return p.completeHosts(cmd, nil, begun)
	})
}

// complete proposes IDs only for an API's address: to find a stack takes seconds, and its tokens are billed.
func (p *program) complete(cmd *cobra.Command, given []string, begun string, of func(api.Session) string) ([]cobra.Completion, cobra.ShellCompDirective) {
	const files = cobra.ShellCompDirectiveNoFileComp
	if err := p.address(cmd); err != nil || p.url == "" || p.getenv("TOKEN_URL") != "" {
		return nil, files
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(cmd.Context()), completionTimeout)
	defer cancel()
	c, err := p.connect(ctx)
	if err != nil {
		return nil, files
	}
	all, err := c.API.DescribeSessions(ctx, api.Query{})
	if err != nil {
		return nil, files
	}
	var proposed []string
	for _, s := range all {
		if name := of(s); s.State != session.Deleted && strings.HasPrefix(name, begun) && !slices.Contains(given, name) {
			proposed = append(proposed, name)
		}
	}
	slices.Sort(proposed)
	return slices.Compact(proposed), files
}
