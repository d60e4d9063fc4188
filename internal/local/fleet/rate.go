package fleet

import (
	"time"

	"github.com/aws/smithy-go"
)

// A rate limits calls of one kind; calls above it are refused. AWS publishes no numbers
// for Systems Manager.
type rate struct {
	perSecond int // 0: no limit
	left      time.Duration
	at        time.Time
}

// exceeded tells whether a call is above the rate. The calls of two seconds may come at
// the same time.
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
