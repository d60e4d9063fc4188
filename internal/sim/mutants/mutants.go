package main

// A mutant is a deliberate bug: one text of one file replaced by another.
type mutant struct {
	name    string
	promise int // the one that it is meant to break
	why     string
	file    string // from the project's root
	old     string // stands there exactly once
	new     string
}

const (
	markRules      = "internal/session/rules_mark.go"
	confirmRules   = "internal/session/rules_confirm.go"
	forceRules     = "internal/session/rules_force.go"
	dueRules       = "internal/session/rules_due.go"
	inventoryRules = "internal/session/rules_inventory.go"
	evidenceRules  = "internal/session/rules_evidence.go"
	indexes        = "internal/session/index.go"
	cleaner        = "internal/session/cleaner.go"
	cleanupTasks   = "internal/events/cleanup/cleanup.go"
	hostEvents     = "internal/events/hostevents/hostevents.go"
	memoryHosts    = "internal/memtable/hosts.go"
	deleter        = "internal/session/deleter.go"
	voidAfter      = "internal/session/voidafter.go"
	refusals       = "internal/session/refusal.go"
	deletions      = "internal/session/deletion.go"
	reaper         = "internal/session/hostreaper.go"
	reconciler     = "internal/session/inventoryreconciler.go"
	unresponsive   = "internal/session/unresponsive.go"
	walker         = "internal/session/hostwalker.go"
	listedIDs      = "internal/session/listedid.go"
	closer         = "internal/runcommand/closer.go"
	encoding       = "internal/runcommand/parameter.go"
	isolation      = "internal/runcommand/isolate.go"
	answers        = "internal/runcommand/reader.go"
	surveys        = "internal/runcommand/survey.go"
	api            = "internal/httpapi/deletesessions/deletesessions.go"
	stopper        = "internal/session/stopper.go"
	announcements  = "internal/events/endedsessions/endedsessions.go"
)

