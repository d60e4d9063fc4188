package main

// Bugs in requests and their answers.
var requestBugs = []mutant{
	// 4. Owners only.
	{
		name: "owner dropped from the mark's condition", promise: 4, file: markRules,
		why: "anybody deletes anybody's session",
		old: "is(AttrOwner, del.Owner), is(AttrState, states...)",
		new: "is(AttrState, states...)",
	},
	{
		name: "owner dropped from the forced mark's condition", promise: 4, file: markRules,
		why: "anybody deletes anybody's session by force",
		old: "is(AttrState, states...), before(AttrCancelledAt, req.At)},",
		new: "is(AttrState, states...), before(AttrCancelledAt, req.At)}[max(0, len(states)-3):], // four with force",
	},
	{
		name: "wrong owner told that there is a session", promise: 4, file: deletions,
		why: "the answer differs, and must not",
		old: "case !exists || s.Owner != del.Owner:\n\t\tdel.fail(NotFound, nil)",
		new: "case !exists:\n\t\tdel.fail(NotFound, nil)\n\tcase s.Owner != del.Owner:\n\t\tdel.fail(\"The session belongs to somebody else\", nil)",
	},
	{
		name: "wrong owner told DELETING of an open deletion", promise: 4, file: deletions,
		why: "the answer shows a stranger that the session exists",
		old: "case !exists || s.Owner != del.Owner:",
		new: "case !exists || s.Owner != del.Owner && s.State != Deleting:",
	},

	// 6. Forced means forced.
	{
		name: "force sends commands", promise: 6, file: deleter,
		why: "with purge a forced entry must send no command",
		old: "case del.Force && d.ForceMode != BestEffort:",
		new: "case del.Force && d.ForceMode == \"\":",
	},
	{
		name: "force does not end an open deletion", promise: 6, file: markRules,
		why: "force must end an open deletion immediately, too",
		old: "d.ifMeant(req, Ready, Creating, Unknown, Deleting)",
		new: "d.ifMeant(req, Ready, Creating, Unknown)",
	},
	{
		name: "forced, but not confirmed", promise: 6, file: markRules,
		why: "nothing ends the record",
		old: "set(&w, AttrConfirmation, Forced)",
		new: "",
	},
	{
		name: "best-effort closes only once", promise: 6, file: markRules,
		why: "a host that does not answer the first command keeps the session",
		old: "return markForced(*del, req, req.At.Add(giveUp))",
		new: "return markForced(*del, req, time.Time{})",
	},
	{
		name: "CloseUntil removed when the record ends", promise: 6, file: confirmRules,
		why: "the same: cleanup no longer finds it",
		old: "if _, closing := seen[AttrCloseUntil]; !closing {",
		new: "if _, closing := seen[AttrCloseUntil]; !closing || closing {",
	},
	{
		name: "listed again while it is being closed", promise: 6, file: inventoryRules,
		why: "an inventory lists a session that its host still has to close",
		old: "meant := s.CloseUntil.After(inv.SentAt) && (",
		new: "meant := s.CloseUntil.After(inv.SentAt) && s.DeletedAt.IsZero() && (",
	},

	// 7. Answered once each, and honestly.
	{
		name: "an entry answered twice", promise: 7, file: api,
		why: "the first entry is in both lists",
		old: "\t\t} else {\n\t\t\tout.UnsuccessfulList",
		new: "\t\t}\n\t\tif a.FailureReason != \"\" || a.SessionID == answers[0].SessionID {\n\t\t\tout.UnsuccessfulList",
	},
	{
		name: "duplicate not answered", promise: 7, file: api,
		why: "an entry equal to an earlier one has no answer",
		old: "for _, a := range answers {\n\t\tif a.FailureReason",
		new: "for i, a := range answers {\n\t\tif i > 0 && a.SessionID == answers[i-1].SessionID {\n\t\t\tcontinue\n\t\t}\n\t\tif a.FailureReason",
	},
	{
		name: "refused session not put back", promise: 7, file: refusals,
		why: "the deletion of an entry answered as unsuccessful continues",
		old: "goOn = append(goOn, del)\n\t\t} else {",
		new: "goOn = append(goOn, del)\n\t\t} else if del.fail(refusalReason(del.cause), del.cause); len(refused) == 0 {",
	},
	{
		name: "put back to something else", promise: 7, file: markRules,
		why: "the record's values from before the mark are lost",
		old: "\t\tcase had:",
		new: "\t\tcase had && attr != AttrStateReason && attr != AttrExpiresAt:",
	},
	{
		name: "answered as refused although the deletion continues", promise: 7, file: refusals,
		why: "another request repeated it, so it continues",
		old: "return now != nil && s.DeletionRequestID != req.ID && !confirmed",
		new: "return now != nil && (s.DeletionRequestID != \"\" || !confirmed)",
	},
	{
		name: "answered as refused after a lost answer", promise: 7, file: sender,
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
		name: "repeat claims an attempt that has not failed", promise: 7, file: markRules,
		why: "a repeat of an open deletion must send nothing",
		old: "!open.AttemptFailedAt.IsZero() &&",
		new: "",
	},
	{
		name: "repeat tries again without a pause", promise: 7, file: markRules,
		why: "a caller in a loop keeps the host busy without end",
		old: "!now.Before(open.AttemptedAt.Add(RepeatPause)) &&",
		new: "",
	},
	{
		name: "refused hosts are not noted", promise: 7, file: deleterSend,
		why: "nobody asks EC2 about them: a caller is refused for hours because of a host that is gone",
		old: "ofHosts := hostsOf(refused)",
		new: "ofHosts := hostsOf(nil)",
	},
	{
		name: "refused hosts are removed before EC2 is asked", promise: 7, file: refusedHosts,
		why: "the same",
		old: "checks, err := c.Reaper.Check(ctx, hostIDs)",
		new: "checks, err := c.Reaper.Check(ctx, nil)",
	},
	{
		name: "clocks finer than the table's times", promise: 7, file: records,
		why: "a deletion in the millisecond of a cancel is answered as uncertain, and so is every repeat within it",
		old: "return now().Truncate(time.Millisecond) }",
		new: "return now() }",
	},
	{
		name: "a cancel's clock finer than the table's times", promise: 7, file: "internal/httpapi/canceldeletions/canceldeletions.go",
		why: "a cancel that finds another's of its millisecond is answered as uncertain, or as if the table did not answer",
		old: "\tp.Now = session.Clock(p.Now)\n",
		new: "",
	},
}
