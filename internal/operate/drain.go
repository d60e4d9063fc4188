package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"dcv-session-broker/internal/operate/deletion"
	"dcv-session-broker/internal/operate/drain"
	"dcv-session-broker/internal/operate/sessions"
	"dcv-session-broker/internal/session"
)

func (p *program) drainCommand() *cobra.Command {
	var (
		request deletion.Request
		grace   time.Duration
		timeout time.Duration
		yes     bool
	)
	cmd := &cobra.Command{
		Use:   "drain HOST",
		Short: "Deletes all sessions of a host, until nothing runs there",
		Long: `Deletes all sessions of a host, also those that start meanwhile, until nothing
runs there: until a complete inventory that was sent after the last session
ended has none. Inventories are sent every few minutes (InventoryMinutes).

It does not prevent new sessions on the host: stop starting them there.

It also needs dynamodb:BatchGetItem on the table of hosts.`,
		Example: `  dcvbroker drain i-0a1b2c3d4e5f60001
  dcvbroker drain i-0a1b2c3d4e5f60001 --grace 30m --reason maintenance --yes`,
		Args:              oneArg("host"),
		ValidArgsFunction: p.completeHosts,
		RunE: func(cmd *cobra.Command, args []string) error {
			if cmd.Flags().Changed("grace") {
				request.Grace = &grace
			}
			if err := checkRequest(request); err != nil {
				return fmt.Errorf("%w: see %s --help", err, cmd.CommandPath())
			}
			return p.drain(cmd.Context(), args[0], request, yes, timeout)
		},
	}
	requestFlags(cmd, &request, &grace)
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	durationFlag(cmd, &timeout, "timeout", 30*time.Minute, "how long to wait, from the latest close time\nof the first deletions")
	return cmd
}

func (p *program) drain(ctx context.Context, host string, request deletion.Request, yes bool, timeout time.Duration) error {
	c, err := p.connect(ctx)
	if err != nil {
		return err
	}
	notes, err := c.notes()
	if err != nil {
		return err
	}
	known, err := notes.Notes(ctx, []string{host})
	if err != nil {
		return fmt.Errorf("read the inventories of %s: %w: drain needs the Hosts table of a stack (--stack), or a system on one machine", host, err)
	}
	found, _, err := sessions.Find(ctx, c.API, sessions.Selection{Host: host})
	if err != nil {
		return err
	}
	if _, answered := known[host]; !answered && len(found) == 0 {
		return fmt.Errorf("no session lives on %s, and it has answered no inventory: is the ID right? What does dcvbroker doctor %[1]s say?", host)
	}
	if len(found) > 0 {
		sessions.Table(found, false, c.API.Now()).Print(p.err, p.errWidth)
	} else {
		p.note("nothing lives on %s", host)
	}
	if !yes {
		if err := p.confirm(ctx, fmt.Sprintf("Delete all sessions on %s, and those that start there meanwhile?", host)); err != nil {
			return err
		}
	}
	d := drain.Drain{
		Host: host, Deleter: &deletion.Deleter{API: c.API, Batch: c.batch()}, Request: request, Notes: notes,
		Progress: &deletion.Progress{Out: p.err, Width: p.errWidth, Now: c.API.Now}, Timeout: timeout, Pause: p.pause, Now: p.now,
	}
	failed, timedOut, err := d.Run(ctx, found)
	switch {
	case err != nil:
		return err
	case timedOut:
		if d.Listed() {
			p.note("timed out, and the deletions go on: dcvbroker get --host %s shows the sessions that are left, dcvbroker doctor %[1]s what is wrong with the host", host)
		} else {
			p.note("timed out before an inventory has confirmed that nothing runs there: repeat the command with a longer --timeout. dcvbroker doctor %s shows what is wrong with the host", host)
		}
		return errTimedOut
	case failed > 0:
		p.note("%s is not drained, unsuccessful deletions: %d. Repeat the command when their cause is removed; dcvbroker doctor %[1]s shows what is wrong with the host", host, failed)
		return errUnsuccessful
	}
	fmt.Fprintf(p.out, "%s is drained: nothing runs there\n", host)
	return nil
}

// notes reads the results of inventories.
func (c *connection) notes() (session.HostNotes, error) {
	if c.Stack == nil {
		return c.control(), nil
	}
	return hostsTable(c.AWS, c.Stack)
}
