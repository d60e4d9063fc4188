package ssmtest

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
)

// commands gives what ListCommands shows, by command, from pages of that size.
func commands(t tb, s System, pageSize int32, filters ...types.CommandFilter) map[string]types.Command {
	t.Helper()
	found := map[string]types.Command{}
	in := &ssm.ListCommandsInput{Filters: filters, MaxResults: &pageSize}
	for {
		out, err := s.ListCommands(t.Context(), in)
		if err != nil {
			t.Fatalf("ListCommands: %v", err)
		}
		if len(out.Commands) > int(pageSize) {
			t.Errorf("%d commands on a page of %d", len(out.Commands), pageSize)
		}
		for _, c := range out.Commands {
			found[aws.ToString(c.CommandId)] = c
		}
		if in.NextToken = out.NextToken; in.NextToken == nil {
			return found
		}
	}
}

// whole is a command's status and its details.
func whole(t tb, s System, command string) string {
	t.Helper()
	c := commands(t, s, 50)[command]
	return string(c.Status) + "/" + aws.ToString(c.StatusDetails)
}

func awaitWhole(t tb, s System, command, want string) {
	t.Helper()
	if !s.Await(func() bool { return whole(t, s, command) == want }) {
		t.Fatalf("command: %s, wanted %s", whole(t, s, command), want)
	}
}

// No invocation tells of a command by tag that ended before any host had it, and no event: ListCommands does (API
// reference, Command: StatusDetails; CommandFilter). Of one that found nobody it says Success (NoInstancesInTag): so the
// output of a public program shows it (aws-ssm-invoke).
func endsAsAWhole(t *testing.T, create Factory) {
	s := create(t, Options{})
	ids := addHosts(s, 2)
	s.Prints("", "", 0)
	taken := send(t, s, byTag())
	awaitWhole(t, s, taken, succeeded)
	s.Pass(time.Minute) // its events have come
	before := len(invocationEvents(s))

	s.EndBroadcasts("RateExceeded")
	cancelled := send(t, s, byTag())
	awaitWhole(t, s, cancelled, "Cancelled/RateExceeded")
	s.Pass(5 * time.Minute)
	if got := list(t, s, cancelled, 50); len(got) != 0 {
		t.Errorf("invocations of a command that ended as a whole: %v", got)
	}
	if got := len(invocationEvents(s)); got != before {
		t.Errorf("%d events, %d before", got, before)
	}
	named := send(t, s, byID(OneStep, ids...)) // others go on
	awaitStatus(t, s, named, ids[1], succeeded)

	s.EndBroadcasts("")
	again := send(t, s, byTag())
	awaitStatus(t, s, again, ids[0], succeeded)
	for _, id := range ids {
		s.Change(id, Untag)
	}
	awaitWhole(t, s, send(t, s, byTag()), "Success/NoInstancesInTag")
	c := commands(t, s, 50)[cancelled]
	if aws.ToString(c.Comment) != "a comment" || aws.ToString(c.DocumentName) != OneStep || c.RequestedDateTime == nil {
		t.Errorf("%+v", c)
	}
}

func commandPages(t *testing.T, create Factory) {
	s := create(t, Options{})
	id := addHosts(s, 1)[0]
	s.Prints("", "", 0)
	filter := func(key types.CommandFilterKey, value string) types.CommandFilter {
		return types.CommandFilter{Key: key, Value: &value}
	}
	old := send(t, s, byID(Both, id))
	awaitStatus(t, s, old, id, succeeded)
	s.Pass(time.Minute)
	var since time.Time
	for range 12 {
		command := send(t, s, byID(OneStep, id))
		awaitStatus(t, s, command, id, succeeded)
		if since.IsZero() {
			since = aws.ToTime(commands(t, s, 50)[command].RequestedDateTime).Add(-10 * time.Second)
		}
	}
	after := filter(types.CommandFilterKeyInvokedAfter, since.UTC().Format("2006-01-02T15:04:05Z"))
	for _, size := range []int32{5, 13, 50} {
		if got := commands(t, s, size); len(got) != 13 {
			t.Errorf("%d commands in pages of %d", len(got), size)
		}
		if got := commands(t, s, size, filter(types.CommandFilterKeyDocumentName, Both)); len(got) != 1 || got[old].CommandId == nil {
			t.Errorf("of one document: %v", got)
		}
		if got := commands(t, s, size, after, filter(types.CommandFilterKeyDocumentName, OneStep)); len(got) != 12 {
			t.Errorf("since then: %d", len(got))
		}
		if got := commands(t, s, size, after); len(got) != 12 {
			t.Errorf("since then: %d", len(got))
		}
	}
	for what, in := range map[string]*ssm.ListCommandsInput{
		"ValidationException": {MaxResults: aws.Int32(51)},
		"InvalidFilterKey":    {Filters: []types.CommandFilter{filter("Colour", "red")}},
		"InvalidNextToken":    {NextToken: aws.String("x")},
	} {
		if _, err := s.ListCommands(t.Context(), in); code(err) != what {
			t.Errorf("%v, wanted %s", err, what)
		}
	}
}
