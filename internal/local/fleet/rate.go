package fleet

import (
	"time"

	"github.com/aws/smithy-go"
)

// A rate is how often calls of a kind are taken; those that come faster are
// refused. AWS publishes no numbers for Systems Manager's.
type rate struct {
	perSecond int // 0: any
	left      time.Duration
	at        time.Time
}

// exceeded tells whether a call comes too soon after the others. Two seconds' worth
// of calls may come at the same time.
func (r *rate) exceeded(now time.Time) bool {
	if r.perSecond == 0 {
		return false
	}
	const most = 2 * time.Second
	if r.at.IsZero() {
		r.left = most
	} else {
		r.left = min(most, r.left+max(0, now.Sub(r.at)))
	}
	r.at = now
	each := time.Second / time.Duration(r.perSecond)
	if r.left < each {
		return true
	}
	r.left -= each
	return false
}

func throttled() error {
	return &smithy.GenericAPIError{Code: "ThrottlingException", Message: "Rate exceeded", Fault: smithy.FaultClient}
}
