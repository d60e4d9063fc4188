package main

// Of inventories, and of what comes late or twice.
var inventoryBugs = []mutant{
	// 9. Re-cached.
	{
		name: "not listed again after force", promise: 9, file: inventoryRules,
		why: "a desktop that still runs stays hidden",
		old: "return relist(r, f, inv), true\n\tcase !s.State.lives():",
		new: "return Write{}, false\n\tcase !s.State.lives():",
	},
	{
		name: "listed again with traces of its end", promise: 9, file: inventoryRules,
		why: "the record expires under a session that runs, or cannot be deleted any more",
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
		name: "hosts that are not known left alone", promise: 9, file: walker,
		why: "sessions of a host that is gone, from a backup, are READY for ever",
		old: "errs = append(errs, hw.HostTable.AddHost(ctx, hostID, now))",
		new: "",
	},
	{
		name: "restored sessions of silent hosts left alone", promise: 9, file: unresponsive,
		why: "a backup has them READY, and nobody looks at a host again that is silent already",
		old: "silence := silences[hostID]; !silence.Silent || err != nil {",
		new: "silence := silences[hostID]; silence.Silent || err != nil {",
	},
	{
		name: "silent hosts not asked about again", promise: 9, file: walker,
		why: "the sessions of one that was terminated meanwhile, of which nobody told, are UNKNOWN for thirty days",
		old: "ask = append(ask, hostID)",
		new: "",
	},
	{
		name: "inventory of hours ago applied", promise: 10, file: reconciler,
		why: "sessions that have ended long since are listed",
		old: "age > maxInventoryAge {",
		new: "age > 1000*maxInventoryAge {",
	},
	{
		name: "newer inventory not looked for again", promise: 10, file: reconciler,
		why: "of two that are applied at the same time the older one brings back what the newer has ended",
		old: "if newest[inv.HostID].After(inv.SentAt) {",
		new: "if newest[inv.HostID].Before(time.Time{}) {",
	},
	{
		name: "end not announced where the table does not answer", promise: 10, file: announcements,
		why: "nobody hears of it ever again",
		old: "announced without it\", \"Cause\", err)",
		new: "announced without it\", \"Cause\", err)\n\t\t\tcontinue",
	},
	{
		name: "end announced under another ID each time", promise: 10, file: announcements,
		why: "what comes twice is taken for two ends",
		old: "detailOf(shown.EventID,",
		new: "detailOf(shown.EventID+time.Now().String(),",
	},
	{
		name: "confirmed a second time", promise: 10, file: confirmRules,
		why: "a late failure stands over a confirmation, a second answer over the first",
		old: "is(AttrState, Deleting, Unknown),\n\t\t\tmissing(AttrConfirmation),",
		new: "is(AttrState, Deleting, Unknown),",
	},
	{
		name: "silent after one inventory without an answer", promise: 9, file: inventories,
		why: "one may be missed",
		old: "unanswered = counting[1]",
		new: "unanswered = counting[0]",
	},
	{
		name: "inventory that no host had counts", promise: 9, file: inventories,
		why: "two of them make every session of the fleet UNKNOWN",
		old: "case !found:",
		new: "case !found || how != \"\":",
	},
	{
		name: "inventory that found nobody by its tag counts", promise: 9, file: undelivered,
		why: "the same; its status is Success",
		old: "\"NoInstancesInTag\", ",
		new: "",
	},
}
