package main

// Bugs in shares of time, settings, bounds of functions that make few calls, and reading.
var ruleBugs = []mutant{
	{
		name: "one host's answer may take all of a batch's time", promise: 8, file: hostAnswers, tests: "internal/events",
		why: "one host whose sessions are slow to read sends all others' messages to the dead-letter queue",
		old: "ctx, stop := session.Shares(ctx, waiting, shares, hostTime)\n\tdefer stop()\n\tswitch {",
		new: "ctx, stop := context.WithCancel(ctx)\n\tdefer stop()\n\tswitch {",
	},
	{
		name: "one gone host may take all of a run's time", promise: 8, file: reaper, tests: "internal/session",
		why: "ending one host's sessions takes the time of all others",
		old: "ctx, stop := context.WithTimeout(ctx, hostTime)\n\tdefer stop()\n\treason :=",
		new: "ctx, stop := context.WithCancel(ctx)\n\tdefer stop()\n\treason :=",
	},
	{
		name: "a session that changed meanwhile is not processed again", promise: 9, file: reaper, tests: "internal/session",
		why: "a session that changed while its host's end was written stays, and the host is not checked again",
		old: "if left := end.onGoneHost(records, hostID, sessionsToo); len(left) > 0 {",
		new: "if left := end.onGoneHost(records, hostID, sessionsToo); len(left) > 1000 {",
	},
	{
		name: "a host that is stopping counts as asked about", promise: 9, file: walker, tests: "internal/session",
		why: "its sessions wait for the next check, up to six hours",
		old: "if !check.settled() {\n\t\treturn check.Err",
		new: "if check.Err != nil {\n\t\treturn check.Err",
	},
	{
		name: "EndSessionsOfStoppedHosts ignored", promise: 3, file: reaper,
		why: "a stack that keeps them for the host's next start loses them",
		old: "sessionsToo := status == Terminated || hr.EndStopped",
		new: "sessionsToo := true",
	},
	{
		name: "idle sessions closed before the limit that is set", promise: 5, file: cleanupTasks,
		why: "a desktop is closed whose user had time left",
		old: "After: c.CloseIdleAfter, Grace",
		new: "After: c.CloseIdleAfter - time.Minute, Grace",
	},
	{
		name: "idle sessions closed without a warning", promise: 5, file: cleanupTasks,
		why: "a user who left a desktop open loses it without a warning",
		old: "GracePeriod: c.RuleDefaults.GracePeriod, Message",
		new: "GracePeriod: 0, Message",
	},
	{
		name: "users warned too early for a short idle limit", promise: 5, file: idleLimit,
		why: "a user who was idle for a minute is told that the desktop will be closed",
		old: "return min(max(l.GracePeriod, 2*IdleRunEvery), l.After/2)",
		new: "return max(l.GracePeriod, 2*IdleRunEvery)",
	},
	{
		name: "users warned after the last idle run before the limit", promise: 5, file: idleLimit,
		why: "there is no run between the warning's time and the limit",
		old: "max(l.GracePeriod, 2*IdleRunEvery)",
		new: "l.GracePeriod",
	},
	{
		name: "silent before SilentAfterMinutes", promise: 9, file: unresponsive,
		why: "two inventories that follow each other closely make a host's sessions UNKNOWN",
		old: "if limit := now.Add(-after); limit.Before(before) {",
		new: "if limit := now.Add(-after); limit.IsZero() {",
	},
	{
		name: "inventories that cannot be looked up count", promise: 9, file: inventories, tests: "internal/session",
		why: "two that ended before they reached a host make every session of the fleet UNKNOWN",
		old: "return nil, \"\", fmt.Errorf(\"look up the last",
		new: "return sent, \"\", fmt.Errorf(\"look up the last",
	},
	{
		name: "runs that overlap send two inventories", promise: 9, file: inventories, tests: "internal/session",
		why: "a host that missed them once has left two unanswered",
		old: "now.Before(counting[0].Add(SentApart)) {",
		new: "now.Before(counting[0]) {",
	},
	{
		name: "a caller with the broker's name is taken for the broker", promise: 7, file: markRules, tests: "internal/session",
		why: "the deletion seems to be the broker's own and is not measured",
		old: "if name == requestedByBroker || ",
		new: "if ",
	},
	{
		name: "a byte order mark is a fault", promise: 7, file: "internal/httpapi/httpapi.go", tests: "internal/httpapi/deletesessions",
		why: "every request from PowerShell is refused",
		old: "[]byte(\"\\ufeff\")",
		new: "nil",
	},
	{
		name: "an empty key is read", promise: 8, file: "internal/dynamo/limits.go", tests: "internal/dynamo",
		why: "DynamoDB fails the call for all other keys: one record without a host stops a whole round",
		old: "return text != \"\" && len(text)",
		new: "return len(text)",
	},

	// 11. Bounded.
	{
		name: "a batch of the stream written one by one", promise: 11, file: "internal/session/finisher.go",
		why: "a hundred ended sessions take a hundred calls",
		old: "for i, res := range f.Table.Write(ctx, writes) {",
		new: "var results []Result\n\tfor i := range writes {\n\t\tresults = append(results, f.Table.Write(ctx, writes[i:i+1])...)\n\t}\n\tfor i, res := range results {",
	},
	{
		name: "idle sessions closed by two commands", promise: 11, file: cleanupTasks,
		why: "a run costs twice as many calls",
		old: "return c.Broadcaster.CloseIdle(",
		new: "_ = c.Broadcaster.CloseIdle(ctx, c.NewID(), c.Now(), session.IdleLimit{After: c.CloseIdleAfter})\n\t\treturn c.Broadcaster.CloseIdle(",
	},
	{
		name: "an empty host looked at again and again before it is stopped", promise: 11, file: stopper,
		why: "with hundreds of empty hosts a run reads for minutes",
		old: "records, _, err := s.Index.OnHost(ctx, h.HostID, \"\", 1)",
		new: "for range 50 {\n\t\t_, _, _ = s.Index.OnHost(ctx, h.HostID, \"\", 1)\n\t}\n\trecords, _, err := s.Index.OnHost(ctx, h.HostID, \"\", 1)",
	},
	{
		name: "all empty hosts are stopped in one run", promise: 11, file: stopper, tests: "internal/session",
		why: "hosts that cannot be stopped take the time of all others",
		old: "maxStops = 20",
		new: "maxStops = 20_000",
	},
	{
		name: "the host of an end read record by record", promise: 11, file: "internal/session/hostempty.go",
		why: "where many sessions of a host end together, each end costs as many calls as there were sessions",
		old: "const lookedUp = 25",
		new: "const lookedUp = 1",
	},
	{
		name: "a page of sessions read without a limit", promise: 11, file: "internal/session/describer.go", tests: "internal/session",
		why: "one request reads all of a table of which nothing is shown",
		old: "maxReads = 10",
		new: "maxReads = 10_000",
	},
	{
		name: "a fleet of any size is listed", promise: 11, file: isolation, tests: "internal/runcommand",
		why: "one host without its tag costs each request a list of all nodes",
		old: "const maxPages = 6",
		new: "const maxPages = 6000",
	},
}

