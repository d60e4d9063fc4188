package documents_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"
)

// Hosts, lists and commands that nobody thought of: both platforms say the same of each.
func TestPlatformsSayTheSameOfRandomHosts(t *testing.T) {
	t.Parallel()
	rounds := uint64(3)
	if os.Getenv("REQUIRE_ALL") == "1" {
		rounds = 150
	}
	on(t, usualKind(), func(t *testing.T, h *host) {
		if !h.twin {
			t.Skip("there is no pwsh here; install PowerShell 7 to run this")
		}
		h.noSleep()
		h.clock(int(idleNow.Unix()), 0)
		h.everyTwin = true
		empty := h.snapshot()
		for seed := range rounds {
			h.restore(empty)
			r := rand.New(rand.NewPCG(seed, 14))
			asked := h.randomSessions(r)
			if r.IntN(4) == 0 {
				h.server("garbage", randomList(r))
			}
			h.oldAgent = r.IntN(2) == 0
			h.inventory()
			h.run(strings.Join(asked, ";"), fmt.Sprint(idleNow.Unix()+int64(r.IntN(4))-1))
			h.idle(fmt.Sprint(r.IntN(120)))
			if t.Failed() {
				t.Fatalf("seed %d", seed)
			}
		}
	})
}

// randomSessions starts sessions and gives what a command could say of them, and of others.
func (h *host) randomSessions(r *rand.Rand) []string {
	ids := []string{"a", "A", "console", "s 1", "s.2", "user@example.com", "x=y", "\u00e9", "$(touch ran)", "a/b", "-j", "a,b"}
	var asked []string
	for _, i := range r.Perm(len(ids))[:r.IntN(5)] {
		at := ago(r.IntN(200)-5, r.IntN(60))
		if r.IntN(3) == 0 {
			at = strings.Replace(at, ".000000", "", 1)
		}
		if r.IntN(6) > 0 {
			h.randomSession(r, ids[i], at)
		}
		one := incarnation(ids[i], at)
		switch r.IntN(6) {
		case 0:
			one = until(ids[i], ago(r.IntN(200), 0))
		case 1:
			one = incarnation(ids[i], ago(r.IntN(200), 0))
		}
		asked = append(asked, one)
	}
	group := hostID + "=" + strings.Join(asked, ",")
	if len(asked) == 0 {
		group = "i-00000000000000000=" + incarnation("a", created)
	}
	return []string{"i-11111111111111111=" + incarnation("console", created), group}
}

func (h *host) randomSession(r *rand.Rand, id, created string) {
	session := map[string]any{"id": id, "owner": "user1", "creation-time": created, "num-of-connections": r.IntN(2), "last-disconnection-time": ""}
	if r.IntN(3) == 0 {
		session["last-disconnection-time"] = ago(r.IntN(100), 0)
	}
	for _, member := range []string{"owner", "num-of-connections", "last-disconnection-time"} {
		if r.IntN(12) == 0 {
			delete(session, member)
		}
	}
	if r.IntN(10) == 0 {
		session["name"] = []any{"\u20ac\"\\", nil, true, 1.5}[r.IntN(4)]
	}
	content, err := json.Marshal(session)
	if err != nil {
		h.t.Fatal(err)
	}
	h.server(fileOf(id)+".json", string(content))
	if r.IntN(2) == 0 {
		var times []string
		for range r.IntN(3) {
			times = append(times, []string{"", ago(r.IntN(100), 0), time.Unix(0, 0).UTC().Format(time.RFC3339)}[r.IntN(3)])
		}
		h.server(fileOf(id)+".connections", connections(times...))
	}
}

// randomList is a list with one part of it lost, doubled or replaced.
func randomList(r *rand.Rand) string {
	list := `[{"id":"a","owner":"u","creation-time":"` + created + `"},{"id":"b \u0041","owner":"v","creation-time":"` + later + `","x":[1,{"y":null}]}]`
	at := r.IntN(len(list))
	end := at + r.IntN(3)
	other := []string{"", "", "[", "]", "{", "}", ",", ":", `"`, "\\", "0", "\u00e9", "\ufeff"}[r.IntN(13)]
	if r.IntN(8) == 0 {
		at, end = 0, 0
	}
	return list[:at] + other + list[min(end, len(list)):]
}
