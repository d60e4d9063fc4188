package runcommand

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"fmt"
	"math/rand"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func packedLines(lines string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write([]byte(lines))
	_ = w.Close()
	return packedBegins + base64.StdEncoding.EncodeToString(b.Bytes()) + packedEnds + "\n"
}

// manyLines is an inventory of sessions with random IDs.
func manyLines(sessions int) string {
	r := rand.New(rand.NewSource(1))
	var b strings.Builder
	for range sessions {
		id := fmt.Sprintf("%08x-%04x-4%03x-a%03x-%012x", r.Uint32(), r.Intn(1<<16), r.Intn(1<<12), r.Intn(1<<12), r.Int63n(1<<48))
		fmt.Fprintf(&b, `{"id":"%s","owner":"user%d","name":"%[1]s","type":"virtual","created":"2026-11-23T19:%02d:%02d.%06dZ","connections":0,"left":""}`+"\n",
			id, r.Intn(50), r.Intn(60), r.Intn(60), r.Intn(1_000_000))
	}
	fmt.Fprintf(&b, `{"end":%d}`+"\n", sessions)
	return b.String()
}

func TestPackedInventoryIsTheSame(t *testing.T) {
	for name, output := range map[string]string{
		"as printed": packedLines(manyLines(350)), "Windows": strings.ReplaceAll(packedLines(manyLines(350)), "\n", "\r\n"),
		"without an end of line": strings.TrimSpace(packedLines(manyLines(350))), "behind a blank line": "\n" + packedLines(manyLines(350)),
	} {
		plain, _, _, _ := inventory(asked, "i-1", "linux", manyLines(350))
		got, answered, failed, unreadable := inventory(asked, "i-1", "linux", output)
		if !answered || failed != "" || unreadable != 0 || !got.Complete || len(got.Sessions) != 350 || got.Sessions[349] != plain.Sessions[349] {
			t.Errorf("%s: answered %t, failed %q, %d unreadable, complete %t, %d sessions", name, answered, failed, unreadable, got.Complete, len(got.Sessions))
		}
	}
}

// Promise 11: a session's record is small, whatever its host says of it.
func TestTextsOfASessionAreCut(t *testing.T) {
	long := strings.Repeat("é", 25_000)
	line := fmt.Sprintf(`{"id":"a","owner":"alice","name":"x%[1]s","type":"x%[1]s","created":"x%[1]s","left":"x%[1]s"}`, long) + "\n" + `{"end":1}`
	got, _, _, unreadable := inventory(asked, "i-1", "linux", packedLines(line))
	if !got.Complete || unreadable > 0 || len(got.Sessions) != 1 {
		t.Fatalf("%d sessions, complete %t, %d unreadable", len(got.Sessions), got.Complete, unreadable)
	}
	s := got.Sessions[0]
	want := "x" + strings.Repeat("é", 511)
	for what, text := range map[string]string{"name": s.Name, "type": s.Type, "created": s.CreationTime, "left": s.LastDisconnectionTime} {
		if text != want {
			t.Errorf("%s has %d bytes", what, len(text))
		}
	}
	fits := strings.Repeat("é", 512)
	got, _, _, _ = inventory(asked, "i-1", "linux", fmt.Sprintf(`{"id":"a","owner":"alice","name":"%s"}`, fits))
	if got.Sessions[0].Name != fits {
		t.Errorf("a name of 1,024 bytes is cut to %d", len(got.Sessions[0].Name))
	}
}

// Wherever a packed answer is cut it lists what is left of it, and ends nothing.
func TestCutPackedInventoryListsWhatIsLeft(t *testing.T) {
	whole := strings.TrimSpace(packedLines(manyLines(350)))
	all, _, _, _ := inventory(asked, "i-1", "linux", whole)
	last := 0
	for cut := 0; cut < len(whole); cut += 97 {
		for _, mark := range []string{"", "--output truncated--"} {
			got, _, failed, _ := inventory(asked, "i-1", "linux", whole[:cut]+mark)
			if got.Complete || failed != "" || len(got.Sessions) < last {
				t.Fatalf("cut after %d of %d: complete %t, failed %q, %d sessions", cut, len(whole), got.Complete, failed, len(got.Sessions))
			}
			for i, s := range got.Sessions {
				if s != all.Sessions[i] {
					t.Fatalf("cut after %d: %+v", cut, s)
				}
			}
			last = len(got.Sessions)
		}
	}
	if last < 300 {
		t.Errorf("%d of 350 sessions are left of nearly all", last)
	}
}

