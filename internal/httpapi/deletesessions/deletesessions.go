// Package deletesessions is the function behind POST /deleteSessions. What it
// answers is in package httpapi; here it is put together.
package deletesessions

import (
	"log/slog"
	"time"

	"dcv-session-broker/internal/awsenv"
	"dcv-session-broker/internal/httpapi"
	"dcv-session-broker/internal/runcommand"
	"dcv-session-broker/internal/session"
)

// Settings are what template.yaml sets for the function.
type Settings struct {
	SessionsTable, HostsTable, CloseDocument, FleetTag string
	// MaxBatch is the most entries that one request may have.
	MaxBatch  int
	GiveUp    time.Duration
	ForceMode session.ForceMode
}

// ReadSettings reads them; env keeps what is wrong with them.
func ReadSettings(env *awsenv.Environment) Settings {
	return Settings{
		SessionsTable: env.Text("SESSIONS_TABLE"),
		HostsTable:    env.Text("HOSTS_TABLE"),
		CloseDocument: env.Text("CLOSE_DOCUMENT"),
		FleetTag:      env.Text("FLEET_TAG_VALUE"),
		MaxBatch:      env.Count("MAX_BATCH_SIZE", 1000),
		GiveUp:        env.Minutes("GIVE_UP_AFTER_MINUTES", 60, 1),
		ForceMode:     session.ForceMode(env.OneOf("FORCE_MODE", string(session.Purge), string(session.BestEffort))),
	}
}

// Parts are what the function needs from outside.
type Parts struct {
	Table          session.Table
	Reader         session.Reader
	Notes          session.HostNotes
	SystemsManager runcommand.SenderAPI
	Now            func() time.Time
	Log            *slog.Logger
}

// New makes the function.
func New(p Parts, s Settings) *httpapi.DeleteSessions {
	return &httpapi.DeleteSessions{
		Deleter: &session.Deleter{
			Table:     p.Table,
			Closer:    &runcommand.Closer{API: p.SystemsManager, Document: s.CloseDocument, FleetTag: s.FleetTag},
			GiveUp:    s.GiveUp,
			ForceMode: s.ForceMode,
			Log:       p.Log,
		},
		DryRunner: &session.DryRunner{
			Reader:      p.Reader,
			Notes:       p.Notes,
			HostChecker: &runcommand.Checker{API: p.SystemsManager, FleetTag: s.FleetTag},
			Log:         p.Log,
		},
		MaxBatch: s.MaxBatch, Now: p.Now, Log: p.Log,
	}
}
