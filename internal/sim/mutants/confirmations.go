package main

// Of what ends a session in the table.
var confirmationBugs = []mutant{
	// 3. DELETED is true.
	{
		name: "attempt not checked at the confirmation", promise: 3, file: confirmRules,
		why: "a late answer to an earlier deletion ends this one, while its session runs",
		old: "is(AttrAttemptID, r.AttemptID),",
		new: "",
	},
	{
		name: "finished whatever the record is by now", promise: 3, file: confirmRules,
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
		name: "host believed gone without asking", promise: 3, file: reaper,
		why: "whatever EC2 says, a host of which there was bad news is stopped",
		old: "check := HostCheck{Status: statuses[hostID]}",
		new: "check := HostCheck{Status: max(statuses[hostID], Stopped)}",
	},
	{
		name: "inventory dated by its receipt", promise: 3, file: reconciler,
		why: "one that was sent before a session came up ends it",
		old: "inv.readAt = now\n\tif age :=",
		new: "inv.readAt = now\n\tinv.SentAt = now\n\tif age :=",
	},
	{
		name: "cut inventory believed to be whole", promise: 3, file: surveys,
		why: "sessions that fell off its end are ended",
		old: `return s.end >= 0 && s.unnamed >= 0 && s.end == len(s.lines)+s.unnamed && s.unreadable == 0 && s.failed == ""`,
		new: `return s.end != 0 && s.failed == ""`,
	},
	{
		name: "vanished in another incarnation", promise: 3, file: evidenceRules,
		why: "that an idle session was closed ends the record of the one that came after it",
		old: "!ok || !named || !sameCreation(seen.CreationTime, s.CreationTime)",
		new: "!ok || !named",
	},

	{
		name: "announced with its host whatever lives there", promise: 3, file: announcements,
		why: "whoever stops hosts by what is announced stops one with sessions",
		old: "return &empty, nil",
		new: "empty = true\n\treturn &empty, nil",
	},
	{
		name: "index taken for the record by host-events", promise: 2, file: hostEvents,
		why: "a confirmation or a close attempt that the index does not show counts as missing",
		old: "index := session.WholeIndex{Index: p.Index, Getter: p.Getter}",
		new: "index := p.Index",
	},
	{
		name: "index taken for the record by cleanup", promise: 2, file: cleanupTasks,
		why: "what is due has no attempt, and no host, as the index shows it: it is never sent again",
		old: "index := session.WholeIndex{Index: p.Index, Getter: p.Reader}",
		new: "index := p.Index",
	},
}
