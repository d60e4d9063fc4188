package documents_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand"
	"slices"
	"strings"
	"testing"

	"dcv-session-broker/internal/local/agent"
)

// inventory runs the script of InventoryDocument.
func (h *host) inventory() survey {
	h.t.Helper()
	return h.readSurvey(h.execute("InventoryDocument", nil))
}

func TestInventoryOfNoSession(t *testing.T) {
	onEveryHost(t, func(t *testing.T, h *host) {
		if got := h.inventory().text; got != "{\"end\":0}\n" {
			t.Errorf("%q", got)
		}
	})
}

func TestInventoryTellsOfEachSession(t *testing.T) {
	alwaysOnEveryHost(t, func(t *testing.T, h *host) {
		h.session("s1", created) // with everything that dcv prints, and more
		h.server(fileOf("s2")+".json", `{"id":"s2","owner":"user2","num-of-connections":0,"creation-time":"2026-03-02T16:08:50Z",`+
			`"last-disconnection-time":"2026-03-02T17:00:00.5Z","type":"console","name":""}`)
		h.server(fileOf("s2")+".connections", `[{"id":1},{"id":2,"user-agent":"{"}]`)
		h.server(fileOf("s3")+".json", `{"creation-time":"yesterday","owner":"user3","id":"s3","type":null,"name":7,"num-of-connections":"1"}`)
		s := h.inventory()
		lines := strings.Split(strings.TrimSuffix(s.text, "\n"), "\n")
		slices.Sort(lines)
		want := []string{
			`{"end":3}`,
			`{"id":"s1","owner":"user1","name":"\"creation-time\" : \"2002-02-02T00:00:00Z\" \\","created":"` + created +
				`","connections":0,"left":""}`,
			`{"id":"s2","owner":"user2","name":"","type":"console","created":"2026-03-02T16:08:50Z","connections":2,` +
				`"left":"2026-03-02T17:00:00.5Z"}`,
			`{"id":"s3","owner":"user3","created":"yesterday"}`,
		}
		if !slices.Equal(lines, want) {
			t.Errorf("got\n%s\nwanted\n%s", strings.Join(lines, "\n"), strings.Join(want, "\n"))
		}
	})
}

// Nobody has a million connections; a number that no reader takes would spoil
// the line.
func TestInventoryLeavesOutNumbersThatCannotBe(t *testing.T) {
	onEveryAwk(t, func(t *testing.T, h *host) {
		for number, told := range map[string]bool{"0": true, "999999": true, "1000000": false, "99999999999999999999999": false, "-1": false, "1.5": false, "1e3": false} {
			h.server("garbage", `[{"id":"a","owner":"u","creation-time":"`+created+`","num-of-connections":`+number+`}]`)
			s := h.inventory()
			if got := strings.Contains(s.text, `"connections":`+number+`}`); got != told || len(s.lines) != 1 || s.end != 1 {
				t.Errorf("%s: %s", number, s.text)
			}
		}
	})
}

// Systems Manager would cut the answer anywhere. In time all of the sessions are told of.
func TestInventoryOfManySessionsIsCutBetweenLines(t *testing.T) {
	onEveryHost(t, func(t *testing.T, h *host) {
		h.shim([]string{"gzip", "base64"}[len(t.Name())%2], "exit 127")
		seen := map[string]bool{}
		for i := range 200 {
			h.session(fmt.Sprintf("session-%03d", i), created)
		}
		for round := range 6 {
			h.clock(1_800_000_000+300*round, 0)
			s := h.inventory()
			if s.end != 200 || len(s.lines) < 100 || len(s.lines) > 180 || len(s.text) < maxLinesBytes-300 {
				t.Errorf("%d lines, %d bytes, end %d", len(s.lines), len(s.text), s.end)
			}
			for _, l := range s.lines {
				seen[*l.ID] = true
			}
			if ids := s.ids(); len(slices.Compact(ids)) != len(s.lines) {
				t.Errorf("a session twice: %q", ids)
			}
		}
		if len(seen) != 200 {
			t.Errorf("only %d of 200 sessions were ever seen: %v", len(seen), slices.Sorted(maps.Keys(seen)))
		}
	})
}

