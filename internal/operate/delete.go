package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"dcv-session-broker/internal/operate/api"
	"dcv-session-broker/internal/operate/deletion"
	"dcv-session-broker/internal/operate/sessions"
	"dcv-session-broker/internal/operate/table"
	"dcv-session-broker/internal/session"
)

// A deleteRun holds the arguments of one run of delete.
type deleteRun struct {
	selection         sessions.Selection
	request           deletion.Request
	grace             time.Duration
	dryRun, yes, wait bool
	timeout           time.Duration
	timeoutGiven      bool
}

func (p *program) deleteCommand() *cobra.Command {
	var r deleteRun
	cmd := &cobra.Command{
		Use:                   "delete ID... | --owner OWNER | --host HOST | --older-than AGE",
		DisableFlagsInUseLine: true,
		Short:                 "Deletes sessions",
		Long: `Deletes sessions: those with one of the IDs, or those that meet every flag.

It lists the sessions, asks if there is more than one, and deletes exactly
those: a newer session that has taken the ID of one is reported and not deleted.
A session that is DELETED already counts as ended.`,
		Example: `  dcvbroker delete SessionId123
  dcvbroker delete --owner user1 --dry-run
  dcvbroker delete --older-than 12h --grace 10m --reason 'nightly' --yes
  dcvbroker delete --owner user1 --grace 10m --message 'Please save your work.'
  dcvbroker delete --host i-0a1b2c3d4e5f60001 --wait --timeout 30m`,
		ValidArgsFunction: p.completeIDs,
		RunE: func(cmd *cobra.Command, ids []string) error {
			r.selection.IDs = ids
			r.timeoutGiven = cmd.Flags().Changed("timeout")
			if cmd.Flags().Changed("grace") {
				r.request.Grace = &r.grace
			}
			if err := r.check(); err != nil {
				return fmt.Errorf("%w: see %s --help", err, cmd.CommandPath())
			}
			return p.delete(cmd.Context(), r)
		},
	}
	p.selectionFlags(cmd, &r.selection)
	requestFlags(cmd, &r.request, &r.grace)
	cmd.Flags().BoolVar(&r.request.Force, "force", false, "end the records immediately,\neven if their hosts do not answer")
	cmd.Flags().BoolVar(&r.dryRun, "dry-run", false, "only say what would happen to each session")
	cmd.Flags().BoolVarP(&r.yes, "yes", "y", false, "do not ask")
	cmd.Flags().BoolVar(&r.wait, "wait", false, "wait until all have ended")
	durationFlag(cmd, &r.timeout, "timeout", 15*time.Minute, "how long to wait,\nfrom the latest close time on")
	return cmd
}

// requestFlags adds the flags that say how sessions are deleted.
func requestFlags(cmd *cobra.Command, r *deletion.Request, grace *time.Duration) {
	cmd.Flags().Var((*ageValue)(grace), "grace", "how long they can still be used: 0, or 1m to 24h\n(default: the stack's)")
	cmd.Flags().StringVar(&r.Message, "message", "", "what their users are shown until then")
	cmd.Flags().StringVar(&r.Reason, "reason", "", "why, for people and the audit trail")
}

func (r *deleteRun) check() error {
	s := r.selection
	switch {
	case len(s.IDs) == 0 && s.Owner == "" && s.Host == "" && s.OlderThan == 0:
		return errors.New("nothing says which sessions: name IDs, or give --owner, --host or --older-than")
	case r.request.Force && (r.request.Grace != nil && *r.request.Grace > 0 || r.request.Message != ""):
		return errors.New("--force ends sessions immediately: leave --grace and --message out")
	case !r.wait && r.timeoutGiven:
		return errors.New("--timeout says how long to wait: give --wait, too")
	}
	return checkRequest(r.request)
}

func checkRequest(r deletion.Request) error {
	for _, text := range []struct{ flag, value string }{{"message", r.Message}, {"reason", r.Reason}} {
		if _, fault := session.ParseText(text.value); fault != "" {
			return fmt.Errorf("--%s %s", text.flag, fault)
		}
	}
	grace := r.Grace
	if grace == nil || *grace == 0 {
		return nil
	}
	if *grace < session.MinGracePeriod || *grace > session.MaxGracePeriod || *grace%time.Second != 0 {
		return fmt.Errorf("--grace %v is neither 0 nor whole seconds from 1m to 24h", *grace)
	}
	return nil
}

