package sim

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"dcv-session-broker/internal/rapidtest"
	"dcv-session-broker/internal/runcommand"
	"dcv-session-broker/internal/session"
)

// The models are compared with the scripts: on the same host, for the same command, both
// print the same lines and leave the same sessions. The order of lines is not compared;
// readers accept any.
func TestModelSaysWhatTheScriptsSay(t *testing.T) {
	rapidtest.FewerChecks(t, "20") // each starts some forty programs
	rounds := 1
	if os.Getenv("REQUIRE_ALL") == "1" {
		rounds = 5 // of 100 cases
	}
	for name, command := range map[string]func(*rapid.T, scriptedHost) *ssm.SendCommandInput{
		"close": genClose,
		"inventory": func(*rapid.T, scriptedHost) *ssm.SendCommandInput {
			return genSurvey(inventoryDocument, session.IdleLimit{})
		},
		"idle": func(t *rapid.T, _ scriptedHost) *ssm.SendCommandInput {
			return genSurvey(idleDocument, session.IdleLimit{
				After:       time.Duration(rapid.IntRange(1, 180).Draw(t, "idle minutes")) * time.Minute,
				GracePeriod: time.Duration(rapid.SampledFrom([]int{0, 60, 1200, 3600, 3600}).Draw(t, "grace period")) * time.Second,
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for range rounds {
				rapid.Check(t, func(r *rapid.T) {
					h := genHost.Draw(r, "host")
					in := command(r, h)
					wantLines, wantLeft := h.simulate(t, in)
					gotLines, gotLeft := h.run(r, t.TempDir(), in)
					if diff := cmp.Diff(gotLines, wantLines); diff != "" {
						r.Errorf("lines of %v (-script +model):\n%s", in.Parameters, diff)
					}
					if diff := cmp.Diff(gotLeft, wantLeft); diff != "" {
						r.Errorf("left on the host after %v (-script +model):\n%s", in.Parameters, diff)
					}
				})
			}
		})
	}
}

// scriptedHost describes a host for both the simulation and the scripts.
type scriptedHost struct {
	After    time.Duration // since the simulation began: the host's time
	Sessions []scriptedSession
	DCV      dcvState
	Then     dcvState // once a session was closed
	// None is what dcv prints where there are no sessions. The scripts say the same whatever it is, so the model need not
	// know it.
	None emptyList
}

// An emptyList is what list-sessions prints with -j, and what without.
type emptyList struct{ JSON, Text string }

const noSessions = "There are no sessions available.\n"

type scriptedSession struct {
	Name, Owner, Kind string
	Age               time.Duration
	Decimals          int
	Connections       int
	LeftAgo           time.Duration // negative: nobody has left it
	Away              time.Duration // so long the connected user has been idle; negative: not idle
	Tried             time.Duration // so long ago the host tried to warn them; negative: never
	Until             time.Duration // from now, the session stays for that
	ComesBack         bool          // as another incarnation
}

const scriptedID = "i-0123456789abcdef0"

// began is when virtual time begins.
var began = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

func (h scriptedHost) now() time.Time { return began.Add(h.After) }

// ago returns the time of so long ago, to the precision that dcv prints.
func (h scriptedHost) ago(d time.Duration) time.Time {
	return h.now().Add(-d).Truncate(time.Microsecond)
}

func printed(at time.Time, decimals int) string {
	if decimals == 0 {
		return at.Format("2006-01-02T15:04:05Z")
	}
	return at.Format("2006-01-02T15:04:05." + strings.Repeat("0", decimals) + "Z")
}

func (h scriptedHost) created(s scriptedSession) string {
	return printed(h.now().Add(-s.Age), s.Decimals)
}

func (h scriptedHost) left(s scriptedSession) string {
	if s.LeftAgo < 0 {
		return ""
	}
	return printed(h.now().Add(-s.LeftAgo), 6)
}

// recreated is the creation time of a session that has come back.
func (h scriptedHost) recreated(s scriptedSession) string {
	return printed(h.now().Add(time.Second), s.Decimals)
}

var (
	genName = rapid.OneOf(
		rapid.SampledFrom([]string{"s1", "s2", "console", "a b/c%d", "it's", `"q" \ $(id)`, "`id`", "-rf", "<&>", "{a,b;c=d@e~f}", "ünï☃"}),
		rapid.StringN(1, 10, 40).Filter(func(s string) bool { return !strings.Contains(s, "\x00") }),
	)
	genAge = rapid.Custom(func(t *rapid.T) time.Duration {
		minutes := rapid.IntRange(0, 240).Draw(t, "minutes")
		return time.Duration(minutes)*time.Minute + time.Duration(rapid.IntRange(0, 59_999_999).Draw(t, "µs"))*time.Microsecond
	})
	genSession = rapid.Custom(func(t *rapid.T) scriptedSession {
		s := scriptedSession{
			Name: genName.Draw(t, "name"), Owner: rapid.SampledFrom([]string{"alice", `DOM\bob`}).Draw(t, "owner"),
			Kind: rapid.SampledFrom([]string{"virtual", "console"}).Draw(t, "kind"), Age: genAge.Draw(t, "age"),
			Decimals: rapid.SampledFrom([]int{0, 3, 6}).Draw(t, "decimals"), LeftAgo: -1,
			Connections: rapid.SampledFrom([]int{0, 0, 1, 2}).Draw(t, "connections"),
			ComesBack:   rapid.IntRange(0, 4).Draw(t, "comes back") == 0, Away: -1,
		}
		if s.Connections > 0 && rapid.IntRange(0, 2).Draw(t, "is away") > 0 {
			s.Away = genAge.Draw(t, "away for")
		}
		if s.Tried = -1; s.Away >= 0 && rapid.Bool().Draw(t, "tried to warn") {
			s.Tried = max(0, s.Away+rapid.SampledFrom([]time.Duration{0, 0, time.Microsecond, -time.Microsecond, time.Minute, -time.Minute}).Draw(t, "of another idle time"))
			s.Until = time.Duration(rapid.IntRange(-2, 2).Draw(t, "until")) * time.Second
		}
		if rapid.Bool().Draw(t, "was left") {
			s.LeftAgo = genAge.Draw(t, "left ago")
		}
		return s
	})
	genDCV  = rapid.SampledFrom([]dcvState{dcvWorks, dcvWorks, dcvWorks, dcvWorks, dcvStubborn, dcvBroken, dcvHung, dcvUnreadable, dcvMute})
	genHost = rapid.Custom(func(t *rapid.T) scriptedHost {
		h := scriptedHost{
			After:    5*time.Hour + time.Duration(rapid.IntRange(0, 1999).Draw(t, "ms"))*time.Millisecond,
			Sessions: rapid.SliceOfNDistinct(genSession, 0, 5, func(s scriptedSession) string { return s.Name }).Draw(t, "sessions"),
			DCV:      genDCV.Draw(t, "dcv"),
			None: rapid.SampledFrom([]emptyList{{"[]\n", noSessions}, {noSessions, noSessions}, {"\n", noSessions}, {"", noSessions}, {"", ""}}).
				Draw(t, "empty list"),
		}
		if h.Then = h.DCV; h.DCV == dcvWorks || h.DCV == dcvStubborn {
			h.Then = genDCV.Draw(t, "dcv, after a close")
		}
		return h
	})
)

// genClose asks for sessions of the host, and for others, as the broker does.
func genClose(t *rapid.T, h scriptedHost) *ssm.SendCommandInput {
	attempt := session.Attempt{ID: "a0000000-0000-4000-8000-000000000000"}
	voidAfter := h.now().Add(time.Duration(rapid.SampledFrom([]int{-61, -1, 0, 1, 3600, 3600, 3600}).Draw(t, "void after")) * time.Second)
	off := rapid.SampledFrom([]time.Duration{0, 0, 0, time.Microsecond, -time.Microsecond, time.Millisecond, time.Second, -time.Hour})
	for n := range rapid.IntRange(1, 6).Draw(t, "closings") {
		c := session.Closing{Incarnation: session.Incarnation{SessionID: fmt.Sprint("id ", n), HostID: scriptedID}, VoidAfter: voidAfter}
		created := h.now().Add(-genAge.Draw(t, "other age"))
		if len(h.Sessions) > 0 && rapid.IntRange(0, 4).Draw(t, "of the host") > 0 {
			s := rapid.SampledFrom(h.Sessions).Draw(t, "session")
			c.NameOnHost = s.Name
			created, _ = time.Parse(time.RFC3339Nano, h.created(s))
		} else {
			c.NameOnHost = genName.Draw(t, "other name")
		}
		taken := slices.ContainsFunc(attempt.Closings, func(o session.Closing) bool { return o.SessionID == c.NameOnHost })
		if !taken && rapid.Bool().Draw(t, "listed by its name") {
			c.SessionID = c.NameOnHost
		}
		at := created.Add(off.Draw(t, "off"))
		if rapid.IntRange(0, 3).Draw(t, "incarnation") > 0 {
			c.CreationTime = printed(at, rapid.SampledFrom([]int{0, 6}).Draw(t, "decimals"))
		} else {
			c.CreatedUntil = at
		}
		attempt.Closings = append(attempt.Closings, c)
	}
	var sent capture
	sender := &runcommand.Sender{API: &sent, CloseDocument: closeDocument, FleetTag: fleetTag}
	sender.Close(t.Context(), attempt)
	return sent.input
}

// genSurvey is an inventory, or with a limit the closing of idle sessions.
func genSurvey(document string, limit session.IdleLimit) *ssm.SendCommandInput {
	var sent capture
	b := &runcommand.Broadcaster{API: &sent, InventoryDocument: inventoryDocument, IdleDocument: idleDocument, FleetTag: fleetTag}
	if document == inventoryDocument {
		_ = b.Inventory(context.Background(), "n", began)
	} else {
		_ = b.CloseIdle(context.Background(), "n", began, limit)
	}
	return sent.input
}

// capture takes one command and keeps what was sent.
type capture struct {
	runcommand.BroadcasterAPI
	input *ssm.SendCommandInput
}

func (c *capture) SendCommand(_ context.Context, in *ssm.SendCommandInput, _ ...func(*ssm.Options)) (*ssm.SendCommandOutput, error) {
	c.input = in
	return &ssm.SendCommandOutput{}, nil
}

// simulate is what the model prints, and which sessions it leaves.
func (h scriptedHost) simulate(t *testing.T, in *ssm.SendCommandInput) (lines, left []string) {
	synctest.Test(t, func(*testing.T) {
		w := newWorld(1)
		w.calm = true
		m := &machine{id: scriptedID, platform: "linux", tagged: true, dcv: h.DCV, noUsers: true, idleTries: map[string]idleTry{}, newest: map[string]time.Time{}}
		w.machines = []*machine{m}
		time.Sleep(h.After)
		add := func(s scriptedSession, created, left string, connections int) *desktop {
			d := &desktop{
				machine: m, name: s.Name, owner: s.Owner, kind: s.Kind, createdText: created, connections: int64(connections), left: left,
			}
			d.created, _ = time.Parse(time.RFC3339Nano, created)
			m.sessions = append(m.sessions, d)
			return d
		}
		var all []*desktop
		for _, s := range h.Sessions {
			d := add(s, h.created(s), h.left(s), s.Connections)
			if s.Away >= 0 {
				d.away = h.ago(s.Away)
			}
			if s.Tried >= 0 {
				m.idleTries[s.Name] = idleTry{d.created, h.ago(s.Tried), h.now().Add(s.Until).Unix()}
			}
			all = append(all, d)
		}
		on := &onHost{command: newCommand(in, w.now()), machine: m, said: map[string]string{}}
		w.deliver(on)
		m.dcv = h.Then
		for i, s := range h.Sessions {
			if s.ComesBack && !slices.Contains(m.sessions, all[i]) {
				add(s, h.recreated(s), "", 0)
			}
		}
		w.pass(time.Minute)
		for len(w.due()) > 0 {
			w.happen(w.due()[0])
		}
		lines = linesOf(on.output)
		for _, d := range m.sessions {
			left = append(left, d.name+" "+d.createdText)
		}
		slices.Sort(left)
	})
	return lines, left
}

func linesOf(output string) []string {
	return slices.Sorted(strings.Lines(output))
}
