// Package sim is the whole system in one process, in virtual time, with
// everything going wrong that can: the real handlers and rules over a simulated
// table, Systems Manager, EC2, EventBridge, queue, stream and hosts. Next to
// it a model knows what really runs on the hosts, and after every step
// holds the system to its promises (promises.go).
//
// One seed is one run. It decides everything, down to the order in which calls
// land that are made at the same time: handlers run as goroutines, each call of theirs
// over a boundary waits, and only when all of them wait does the scheduler
// choose what happens next (scheduler.go). So a seed that breaks a promise
// does so again, step by step, with a transcript:
//
//	make sim SEED=4711
//
// Nothing here is for production; no function imports it.
package sim