func (p *program) delete(ctx context.Context, r deleteRun) error {
	c, err := p.connect(ctx)
	if err != nil {
		return err
	}
	found, missing, err := sessions.Find(ctx, c.API, r.selection)
	if err != nil {
		return err
	}
	var hit []api.Session
	for _, s := range found {
		switch {
		case s.State != session.Deleted:
			hit = append(hit, s)
		case len(r.selection.IDs) > 0:
			fmt.Fprintln(p.err, table.Plain(s.ID), "is DELETED already")
		}
	}
	p.missing(missing)
	var left error
	if len(missing) > 0 {
		left = errUnsuccessful
	}
	if len(hit) == 0 {
		if len(r.selection.IDs) == 0 || len(found) == 0 && len(missing) == 0 {
			fmt.Fprintln(p.err, "no session meets these conditions: nothing to delete")
		}
		return left
	}
	d := &deletion.Deleter{API: c.API, Batch: c.batch()}
	if r.dryRun {
		return worst(p.dryRun(ctx, d, r.request, hit), left)
	}
	sessions.Table(hit, false, c.API.Now()).Print(p.err, p.errWidth)
	if len(hit) > 1 && !r.yes {
		if err := p.confirm(ctx, fmt.Sprintf("Delete these %d sessions?", len(hit))); err != nil {
			return err
		}
	}
	items, err := d.Start(ctx, r.request, hit)
	progress := &deletion.Progress{Out: p.err, Width: p.errWidth, Now: c.API.Now}
	if err != nil || !r.wait {
		return worst(p.accepted(items, progress, err), left)
	}
	w := deletion.Waiter{Deleter: d, Progress: progress, Timeout: r.timeout, Pause: p.pause, Now: p.now}
	timedOut, err := w.Wait(ctx, items)
	if err != nil {
		return err
	}
	return worst(p.waited(items, progress, timedOut), left)
}

// dryRun shows what would happen to each session.
func (p *program) dryRun(ctx context.Context, d *deletion.Deleter, r deletion.Request, hit []api.Session) error {
	outcomes, err := d.DryRun(ctx, r, hit)
	if err != nil {
		return err
	}
	t := table.Table{Head: []string{"SESSION", "OWNER", "HOST", "STATE", "USERS", "WOULD"}}
	failed := 0
	for i, o := range outcomes {
		s, would := hit[i], "be deleted"
		switch {
		case !o.Accepted:
			would = "not be deleted: " + o.Reason
			failed++
		case !o.CloseAt.IsZero():
			would = "be closed at " + o.CloseAt.Local().Format(table.Time)
		}
		t.Rows = append(t.Rows, []string{s.ID, s.Owner, s.HostID(), string(s.State), strconv.FormatInt(s.NumOfConnections, 10), would})
	}
	t.Print(p.out, p.width)
	p.note("dry run: nothing was changed; %d of %d would be deleted", len(outcomes)-failed, len(outcomes))
	if failed > 0 {
		return errUnsuccessful
	}
	return nil
}

// accepted prints for each session whether its deletion was accepted. err says why some were not requested.
func (p *program) accepted(items []*deletion.Item, progress *deletion.Progress, err error) error {
	for _, item := range items {
		if item.Status != deletion.Open && item.Status != deletion.Ended {
			continue
		}
		line := table.Plain(item.Seen.ID) + " " + string(item.Status)
		if !item.CloseAt.IsZero() {
			line += ", closes at " + item.CloseAt.Local().Format(table.Time)
		}
		fmt.Fprintln(p.out, line)
	}
	for _, item := range items {
		if item.Status == deletion.Unsuccessful || item.Status == deletion.Unanswered {
			progress.Say(fmt.Sprintf("%s: %s: %s", item.Seen.ID, item.Status, item.Why))
		}
	}
	if unsent := deletion.Count(items, deletion.NotSent); unsent > 0 && unsent < len(items) {
		p.note("%d sessions were not requested", unsent)
	}
	if err != nil {
		return err
	}
	return result(items)
}

// result is the error that a run ends with if it does not wait any longer.
func result(items []*deletion.Item) error {
	if n := deletion.Count(items, deletion.Unanswered); n > 0 {
		return fmt.Errorf("%d deletions had no answer, so nobody knows whether they were recorded: repeat the command, which is harmless", n)
	}
	if deletion.Count(items, deletion.Unsuccessful, deletion.NotSent) > 0 {
		return errUnsuccessful
	}
	return nil
}

// waited prints the deletions that are still open after waiting.
func (p *program) waited(items []*deletion.Item, progress *deletion.Progress, timedOut bool) error {
	if !timedOut {
		return result(items)
	}
	progress.StillOpen(items)
	p.note("timed out, and the deletions go on: dcvbroker explain SESSION tells what one waits for")
	return errTimedOut
}

// missing names the IDs that no session has.
func (p *program) missing(ids []string) {
	for _, id := range ids {
		p.note("%s: %s", id, session.NotFound)
	}
	if len(ids) > 0 {
		fmt.Fprintln(p.err, "dcvbroker get lists all sessions")
	}
}

// errNotConfirmed is returned if the answer is not yes, or the question is interrupted.
var errNotConfirmed = errors.New("not confirmed: nothing was changed")

// confirm asks a question and returns an error unless the answer is yes.
func (p *program) confirm(ctx context.Context, question string) error {
	if !p.interactive {
		return errors.New("this must be confirmed, and there is no terminal to ask on: give --yes")
	}
	answer, err := p.ask(ctx, question+" [y/N] ")
	if err != nil {
		return err
	}
	if answer = strings.ToLower(answer); answer != "y" && answer != "yes" {
		return errNotConfirmed
	}
	return nil
}
