// Package describesessions is the function behind POST /describeSessions. What it
// answers is in package httpapi; here it is put together.
package describesessions

import (
	"log/slog"
	"time"

	"dcv-session-broker/internal/awsenv"
	"dcv-session-broker/internal/httpapi"
	"dcv-session-broker/internal/session"
)

// Settings are what template.yaml sets for the function.
type Settings struct{ SessionsTable, FleetTag string }

// ReadSettings reads them; env keeps what is wrong with them.
func ReadSettings(env *awsenv.Environment) Settings {
	return Settings{SessionsTable: env.Text("SESSIONS_TABLE"), FleetTag: env.Text("FLEET_TAG_VALUE")}
}

// Parts are what the function needs from outside.
type Parts struct {
	Reader session.Reader
	Now    func() time.Time
	Log    *slog.Logger
}

// New makes the function.
func New(p Parts, s Settings) *httpapi.DescribeSessions {
	return &httpapi.DescribeSessions{
		Describer: &session.Describer{Reader: p.Reader, Now: p.Now}, FleetTag: s.FleetTag, Log: p.Log,
	}
}
