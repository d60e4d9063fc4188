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

// completeWaiting proposes the IDs of sessions whose deletion can be cancelled.
func (p *program) completeWaiting(cmd *cobra.Command, given []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
	return p.complete(cmd, given, begun, func(s api.Session) string {
		if s.Waits() {
			return s.ID
		}
		return ""
	})
}

// completeSelection proposes hosts for --host and owners for --owner.
func (p *program) completeSelection(cmd *cobra.Command) {
	for flag, of := range map[string]func(api.Session) string{"host": api.Session.HostID, "owner": func(s api.Session) string { return s.Owner }} {
		_ = cmd.RegisterFlagCompletionFunc(flag, func(cmd *cobra.Command, _ []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
			return p.complete(cmd, nil, begun, of)
		})
	}
}

// complete proposes what of returns, if that is not "". It does so only for an API's address: to find a stack takes seconds, and its tokens are billed.
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
		if name := of(s); name != "" && s.State != session.Deleted && strings.HasPrefix(name, begun) && !slices.Contains(given, name) {
			proposed = append(proposed, name)
		}
	}
	slices.Sort(proposed)
	return slices.Compact(proposed), files
}