// Bugs in the scripts of Linux hosts. The template has some of them more than once.
var scriptBugs = []mutant{
	{
		name: "a warning of another idle time counts", promise: 5, file: theTemplate, tests: "internal/runcommand/documents",
		why: "a user who came back and left again loses the desktop without a warning",
		old: "if [ \"$created\" = \"$2\" ] && [ \"$order\" -ge \"$3\" ] && [ \"$order\" -le \"$4\" ]; then answer \"$until\"; fi",
		new: "if [ \"$created\" = \"$2\" ]; then answer \"$until\"; fi",
	},
	{
		name: "a session that is still listed fails with (exit 0)", promise: 2, file: theTemplate, tests: "internal/runcommand/documents",
		why: "the reason in the record does not say what failed",
		old: "if (!code) said[i] = \"dcv closed it, and lists it still\"",
		new: "if (!code) said[i] = \"(exit 0)\"",
	},
	{
		name: "a blank answer proves that nothing runs", promise: 3, file: theTemplate, tests: "internal/runcommand/documents",
		why: "a program that is no dcv, and exits 0, ends all sessions of its host",
		old: "if (!blank) return \"\"\n",
		new: "return \"\"\n",
	},
	{
		name: "one of two answers that disagree is believed", promise: 3, file: theTemplate, tests: "internal/runcommand/documents",
		why: "a list that was empty for a moment confirms that a running session is closed",
		old: "return why != \"\" || empty() ? why : whyBlank",
		new: "return why",
	},
}
