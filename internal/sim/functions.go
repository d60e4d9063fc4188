package sim

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"dcv-session-broker/internal/awsenv"
	"dcv-session-broker/internal/events/cleanup"
	"dcv-session-broker/internal/events/endedsessions"
	"dcv-session-broker/internal/events/hostevents"
	"dcv-session-broker/internal/events/sessionstream"
	"dcv-session-broker/internal/httpapi/canceldeletions"
	"dcv-session-broker/internal/httpapi/deletesessions"
	"dcv-session-broker/internal/httpapi/describesessions"
)

// settings are what the template says, and where a seed's setup says otherwise,
// the setup.
type settings struct {
	deleteSessions   deletesessions.Settings
	cancelDeletions  canceldeletions.Settings
	describeSessions describesessions.Settings
	hostEvents       hostevents.Settings
	endedSessions    endedsessions.Settings
	cleanup          cleanup.Settings
}

func (s setup) settings() (read settings) {
	minutes := func(d time.Duration) string { return strconv.Itoa(int(d / time.Minute)) }
	drawn := map[string]string{
		"FORCE_MODE":                    string(s.forceMode),
		"END_SESSIONS_OF_STOPPED_HOSTS": strconv.FormatBool(s.endStopped),
		"GIVE_UP_AFTER_MINUTES":         minutes(s.giveUp),
		"SILENT_AFTER_MINUTES":          minutes(s.silentAfter),
		"MAX_SESSIONS_PER_HOST":         strconv.Itoa(s.maxSessions),
		"CLOSE_IDLE_AFTER_MINUTES":      minutes(s.closeIdle),
		"STOP_EMPTY_AFTER_MINUTES":      minutes(s.stopEmpty),
		"GRACE_PERIOD_SECONDS":          strconv.Itoa(int(s.grace / time.Second)),
	}
	env := func(name string) *awsenv.Environment {
		of := deployment().environments[name]
		return &awsenv.Environment{Getenv: func(name string) string {
			if v, is := drawn[name]; is && of[name] != "" {
				return v
			}
			return of[name]
		}}
	}
	for name, of := range map[string]func(*awsenv.Environment){
		"delete-sessions":   func(e *awsenv.Environment) { read.deleteSessions = deletesessions.ReadSettings(e) },
		"cancel-deletions":  func(e *awsenv.Environment) { read.cancelDeletions = canceldeletions.ReadSettings(e) },
		"describe-sessions": func(e *awsenv.Environment) { read.describeSessions = describesessions.ReadSettings(e) },
		"host-events":       func(e *awsenv.Environment) { read.hostEvents = hostevents.ReadSettings(e) },
		"ended-sessions":    func(e *awsenv.Environment) { read.endedSessions = endedsessions.ReadSettings(e) },
		"cleanup":           func(e *awsenv.Environment) { read.cleanup = cleanup.ReadSettings(e) },
	} {
		e := env(name)
		of(e)
		if err := e.Err(); err != nil {
			panic(fmt.Sprintf("sim: the environment of %s: %v", name, err))
		}
	}
	return read
}

// Each invocation has its own handler, so the invocation of every call over a boundary is
// known.

func (w *world) deleteSessions(inv *invocation) *deletesessions.Handler {
	return deletesessions.New(deletesessions.Parts{
		Table: tableOf{w, inv}, Getter: readerOf{w, inv}, Notes: hostTableOf{w, inv}, RefusedHosts: hostTableOf{w, inv}, SystemsManager: systemsManagerOf{w, inv},
		Now: w.clock, Log: w.log(inv),
	}, inv.setup.read.deleteSessions)
}

func (w *world) cancelDeletions(inv *invocation) *canceldeletions.Handler {
	return canceldeletions.New(canceldeletions.Parts{
		Table: tableOf{w, inv}, Getter: readerOf{w, inv}, SystemsManager: systemsManagerOf{w, inv}, Now: w.clock, Log: w.log(inv),
	}, inv.setup.read.cancelDeletions)
}

func (w *world) describeSessions(inv *invocation) *describesessions.Handler {
	return describesessions.New(describesessions.Parts{
		Reader: readerOf{w, inv}, Notes: hostTableOf{w, inv}, Now: w.clock, Log: w.log(inv),
	}, inv.setup.read.describeSessions)
}

func (w *world) hostEvents(inv *invocation) *hostevents.Handler {
	return hostevents.New(hostevents.Parts{
		Table: tableOf{w, inv}, Index: indexOf{w, inv}, Getter: readerOf{w, inv}, HostTable: hostTableOf{w, inv},
		SystemsManager: systemsManagerOf{w, inv}, EC2: ec2Of{w, inv}, Now: w.clock, NewID: inv.newID, Log: w.log(inv),
	}, inv.setup.read.hostEvents)
}

func (w *world) sessionStream(inv *invocation) *sessionstream.Handler {
	return sessionstream.New(sessionstream.Parts{Table: tableOf{w, inv}, Now: w.clock, Log: w.log(inv)})
}

func (w *world) endedSessions(inv *invocation) *endedsessions.Handler {
	return endedsessions.New(endedsessions.Parts{Index: indexOf{w, inv}, Getter: readerOf{w, inv}, Log: w.log(inv)}, inv.setup.read.endedSessions)
}

func (w *world) cleanup(inv *invocation) *cleanup.Handler {
	return cleanup.New(cleanup.Parts{
		Table: tableOf{w, inv}, Index: indexOf{w, inv}, Reader: readerOf{w, inv}, HostLister: indexOf{w, inv}, HostTable: hostTableOf{w, inv}, SystemsManager: systemsManagerOf{w, inv}, EC2: ec2Of{w, inv},
		Now: w.clock, NewID: inv.newID, Log: w.log(inv),
	}, inv.setup.read.cleanup)
}

// log writes the functions' log lines into the transcript. Only one function works at a
// time, except after the scheduler has killed one; a killed function logs nothing.
func (w *world) log(inv *invocation) *slog.Logger {
	if w.transcript == nil {
		return slog.New(slog.DiscardHandler)
	}
	return slog.New(logHandler{w, inv, slog.NewTextHandler(logWriter{w, inv}, &slog.HandlerOptions{
		Level: slog.LevelInfo,
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey || a.Key == slog.LevelKey {
				return slog.Attr{}
			}
			return a
		},
	})})
}

type logHandler struct {
	w   *world
	inv *invocation
	slog.Handler
}

func (h logHandler) Enabled(ctx context.Context, level slog.Level) bool {
	return !h.inv.killed.Load() && h.Handler.Enabled(ctx, level)
}

func (h logHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return logHandler{h.w, h.inv, h.Handler.WithAttrs(attrs)}
}

type logWriter struct {
	w   *world
	inv *invocation
}

func (l logWriter) Write(line []byte) (int, error) {
	l.w.mu.Lock()
	defer l.w.mu.Unlock()
	l.w.logged = append(l.w.logged, logLine{l.w.now(), l.inv, goroutine(), string(line[:len(line)-1])})
	return len(line), nil
}

// runTask invokes cleanup.
func (w *world) runTask(task string) {
	w.seen.ran["task "+task]++
	w.start("cleanup", func(inv *invocation) {
		inv.task = task
		_, _ = w.cleanup(inv).Handle(inv.ctx, cleanup.Event{Task: task})
	}, func(inv *invocation) { w.taskDone(inv) }, func(*invocation) {})
	w.say("scheduler", "runs cleanup: %s", task)
}
