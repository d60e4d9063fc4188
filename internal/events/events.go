// Package events takes apart what AWS delivers to the functions behind the API (a
// queue's messages, a schedule's tasks; what a table's stream brings is in package
// stream), hands it to the domain, and says which of it must be delivered again.
// It decides nothing about sessions.
package events
