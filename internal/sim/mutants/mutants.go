package main

import "slices"

// A mutant is a deliberate bug: one text of one file replaced by another.
type mutant struct {
	name    string
	promise int // the promise that it is meant to break
	why     string
	file    string // from the project's root
	old     string // occurs exactly once; in the template, once for each copy of the script
	new     string
	tests   string // the package whose tests catch it, where the simulation cannot see it
}

const (
	theTemplate    = "template.yaml"
	markRules      = "internal/session/rules_mark.go"
	confirmRules   = "internal/session/rules_confirm.go"
	graceRules     = "internal/session/rules_grace.go"
	cancelRules    = "internal/session/rules_cancel.go"
	canceller      = "internal/session/canceller.go"
	forceRules     = "internal/session/rules_force.go"
	dueRules       = "internal/session/rules_due.go"
	inventoryRules = "internal/session/rules_inventory.go"
	ownerTagRules  = "internal/session/rules_ownertag.go"
	ownerTags      = "internal/session/ownertag.go"
	evidenceRules  = "internal/session/rules_evidence.go"
	indexes        = "internal/session/index.go"
	cleaner        = "internal/session/cleaner.go"
	cleanupTasks   = "internal/events/cleanup/cleanup.go"
	hostEvents     = "internal/events/hostevents/hostevents.go"
	hostBatch      = "internal/events/hostevents/batch.go"
	hostAnswers    = "internal/events/hostevents/answer.go"
	deleter        = "internal/session/deleter.go"
	records        = "internal/session/record.go"
	sessions       = "internal/session/session.go"
	deleterSend    = "internal/session/deletersend.go"
	idleLimit      = "internal/session/idlelimit.go"
	voidAfter      = "internal/runcommand/voidafter.go"
	refusals       = "internal/session/refusal.go"
	deletions      = "internal/session/deletion.go"
	reaper         = "internal/session/hostreaper.go"
	reconciler     = "internal/session/inventoryreconciler.go"
	unresponsive   = "internal/session/unresponsive.go"
	walker         = "internal/session/hostwalker.go"
	listedIDs      = "internal/session/listedid.go"
	sender         = "internal/runcommand/sender.go"
	encoding       = "internal/runcommand/parameter.go"
	isolation      = "internal/runcommand/isolate.go"
	answers        = "internal/runcommand/reader.go"
	outputs        = "internal/runcommand/output.go"
	surveys        = "internal/runcommand/survey.go"
	api            = "internal/httpapi/deletesessions/deletesessions.go"
	inventories    = "internal/session/inventorysender.go"
	undelivered    = "internal/runcommand/undelivered.go"
	refusedHosts   = "internal/session/refusedhosts.go"
	unpacking      = "internal/runcommand/unpack.go"
	hints          = "internal/runcommand/hint.go"
	dryRuns        = "internal/httpapi/dryrun.go"
	stopper        = "internal/session/stopper.go"
	announcements  = "internal/events/endedsessions/endedsessions.go"
	announced      = "internal/events/endedsessions/detail.go"
)

var mutants = slices.Concat(deletionBugs, selectionBugs, confirmationBugs, requestBugs, hostBugs, ownerTagBugs, inventoryBugs, boundBugs, unseenBugs, ruleBugs, graceBugs, scriptBugs)
