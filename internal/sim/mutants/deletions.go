package main

// Bugs in deletions: they are lost, or never end.
var deletionBugs = []mutant{
	// 1. Durable before answered.
	{
		name: "mark without its place in the index due", promise: 1, file: markRules,
		why: "a crash after the mark leaves a deletion that cleanup never finds",
		old: "set(w, AttrDueShard, shard)",
		new: "_ = shard",
	},
	{
		name: "lease not written", promise: 1, file: markRules,
		why: "the same: an item without NextAttemptAt is not in the index",
		old: "set(w, AttrNextAttemptAt, now.Add(Lease))",
		new: "",
	},
	{
		name: "write refused, answered DELETING", promise: 1, file: deleter,
		why: "the table said that it wrote nothing",
		old: "default:\n\t\tdel.fail(reasonNotRecorded, res.Err)",
		new: "default:\n\t\tdel.step = done",
	},
	{
		name: "write unclear, answered DELETING", promise: 1, file: deleter,
		why: "nobody knows whether it was recorded",
		old: "case errors.Is(res.Err, ErrUnclear) || del.unclear > 0:\n\t\tdel.fail(reasonUnclear, res.Err)",
		new: "case errors.Is(res.Err, ErrUnclear) || del.unclear > 0:\n\t\tdel.step = done",
	},
	{
		name: "traces of an earlier deletion kept at the mark", promise: 1, file: markRules,
		why: "the expiry of a record that was given up removes an open deletion; a repeat of the earlier one prevents its put-back",
		old: "if _, stays := w.Set[attr]; !stays {",
		new: "if _, stays := w.Set[attr]; !stays && attr == AttrDeletedAt {",
	},

	// 2. Never taken back, never stuck.
	{
		name: "lease ended at the confirmation", promise: 2, file: confirmRules,
		why: "if the stream loses the confirmation nothing ends the deletion",
		old: "set(&w, AttrNextAttemptAt, now.Add(Lease))\n\tset(&w, AttrDueShard, dueShard(r.SessionID))\n\tw.Remove = []string{AttrStateReason, AttrAttemptFailedAt}",
		new: "w.Remove = []string{AttrStateReason, AttrAttemptFailedAt, AttrNextAttemptAt, AttrDueShard}",
	},
	{
		name: "confirmed deletion touched without a change", promise: 2, file: dueRules,
		why: "an unchanged write makes no stream record: a record that the stream lost is not repeated",
		old: "set(&w, AttrNextAttemptAt, now.Add(Lease))\n\treturn w\n}\n\n// dropLease",
		new: "w.Set[AttrNextAttemptAt] = due[AttrNextAttemptAt]\n\treturn w\n}\n\n// dropLease",
	},
	{
		name: "given up although it is confirmed", promise: 2, file: dueRules,
		why: "a deletion that its host has confirmed ends as UNKNOWN",
		old: "case !s.unanswered():",
		new: "case !s.unanswered() && (now.Before(tryUntil(s, tryFor)) || s.State != Deleting || !s.CloseUntil.IsZero()):",
	},
	{
		name: "never given up", promise: 2, file: dueRules,
		why: "a deletion whose host never answers stays DELETING",
		old: "case !now.Before(end):",
		new: "case now.Before(s.DeletionRequestedAt):",
	},
	{
		name: "attempt forgotten when given up", promise: 2, file: dueRules,
		why: "a confirmation that comes later does not count any more",
		old: "[]string{AttrNextAttemptAt, AttrDueShard, AttrAttemptFailedAt}",
		new: "[]string{AttrNextAttemptAt, AttrDueShard, AttrAttemptFailedAt, AttrAttemptID}",
	},
	{
		name: "put back after another request was answered DELETING", promise: 2, file: markRules,
		why: "another request was told DELETING of it meanwhile",
		old: "missing(AttrRepeatedAt),",
		new: "",
	},
	{
		name: "repeat is not recorded", promise: 2, file: deletions,
		why: "the request that began the deletion does not know that another relies on it",
		old: "case s.RepeatedAt.IsZero():",
		new: "case s.State == Deleted:",
	},
	{
		name: "put back although another attempt has begun", promise: 2, file: markRules,
		why: "another attempt has claimed the deletion meanwhile",
		old: "is(AttrAttemptID, mark.Set[AttrAttemptID]),",
		new: "",
	},
	{
		name: "put back although it is confirmed", promise: 2, file: markRules,
		why: "a session that has ended meanwhile is READY forever",
		old: "missing(AttrConfirmation),\n\t\t\tmissing(AttrRepeatedAt),",
		new: "missing(AttrRepeatedAt),",
	},
	{
		name: "open deletion taken back by an inventory", promise: 2, file: inventoryRules,
		why: "a session that is still being closed is READY again",
		old: `if s.State == Unknown && s.Confirmation == "" && s.GivenUpAt.Before(inv.SentAt) {`,
		new: `if s.Confirmation == "" && s.GivenUpAt.Before(inv.SentAt) {`,
	},
	{
		name: "brought back by an inventory sent before the end", promise: 2, file: inventoryRules,
		why: "a session that the host has closed since is READY again",
		old: "if meant || !s.DeletedAt.Before(inv.SentAt) {",
		new: "if meant {",
	},
	{
		name: "open deletions become UNKNOWN when their host is silent", promise: 2, file: unresponsive,
		why: "they are UNKNOWN before the give-up time, and their callers are not told",
		old: "case s.State == Ready, s.Waits()",
		new: "case s.State == Ready, s.State == Deleting, s.Waits()",
	},
	{
		name: "closing after a force moves DeletedAt alone", promise: 2, file: forceRules,
		why: "the table removes the record before it has been kept for two days",
		old: "set(&w, AttrDeletedAt, now)\n\t\tset(&w, AttrExpiresAt, now.Add(KeepDeleted).Unix())",
		new: "set(&w, AttrDeletedAt, now)",
	},
	{
		name: "an attempt without an answer sets no reason", promise: 2, file: dueRules,
		why: "the record does not show for an hour that the host does not answer",
		old: "if reason := lastReason(due); reason != \"\" {\n\t\tset(&w, AttrStateReason, reason)\n\t}\n\tlease(",
		new: "lease(",
	},
	{
		name: "time to try taken from today's setting", promise: 2, file: dueRules,
		why: "with a shorter time set, deletions are given up while their commands are good for hours",
		old: "return s.TryUntil\n",
		new: "",
	},
	{
		name: "time to try not recorded", promise: 2, file: markRules,
		why: "the same: without it, the current setting counts",
		old: "set(&w, AttrTryUntil, tryUntil)",
		new: "",
	},
	{
		name: "a repeated command's end taken from today's setting", promise: 5, file: deleterSend,
		why: "it outlives its deletion",
		old: "attempt.add(del.is, d.GiveUp)",
		new: "attempt.add(del.is, d.GiveUp)\n\t\tattempt.Closings[len(attempt.Closings)-1].VoidAfter = req.At.Add(d.GiveUp)",
	},
}
