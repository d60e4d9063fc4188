package main

// Of what hosts are asked and may say.
var hostBugs = []mutant{
	// 5. Only what was asked.
	{
		name: "incarnation not compared", promise: 5, file: encoding,
		why: "a console that came up after the one that was recorded is closed in its place",
		old: "created, err := time.Parse(time.RFC3339Nano, of.CreationTime); err == nil {",
		new: "created, err := time.Parse(time.RFC3339Nano, of.CreationTime); err == nil && created.IsZero() {",
	},
	{
		name: "no bound where no incarnation was recorded", promise: 5, file: sessions,
		why: "a session that came up after the request is closed",
		old: "CreatedUntil: s.createdUntil()}",
		new: "CreatedUntil: s.createdUntil().Add(1000 * time.Hour)}",
	},
	{
		name: "repeat means what came up since", promise: 5, file: deleterSend,
		why: "a repeated request moves the bound of the deletion that it repeats",
		old: "attempt.add(del.is, d.GiveUp)",
		new: "attempt.add(del.is, d.GiveUp)\n\t\tattempt.Closings[len(attempt.Closings)-1].CreatedUntil = req.At.Add(CreationTolerance)",
	},
	{
		name: "command without an end", promise: 5, file: voidAfter,
		why: "one that arrives after the deletion's end still closes",
		old: "p.voidAfter = end",
		new: "p.voidAfter = end.Add(1000 * time.Hour)",
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

	// 8. One bad apple stays one.
	{
		name: "one refused host refuses its command", promise: 8, file: isolation,
		why: "49 hosts that could close their sessions are refused with it",
		old: "if len(cmd.groups) == 1 || concernsAll(cause) {\n\t\to.refuse(cmd.groups, cause)\n\t\treturn\n\t}\n\to.asked",
		new: "if len(cmd.groups) >= 1 || concernsAll(cause) {\n\t\to.refuse(cmd.groups, cause)\n\t\treturn\n\t}\n\to.asked",
	},
	{
		name: "one bad line spoils a host's answer", promise: 8, file: outputs,
		why: "garbage between them keeps the host's good answers from counting",
		old: "unreadable++\n\t\t\tcontinue",
		new: "return nil, 1",
	},
	{
		name: "noise counts as an answer", promise: 9, file: answers,
		why: "a line on standard error keeps a host's inventories from ever being complete: what ended there stays READY",
		old: "stdout, stderr, _ := strings.Cut(shown, errorTitle)",
		new: "stdout, stderr := strings.Replace(shown, errorTitle, \"\", 1), \"\"",
	},
	{
		name: "one failed host ends the command for the rest", promise: 8, file: sender,
		why: "Systems Manager's default for MaxErrors: hosts that have not begun never run it",
		old: `MaxErrors:      aws.String("100%"),`,
		new: `MaxErrors:      aws.String("0"),`,
	},
	{
		name: "one old deletion makes the commands of all void early", promise: 8, file: voidAfter,
		why: "a host whose clock is two minutes ahead does nothing for deletions that have an hour",
		old: "p := ofLeft[left]",
		new: "left = 0\n\t\tp := ofLeft[left]",
	},
	{
		name: "one host's error is its batch's", promise: 8, file: hostEvents,
		why: "what cannot be read of one host brings all others' news back, and in the end to the dead-letter queue",
		old: "\t\t\t\tif took.err != nil {\n\t\t\t\t\tfailures[inv] = took.err\n\t\t\t\t}\n\t\t\t\tif took.askEC2 {",
		new: "\t\t\t\tif took.err != nil {\n\t\t\t\t\tfor _, n := range invocations {\n\t\t\t\t\t\tfailures[n] = took.err\n\t\t\t\t\t}\n\t\t\t\t}\n\t\t\t\tif took.askEC2 {",
	},
}
