package main

// Bugs in the commands to hosts, and in reading their answers.
var hostBugs = []mutant{
	// 5. Only what was asked.
	{
		name: "incarnation not compared", promise: 5, file: encoding,
		why: "a console session that started after the recorded one is closed in its place",
		old: "created, err := time.Parse(time.RFC3339Nano, of.CreationTime); err == nil {",
		new: "created, err := time.Parse(time.RFC3339Nano, of.CreationTime); err == nil && created.IsZero() {",
	},
	{
		name: "no bound where no incarnation was recorded", promise: 5, file: sessions,
		why: "a session that started after the request is closed",
		old: "CreatedUntil: s.createdUntil()}",
		new: "CreatedUntil: s.createdUntil().Add(1000 * time.Hour)}",
	},
	{
		name: "repeat closes a session that started after the request", promise: 5, file: deleterSend,
		why: "a repeated request moves the latest creation time of the deletion",
		old: "attempt.add(del.is, d.GiveUp)",
		new: "attempt.add(del.is, d.GiveUp)\n\t\tattempt.Closings[len(attempt.Closings)-1].CreatedUntil = req.At.Add(CreationTolerance)",
	},
	{
		name: "command without an end", promise: 5, file: voidAfter,
		why: "a command that arrives after the deletion's end still closes",
		old: "p.voidAfter = end",
		new: "p.voidAfter = end.Add(1000 * time.Hour)",
	},
	{
		name: "host confirms other hosts' sessions", promise: 5, file: confirmRules,
		why: "every host of a command knows the attempt, and could confirm for the others",
		old: "is(AttrHostID, r.HostID),",
		new: "",
	},
	{
		name: "a host's inventory takes over another host's session", promise: 5, file: listedIDs,
		why: "a host that has a session of the same name gets the record",
		old: "own := s.HostID == hostID && s.NameOnHost() == nameOnHost",
		new: "own := s.NameOnHost() == nameOnHost",
	},
	{
		name: "ended record's ID given to another host while the record is kept", promise: 5, file: listedIDs,
		why: "a client that repeats its request closes another host's session",
		old: "s.State == Deleted && s.expired(at)",
		new: "s.State == Deleted && !at.IsZero()",
	},
	{
		name: "record <ID>-<HostId> not read", promise: 5, file: reconciler,
		why: "if the index is behind and the plain ID is free, the session gets a second record",
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
		name: "host stopped before anybody used it", promise: 5, file: stopper,
		why: "it was started for a session that does not exist yet",
		old: "used := !startedAt.IsZero() && n.OccupiedAt.After(startedAt)",
		new: "used := true",
	},
	{
		name: "host stopped because of an old inventory", promise: 5, file: stopper,
		why: "sessions that started after its last inventory are lost",
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
		name: "one bad line makes a host's answer unreadable", promise: 8, file: outputs,
		why: "garbage between them keeps the host's good answers from counting",
		old: "unreadable++\n\t\t\tcontinue",
		new: "return nil, 1",
	},
	{
		name: "noise counts as an answer", promise: 9, file: answers,
		why: "a line on standard error keeps a host's inventories from ever being complete: sessions that ended there stay READY",
		old: "stdout, stderr, _ := strings.Cut(shown, errorTitle)",
		new: "stdout, stderr := strings.Replace(shown, errorTitle, \"\", 1), \"\"",
	},
	{
		name: "one failed host ends the command for the rest", promise: 8, file: sender,
		why: "Systems Manager's default for MaxErrors: hosts that have not started the command never run it",
		old: `MaxErrors:      aws.String("100%"),`,
		new: `MaxErrors:      aws.String("0"),`,
	},
	{
		name: "one old deletion shortens the commands of all", promise: 8, file: voidAfter,
		why: "a host whose clock is two minutes ahead does nothing for deletions that have an hour",
		old: "p := ofLeft[left]",
		new: "left = 0\n\t\tp := ofLeft[left]",
	},
	{
		name: "one host's error fails its batch", promise: 8, file: hostBatch,
		why: "one host's unreadable answer returns all others' messages to the queue, and in the end to the dead-letter queue",
		old: "\tb.askEC2(ctx, invocations)\n",
		new: "\tfor _, err := range b.failures {\n\t\tfor _, inv := range invocations {\n\t\t\tb.failures[inv] = err\n\t\t}\n\t\tbreak\n\t}\n\tb.askEC2(ctx, invocations)\n",
	},
}
