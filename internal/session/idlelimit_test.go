package session

import (
	"testing"
	"time"
)

// Users are warned at least two runs, and at most half the limit, before the limit.
func TestUsersAreWarnedSoLongBeforeTheIdleLimit(t *testing.T) {
	t.Parallel()
	for _, row := range []struct{ after, grace, want time.Duration }{
		{time.Hour, 0, 0},
		{time.Hour, time.Minute, 10 * time.Minute},
		{time.Hour, 10 * time.Minute, 10 * time.Minute},
		{time.Hour, 25*time.Minute + time.Second, 25*time.Minute + time.Second},
		{time.Hour, MaxGracePeriod, 30 * time.Minute},
		{15 * time.Minute, time.Minute, 7*time.Minute + 30*time.Second},
		{time.Minute, time.Hour, 30 * time.Second},
		{100_000 * time.Minute, MaxGracePeriod, MaxGracePeriod},
	} {
		if got := (IdleLimit{After: row.after, GracePeriod: row.grace}).WarnBefore(); got != row.want {
			t.Errorf("limit %s, grace period %s: %s, wanted %s", row.after, row.grace, got, row.want)
		}
	}
}