// The last line is printed also where no byte is left for another session.
func TestInventoryThatIsCutHasItsEnd(t *testing.T) {
	t.Parallel()
	on(t, kind{"dash", "", "gawk"}, func(t *testing.T, h *host) {
		h.shim("gzip", "exit 127")
		var list []string
		for n := range 300 { // short ones take what others leave
			if id := fmt.Sprintf(`"s%03d"`, n); n%2 == 0 {
				list = append(list, described(id, created))
			} else {
				list = append(list, `{"id":`+id+`}`)
			}
		}
		h.server("garbage", "["+strings.Join(list, ",")+"]")
		if s := h.inventory(); s.end != 300 || len(s.text) < maxLinesBytes {
			t.Errorf("%d lines, %d bytes, end %d", len(s.lines), len(s.text), s.end)
		}
	})
}

// One that is too long for any answer does not keep the others out: nor does it itself spoil the answer.
func TestInventoryLeavesOutWhatIsTooLong(t *testing.T) {
	onEveryAwk(t, func(t *testing.T, h *host) {
		h.session("a", created)
		h.session("c", created)
		h.server(fileOf("b")+".json", strings.Replace(described(`"b"`, created), "user1", strings.Repeat("x", maxLinesBytes), 1))
		if s := h.inventory(); !slices.Equal(s.ids(), []string{"a", "b", "c"}) || s.end != 3 || s.packed {
			t.Errorf("%q, end %d", s.ids(), s.end)
		}
	})
}

// A session of which no more can be said is named; one that cannot be named is counted.
func TestInventoryNamesOrCountsWhatItCannotDescribe(t *testing.T) {
	fields := func(id, owner, at string) string { return fmt.Sprintf(`{%s %s %s "x":1}`, id, owner, at) }
	const id, owner, at = `"id":"a",`, `"owner":"u",`, `"creation-time":"` + created + `",`
	long := func(n int) string { return `"` + strings.Repeat("é", n/2) + `"` }
	onEveryAwk(t, func(t *testing.T, h *host) {
		for list, want := range map[string]struct {
			named   string
			unnamed int
		}{
			"{}":                                     {"", 1},
			fields("", owner, at):                    {"", 1},
			fields(`"id":7,`, owner, at):             {"", 1},
			fields(`"id":null,`, owner, at):          {"", 1},
			fields(`"id":"",`, owner, at):            {"", 1},
			fields(`"id":["a"],`, owner, at):         {"", 1},
			fields(`"x":{"id":"a"},`, owner, at):     {"", 1},
			fields(`"id":`+long(258)+`,`, owner, at): {"", 1},
			fields(id, "", at):                       {"a", 0},
			fields(id, `"owner":"",`, at):            {"a", 0},
			fields(id, `"owner":{},`, at):            {"a", 0},
			fields(id, `"owner":`+long(258)+`,`, at): {"a", 0},
			fields(id, owner, ""):                    {"a", 0},
			fields(id, owner, `"creation-time":5,`):  {"a", 0},
			fields(id, owner, at) + "," + fields(`"id":"\u0061",`, owner, at):           {"a", 0}, // one ID twice
			fields(id, owner, at) + "," + fields(id, "", at) + "," + fields("", "", at): {"a", 1},
		} {
			h.server("garbage", "["+list+","+described(`"good"`, created)+"]")
			ids := strings.Fields(want.named + " good")
			s := h.inventory()
			if !slices.Equal(s.ids(), ids) || s.end != len(ids)+want.unnamed || s.unnamed != want.unnamed {
				t.Errorf("%s: %s", list, s.text)
			}
			for _, l := range s.lines {
				if *l.ID == "a" && (l.Owner != nil || l.Created != nil || l.Name != nil || l.Connections != nil) {
					t.Errorf("%s: %s", list, s.text)
				}
			}
		}
		// As long as the table takes it, and other texts as far as they are of use.
		h.server("garbage", `[{"id":`+long(256)+`,"owner":`+long(256)+`,"name":`+long(258)+`,"type":`+long(256)+`,"creation-time":"`+created+`"}]`)
		if s := h.inventory(); len(s.lines) != 1 || s.lines[0].Owner == nil || s.lines[0].Type == nil || s.lines[0].Name != nil {
			t.Errorf("%s", s.text)
		}
	})
}

