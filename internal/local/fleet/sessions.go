package fleet

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// automatic is the ID of DCV's automatic console session, on every host.
const automatic = "console"

// StartSession starts a session on a host, and a new host first. The default Type is virtual, the default CreationTime
// is now by the host's clock. The session replaces one with the same ID. After a console session named "console", every
// start of the host creates a new one.
func (f *Fleet) StartSession(hostID string, s Session) (Session, error) {
	err := f.change(func() error {
		if s.Type == "" {
			s.Type = "virtual"
		}
		switch {
		case s.ID == "" || len(s.ID) > 128 || strings.ContainsRune(s.ID, 0):
			return fmt.Errorf("session ID %q: %w: want 1 to 128 bytes, none of them 0", s.ID, ErrInvalid)
		case s.Owner == "":
			return fmt.Errorf("session %s: %w: it has no Owner", s.ID, ErrInvalid)
		case s.Type != "virtual" && s.Type != "console":
			return fmt.Errorf("session %s: type %q: %w: want virtual or console", s.ID, s.Type, ErrInvalid)
		}
		if _, err := time.Parse(time.RFC3339, s.CreationTime); s.CreationTime != "" && err != nil {
			return fmt.Errorf("session %s: CreationTime %q: %w: want RFC 3339", s.ID, s.CreationTime, ErrInvalid)
		}
		h, ok := f.hosts[hostID]
		if !ok {
			var err error
			if h, err = f.addHost(hostID); err != nil {
				return err
			}
		}
		if h.Off {
			return fmt.Errorf("host %s: %w", hostID, ErrStopped)
		}
		if s.Type == "console" && s.ID == automatic {
			h.Console = &Session{ID: s.ID, Owner: s.Owner, Type: s.Type}
			if err := f.save(h); err != nil {
				return err
			}
		}
		return f.startSession(h, &s)
	})
	return s, err
}

func (f *Fleet) startSession(h *host, s *Session) error {
	if s.CreationTime == "" {
		s.CreationTime = f.now().Add(h.ClockOffset).UTC().Format("2006-01-02T15:04:05.000000Z")
	}
	return writeWhole(f.sessionFile(h.id, s.ID), printed(*s), 0o644)
}

// EndSession ends a session as its owner would, without the broker. It cannot on a hibernated host.
func (f *Fleet) EndSession(hostID, sessionID string) error {
	return f.change(func() error {
		h, err := f.known(hostID)
		switch {
		case err != nil:
			return err
		case h.Hibernated:
			return fmt.Errorf("host %s: %w", hostID, ErrStopped)
		}
		err = os.Remove(f.sessionFile(hostID, sessionID))
		if errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("host %s: session %s: %w", hostID, sessionID, ErrUnknownSession)
		}
		return errors.Join(err, removed(connectionsOf(f.sessionFile(hostID, sessionID))))
	})
}

// Connect sets how many users are connected to a session, and for how long they have done nothing by the host's clock.
func (f *Fleet) Connect(hostID, sessionID string, users int, away time.Duration) error {
	return f.change(func() error {
		h, err := f.known(hostID)
		if err != nil {
			return err
		}
		file := f.sessionFile(hostID, sessionID)
		if _, err := os.Stat(file); err != nil {
			return fmt.Errorf("host %s: session %s: %w", hostID, sessionID, ErrUnknownSession)
		}
		if users == 0 {
			return removed(connectionsOf(file))
		}
		last := f.now().Add(h.ClockOffset - away).UTC().Format("2006-01-02T15:04:05.000000Z")
		var connections []string
		for id := range users {
			connections = append(connections, fmt.Sprintf(`{"id": %d, "last-interaction-time": %q}`, id+1, last))
		}
		return writeWhole(connectionsOf(file), []byte("["+strings.Join(connections, ",\n ")+"]"), 0o644)
	})
}