// Something in the middle is lost, or the line is none of ours.
func TestInvalidPackedInventories(t *testing.T) {
	whole := strings.TrimSpace(packedLines(lineA + lineB + end2))
	body := strings.TrimSuffix(strings.TrimPrefix(whole, packedBegins), packedEnds)
	for name, output := range map[string]string{
		"without its end":     strings.TrimSuffix(whole, packedEnds),
		"half its end":        strings.TrimSuffix(whole, "}"),
		"a character less":    packedBegins + body[:20] + body[21:] + packedEnds,
		"a character more":    packedBegins + body[:20] + "A" + body[20:] + packedEnds,
		"another character":   packedBegins + body[:40] + string(body[40]^1) + body[41:] + packedEnds,
		"no base64":           packedBegins + "!" + packedEnds,
		"no gzip":             packedBegins + "aGVsbG8=" + packedEnds,
		"nothing":             packedBegins + packedEnds,
		"a line before it":    lineA + whole,
		"a line behind it":    whole + "\n" + lineA,
		"twice":               whole + "\n" + whole,
		"packed twice":        packedLines(whole),
		"lines without end":   packedLines(lineA + lineB),
		"garbage behind it":   whole + " garbage",
		"the agent's mark":    whole + "--output truncated--",
		"of another document": packedLines(`{"id":"a","result":"closed"}` + "\n" + end2),
	} {
		if got, _, _, _ := inventory(asked, "i-1", "linux", output); got.Complete {
			t.Errorf("%s: a whole inventory of %d sessions", name, len(got.Sessions))
		}
	}
}

// 18 KB can be 18 MB, or a million lines: neither is read.
func TestUnpackingIsBounded(t *testing.T) {
	for name, lines := range map[string]string{
		"one endless line":  `{"id":"` + strings.Repeat("a", 18<<20) + `"}` + "\n" + `{"end":1}`,
		"a million lines":   strings.Repeat(`{"id":"a"}`+"\n", 1_000_000),
		"blank lines":       strings.Repeat("\n", 18<<20),
		"many short names":  manyNames(40_000),
		"just too many":     manyNames(maxSurveyLines + 1),
		"an end far behind": lineA + strings.Repeat(" ", maxUnpackedBytes) + "\n" + `{"end":1}`,
	} {
		output := packedLines(lines)
		unpacked, _ := unpack(output)
		got, _, _, unreadable := inventory(asked, "i-1", "linux", output)
		if len(unpacked) > maxUnpackedBytes+1 || len(got.Sessions) > maxSurveyLines || got.Complete || unreadable == 0 {
			t.Errorf("%s: %d bytes, %d sessions, complete %t, %d unreadable", name, len(unpacked), len(got.Sessions), got.Complete, unreadable)
		}
	}
	if got, _, _, _ := inventory(asked, "i-1", "linux", packedLines(manyNames(maxSurveyLines-1))); !got.Complete || len(got.Sessions) != maxSurveyLines-1 {
		t.Errorf("as many as are read: complete %t, %d sessions", got.Complete, len(got.Sessions))
	}
}

func manyNames(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `{"id":"%d"}`+"\n", i)
	}
	fmt.Fprintf(&b, `{"end":%d}`+"\n", n)
	return b.String()
}

// What no line can name is counted: it spoils nothing for the others, and the host is not empty.
func TestSessionsWithoutALineAreCounted(t *testing.T) {
	for output, want := range map[string]struct {
		complete bool
		sessions int
		unnamed  int
	}{
		lineA + `{"id":"b"}` + "\n" + end2: {true, 2, 0},
		lineA + `{"end":2,"unnamed":1}`:    {true, 1, 1},
		`{"end":3,"unnamed":3}`:            {true, 0, 3},
		lineA + `{"end":2,"unnamed":2}`:    {false, 1, 0},
		lineA + `{"end":1,"unnamed":-1}`:   {false, 1, 0},
		lineA + `{"end":1,"unnamed":1}`:    {false, 1, 0},
		`{"end":0,"unnamed":1}`:            {false, 0, 0},
	} {
		got, _, _, _ := inventory(asked, "i-1", "linux", output)
		if got.Complete != want.complete || len(got.Sessions) != want.sessions || got.Complete && got.Unnamed != want.unnamed {
			t.Errorf("%s: %+v", output, got)
		}
	}
}

// Whatever happens to one place of a packed answer, it is either whole with its very
// sessions, or not whole.
func TestBrokenPackedInventoryIsNotWhole(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		whole := packedLines(manyLines(rapid.IntRange(1, 20).Draw(t, "sessions")))
		sent, _, _, _ := inventory(asked, "i-1", "linux", whole)
		at := rapid.IntRange(0, len(whole)-1).Draw(t, "at")
		with := rapid.SampledFrom([]string{"", "A", "z", "\n", "\"", "=", "\x00", "é", packedBegins, packedEnds}).Draw(t, "with")
		broken := whole[:at] + with + whole[at+1:]
		if inv, _, _, _ := inventory(asked, "i-1", "linux", broken); inv.Complete && !slices.Equal(inv.Sessions, sent.Sessions) {
			t.Fatalf("%q: %+v", broken, inv)
		}
	})
}