// An answer that would not fit, or make the reply of the agent too long, is packed: a host with 350 sessions of random IDs,
// or with 420 of short names, tells of all of them.
func TestLongInventoriesArePacked(t *testing.T) {
	session := func(id, name string, n int) string {
		return fmt.Sprintf(`{"id":"%s","owner":"user%d","name":"%s","type":"virtual","num-of-connections":0,"creation-time":"2026-03-%02dT16:08:%02d.%06dZ","last-disconnection-time":""}`,
			id, n%50, name, n%28+1, n%60, n*7919%1_000_000)
	}
	random := rand.New(rand.NewSource(1))
	uuid := func() string {
		return fmt.Sprintf("%08x-%04x-4%03x-a%03x-%012x", random.Uint32(), random.Intn(1<<16), random.Intn(1<<12), random.Intn(1<<12), random.Int63n(1<<48))
	}
	lists := map[string][]string{}
	for n := range 420 {
		if id := uuid(); n < 350 {
			lists["350 with random IDs"] = append(lists["350 with random IDs"], session(id, id, n))
		}
		lists["420 with short names"] = append(lists["420 with short names"], session(fmt.Sprint("s", n), fmt.Sprint("s", n), n))
		if n < 40 { // 15,000 bytes, which would be 70,000 in the reply
			lists["40 whose names the agent's reply makes long"] = append(lists["40 whose names the agent's reply makes long"], session(fmt.Sprint("s", n), strings.Repeat("<", 250), n))
		}
		if n < 50 {
			lists["50 short ones"] = append(lists["50 short ones"], session(fmt.Sprint("s", n), "", n))
		}
	}
	onEveryHost(t, func(t *testing.T, h *host) {
		for name, list := range lists {
			h.server("garbage", "["+strings.Join(list, ",\n")+"]")
			text := h.execute("InventoryDocument", nil)
			s := h.readSurvey(text)
			if len(text) >= 24_000 || s.packed != (name != "50 short ones") || s.end != len(list) || len(s.lines) != len(list) {
				t.Errorf("%s: %d bytes, packed %t, %d lines, end %d", name, len(text), s.packed, len(s.lines), s.end)
			}
			if ids := s.ids(); len(slices.Compact(ids)) != len(list) {
				t.Errorf("%s: %d IDs", name, len(slices.Compact(ids)))
			}
		}
	})
}

// Whatever names users choose, the agent does not drop its reply: nobody would hear of the host.
func TestNoNamesAreTooLongForTheAgentsReply(t *testing.T) {
	var list []string
	for n := range 60 {
		list = append(list, fmt.Sprintf(`{"id":"%d","owner":"%s","name":"%[2]s","num-of-connections":0,"creation-time":%q}`, n, strings.Repeat("<", 250), created))
	}
	onEveryHost(t, func(t *testing.T, h *host) {
		for _, missing := range []string{"", "gzip"} {
			if missing != "" {
				h.shim(missing, "exit 127")
			}
			h.server("garbage", "["+strings.Join(list, ",")+"]")
			text := h.execute("InventoryDocument", nil)
			if s := h.readSurvey(text); agent.Drops(agent.Listed(text, ""), agent.Stdout(text)) || len(s.lines) < 15 || s.packed != (missing == "") {
				t.Errorf("without %q: dropped %t, %d bytes, packed %t, %d lines", missing, agent.Drops(agent.Listed(text, ""), agent.Stdout(text)), len(text), s.packed, len(s.lines))
			}
		}
	})
}

// A list that is not JSON, whatever it looks like.
var unreadableLists = []string{
	"{}", "null", "7", `""`, "No sessions", "[", "]", "[]]", "[[]]", "[,]", "[] []", "[]x", "[1]", "[null]", `["a"]`,
	`{"id":"a"}`, `[{"id":"a","owner":"u"}`, `[{"id":"a"},]`, `[{"id":"a"}{"id":"b"}]`, `[{"id":"a",}]`, `[{"id"}]`, `[{id:"a"}]`,
	`[{'id':'a'}]`, `[{"id":"a","n":01}]`, `[{"id":"a","n":True}]`, `[{"id":"a\x"}]`, `[{"id":"a}]`, "[{\"id\":\"a\nb\"}]",
	"[{\"id\":\"a\tb\"}]", "[{\"id\":\"a\x01b\"}]", "[{\"id\":\"a\x1fb\"}]", "[{\"id\":\"a\rb\"}]", "[]\n#",
}