func connectionsOf(sessionFile string) string {
	return strings.TrimSuffix(sessionFile, ".json") + ".connections"
}

// removed removes a file; a missing one is no error.
func removed(file string) error {
	if err := os.Remove(file); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// sessionFile returns the path of a session's file of dcv.sh.
func (f *Fleet) sessionFile(hostID, sessionID string) string {
	return filepath.Join(f.StateDir(hostID), sessionName(sessionID)+".json")
}

func sessionName(sessionID string) string {
	name := hex.EncodeToString([]byte(sessionID))
	if len(name) > 240 {
		sum := sha256.Sum256([]byte(sessionID))
		name = "sha256-" + hex.EncodeToString(sum[:])
	}
	return name
}

// printed returns a session in the form of `dcv describe-session -j`, with its spaces.
func printed(s Session) []byte {
	var b bytes.Buffer
	b.WriteString("{")
	separator := "\n"
	for _, field := range []struct {
		name  string
		value any
	}{
		{"id", s.ID},
		{"owner", s.Owner},
		{"name", s.ID},
		{"num-of-connections", 0},
		{"creation-time", s.CreationTime},
		{"last-disconnection-time", ""},
		{"licenses", []any{map[string]string{"product": "dcv", "status": "licensed"}}},
		{"licensing-mode", "EC2"},
		{"storage-root", ""},
		{"type", s.Type},
		{"x11-display", ":0"},
		{"x11-authority", "/run/user/1000/dcv/" + sessionName(s.ID) + ".xauth"}, // by which the stand-in for zenity finds the session
	} {
		value, _ := json.Marshal(field.value) // strings, a number and a list of strings always have a JSON form
		fmt.Fprintf(&b, "%s    %q : %s", separator, field.name, value)
		separator = ",\n"
	}
	b.WriteString("\n}\n")
	return b.Bytes()
}

// sessions reads the sessions of a host, by ID.
func (f *Fleet) sessions(hostID string) ([]Session, error) {
	found, err := os.ReadDir(f.StateDir(hostID))
	if err != nil {
		return nil, err
	}
	sessions := []Session{}
	for _, file := range found {
		if filepath.Ext(file.Name()) != ".json" {
			continue
		}
		s, err := readSession(filepath.Join(f.StateDir(hostID), file.Name()))
		if errors.Is(err, fs.ErrNotExist) {
			continue // a script has just closed it
		}
		if err != nil {
			return nil, err
		}
		sessions = append(sessions, s)
	}
	slices.SortFunc(sessions, func(a, b Session) int { return strings.Compare(a.ID, b.ID) })
	return sessions, nil
}

func readSession(file string) (Session, error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return Session{}, err
	}
	var s struct {
		ID           string `json:"id"`
		Owner        string `json:"owner"`
		Type         string `json:"type"`
		CreationTime string `json:"creation-time"`
		Connections  int    `json:"-"`
	}
	if err := json.Unmarshal(content, &s); err != nil {
		return Session{}, fmt.Errorf("%s: %w", filepath.Base(file), err)
	}
	var connections []json.RawMessage
	if content, err = os.ReadFile(connectionsOf(file)); err == nil {
		err = json.Unmarshal(content, &connections)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return Session{}, fmt.Errorf("%s: %w", filepath.Base(connectionsOf(file)), err)
	}
	s.Connections = len(connections)
	return Session(s), nil
}

// endAll ends a host's sessions, which are in the memory of its DCV server. The files of faults stay, since a start
// does not fix these.
func (f *Fleet) endAll(h *host) error {
	if err := f.forgetNotices(h.id); err != nil {
		return err
	}
	found, err := os.ReadDir(f.StateDir(h.id))
	if err != nil {
		return err
	}
	for _, file := range found {
		switch filepath.Ext(file.Name()) {
		case ".json", ".connections", ".stuck", ".next":
			if err := os.Remove(filepath.Join(f.StateDir(h.id), file.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}
