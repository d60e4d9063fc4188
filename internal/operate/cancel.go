package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"dcv-session-broker/internal/operate/api"
	"dcv-session-broker/internal/operate/sessions"
	"dcv-session-broker/internal/operate/table"
)

func (p *program) cancelCommand() *cobra.Command {
	var s sessions.Selection
	request, all, yes := "", false, false
	cmd := &cobra.Command{
		Use:   "cancel ID... | --owner OWNER | --host HOST | --all",
		Short: "Cancels deletions that wait for their close time",
		Long: `Cancels deletions that have a grace period, until closing begins: those of the
sessions with these IDs, or of all that meet every flag and wait for their close
time. Users who were warned are told that the desktop stays.`,
		Example: `  dcvbroker cancel SessionId123
  dcvbroker cancel --host i-0a1b2c3d4e5f60001 --yes
  dcvbroker cancel --all  # before the stack goes back to an older release`,
		ValidArgsFunction: p.completeWaiting,
		RunE: func(cmd *cobra.Command, ids []string) error {
			chosen := len(ids) > 0 || s.Owner != "" || s.Host != ""
			switch s.IDs = ids; {
			case all && chosen:
				return fmt.Errorf("--all means every session: give either --all, or IDs, --owner and --host: see %s --help", cmd.CommandPath())
			case !all && !chosen:
				return fmt.Errorf("nothing says which deletions: name IDs, or give --owner, --host or --all: see %s --help", cmd.CommandPath())
			}
			return p.cancel(cmd.Context(), s, request, yes)
		},
	}
	cmd.Flags().StringVar(&s.Owner, "owner", "", "those of this owner")
	cmd.Flags().StringVar(&s.Host, "host", "", "those on this host")
	p.completeSelection(cmd)
	cmd.Flags().BoolVar(&all, "all", false, "those of every session")
	cmd.Flags().StringVar(&request, "request", "", "only if the deletion is of the request\nwith this RequestId")
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	return cmd
}

func (p *program) cancel(ctx context.Context, s sessions.Selection, request string, yes bool) error {
	c, err := p.connect(ctx)
	if err != nil {
		return err
	}
	named := len(s.IDs) > 0
	found, missing, err := sessions.Find(ctx, c.API, s)
	if err != nil {
		return err
	}
	if !named { // the others have no deletion to cancel
		var waiting []api.Session
		for _, one := range found {
			if one.Waits() {
				waiting = append(waiting, one)
			}
		}
		found = waiting
	}
	p.missing(missing)
	if len(found) == 0 && len(missing) == 0 {
		fmt.Fprintln(p.err, "no deletion there waits for its close time: nothing to cancel")
		return nil
	}
	if !named {
		sessions.Table(found, false, c.API.Now()).Print(p.err, p.errWidth)
		if len(found) > 1 && !yes {
			if err := p.confirm(ctx, fmt.Sprintf("Cancel these %d deletions?", len(found))); err != nil {
				return err
			}
		}
	}
	var entries []api.CancelEntry
	waited := map[string]bool{}
	for _, one := range found {
		waited[one.ID] = one.Waits()
		entries = append(entries, api.CancelEntry{SessionID: one.ID, Owner: one.Owner, RequestID: request})
	}
	outcomes, err := c.API.CancelDeletions(ctx, entries, c.batch())
	unknown, failed := 0, len(missing)
	for _, o := range outcomes {
		switch {
		case o.Accepted:
			fmt.Fprintln(p.out, table.Plain(o.SessionID), o.State)
			if !waited[o.SessionID] {
				p.note("%s: no deletion waited for its close time; earlier requests no longer begin one", o.SessionID)
			}
		case o.Unknown:
			unknown++
			p.note("%s: unanswered: %s", o.SessionID, o.Reason)
		default:
			failed++
			p.note("%s: %s", o.SessionID, strings.TrimSuffix(o.Reason, "."))
		}
	}
	if unsent := len(entries) - len(outcomes); unsent > 0 && len(outcomes) > 0 {
		p.note("%d cancels were not requested", unsent)
	}
	switch {
	case err != nil:
		return err
	case unknown > 0:
		return errors.New("some cancels had no answer, so nobody knows whether they were recorded: repeat the command, which is harmless")
	case failed > 0:
		return errUnsuccessful
	}
	return nil
}
