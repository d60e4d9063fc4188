package runbook

import "strings"

// earlier replaces a text of an earlier release by its present one. Records keep the reasons of earlier releases, and a
// stack may be older than the program.
var earlier = strings.NewReplacer(
	"The deletion was cancelled since this request began.", "The deletion was cancelled after this request began.",
	"Too late: its close was sent at ", "Too late: the close command was sent at ",
	"Too late: its close was sent, and was given up at ", "Too late: the close command was sent, and the broker gave up at ",
	"The session may end yet.", "The session may still end.",
	"deletion is another request's (", "deletion belongs to another request (",
	"The command was void when the host ran it: is its clock ahead?", "The command had expired when the host ran it. Is the host's clock ahead?",
	"says nothing of this session (", "does not mention this session (",
	"Its host has not said what runs on it since ", "Its host has not reported its sessions since ",
	" or longer: is it there, and do its agent and its DCV server work?", " or longer. Is the host running, and do its agent and its DCV server work?",
	"Its host has not said for long what runs on it.", "Its host has not reported its sessions for a long time.",
	"Its host is held to another owner by its tag DcvOwner: what the host says of this session is not believed.",
	"The tag DcvOwner of its host names another owner: what the host reports of this session is ignored.",
	", or the broker the permission)", ", or the broker lacks the permission)",
)
