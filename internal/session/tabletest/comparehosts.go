package tabletest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"dcv-session-broker/internal/session"
)

// A HostsSubject has all operations of the Hosts table.
type HostsSubject interface {
	session.HostTable
	session.HostNotes
	session.HostWalk
	session.RefusedHostNotes
	session.RefusedHosts
}

// CompareHosts applies the same random operations to two Hosts tables and wants the same
// answers.
func CompareHosts(t *testing.T, newOne, newOther func(TB) HostsSubject) {
	rapid.Check(t, func(t *rapid.T) {
		one, other := newOne(t), newOther(t)
		for n := range rapid.IntRange(maxQuestions/2, maxQuestions).Draw(t, "steps") {
			ask := genQuestion(n).Draw(t, "question")
			a, errA := ask.put(t.Context(), one)
			b, errB := ask.put(t.Context(), other)
			if (errA != nil) != (errB != nil) || errA != nil && !ask.unfit {
				t.Fatalf("%s: %v, %v", ask.what, errA, errB)
			}
			if diff := cmp.Diff(a, b, cmpopts.EquateEmpty()); diff != "" {
				t.Fatalf("%s (-one +other):\n%s", ask.what, diff)
			}
		}
	})
}

// A question is one operation on a Hosts table.
type question struct {
	what string
	put  func(context.Context, HostsSubject) (answer any, err error)
	// unfit: it is about a host that cannot be.
	unfit bool
}

func (q question) String() string { return q.what }

var (
	hostIDs   = []string{"i-1", "i-2", "mi-3"}
	oddHosts  = append([]string{"é" + xs(maxKeyBytes-len("é"))}, unfitHostIDs...)
	genHostID = rapid.Custom(func(t *rapid.T) string {
		if rapid.IntRange(0, 9).Draw(t, "odd host") == 0 {
			return rapid.SampledFrom(oddHosts).Draw(t, "odd host")
		}
		return rapid.SampledFrom(hostIDs).Draw(t, "host")
	})
)

// genMoment generates one of a few times, or one close to it, also by less than the
// millisecond that is stored.
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

// genQuestion is the n-th question. No two hosts answer, are added or are refused
// at the same moment, since those would be in no order, but they are not in the
// order of the questions.
func genQuestion(n int) *rapid.Generator[question] {
	at := noon.Add(time.Duration(n*7%maxQuestions) * time.Millisecond)
	kinds := []*rapid.Generator[question]{
		genInventory, genAnswer(at), genAnswer(at), genQuiet, genQuiet, genKnown, genKnown, genAdded(at), genWalk, genAsked, genTag, genRefused(at),
	}
	return rapid.Custom(func(t *rapid.T) question { return rapid.SampledFrom(kinds).Draw(t, "kind").Draw(t, "question") })
}

// genInventory is about the inventories that were sent to all hosts.
var genInventory = rapid.Custom(func(t *rapid.T) question {
	if rapid.Bool().Draw(t, "last") {
		return question{what: "last inventories", put: func(ctx context.Context, h HostsSubject) (any, error) {
			sent, err := h.LastInventories(ctx)
			for n := range sent {
				sent[n] = sent[n].UTC()
			}
			return sent, err
		}}
	}
	at := genMoment(session.SentApart).Draw(t, "at")
	if rapid.IntRange(0, 3).Draw(t, "forget") == 0 {
		return question{what: fmt.Sprint("not sent at ", at), put: func(ctx context.Context, h HostsSubject) (any, error) {
			return nil, h.ForgetInventory(ctx, at)
		}}
	}
	return question{what: fmt.Sprint("sent at ", at), put: func(ctx context.Context, h HostsSubject) (any, error) {
		return nil, h.RecordInventorySent(ctx, at)
	}}
})

func genAnswer(at time.Time) *rapid.Generator[question] {
	return rapid.Custom(func(t *rapid.T) question {
		a := session.HostAnswer{
			HostID: genHostID.Draw(t, "host"), InventoryID: rapid.SampledFrom([]string{"", "inv", xs(maxItemBytes / 8)}).Draw(t, "inventory"),
			Platform: rapid.SampledFrom([]string{"", "linux", "é"}).Draw(t, "platform"),
			SentAt:   genMoment(time.Millisecond).Draw(t, "sent"),
			At:       at, Sessions: rapid.IntRange(0, 1).Draw(t, "sessions"), Complete: rapid.Bool().Draw(t, "complete"),
		}
		return question{fmt.Sprintf("answered %.200v", a), func(ctx context.Context, h HostsSubject) (any, error) {
			fresh, tag, err := h.RecordAnswer(ctx, a)
			return []any{fresh, tag}, err
		}, unfit(a.HostID)}
	})
}

