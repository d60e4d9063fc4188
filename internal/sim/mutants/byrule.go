package main

const (
	selections = "internal/session/rules_select.go"
	ruleRuns   = "internal/session/rulerunner.go"
)

// Bugs in the rules that end sessions on a schedule.
var selectionBugs = []mutant{
	{
		name: "a rule marks any incarnation", promise: 5, file: selections, tests: "internal/session",
		why: "a console session that began after the run has read is deleted, although it is new",
		old: "AttrHostID, AttrCreationTime, AttrFirstSeenAt, AttrCancelledAt}",
		new: "AttrHostID, AttrCancelledAt}",
	},
	{
		name: "a rule marks a session whose deletion was just cancelled", promise: 2, file: selections, tests: "internal/session",
		why: "a caller who cancels while a run is under way loses the session",
		old: "AttrHostID, AttrCreationTime, AttrFirstSeenAt, AttrCancelledAt}",
		new: "AttrHostID, AttrCreationTime, AttrFirstSeenAt}",
	},
	{
		name: "a rule ignores cancels", promise: 2, file: ruleRuns,
		why: "the next run takes the session that a caller has just kept",
		old: "case keptByCancel(r.Session(), now):",
		new: "case keptByCancel(r.Session(), now) && r.Session().State != Ready:",
	},
	{
		name: "a rule marks one more than its limit", promise: 11, file: ruleRuns,
		why: "nobody can tell how many sessions a mistake in a rule costs",
		old: "case len(found) == rule.Limit:",
		new: "case len(found) == rule.Limit+1:",
	},
	{
		name: "a rule marks in a dry run, too", promise: 7, file: ruleRuns,
		why: "a trial of a rule ends the sessions that it selects",
		old: "if rule.DryRun {",
		new: "if rule.DryRun && rule.Name == \"\" {",
	},
	{
		name: "a rule has no grace period", promise: 12, file: selections,
		why: "users are not warned before their sessions are closed",
		old: "if rule.GracePeriod > 0 {",
		new: "if rule.GracePeriod > 0 && rule.Name == \"\" {",
	},
	{
		name: "a rule takes the host's clock for the age", promise: 5, file: selections,
		why: "on a host whose clock is behind a new session counts as old",
		old: "if s.FirstSeenAt.After(began) {",
		new: "if s.FirstSeenAt.After(began) && began.IsZero() {",
	},
}
