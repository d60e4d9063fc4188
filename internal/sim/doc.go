// Package sim is the whole system in one process, in virtual time, with everything going
// wrong that can: the real handlers and rules over a simulated table, Systems Manager,
// EC2, EventBridge, queue, stream and hosts. A model knows what really runs on the hosts,
// and checks the promises after every step (promises.go).
//
// One seed is one run. It decides everything, including the order in which concurrent
// calls land: handlers run as goroutines, each of their calls over a boundary waits, and
// the scheduler chooses the next step only when all of them wait (scheduler.go). So a
// seed that breaks a promise breaks it again, step by step, with a transcript:
//
//	make sim SEED=4711
//
// Nothing here is for production; no function imports it.
package sim
