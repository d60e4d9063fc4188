package tabletest

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"dcv-session-broker/internal/session"
)

// CompareHosts does the same random things to two Hosts tables and wants the
// same answers.
func CompareHosts(t *testing.T, newOne, newOther func(TB) session.HostTable) {
	rapid.Check(t, func(t *rapid.T) {
		one, other := newOne(t), newOther(t)
		for n := range rapid.IntRange(1, maxQuestions).Draw(t, "steps") {
			ask := genQuestion(n).Draw(t, "question")
			a, errA := ask.put(t, one)
			b, errB := ask.put(t, other)
			if (errA != nil) != (errB != nil) || errA != nil && !ask.unfit {
				t.Fatalf("%s: %v, %v", ask.what, errA, errB)
			}
			if diff := cmp.Diff(a, b); diff != "" {
				t.Fatalf("%s (-one +other):\n%s", ask.what, diff)
			}
		}
	})
}

// A question is one operation on a Hosts table.
type question struct {
	what string
	put  func(*rapid.T, session.HostTable) (answer any, err error)
	// unfit: it is about a host that cannot be.
	unfit bool
}

func (q question) String() string { return q.what }

var (
	hostIDs   = []string{"i-1", "i-2", "mi-3"}
	genHostID = rapid.Custom(func(t *rapid.T) string {
		if rapid.IntRange(0, 9).Draw(t, "odd host") == 0 {
			return rapid.SampledFrom(unfitKeys).Draw(t, "odd host")
		}
		return rapid.SampledFrom(hostIDs).Draw(t, "host")
	})
)

// genMoment is a time of a few, and a little next to it: less than the
// milliseconds that are kept, too.
func genMoment(step time.Duration) *rapid.Generator[time.Time] {
	return rapid.Custom(func(t *rapid.T) time.Time {
		return noon.
			Add(time.Duration(rapid.IntRange(0, 4).Draw(t, "steps")) * step).
			Add(time.Duration(rapid.IntRange(-2, 2).Draw(t, "a little")) * 400 * time.Microsecond)
	})
}

// maxQuestions is a number without common divisors with 7.
const maxQuestions = 25

// genAnswered is when an answer may be read.
var genAnswered = rapid.Custom(func(t *rapid.T) time.Time {
	at := noon.Add(time.Duration(rapid.IntRange(0, maxQuestions).Draw(t, "milliseconds")) * time.Millisecond)
	return at.Add(time.Duration(rapid.IntRange(0, 1).Draw(t, "a little")) * 400 * time.Microsecond)
})

// genQuestion is the n-th question. No two answers of hosts are read at the same
// moment, since those would be in no order, but they are not in the order of the
// questions.
func genQuestion(n int) *rapid.Generator[question] {
	return rapid.Custom(func(t *rapid.T) question {
		q := question{what: rapid.SampledFrom([]string{"sent", "last", "newest", "answered", "answered", "quiet", "silence", "refused", "forgotten", "which"}).Draw(t, "what")}
		switch q.what {
		case "sent":
			at := genMoment(session.SentApart).Draw(t, "at")
			q.put = func(t *rapid.T, h session.HostTable) (any, error) { return nil, h.RecordInventorySent(t.Context(), at) }
		case "last":
			q.put = func(t *rapid.T, h session.HostTable) (any, error) {
				at, err := h.LastButTwo(t.Context())
				return at.UTC(), err
			}
		case "newest":
			some := rapid.SliceOfDistinct(genHostID, rapid.ID[string]).Draw(t, "hosts")
			q.put = func(t *rapid.T, h session.HostTable) (any, error) { return h.Newest(t.Context(), some) }
		case "answered":
			a := session.HostAnswer{
				HostID: genHostID.Draw(t, "host"), InventoryID: "inv", Platform: rapid.SampledFrom([]string{"", "linux"}).Draw(t, "platform"),
				SentAt: genMoment(time.Millisecond).Draw(t, "sent"),
				At:     noon.Add(time.Duration(n*7%maxQuestions) * time.Millisecond),
			}
			q.what, q.unfit = fmt.Sprintf("answered %+v", a), slices.Contains(unfitKeys, a.HostID)
			q.put = func(t *rapid.T, h session.HostTable) (any, error) { return h.RecordAnswer(t.Context(), a) }
		case "quiet":
			before, limit := genAnswered.Draw(t, "before"), rapid.IntRange(1, 3).Draw(t, "limit")
			q.what = fmt.Sprintf("quiet before %v, at most %d", before, limit)
			q.put = func(t *rapid.T, h session.HostTable) (any, error) {
				return h.AnsweredBefore(t.Context(), before, limit)
			}
		case "silence":
			hostID, before := genHostID.Draw(t, "host"), genAnswered.Draw(t, "before")
			q.what, q.unfit = fmt.Sprintf("silence of %s before %v", hostID, before), slices.Contains(unfitKeys, hostID)
			q.put = func(t *rapid.T, h session.HostTable) (any, error) { return h.MarkSilent(t.Context(), hostID, before) }
		case "refused":
			some, at := rapid.SliceOfDistinct(genHostID, rapid.ID[string]).Draw(t, "hosts"), genMoment(time.Millisecond).Draw(t, "at")
			q.what = fmt.Sprintf("refused %.20q at %v", some, at)
			q.put = func(t *rapid.T, h session.HostTable) (any, error) {
				return nil, h.(refusedHosts).RecordRefused(t.Context(), some, at)
			}
		case "forgotten":
			noted := session.RefusedHost{HostID: rapid.SampledFrom(hostIDs).Draw(t, "host"), At: genMoment(time.Millisecond).Draw(t, "at")}
			q.what = fmt.Sprintf("forget %+v", noted)
			q.put = func(t *rapid.T, h session.HostTable) (any, error) {
				return nil, h.(refusedHosts).ForgetRefused(t.Context(), noted)
			}
		case "which":
			q.put = func(t *rapid.T, h session.HostTable) (any, error) {
				all, err := h.(refusedHosts).RefusedHosts(t.Context(), 10)
				at := map[string]string{} // those of one moment are in no order
				for _, r := range all {
					at[r.HostID] = session.FormatTime(r.At)
				}
				return at, err
			}
		}
		return q
	})
}
