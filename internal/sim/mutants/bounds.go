package main

// Bugs in bounds.
var boundBugs = []mutant{
	// 11. Bounded.
	{
		name: "no bound on a host's sessions", promise: 11, file: reconciler,
		why: "one host that invents sessions fills the table and takes all of cleanup's time",
		old: "room := max(ir.MaxSessions-c.living, 0); len(unknown) > room {",
		new: "room := len(unknown); len(unknown) > room {",
	},
	{
		name: "only the last page counts against a host's bound", promise: 11, file: inventoryRules,
		why: "a host with more records than a page is not bounded",
		old: "c.living += len(records)",
		new: "c.living = len(records)",
	},
	{
		name: "all of a host's records at one time", promise: 11, file: indexes,
		why: "one host's records take the function's memory",
		old: "const hostPage = 250",
		new: "const hostPage = 1_000_000",
	},
	{
		name: "hosts at fault looked for where the document is older", promise: 11, file: isolation,
		why: "each command for fifty hosts becomes dozens, and all are refused",
		old: " || errors.As(err, &parameters)",
		new: " || errors.As(err, &parameters) && err == nil",
	},
	{
		name: "silent hosts looked at before the inventory is sent", promise: 11, file: cleanupTasks,
		why: "checking a few hosts delays the inventory of all others",
		old: "unanswered, err := c.Inventories.Send(ctx)\n\t\treturn errors.Join(err, c.Unresponsive.Mark(ctx, c.SilentAfter, unanswered),",
		new: "early := c.Unresponsive.Mark(ctx, c.SilentAfter, c.Now().Add(-c.SilentAfter))\n\t\t_, err := c.Inventories.Send(ctx)\n\t\treturn errors.Join(err, early,",
	},
	{
		name: "EC2 asked before due deletions are claimed", promise: 11, file: cleaner,
		why: "ending one host's sessions delays the commands to all others",
		old: "claimed := c.write(ctx, inTime, attempt.ID, now)\n\tgone := c.checkHosts(ctx, unanswered)",
		new: "gone := c.checkHosts(ctx, unanswered)\n\tclaimed := c.write(ctx, inTime, attempt.ID, now)",
	},
}
