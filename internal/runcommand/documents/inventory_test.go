package documents_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
)

// inventory runs the script of InventoryDocument.
func (h *host) inventory() survey {
	h.t.Helper()
	return h.readSurvey(h.execute("InventoryDocument", nil))
}

func TestInventoryOfNoSession(t *testing.T) {
	t.Parallel()
	onEveryHost(t, func(t *testing.T, h *host) {
		if got := h.inventory().text; got != "{\"end\":0}\n" {
			t.Errorf("%q", got)
		}
	})
}

func TestInventoryTellsOfEachSession(t *testing.T) {
	t.Parallel()
	onEveryHost(t, func(t *testing.T, h *host) {
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
	t.Parallel()
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
	t.Parallel()
	onEveryHost(t, func(t *testing.T, h *host) {
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

// One that is too long for any answer does not keep the others out.
func TestInventoryLeavesOutWhatIsTooLong(t *testing.T) {
	t.Parallel()
	onEveryAwk(t, func(t *testing.T, h *host) {
		h.session("a", created)
		h.session("c", created)
		h.server(fileOf("b")+".json", strings.Replace(described(`"b"`, created), "user1", strings.Repeat("x", maxLinesBytes), 1))
		if s := h.inventory(); !slices.Equal(s.ids(), []string{"a", "c"}) || s.end != 3 {
			t.Errorf("%q, end %d", s.ids(), s.end)
		}
	})
}

// The reader must see that there is more than it was told of.
func TestInventoryCountsWhatItCannotName(t *testing.T) {
	t.Parallel()
	fields := func(id, owner, at string) string { return fmt.Sprintf(`{%s %s %s "x":1}`, id, owner, at) }
	const id, owner, at = `"id":"a",`, `"owner":"u",`, `"creation-time":"` + created + `",`
	onEveryAwk(t, func(t *testing.T, h *host) {
		for _, list := range []string{
			"{}", fields("", owner, at), fields(`"id":7,`, owner, at), fields(`"id":null,`, owner, at), fields(`"id":"",`, owner, at),
			fields(`"id":["a"],`, owner, at), fields(`"x":{"id":"a"},`, owner, at),
			fields(id, "", at), fields(id, `"owner":"",`, at), fields(id, `"owner":{},`, at), fields(id, owner, ""),
			fields(id, owner, `"creation-time":5,`),
			fields(id, owner, at) + "," + fields(`"id":"\u0061",`, owner, at), // one ID twice
		} {
			h.server("garbage", "["+list+","+described(`"good"`, created)+"]")
			count := 2 + strings.Count(list, "},{")
			if s := h.inventory(); !slices.Equal(s.ids(), []string{"good"}) || s.end != count {
				t.Errorf("%s: %q, end %d, wanted %d", list, s.ids(), s.end, count)
			}
		}
	})
}

// A list that is not JSON, whatever it looks like.
var unreadableLists = []string{
	"", "\n", "{}", "null", "7", `""`, "No sessions", "[", "]", "[]]", "[[]]", "[,]", "[] []", "[]x", "[1]", "[null]", `["a"]`,
	`{"id":"a"}`, `[{"id":"a","owner":"u"}`, `[{"id":"a"},]`, `[{"id":"a"}{"id":"b"}]`, `[{"id":"a",}]`, `[{"id"}]`, `[{id:"a"}]`,
	`[{'id':'a'}]`, `[{"id":"a","n":01}]`, `[{"id":"a","n":True}]`, `[{"id":"a\x"}]`, `[{"id":"a}]`, "[{\"id\":\"a\nb\"}]",
	"[{\"id\":\"a\tb\"}]", "[{\"id\":\"a\x01b\"}]", "[{\"id\":\"a\x1fb\"}]", "[{\"id\":\"a\rb\"}]", "= 0 1\n[]", "[]\n#",
}

// No host is without sessions only because it cannot say which it has.
func TestInventoryThatCannotBeMadeSaysSo(t *testing.T) {
	t.Parallel()
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
	t.Parallel()
	onEveryAwk(t, func(t *testing.T, h *host) {
		h.shortTimeout()
		h.server("hang", "")
		h.wantFailed(h.inventory(), "dcv took too long")
	})
}

// Texts come out as they went in, whatever is in them.
func TestInventoryKeepsHostileTexts(t *testing.T) {
	t.Parallel()
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
			if !slices.Equal(s.ids(), batch) || s.end != len(batch) {
				t.Errorf("listed as %q, wanted %q", s.ids(), batch)
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
	t.Parallel()
	onEveryAwk(t, func(t *testing.T, h *host) {
		const text = `"\u0041\/\ud83d\udda5é\\\""`
		h.server("garbage", `[{"id":`+text+`,"\u006fwner":`+text+`,"creation-time":`+text+`}]`)
		want := `{"id":` + text + `,"owner":` + text + `,"created":` + text + "}\n{\"end\":1}\n"
		if got := h.inventory().text; got != want {
			t.Errorf("got %s, wanted %s", got, want)
		}
	})
}