// genQuiet is about hosts that have not answered.
var genQuiet = rapid.Custom(func(t *rapid.T) question {
	before := genAnswered.Draw(t, "before")
	if rapid.Bool().Draw(t, "which") {
		limit := rapid.IntRange(1, 3).Draw(t, "limit")
		return question{what: fmt.Sprintf("quiet before %v, at most %d", before, limit), put: func(ctx context.Context, h HostsSubject) (any, error) {
			return h.AnsweredBefore(ctx, before, limit)
		}}
	}
	hostID := genHostID.Draw(t, "host")
	return question{fmt.Sprintf("silence of %.20q before %v", hostID, before), func(ctx context.Context, h HostsSubject) (any, error) {
		return h.MarkSilent(ctx, hostID, before)
	}, unfit(hostID)}
})

// genKnown asks what is known of hosts, and of IDs that no host has.
var genKnown = rapid.Custom(func(t *rapid.T) question {
	some := rapid.SliceOfDistinct(genHostID, rapid.ID[string]).Draw(t, "hosts")
	return question{what: fmt.Sprintf("known of %.20q", some), put: func(ctx context.Context, h HostsSubject) (any, error) {
		newest, err := h.Newest(ctx, some)
		notes, errOfNotes := h.Notes(ctx, some)
		silences, errOfSilences := h.Silences(ctx, some)
		return []any{newest, notes, silences}, errors.Join(err, errOfNotes, errOfSilences)
	}}
})

func genAdded(at time.Time) *rapid.Generator[question] {
	return rapid.Custom(func(t *rapid.T) question {
		hostID := genHostID.Draw(t, "host")
		return question{fmt.Sprintf("%.20q added at %v", hostID, at), func(ctx context.Context, h HostsSubject) (any, error) {
			return nil, h.AddHost(ctx, hostID, at)
		}, unfit(hostID)}
	})
}

// genWalk is about the place of a walk over the hosts.
var genWalk = rapid.Custom(func(t *rapid.T) question {
	if rapid.Bool().Draw(t, "ask") {
		return question{what: "walked to", put: func(ctx context.Context, h HostsSubject) (any, error) { return h.WalkedTo(ctx) }}
	}
	place := rapid.OneOf(genHostID, rapid.Just("")).Draw(t, "place")
	return question{what: fmt.Sprintf("walk to %.20q", place), put: func(ctx context.Context, h HostsSubject) (any, error) {
		return nil, h.RecordWalkedTo(ctx, place)
	}}
})

var genAsked = rapid.Custom(func(t *rapid.T) question {
	hostID, at := genHostID.Draw(t, "host"), genAnswered.Draw(t, "at")
	return question{fmt.Sprintf("EC2 asked about %.20q at %v", hostID, at), func(ctx context.Context, h HostsSubject) (any, error) {
		return nil, h.RecordAsked(ctx, hostID, at)
	}, unfit(hostID)}
})

var genTag = rapid.Custom(func(t *rapid.T) question {
	hostID := genHostID.Draw(t, "host")
	tag := session.OwnerTag{Owner: rapid.SampledFrom([]string{"", "alice", `EXAMPLE\bob`}).Draw(t, "owner"), ReadAt: genAnswered.Draw(t, "at")}
	return question{fmt.Sprintf("tag of %.20q is %v", hostID, tag), func(ctx context.Context, h HostsSubject) (any, error) {
		return nil, h.RecordOwnerTag(ctx, hostID, tag)
	}, unfit(hostID)}
})

// genRefused notes a host, which may be none, or forgets those that are noted.
func genRefused(at time.Time) *rapid.Generator[question] {
	return rapid.Custom(func(t *rapid.T) question {
		hostID, limit := genHostID.Draw(t, "host"), rapid.IntRange(1, 3).Draw(t, "limit")
		switch rapid.SampledFrom([]string{"note", "note", "list", "forget"}).Draw(t, "what") {
		case "note":
			return question{what: fmt.Sprintf("%.20q refused at %v", hostID, at), put: func(ctx context.Context, h HostsSubject) (any, error) {
				return nil, h.RecordRefused(ctx, []string{hostID}, at)
			}}
		case "forget":
			late := time.Duration(rapid.IntRange(0, 1).Draw(t, "late")) * time.Millisecond
			return question{what: fmt.Sprint("forget refused, late by ", late), put: func(ctx context.Context, h HostsSubject) (any, error) {
				noted, err := h.RefusedHosts(ctx, limit)
				for _, n := range noted {
					err = errors.Join(err, h.ForgetRefused(ctx, session.RefusedHost{HostID: n.HostID, At: n.At.Add(late)}))
				}
				return noted, err
			}}
		}
		return question{what: fmt.Sprintf("refused, at most %d", limit), put: func(ctx context.Context, h HostsSubject) (any, error) {
			return h.RefusedHosts(ctx, limit)
		}}
	})
}

func unfit(hostID string) bool { return slices.Contains(unfitHostIDs, hostID) }
