package runcommand_test

import (
	"errors"
	"testing"
	"time"

	"dcv-session-broker/internal/session"
)

// Promise 7: the first try is taken, and its answer lost; by the second try the
// host is gone. That is no refusal: the host may be closing sessions already.
func TestCommandThatMayHaveBeenAcceptedIsNotARefusal(t *testing.T) {
	sm := newSystemsManager(t, "exit 0\n", 1)
	c, wire := over(t, sm, time.Minute, func(n int) way {
		if n == 1 {
			return way{land: true}
		}
		sm.do(sm.Disconnect, 0)
		return through
	})
	errs := c.Close(t.Context(), attempt(1))
	refusal := (*session.Refusal)(nil)
	if n := wire.sent(); n != 2 {
		t.Errorf("%d tries, want 2", n)
	}
	if errs[0] == nil || errors.As(errs[0], &refusal) {
		t.Errorf("a command that was accepted is answered as a refusal: %v", errs[0])
	}
}
