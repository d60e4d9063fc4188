package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"dcv-session-broker/internal/operate/api"
	"dcv-session-broker/internal/operate/sessions"
	"dcv-session-broker/internal/operate/table"
	"dcv-session-broker/internal/session"
)

func (p *program) getCommand() *cobra.Command {
	var s sessions.Selection
	format, watch := "table", false
	cmd := &cobra.Command{
		Use:   "get [ID...]",
		Short: "Lists sessions",
		Long: `Lists sessions: those with one of the IDs, or all, that meet every flag.

A session that was DELETED is shown for two days.`,
		Example: `  dcvbroker get
  dcvbroker get --owner user1 --state READY --older-than 12h
  dcvbroker get SessionId123 -o json
  dcvbroker get --host i-0a1b2c3d4e5f60001 -o wide
  dcvbroker get --owner user1 --watch`,
		ValidArgsFunction: p.completeIDs,
		RunE: func(cmd *cobra.Command, ids []string) error {
			s.IDs = ids
			c, err := p.connect(cmd.Context())
			if err != nil {
				return err
			}
			if watch {
				if format != "table" && format != "wide" {
					return fmt.Errorf("--watch shows a table: leave -o %s out", format)
				}
				return p.watch(cmd.Context(), c, s, format)
			}
			return p.get(cmd.Context(), c, s, format)
		},
	}
	p.selectionFlags(cmd, &s)
	stateFlag(cmd, &s)
	choice(cmd, &format, "output", "o", []string{"table", "wide", "json", "csv"}, "how to show them")
	cmd.Flags().BoolVarP(&watch, "watch", "w", false, "go on, and show each session again that changes")
	return cmd
}

// selectionFlags adds the flags that select sessions.
func (p *program) selectionFlags(cmd *cobra.Command, s *sessions.Selection) {
	cmd.Flags().StringVar(&s.Owner, "owner", "", "those of this owner")
	cmd.Flags().StringVar(&s.Host, "host", "", "those that live on this host: i-... or mi-...")
	cmd.Flags().Var((*ageValue)(&s.OlderThan), "older-than", "those that were created longer ago: 90m, 12h, 3d")
	p.completeSelection(cmd)
}

func stateFlag(cmd *cobra.Command, s *sessions.Selection) {
	states := []string{string(session.Creating), string(session.Ready), string(session.Deleting), string(session.Deleted), string(session.Unknown)}
	choice(cmd, (*string)(&s.State), "state", "", states, "those in this state")
}

func (p *program) get(ctx context.Context, c *connection, s sessions.Selection, format string) error {
	found, missing, err := sessions.Find(ctx, c.API, s)
	if err != nil {
		return err
	}
	if err := p.show(found, format, c.API.Now()); err != nil {
		return err
	}
	if p.missing(missing); len(missing) > 0 {
		return errUnsuccessful
	}
	if len(found) == 0 {
		fmt.Fprintln(p.err, "no session meets these conditions")
	}
	return nil
}

// watch shows the sessions, and each changed one again, until it is interrupted.
func (p *program) watch(ctx context.Context, c *connection, s sessions.Selection, format string) error {
	shown := map[string]string{}
	first := true
	for ctx.Err() == nil { // it ends when it is interrupted
		found, _, err := sessions.Find(ctx, c.API, s)
		if err != nil && ctx.Err() == nil {
			return err
		}
		if changed := sessions.Changed(shown, found); err == nil && len(changed) > 0 {
			t := sessions.Table(changed, format == "wide", c.API.Now())
			if !first {
				t.Head = nil
			}
			first = false
			p.print(t, format)
		}
		select {
		case <-ctx.Done():
		case <-time.After(2 * p.pause):
		}
	}
	return nil
}

func (p *program) show(found []api.Session, format string, now time.Time) error {
	switch format {
	case "json":
		return p.json(append([]api.Session{}, found...)) // an array, also if it is empty
	case "csv":
		return sessions.CSV(p.out, found, p.width > 0)
	}
	if len(found) > 0 {
		p.print(sessions.Table(found, format == "wide", now), format)
	}
	return nil
}

// print does not cut a wide table to the terminal's width: cut IDs could not be told apart.
func (p *program) print(t table.Table, format string) {
	width := p.width
	if format == "wide" {
		width = 0
	}
	t.Print(p.out, width)
}
