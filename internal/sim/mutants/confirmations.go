package main

// Bugs in confirmations: they end a session in the table.
var confirmationBugs = []mutant{
	// 3. DELETED is true.
	{
		name: "attempt not checked at the confirmation", promise: 3, file: confirmRules,
		why: "a late answer to an earlier deletion ends this one, while its session runs",
		old: "is(AttrAttemptID, r.AttemptID),",
		new: "",
	},
	{
		name: "finished without a condition on the record", promise: 3, file: confirmRules,
		why: "a late stream record of an earlier deletion ends the one that is open now",
		old: "same(seen, AttrDeletionRequestID),\n\t\t\tsame(seen, AttrAttemptID),\n\t\t\tsame(seen, AttrConfirmation),\n\t\t\tsame(seen, AttrConfirmedAt),",
		new: "",
	},
	{
		name: "failure taken for a confirmation", promise: 3, file: confirmRules,
		why: "a host that could not close the session has not closed it",
		old: "OutcomeReplaced: Replaced,",
		new: "OutcomeReplaced: Replaced,\n\tOutcomeFailed: Absent,",
	},
	{
		name: "void command taken for a confirmation", promise: 3, file: confirmRules,
		why: "a host that got the command too late has not closed the session",
		old: "OutcomeReplaced: Replaced,",
		new: "OutcomeReplaced: Replaced,\n\tOutcomeExpired: Absent,",
	},
	{
		name: "host taken for gone without asking EC2", promise: 3, file: reaper,
		why: "a host with a bad event counts as stopped, whatever EC2 says",
		old: "check := HostCheck{Status: statuses[hostID]}",
		new: "check := HostCheck{Status: max(statuses[hostID], Stopped)}",
	},
	{
		name: "inventory dated by its receipt", promise: 3, file: reconciler,
		why: "an inventory that was sent before a session started ends that session",
		old: "inv.readAt = now\n\tif age :=",
		new: "inv.readAt = now\n\tinv.SentAt = now\n\tif age :=",
	},
	{
		name: "cut inventory taken for complete", promise: 3, file: surveys,
		why: "sessions that were cut off its end are ended",
		old: `return s.end >= 0 && s.unnamed >= 0 && s.end == len(s.lines)+s.unnamed && s.unreadable == 0 && s.failed == ""`,
		new: `return s.end != 0 && s.failed == ""`,
	},
	{
		name: "vanished in another incarnation", promise: 3, file: evidenceRules,
		why: "closing an idle session ends the record of the next session of that ID",
		old: "!ok || !named || !sameCreation(seen.CreationTime, s.CreationTime)",
		new: "!ok || !named",
	},

	{
		name: "host announced as empty while sessions live there", promise: 3, file: announcements,
		why: "a client that stops hosts on announcements stops a host with sessions",
		old: "return &empty, nil",
		new: "empty = true\n\treturn &empty, nil",
	},
	{
		name: "host-events reads the index in place of the record", promise: 2, file: hostEvents,
		why: "a confirmation or a close attempt that the index does not show counts as missing",
		old: "index := session.WholeIndex{Index: p.Index, Getter: p.Getter}",
		new: "index := p.Index",
	},
	{
		name: "cleanup reads the index in place of the record", promise: 2, file: cleanupTasks,
		why: "a due deletion in the index has no attempt and no host: it is never sent again",
		old: "index := session.WholeIndex{Index: p.Index, Getter: p.Reader}",
		new: "index := p.Index",
	},
}