// No host is without sessions only because it cannot say which it has.
func TestInventoryThatCannotBeMadeSaysSo(t *testing.T) {
	onEveryHost(t, func(t *testing.T, h *host) {
		h.session("a", created)
		for _, list := range unreadableLists {
			h.server("garbage", list)
			h.wantFailed(h.inventory(), "dcv list-sessions: unreadable answer")
		}
		remove(t, h.state+"/garbage")
		for said, want := range map[string]string{
			"":                              "Could not connect to the DCV server: is dcvserver running? (exit 1)",
			"\n \"quoted\"\\ {\"end\":0}\n": "quoted {\"end\":0} (exit 1)",
			strings.Repeat("long ", 5000):   strings.Repeat("long ", 16),
		} {
			h.server("broken", said)
			h.wantFailed(h.inventory(), strings.ReplaceAll(want, `"end"`, " end "))
		}
		remove(t, h.state+"/broken")
		h.wrapDcv(`real "$@"; echo half >&2; exit 3`)
		h.wantFailed(h.inventory(), "half (exit 3)")
		remove(t, h.bin+"/dcv")
		if s := h.inventory(); !strings.Contains(s.failed, "dcv") {
			t.Error(s.text)
		}
	})
}

func TestInventoryOfAHungDcvFails(t *testing.T) {
	onEveryAwk(t, func(t *testing.T, h *host) {
		h.shortTimeout()
		h.server("hang", "")
		h.wantFailed(h.inventory(), "dcv took too long")
	})
}

// Texts come out as they went in, whatever is in them.
func TestInventoryKeepsHostileTexts(t *testing.T) {
	texts := append(slices.Clone(hostileIDs), impossibleIDs...)
	onEveryHost(t, func(t *testing.T, h *host) {
		for batch := range slices.Chunk(texts, 12) {
			var listed []string
			for i, text := range batch {
				quoted := escaped(text)
				if i%2 == 0 {
					plain, err := json.Marshal(text)
					if err != nil {
						t.Fatal(err)
					}
					quoted = string(plain)
				}
				session := strings.NewReplacer(`"user1"`, quoted, `"name" : `, `"type" : `+quoted+`, "name" : `+quoted+`, "x" : `)
				listed = append(listed, session.Replace(described(quoted, created)))
			}
			h.server("garbage", "["+strings.Join(listed, ",")+"]")
			s := h.inventory()
			slices.Sort(batch)
			named := slices.DeleteFunc(slices.Clone(batch), func(id string) bool { return len(id) > 256 })
			if !slices.Equal(s.ids(), named) || s.end != len(batch) || s.unnamed != len(batch)-len(named) {
				t.Errorf("listed as %q, wanted %q, end %d, %d unnamed", s.ids(), named, s.end, s.unnamed)
			}
			for _, l := range s.lines {
				if l.Name == nil || l.Type == nil || *l.Owner != *l.ID || *l.Name != *l.ID || *l.Type != *l.ID || *l.Created != created {
					t.Errorf("%+v", l)
				}
			}
		}
		h.wantNothingRun()
	})
}

// Bytes that stand for a character are not decoded: what dcv escaped stays escaped.
func TestInventoryPrintsTextsAsDcvDid(t *testing.T) {
	onEveryAwk(t, func(t *testing.T, h *host) {
		const text = `"\u0041\/\ud83d\udda5é\\\""`
		h.server("garbage", `[{"id":`+text+`,"\u006fwner":`+text+`,"creation-time":`+text+`}]`)
		want := `{"id":` + text + `,"owner":` + text + `,"created":` + text + "}\n{\"end\":1}\n"
		if got := h.inventory().text; got != want {
			t.Errorf("got %s, wanted %s", got, want)
		}
	})
}
