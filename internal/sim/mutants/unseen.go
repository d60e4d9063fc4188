package main

// Bugs in what the simulation does not model: texts, spellings and their sizes.
var unseenBugs = []mutant{
	{
		name: "each write of a deletion that waits is announced as its mark", promise: 10, file: announced, tests: "internal/events/endedsessions",
		why: "a listener tells the user again at each notice and inventory",
		old: "case old.State != session.Deleting && now.Waits():",
		new: "case now.Waits():",
	},
	{
		name: "a close that was asked for now is not announced", promise: 10, file: announced, tests: "internal/events/endedsessions",
		why: "a listener waits for a close time that is too late",
		old: "case old.Waits() && open && now.CloseAt.Before(old.CloseAt):",
		new: "case old.Waits() && open && now.Waits() && now.CloseAt.Before(old.CloseAt):",
	},
	{
		name: "a put-back is announced as a caller's cancel", promise: 3, file: announced, tests: "internal/events/endedsessions",
		why: "the audit trail has a cancel that nobody requested",
		old: "now.CancelledBy == old.CancelledBy",
		new: "now.CancelledBy == \"\"",
	},
	{
		name: "dry runs are spelled in one way", promise: 5, file: dryRuns, tests: "internal/httpapi/deletesessions",
		why: "?dryRun[]=true ends sessions",
		old: `if key != "dryRun" && meansDryRun(key) {`,
		new: `if key != "dryRun" && key == "dryrun" {`,
	},
	{
		name: "the agent's message is lost", promise: 8, file: hints, tests: "internal/runcommand",
		why: "nobody is told why a host cannot run the script",
		old: "return said[:min(len(said), maxHintChars)]",
		new: "return said[:0]",
	},
	{
		name: "warnings are printed before causes", promise: 8, file: hints, tests: "internal/runcommand",
		why: "a warning about a missing locale pushes the cause out of the reason",
		old: "append(causes, warnings...)",
		new: "append(warnings, causes...)",
	},
	{
		name: "commands to hosts that answered are sent last", promise: 7, file: isolation, tests: "internal/runcommand",
		why: "healthy hosts wait for those at fault, and the request times out first",
		old: "return answered[b.hostID].Compare(answered[a.hostID])",
		new: "return answered[a.hostID].Compare(answered[b.hostID])",
	},
	{
		name: "hosts at fault looked for one after the other", promise: 7, file: isolation, tests: "internal/runcommand",
		why: "each host at fault delays all those behind it",
		old: "left = append(left, some...)",
		new: "for alone := range slices.Chunk(some, 1) {\n\t\t\t\tif err := o.try(ctx, command{alone}); err != nil {\n\t\t\t\t\to.refuse(alone, err)\n\t\t\t\t}\n\t\t\t}",
	},
	{
		name: "packed answers unpacked without a bound", promise: 11, file: unpacking, tests: "internal/runcommand",
		why: "a hostile host makes 18 MB of its 18 KB",
		old: "io.LimitReader(r, maxUnpackedBytes+1)",
		new: "r",
	},
	{
		name: "the readable part of a cut packed answer is lost", promise: 9, file: unpacking, tests: "internal/runcommand",
		why: "none of the sessions of a host that has too many is listed",
		old: "return string(unpacked[:bytes.LastIndexByte(unpacked, '\\n')+1]), false",
		new: `return "", false`,
	},
	{
		name: "inventory with a time in the future applied", promise: 9, file: reconciler, tests: "internal/session",
		why: "its host's next inventories are ignored until then",
		old: "age < -maxInventoryAhead {",
		new: "age < -1000*maxInventoryAhead {",
	},
	{
		name: "last attempt after the end of the time to try", promise: 1, file: dueRules, tests: "internal/session",
		why: "a host that has recovered by then gets no command",
		old: "case last.Sub(now) >= failedPause:",
		new: "case false:",
	},
}
