package main

import (
	_ "embed"
	"sync"

	"dcv-session-broker/internal/operate/runbook"
)

//go:embed RUNBOOK.md
var runbookText string

// readRunbook parses the runbook, for verbs that say what to do.
var readRunbook = sync.OnceValues(func() (*runbook.Runbook, error) { return runbook.Parse(runbookText) })
