package main

// Bugs in inventories, and in events that arrive late or twice.
var inventoryBugs = []mutant{
	// 9. Re-cached.
	{
		name: "not listed again after force", promise: 9, file: inventoryRules,
		why: "a desktop that still runs is not listed",
		old: "return relist(r, f, inv), true\n\tcase !s.State.lives():",
		new: "return Write{}, false\n\tcase !s.State.lives():",
	},
	{
		name: "listed again with traces of its end", promise: 9, file: inventoryRules,
		why: "the record of a running session expires, or the session cannot be deleted",
		old: "!stays && attr != AttrSessionID &&",
		new: "!stays && attr != AttrSessionID && attr != AttrExpiresAt && attr != AttrConfirmation &&",
	},

	// 10. At least once, in any order.
	{
		name: "claim without condition", promise: 10, file: dueRules,
		why: "two runs of cleanup claim one deletion, or one that has ended",
		old: "w := Write{SessionID: s.ID, If: ifAsSeen(due), Set: Record{}, Remove: []string{AttrAttemptFailedAt}}",
		new: "w := Write{SessionID: s.ID, Set: Record{}, Remove: []string{AttrAttemptFailedAt}}",
	},
	{
		name: "unknown hosts are not checked", promise: 9, file: walker,
		why: "sessions from a backup, on a host that is gone, are READY forever",
		old: "errs = append(errs, hw.HostTable.AddHost(ctx, hostID, now))",
		new: "",
	},
	{
		name: "restored sessions of silent hosts are not checked", promise: 9, file: unresponsive,
		why: "they are READY in a backup, and a host that is silent already is not checked again",
		old: "silence := silences[hostID]; !silence.Silent || err != nil {",
		new: "silence := silences[hostID]; silence.Silent || err != nil {",
	},
	{
		name: "silent hosts are checked only once", promise: 9, file: walker,
		why: "if the host is terminated without an event, its sessions are UNKNOWN for thirty days",
		old: "ask = append(ask, hostID)",
		new: "",
	},
	{
		name: "inventory that is hours old applied", promise: 10, file: reconciler,
		why: "sessions that ended long ago are listed",
		old: "age > maxInventoryAge {",
		new: "age > 1000*maxInventoryAge {",
	},
	{
		name: "newer inventory not looked for again", promise: 10, file: reconciler,
		why: "of two inventories applied at the same time, the older one lists sessions that the newer one ended",
		old: "if newest[inv.HostID].After(inv.SentAt) {",
		new: "if newest[inv.HostID].Before(time.Time{}) {",
	},
	{
		name: "end not announced when the table does not answer", promise: 10, file: announcements,
		why: "it is never announced",
		old: "announced without it\", \"Cause\", err)",
		new: "announced without it\", \"Cause\", err)\n\t\t\tcontinue",
	},
	{
		name: "end announced under another ID each time", promise: 10, file: announcements,
		why: "one end that is delivered twice counts as two",
		old: "detailOf(shown.EventID,",
		new: "detailOf(shown.EventID+time.Now().String(),",
	},
	{
		name: "confirmed a second time", promise: 10, file: confirmRules,
		why: "a late failure replaces a confirmation, and a second answer the first",
		old: "is(AttrState, Deleting, Unknown),\n\t\t\tmissing(AttrConfirmation),",
		new: "is(AttrState, Deleting, Unknown),",
	},
	{
		name: "silent after one inventory without an answer", promise: 9, file: inventories,
		why: "a host may miss one inventory",
		old: "unanswered = counting[1]",
		new: "unanswered = counting[0]",
	},
	{
		name: "inventory that reached no host counts", promise: 9, file: inventories,
		why: "two of them make every session of the fleet UNKNOWN",
		old: "case !found:",
		new: "case !found || how != \"\":",
	},
	{
		name: "inventory that found no host by its tag counts", promise: 9, file: undelivered,
		why: "the same; its status is Success",
		old: "\"NoInstancesInTag\", ",
		new: "",
	},
}