var mutants = []mutant{
	// 1. Durable before answered.
	{
		name: "mark without its place in the index due", promise: 1, file: markRules,
		why: "a crash after the mark leaves a deletion that cleanup never finds",
		old: "set(w, AttrDueShard, dueShard(sessionID))",
		new: "_ = sessionID",
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
		why: "the expiry of a record that was given up removes an open deletion; a repeat of the earlier one holds its put-back up",
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
		why: "an unchanged write makes no stream record: what the stream lost stays lost",
		old: "set(&w, AttrNextAttemptAt, now.Add(Lease))\n\treturn w\n}\n\n// dropLease",
		new: "w.Set[AttrNextAttemptAt] = due[AttrNextAttemptAt]\n\treturn w\n}\n\n// dropLease",
	},
	{
		name: "given up over a confirmation", promise: 2, file: dueRules,
		why: "what its host has confirmed ends as UNKNOWN",
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
		name: "put back under another's promise", promise: 2, file: markRules,
		why: "another request was told DELETING of it meanwhile",
		old: "missing(AttrRepeatedAt),",
		new: "",
	},
	{
		name: "repeat leaves no mark", promise: 2, file: deletions,
		why: "the request that began the deletion does not know that another relies on it",
		old: "case s.RepeatedAt.IsZero():",
		new: "case s.State == Deleted:",
	},
	{
		name: "another's attempt put back", promise: 2, file: markRules,
		why: "a claim has taken the deletion over meanwhile",
		old: "is(AttrAttemptID, req.ID),",
		new: "",
	},
	{
		name: "put back over a confirmation", promise: 2, file: markRules,
		why: "a session that has ended meanwhile is READY for ever",
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
		why: "what the host has closed since is READY again",
		old: "if meant || !s.DeletedAt.Before(inv.SentAt) {",
		new: "if meant {",
	},
	{
		name: "open deletions doubted with their host", promise: 2, file: unresponsive,
		why: "they are UNKNOWN before the time to give up, without a word to their callers",
		old: "case s.State == Ready:",
		new: "case s.State == Ready, s.State == Deleting:",
	},
	{
		name: "closing after a force moves DeletedAt alone", promise: 2, file: forceRules,
		why: "the table removes the record before it has been kept for two days",
		old: "set(&w, AttrDeletedAt, now)\n\t\tset(&w, AttrExpiresAt, now.Add(KeepDeleted).Unix())",
		new: "set(&w, AttrDeletedAt, now)",
	},
	{
		name: "attempt without an answer not told", promise: 2, file: dueRules,
		why: "nobody who looks at a deletion that is tried for an hour learns that its host says nothing",
		old: "if reason := lastReason(due); reason != \"\" {\n\t\tset(&w, AttrStateReason, reason)\n\t}\n\tlease(",
		new: "lease(",
	},
	{
		name: "tried for as long as is set today", promise: 2, file: dueRules,
		why: "with a shorter time set, deletions are given up while their commands are good for hours",
		old: "\tcase !s.TryUntil.IsZero():\n\t\treturn s.TryUntil\n",
		new: "",
	},
	{
		name: "time to try not recorded", promise: 2, file: markRules,
		why: "the same: without it, the setting of the day counts",
		old: "set(&w, AttrTryUntil, tryUntil)",
		new: "",
	},
	{
		name: "a repeated command is good for as long as is set today", promise: 5, file: deleter,
		why: "it outlives its deletion",
		old: "requestedAt, until = del.seen.DeletionRequestedAt, tryUntil(del.seen, d.GiveUp)",
		new: "requestedAt = del.seen.DeletionRequestedAt",
	},

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

	// 4. Owners only.
	{
		name: "owner dropped from the mark's condition", promise: 4, file: markRules,
		why: "anybody deletes anybody's session",
		old: "is(AttrOwner, d.owner),\n\t\t\tis(AttrState, Ready, Creating, Unknown),",
		new: "is(AttrState, Ready, Creating, Unknown),",
	},
	{
		name: "owner dropped from the forced mark's condition", promise: 4, file: markRules,
		why: "anybody deletes anybody's session by force",
		old: "is(AttrOwner, d.owner),\n\t\t\tis(AttrState, Ready, Creating, Unknown, Deleting),",
		new: "is(AttrState, Ready, Creating, Unknown, Deleting),",
	},
	{
		name: "wrong owner told that there is a session", promise: 4, file: deletions,
		why: "the answer tells apart what must look the same",
		old: "case !exists || s.Owner != del.owner:\n\t\tdel.fail(NotFound, nil)",
		new: "case !exists:\n\t\tdel.fail(NotFound, nil)\n\tcase s.Owner != del.owner:\n\t\tdel.fail(\"The session belongs to somebody else\", nil)",
	},
	{
		name: "wrong owner told DELETING of an open deletion", promise: 4, file: deletions,
		why: "the answer shows a stranger that the session exists",
		old: "case !exists || s.Owner != del.owner:",
		new: "case !exists || s.Owner != del.owner && s.State != Deleting:",
	},

	// 5. Only what was asked.
	{
		name: "incarnation not compared", promise: 5, file: encoding,
		why: "a console that came up after the one that was recorded is closed in its place",
		old: "created, err := time.Parse(time.RFC3339Nano, c.CreationTime); err == nil {",
		new: "created, err := time.Parse(time.RFC3339Nano, c.CreationTime); err == nil && created.IsZero() {",
	},
	{
		name: "no bound where no incarnation was recorded", promise: 5, file: deleter,
		why: "a session that came up after the request is closed",
		old: "CreatedUntil: requestedAt.Add(CreationTolerance),",
		new: "CreatedUntil: requestedAt.Add(1000 * time.Hour),",
	},
	{
		name: "repeat means what came up since", promise: 5, file: deleter,
		why: "a repeated request moves the bound of the deletion that it repeats",
		old: "if del.seen.State == Deleting && !del.force {",
		new: "if del.seen.State == Deleted && !del.force {",
	},
	{
		name: "command without an end", promise: 5, file: voidAfter,
		why: "one that arrives after the deletion's end still closes",
		old: "p.VoidAfter = ends[i]",
		new: "p.VoidAfter = ends[i].Add(1000 * time.Hour)",
	},
	{
		name: "host confirms for others", promise: 5, file: confirmRules,
		why: "every host of a command knows the attempt, and could speak for the rest",
		old: "is(AttrHostID, r.HostID),",
		new: "",
	},
	{
		name: "host's inventory takes over another's session", promise: 5, file: listedIDs,
		why: "a host that has a session of the same name gets the record",
		old: "own := s.HostID == hostID && s.NameOnHost() == nameOnHost",
		new: "own := s.NameOnHost() == nameOnHost",
	},
	{
		name: "ended record's ID given away while it is kept", promise: 5, file: listedIDs,
		why: "a client that repeats its request closes another host's session",
		old: "s.State == Deleted && s.expired(at)",
		new: "s.State == Deleted && !at.IsZero()",
	},
	{
		name: "record under the session's name and host not looked for", promise: 5, file: reconciler,
		why: "with the index behind, and the name itself free by now, the session gets a second record",
		old: "if len(ids) == 0 {\n\t\treturn nil, nil",
		new: "if len(ids) >= 0 {\n\t\treturn nil, nil",
	},

	{
		name: "host stopped before its grace time", promise: 5, file: stopper,
		why: "somebody who comes back within the grace time finds the host stopped",
		old: "!now.Before(n.EmptySince.Add(grace))",
		new: "!now.Before(n.EmptySince)",
	},
	{
		name: "host stopped that nobody has used yet", promise: 5, file: stopper,
		why: "it was started for a session that is still to come",
		old: "used := !startedAt.IsZero() && n.OccupiedAt.After(startedAt)",
		new: "used := true",
	},
	{
		name: "host stopped by old news", promise: 5, file: stopper,
		why: "what began since its last inventory is lost",
		old: "now.Sub(n.SentAt) <= newsAge",
		new: "now.Sub(n.SentAt) <= 100*newsAge",
	},

	// 6. Forced means forced.
	{
		name: "force sends commands", promise: 6, file: deleter,
		why: "with purge a forced entry asks no host",
		old: "case del.step == toRepeat, del.force && d.ForceMode != BestEffort:",
		new: "case del.step == toRepeat:",
	},
	{
		name: "force does not end an open deletion", promise: 6, file: markRules,
		why: "it is to end at once also when an ordinary deletion is under way",
		old: "is(AttrState, Ready, Creating, Unknown, Deleting),",
		new: "is(AttrState, Ready, Creating, Unknown),",
	},
	{
		name: "forced, but not confirmed", promise: 6, file: markRules,
		why: "nothing ends the record",
		old: "set(&w, AttrConfirmation, Forced)",
		new: "",
	},
	{
		name: "best effort tried once", promise: 6, file: markRules,
		why: "a host that does not answer the first command keeps the session",
		old: "return markForced(*del, req, req.At.Add(giveUp))",
		new: "return markForced(*del, req, time.Time{})",
	},
	{
		name: "closing forgotten at the record's end", promise: 6, file: confirmRules,
		why: "the same: cleanup does not find it any more",
		old: "if _, closing := seen[AttrCloseUntil]; !closing {",
		new: "if _, closing := seen[AttrCloseUntil]; !closing || closing {",
	},
	{
		name: "listed again while it is being closed", promise: 6, file: inventoryRules,
		why: "an inventory shows a session that its host is still to close",
		old: "meant := s.CloseUntil.After(inv.SentAt) && (",
		new: "meant := s.CloseUntil.After(inv.SentAt) && s.DeletedAt.IsZero() && (",
	},

	// 7. Answered once each, and honestly.
	{
		name: "an entry answered twice", promise: 7, file: api,
		why: "the first entry stands in both lists",
		old: "\t\t} else {\n\t\t\tout.UnsuccessfulList",
		new: "\t\t}\n\t\tif a.FailureReason != \"\" || a.SessionID == answers[0].SessionID {\n\t\t\tout.UnsuccessfulList",
	},
	{
		name: "duplicate not answered", promise: 7, file: api,
		why: "an entry like the one before it has no answer",
		old: "for _, a := range answers {\n\t\tif a.FailureReason",
		new: "for i, a := range answers {\n\t\tif i > 0 && a.SessionID == answers[i-1].SessionID {\n\t\t\tcontinue\n\t\t}\n\t\tif a.FailureReason",
	},
	{
		name: "refused session not put back", promise: 7, file: refusals,
		why: "an entry answered as unsuccessful goes on being deleted",
		old: "goOn = append(goOn, del)\n\t\t} else {",
		new: "goOn = append(goOn, del)\n\t\t} else if del.fail(refusalReason(del.cause), del.cause); len(refused) == 0 {",
	},
	{
		name: "put back to something else", promise: 7, file: markRules,
		why: "what the record said before the mark is lost",
		old: "if v, had := old[attr]; had {",
		new: "if v, had := old[attr]; had && attr != AttrStateReason && attr != AttrExpiresAt {",
	},
	{
		name: "refusal answered though the deletion goes on", promise: 7, file: refusals,
		why: "another request relies on it, and ends it",
		old: "return now != nil && s.DeletionRequestID != req.ID && !confirmed",
		new: "return now != nil && (s.DeletionRequestID != \"\" || !confirmed)",
	},
	{
		name: "refusal believed after a lost answer", promise: 7, file: closer,
		why: "an earlier try of the SDK's may have sent the command: the session is closed, though its entry failed",
		old: "if refused(err) && watched.unanswered {",
		new: "if refused(err) && watched.unanswered && err == nil {",
	},
	{
		name: "own mark not recognized", promise: 7, file: deletions,
		why: "a forced entry whose first answer was lost is told that there is no such session, though it ended it",
		old: "ours := s.DeletionRequestID == req.ID || s.AttemptID == req.ID",
		new: "ours := s.DeletionRequestID == \"\"",
	},
	{
		name: "repeat claims what has not failed", promise: 7, file: markRules,
		why: "a repeat of an open deletion is a success, and sends nothing",
		old: "!open.AttemptFailedAt.IsZero() &&",
		new: "",
	},
	{
		name: "repeat tries again without a pause", promise: 7, file: markRules,
		why: "a caller in a loop has the host work without end",
		old: "!now.Before(open.AttemptedAt.Add(RepeatPause)) &&",
		new: "",
	},

	// 8. One bad apple stays one.
	{
		name: "one refused host refuses its command", promise: 8, file: isolation,
		why: "49 hosts that could close their sessions are refused with it",
		old: "if len(cmd.groups) == 1 || concernsAll(cause) {\n\t\to.refuse(cmd.groups, cause)\n\t\treturn\n\t}\n\to.asked",
		new: "if len(cmd.groups) >= 1 || concernsAll(cause) {\n\t\to.refuse(cmd.groups, cause)\n\t\treturn\n\t}\n\to.asked",
	},
	{
		name: "one bad line spoils a host's answer", promise: 8, file: answers,
		why: "garbage between them keeps the host's good answers from counting",
		old: "unreadable++\n\t\t\tcontinue",
		new: "return nil, 1",
	},
	{
		name: "one failed host ends the command for the rest", promise: 8, file: closer,
		why: "Systems Manager's default for MaxErrors: hosts that have not begun never run it",
		old: `MaxErrors:      aws.String("100%"),`,
		new: `MaxErrors:      aws.String("0"),`,
	},
	{
		name: "one old deletion makes the commands of all void early", promise: 8, file: voidAfter,
		why: "a host whose clock is two minutes ahead does nothing for deletions that have an hour",
		old: "n, known := of[left]",
		new: "left = 0\n\t\tn, known := of[left]",
	},

	// 9. Re-cached.
	{
		name: "not listed again after force", promise: 9, file: inventoryRules,
		why: "a desktop that still runs stays hidden",
		old: "return relist(r, f, inv, inv.HostID, s.ID), true\n\tcase !s.State.lives():",
		new: "return Write{}, false\n\tcase !s.State.lives():",
	},
	{
		name: "listed again with traces of its end", promise: 9, file: inventoryRules,
		why: "the record expires under a session that runs, or cannot be deleted any more",
		old: "!stays && attr != AttrSessionID {",
		new: "!stays && attr != AttrSessionID && attr != AttrExpiresAt && attr != AttrConfirmation {",
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
		why: "of two that are applied at once the older one brings back what the newer has ended",
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
		old: "d := Detail{\n\t\tID: shown.EventID,",
		new: "d := Detail{\n\t\tID: shown.EventID + time.Now().String(),",
	},
	{
		name: "confirmed a second time", promise: 10, file: confirmRules,
		why: "a late failure stands over a confirmation, a second answer over the first",
		old: "is(AttrState, Deleting, Unknown),\n\t\t\tmissing(AttrConfirmation),",
		new: "is(AttrState, Deleting, Unknown),",
	},

	// 11. Bounded.
	{
		name: "no bound on a host's sessions", promise: 11, file: reconciler,
		why: "one host that floods fills the table, and cleanup's time",
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
		name: "silent hosts looked at before the inventory is sent", promise: 11, file: cleanupTasks,
		why: "what it takes to look at some keeps all others from being asked",
		old: "errors.Join(c.inventory(ctx), c.Reconciler.MarkUnresponsive(ctx, c.SilentAfter),",
		new: "errors.Join(c.Reconciler.MarkUnresponsive(ctx, c.SilentAfter), c.inventory(ctx),",
	},
	{
		name: "EC2 asked before due deletions are claimed", promise: 11, file: cleaner,
		why: "what it costs to end one host's sessions keeps the others' commands from being sent",
		old: "claimed := c.write(ctx, inTime, attempt.ID, now)\n\tgone := c.checkHosts(ctx, unanswered)",
		new: "gone := c.checkHosts(ctx, unanswered)\n\tclaimed := c.write(ctx, inTime, attempt.ID, now)",
	},
	{
		name: "one host's error is its batch's", promise: 8, file: hostEvents,
		why: "what cannot be read of one host brings all others' news back, and in the end to the dead-letter queue",
		old: "\t\t\tif err != nil {\n\t\t\t\tfailures[inv] = err\n\t\t\t}\n\t\t\tfor _, r := range said {",
		new: "\t\t\tif err != nil {\n\t\t\t\tfor _, n := range news {\n\t\t\t\t\tfailures[n] = err\n\t\t\t\t}\n\t\t\t}\n\t\t\tfor _, r := range said {",
	},
	{
		name: "silent after one inventory without an answer", promise: 9, file: memoryHosts,
		why: "the inventory that was just sent counts as left unanswered",
		old: "return t.sent[2], ctx.Err()",
		new: "return t.sent[1], ctx.Err()",
	},
}
