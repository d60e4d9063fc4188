package main

// Of deletions with a grace period: the mark, the notices, the close time, the cancel.
var graceBugs = []mutant{
	// 2. Never taken back, never stuck.
	{
		name: "a mark from before a cancel lands", promise: 2, file: markRules,
		why: "a client is told that the deletion is cancelled, and the desktop is closed",
		old: "is(AttrState, states...), before(AttrCancelledAt, req.At)},",
		new: "is(AttrState, states...)},",
	},
	{
		name: "a cancel that finds no deletion writes nothing", promise: 2, file: canceller,
		why: "a mark that is under way lands after it",
		old: "cn.done = !s.CancelledAt.Before(now) // as good",
		new: "cn.done = true // as good",
	},
	{
		name: "a session that is listed again forgets its cancel", promise: 2, file: inventoryRules,
		why: "a mark from before it lands",
		old: " && !slices.Contains(cancelAttrs, attr) {",
		new: " {",
	},
	{
		name: "CancelledAt is from before the cancel's write", promise: 2, file: canceller,
		why: "a request that began while the record was read marks it after the cancel",
		old: "now := c.Now() // after the read",
		new: "now := c.Now().Add(-10 * time.Second)",
	},
	{
		name: "cancelled whatever was sent", promise: 2, file: cancelRules,
		why: "its host closes a session that is READY again",
		old: "is(AttrAttempts, 0),\n\t\t\tmissing(AttrConfirmation),\n\t\t\tsame(waiting, AttrDeletionRequestID),\n\t\t\tsame(waiting, AttrAttemptID),",
		new: "",
	},
	{
		name: "a deletion that was given up can be cancelled", promise: 2, file: cancelRules, tests: "internal/session",
		why: "its host may close it yet",
		old: "case !s.GivenUpAt.IsZero():",
		new: "case !s.GivenUpAt.IsZero() && s.State == Deleted:",
	},
	{
		name: "cancelled to READY whatever it was", promise: 2, file: cancelRules,
		why: "a session of a silent host is said to run",
		old: "return waiting.StateBefore\n\t}\n\treturn Ready",
		new: "return Ready\n\t}\n\treturn Ready",
	},
	{
		name: "a cancel leaves the close time", promise: 2, file: cancelRules,
		why: "the next deletion reads as if it waited",
		old: "removeRest(&w)",
		new: "set(&w, AttrCloseAt, s.CloseAt)\n\tremoveRest(&w)",
	},
	{
		name: "cancelled to UNKNOWN without a reason", promise: 2, file: cancelRules,
		why: "the record is kept for ever, and nobody learns why",
		old: "if state == Unknown {",
		new: "if state == Creating {",
	},
	{
		name: "the time to try begins with the request", promise: 2, file: graceRules,
		why: "after a grace period of an hour it is given up with its first attempt",
		old: "until := now.Add(giveUp)",
		new: "until := s.DeletionRequestedAt.Add(giveUp)",
	},
	{
		name: "what waits is read by older brokers", promise: 12, file: graceRules,
		why: "they close it immediately",
		old: "return waitingPrefix + dueShard(sessionID) }",
		new: "return dueShard(sessionID) }",
	},
	{
		name: "what waited is tried again where older brokers read", promise: 12, file: graceRules,
		why: "they give it up as of its request",
		old: "return waitingShard(s.ID)\n}",
		new: "return dueShard(s.ID)\n}",
	},
	{
		name: "an inventory takes back what waits", promise: 2, file: inventoryRules,
		why: "a deletion that was answered DELETING is forgotten",
		old: "if s.Waits() && sameIncarnation {\n\t\t\treturn update(r, f, inv)",
		new: "if s.Waits() && sameIncarnation {\n\t\t\treturn relist(r, f, inv), true",
	},
	{
		name: "claimed at its close time whatever it is by then", promise: 2, file: graceRules,
		why: "a cancelled deletion is closed",
		old: "w := Write{SessionID: s.ID, If: ifAsSeen(due), Set: Record{}}\n\tlast :=",
		new: "w := Write{SessionID: s.ID, If: []Condition{exists(AttrSessionID)}, Set: Record{}}\n\tlast :=",
	},
	{
		name: "given up while it waits", promise: 2, file: "internal/session/rules_due.go",
		why: "a deletion with a long grace period ends as UNKNOWN, without an attempt",
		old: "case s.Waits():",
		new: "case s.Waits() && now.Before(tryUntil(s, tryFor)):",
	},

	// 4, 5, 7.
	{
		name: "anybody cancels anybody's deletion", promise: 4, file: canceller,
		why: "a stranger keeps desktops alive, and learns which there are",
		old: "case cn.seen == nil, s.Owner != cn.Owner,",
		new: "case cn.seen == nil,",
	},
	{
		name: "deleted on whatever host it is", promise: 5, file: markRules,
		why: "a client that has looked at one session ends another",
		old: "w.If = append(w.If, is(AttrHostID, del.HostID))",
		new: "",
	},
	{
		name: "deleted in whatever incarnation", promise: 5, file: markRules,
		why: "the same, of a console that came back",
		old: "w.If = append(w.If, is(AttrCreationTime, del.CreationTime))",
		new: "",
	},
	{
		name: "nobody is told which precondition fails", promise: 7, file: deletions,
		why: "the caller is to repeat what can never work",
		old: "case del.HostID != \"\" && s.HostID != del.HostID:",
		new: "case del.HostID == \"-\":",
	},
	{
		name: "nobody is told that it was cancelled since", promise: 7, file: deletions,
		why: "the same",
		old: "case !s.CancelledAt.Before(req.At) && !s.CancelledAt.IsZero():",
		new: "case !s.CancelledAt.Before(req.At.Add(time.Hour)) && !s.CancelledAt.IsZero():",
	},
	{
		name: "a cancel without an answer is refused", promise: 7, file: canceller, tests: "internal/session",
		why: "it has landed, and its caller is told that nothing was changed",
		old: "if cn.mayLand {\n\t\treason = reasonCancelUnclear",
		new: "if cn.mayLand && reason == reasonCancelUnclear {\n\t\treason = reasonCancelUnclear",
	},
	{
		name: "cancelled after its close time", promise: 7, file: cancelRules,
		why: "a caller is told that what ends is cancelled, as it comes",
		old: "case !now.Before(s.CloseAt):\n\t\treturn fmt.Sprintf(reasonCancelLate",
		new: "case s.CloseAt.IsZero():\n\t\treturn fmt.Sprintf(reasonCancelLate",
	},
	{
		name: "another request's deletion is cancelled", promise: 7, file: cancelRules,
		why: "whoever takes back his own request takes back everybody's",
		old: "case e.DeletionRequestID != \"\" && e.DeletionRequestID != s.DeletionRequestID:",
		new: "case e.DeletionRequestID == \"-\":",
	},
	{
		name: "an earlier close time without an answer is refused", promise: 7, file: deleter, tests: "internal/session",
		why: "it lands after its caller was told that nothing was changed",
		old: "(del.step == toMark || del.step == toBringForward) && res.mayLand()",
		new: "del.step == toMark && res.mayLand()",
	},

	// 12. Warned.
	{
		name: "closed when it is looked at", promise: 12, file: graceRules,
		why: "whoever has an hour left loses the desktop",
		old: "case !now.Before(s.CloseAt):\n\t\tbeginClosing(",
		new: "case !now.Before(s.CloseAt), s.WarnedAt.IsZero():\n\t\tbeginClosing(",
	},
	{
		name: "a later time moves the close", promise: 12, file: deletions,
		why: "a second request keeps a desktop alive that was to end",
		old: "req.At.Add(del.GracePeriod).Before(open.CloseAt))",
		new: "!req.At.Add(del.GracePeriod).Equal(open.CloseAt))",
	},
	{
		name: "closed now, and its close time stays", promise: 12, file: graceRules,
		why: "whoever looks reads that there is time",
		old: "if req.At.Before(d.seen.CloseAt) {\n\t\tset(&w, AttrCloseAt, req.At)\n\t}\n",
		new: "",
	},
	{
		name: "an earlier close time keeps the lease", promise: 12, file: graceRules,
		why: "nobody looks at it before the old one",
		old: "replaceText(&w, AttrMessage, d.Message)",
		new: "delete(w.Set, AttrNextAttemptAt)\n\treplaceText(&w, AttrMessage, d.Message)",
	},
	{
		name: "an earlier close time keeps the warning", promise: 12, file: graceRules,
		why: "users were warned of a later one, and are not warned again",
		old: "w.Remove = []string{AttrWarnedAt, AttrWarning}\n",
		new: "",
	},
	{
		name: "an answer to a notice moves the lease", promise: 12, file: graceRules,
		why: "a host that answers puts its close off",
		old: "is(AttrNoticeID, answer.NoticeID), is(AttrCloseAt, answer.CloseAt), missing(AttrWarnedAt))\n",
		new: "is(AttrNoticeID, answer.NoticeID), is(AttrCloseAt, answer.CloseAt), missing(AttrWarnedAt))\n\tset(&w, AttrNextAttemptAt, now.Add(Lease))\n",
	},
	{
		name: "an answer to any notice counts as the newest's", promise: 12, file: graceRules,
		why: "that nobody was connected an hour ago is told of now",
		old: "w.If = append(w.If, is(AttrNoticeID, answer.NoticeID), is(AttrCloseAt, answer.CloseAt), missing(AttrWarnedAt))",
		new: "w.If = append(w.If, exists(AttrNoticeID), is(AttrCloseAt, answer.CloseAt), missing(AttrWarnedAt))",
	},
	{
		name: "not warned over warned", promise: 12, file: graceRules,
		why: "the record says of users who were warned that nobody was",
		old: "w.If = append(w.If, is(AttrNoticeID, answer.NoticeID), is(AttrCloseAt, answer.CloseAt), missing(AttrWarnedAt))",
		new: "w.If = append(w.If, is(AttrNoticeID, answer.NoticeID), is(AttrCloseAt, answer.CloseAt))",
	},
	{
		name: "warned by the newest notice only", promise: 12, file: graceRules,
		why: "a late answer is lost, and the record says that nobody was warned",
		old: "w.If = append(w.If, is(AttrCloseAt, answer.CloseAt),",
		new: "w.If = append(w.If, is(AttrNoticeID, answer.NoticeID), is(AttrCloseAt, answer.CloseAt),",
	},
	{
		name: "warned of another close time", promise: 12, file: graceRules,
		why: "users who read a later time count as warned of an earlier one",
		old: "w.If = append(w.If, is(AttrCloseAt, answer.CloseAt),",
		new: "w.If = append(w.If, exists(AttrCloseAt),",
	},
	{
		name: "notices in the order in which they were sent", promise: 12, file: graceRules,
		why: "one that was held up takes the place of the one that followed it",
		old: "later.After(now) {\n\t\treturn later",
		new: "later.After(now) {\n\t\treturn now",
	},
	{
		name: "a mark's notice in any order", promise: 12, file: graceRules,
		why: "its host takes it for an old one, and warns nobody",
		old: ", before(AttrNoticeAt, laterNotice(d.seen, req.At))",
		new: "",
	},
	{
		name: "told once, and never again", promise: 12, file: graceRules, tests: "internal/session",
		why: "where the first notice was lost, a user's desktop is gone without a word",
		old: "case s.WarnedAt.IsZero(), !now.Before(last) && s.NoticeAt.Before(last):",
		new: "case s.State == Deleted && last.IsZero():",
	},
	{
		name: "a notice that no user could read is told as nothing", promise: 12, file: graceRules,
		why: "nobody learns that users were not warned",
		old: "if s.Warning == \"\" {",
		new: "if s.Warning == \"-\" {",
	},
	{
		name: "a notice without an end", promise: 12, file: graceRules,
		why: "one that was held up is shown after the deletion was cancelled",
		old: "VoidAfter: earlier(s.NoticeAt.Add(noticeLife), s.CloseAt),",
		new: "VoidAfter: s.NoticeAt.Add(24 * time.Hour),",
	},
	{
		name: "the minute is rounded up", promise: 12, file: graceRules,
		why: "users read a time that they do not have",
		old: "closeAt.UTC().Format(\"2006-01-02 15:04\")",
		new: "closeAt.UTC().Add(time.Minute).Format(\"2006-01-02 15:04\")",
	},
	{
		name: "users are told of a cancel in the order of a write that did not land", promise: 12, file: canceller,
		why: "the notice of the next deletion seems older, and its host shows it to nobody",
		old: "cn.notice.At, cn.notice.VoidAfter = s.NoticeAt, s.NoticeAt.Add(noticeLife)\n",
		new: "",
	},
	{
		name: "users are told of a cancel only where they were warned", promise: 12, file: canceller,
		why: "a notice that arrives late is never taken away",
		old: "if s.NoticeID != \"\" {",
		new: "if !s.WarnedAt.IsZero() {",
	},
	{
		name: "users are not told that force took their deletion away", promise: 12, file: deleter,
		why: "a message that is no longer true stays on the screen",
		old: "if del.seen.Waits() {",
		new: "if del.seen.Waits() && del.seen.NoticeID == \"-\" {",
	},
	{
		name: "shown as DELETING while it can be used", promise: 12, file: "internal/session/describer.go",
		why: "Access Console lets nobody connect to it",
		old: "if s.Waits() && now.Before(s.CloseAt) {",
		new: "if s.Waits() && now.After(s.CloseAt) {",
	},
}
