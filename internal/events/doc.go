// Package events has a package for each function that handles AWS's events: it parses
// what AWS delivers (a queue's messages, a schedule's tasks, a stream's records),
// passes it to the domain, and answers which of it must be delivered again. None of
// them decides anything about sessions. This package has the tests of several of them
// together.
package events
