// Package events has a package for each function behind AWS's events: it takes
// apart what AWS delivers (a queue's messages, a schedule's tasks, a stream's
// records), hands it to the domain, and says which of it must be delivered again.
// None of them decides anything about sessions. Here are the tests of several of
// them together.
package events
