package system

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"dcv-session-broker/internal/session"
)

// A keptLog keeps the last lines of the functions' logs, from INFO on, as CloudWatch
// Logs does for a stack.
type keptLog struct {
	now func() time.Time

	mu    sync.Mutex
	lines []map[string]any // a ring buffer: when it is full the oldest line is at next
	next  int
}

// maxKept lines are a few megabytes.
const maxKept = 10_000

func (k *keptLog) keep(line map[string]any) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.lines) < maxKept {
		k.lines = append(k.lines, line)
		return
	}
	k.lines[k.next] = line
	k.next = (k.next + 1) % maxKept
}

// about returns the lines of that session, or of one of these requests, the oldest first.
func (k *keptLog) about(sessionID string, requestIDs []string) []map[string]any {
	k.mu.Lock()
	defer k.mu.Unlock()
	found := []map[string]any{}
	for i := range k.lines {
		for _, line := range session.SplitLine(k.lines[(k.next+i)%len(k.lines)]) {
			id, _ := line["SessionId"].(string)
			request, _ := line["RequestId"].(string)
			if id != "" && id == sessionID || id == "" && slices.Contains(requestIDs, request) {
				found = append(found, line)
			}
		}
	}
	return found
}

// A keeper is a slog.Handler that keeps a function's lines and passes them on.
type keeper struct {
	log      *keptLog
	function string
	attrs    []slog.Attr
	next     slog.Handler
}

func (h *keeper) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelInfo }

func (h *keeper) Handle(ctx context.Context, r slog.Record) error {
	line := map[string]any{
		slog.TimeKey: h.log.now().UTC().Format(time.RFC3339Nano), slog.LevelKey: r.Level.String(), slog.MessageKey: r.Message,
		"Function": h.function,
	}
	add := func(a slog.Attr) bool {
		line[a.Key] = a.Value.Resolve().Any()
		if err, isError := line[a.Key].(error); isError {
			line[a.Key] = err.Error()
		}
		return true
	}
	for _, a := range h.attrs {
		add(a)
	}
	r.Attrs(add)
	h.log.keep(line)
	if !h.next.Enabled(ctx, r.Level) {
		return nil
	}
	return h.next.Handle(ctx, r)
}

func (h *keeper) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &keeper{h.log, h.function, slices.Concat(h.attrs, attrs), h.next.WithAttrs(attrs)}
}

func (h *keeper) WithGroup(name string) slog.Handler { // no function uses groups
	return &keeper{h.log, h.function, h.attrs, h.next.WithGroup(name)}
}
