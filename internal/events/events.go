// Package events takes what AWS delivers to the functions behind the API (a
// queue's messages, a table's stream) apart, hands it to the domain, and says
// which of it must be delivered again. It decides nothing about sessions.
package events
