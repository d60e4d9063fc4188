package main

// Bugs in the tags that limit a host to one owner.
var ownerTagBugs = []mutant{
	{
		name: "another owner's session listed in spite of the tag", promise: 5, file: inventoryRules,
		why: "root on a host adds a desktop to another user's sessions",
		old: "case c.tag.allows(f.Owner) && !c.seen[name]:",
		new: "case !c.seen[name]:",
	},
	{
		name: "record given to the owner whom its host names, in spite of the tag", promise: 5, file: inventoryRules,
		why: "root on a host gives a session away, and the new owner can delete it",
		old: "case ok && !c.tag.allows(f.Owner):",
		new: "case ok && !c.tag.allows(f.Owner) && r.Session().Owner != c.tag.Owner:",
	},
	{
		name: "session ended that its host says is another's", promise: 3, file: ownerTagRules,
		why: "it is DELETED, and still runs",
		old: "case recorded && said && !sameCreation(s.CreationTime, f.CreationTime):",
		new: "case recorded && said:",
	},
	{
		name: "session of the tag's own owner becomes UNKNOWN", promise: 9, file: ownerTagRules,
		why: "a host that names another owner takes a desktop from its user's list",
		old: "case t.allows(s.Owner):",
		new: "case false:",
	},
	{
		name: "session listed before the tag was read stays READY", promise: 5, file: ownerTagRules,
		why: "a session that is listed before EC2 answers stays listed forever",
		old: "s.State.lives() && s.StateReason",
		new: "s.State == Creating && s.StateReason",
	},
	{
		name: "tags of healthy hosts not read", promise: 5, file: walker,
		why: "EC2 is asked about silent hosts only: no tag is ever applied",
		old: "hw.Reaper.readOwnerTags(asking, hostIDs, silences, now)",
		new: "",
	},
	{
		name: "tag that leaves sessions out not read again", promise: 5, file: hostBatch,
		why: "a host whose sessions are all left out has no record, so the walk skips it: a corrected tag is never read",
		old: "b.doubtful = append(b.doubtful, inv.hostID)",
		new: "",
	},
	{
		name: "host that EC2 does not know counts as one without a tag", promise: 5, file: ownerTags,
		why: "a tag that EC2 never reported is recorded",
		old: "if !told || !ok ||",
		new: "if !told && owner != \"\" || !ok ||",
	},
}
