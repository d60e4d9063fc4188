package runcommand_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"dcv-session-broker/internal/local/fleet"
	"dcv-session-broker/internal/runcommand"
	"dcv-session-broker/internal/session"
	"dcv-session-broker/internal/template"
)

const noticeID = "notice-99999999-2222-3333-4444-555555555555"

var noticeAt = time.Date(2026, 11, 23, 19, 1, 2, 123e6, time.UTC)

// notices are of one message, for the session of each host.
func notices(hosts int) []session.Notice {
	var all []session.Notice
	for n := range hosts {
		all = append(all, session.Notice{
			Incarnation: session.Incarnation{SessionID: sessionID(n), NameOnHost: sessionID(n), HostID: hostID(n), CreationTime: "2026-11-23T08:30:00.262883Z"},
			ID:          noticeID, At: noticeAt, CloseAt: noticeAt.Add(10 * time.Minute), Text: "Maintenance begins.\nSave your work.", VoidAfter: noticeAt.Add(2 * time.Minute),
		})
	}
	return all
}

// notifying is a systemsManager with a notify document of that script.
func notifying(t *testing.T, script string, hosts int) *systemsManager {
	t.Helper()
	d := document(script)
	d.LogicalID, d.Parameters = "NotifyDocument", map[string]template.DocumentParameter{}
	for _, name := range []string{"sessions", "text", "closeAt", "voidAfter"} {
		d.Parameters[name] = template.DocumentParameter{EnvVar: true}
	}
	return systemsManagerWith(t, fleet.Options{Documents: []template.Document{d}}, hosts)
}

func TestNoticeSaysAllThatHostsNeed(t *testing.T) {
	sm := notifying(t, "exit 0\n", 2)
	asked := notices(2)
	asked[0].CreationTime, asked[0].CreatedUntil = "", noticeAt.Add(5*time.Second-time.Hour) // none is recorded: as of its request
	asked[1].SessionID, asked[1].NameOnHost = "console-"+hostID(1), "console"
	asked[1].At = asked[1].At.Add(time.Millisecond)
	if errs := sm.sender().Notify(t.Context(), asked); !slices.Equal(errs, make([]error, 2)) {
		t.Fatalf("answers: %v", errs)
	}
	want := &ssm.SendCommandInput{
		DocumentName:   aws.String("NotifyDocument"),
		InstanceIds:    []string{hostID(0), hostID(1)},
		Comment:        aws.String("notify " + noticeID + " 2026-11-23T19:11:02.123Z mwtmsv1n"),
		TimeoutSeconds: aws.Int32(60),
		MaxErrors:      aws.String("100%"),
		MaxConcurrency: aws.String("100%"),
		Parameters: map[string][]string{
			"sessions":  {hostID(0) + "=s0~hofphxd1rs:mwtmsv1n;" + hostID(1) + "=console-" + hostID(1) + "/console@hof9r7rbab:mwtmsv1o"},
			"text":      {"TWFpbnRlbmFuY2UgYmVnaW5zLgpTYXZlIHlvdXIgd29yay4="},
			"closeAt":   {"1795461063"}, // not before
			"voidAfter": {"1795460582"}, // not after
		},
	}
	if diff := cmp.Diff(want, sm.taken[0], cmpopts.IgnoreUnexported(ssm.SendCommandInput{})); diff != "" || len(sm.taken) != 1 {
		t.Errorf("%d commands (-want +got):\n%s", len(sm.taken), diff)
	}
}

func TestNoticeOfACancelHasNoCloseTime(t *testing.T) {
	sm := notifying(t, "exit 0\n", 1)
	asked := notices(1)
	asked[0].CloseAt = time.Time{}
	if errs := sm.sender().Notify(t.Context(), asked); errs[0] != nil {
		t.Fatal(errs)
	}
	in := sm.taken[0]
	if comment, closeAt := aws.ToString(in.Comment), in.Parameters["closeAt"]; comment != "cancelled "+noticeID || closeAt[0] != "0" {
		t.Errorf("comment %q, closeAt %q", comment, closeAt)
	}
}

// Promise 8: hosts at fault are refused, and nobody else.
func TestBadHostsOfNoticesFailAlone(t *testing.T) {
	sm := notifying(t, "exit 0\n", 50)
	sm.do(sm.Disconnect, 17)
	sm.do(sm.Untag, 30)
	asked := notices(51)
	asked[50].HostID = "ip-10-0-0-1"
	for n, err := range sm.sender().Notify(t.Context(), asked) {
		refusal := (*session.Refusal)(nil)
		if bad := n == 17 || n == 30 || n == 50; errors.As(err, &refusal) != bad || !bad && err != nil || bad && refusal.HostID != asked[n].HostID {
			t.Errorf("host %d: %v", n, err)
		}
	}
	if len(sm.taken) != 1 || len(sm.taken[0].InstanceIds) != 48 {
		t.Errorf("%d commands, calls %v", len(sm.taken), sm.calls)
	}
}

// As for closings: nobody is blamed for what may have been sent.
func TestUnclearNoticesAreNoRefusals(t *testing.T) {
	sm := notifying(t, "exit 0\n", 1)
	sm.fault = func(string, int) error { return errors.New("connection reset") }
	refusal := (*session.Refusal)(nil)
	if errs := sm.sender().Notify(t.Context(), notices(1)); errs[0] == nil || errors.As(errs[0], &refusal) {
		t.Errorf("answers: %v", errs)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if errs := sm.sender().Notify(ctx, notices(1)); errs[0] == nil || !strings.HasPrefix(errs[0].Error(), "no time left to send the notify command") {
		t.Errorf("answers: %v", errs)
	}
}

// sentTo keeps what is sent.
type sentTo struct {
	runcommand.SenderAPI
	inputs chan *ssm.SendCommandInput
}

func (s sentTo) SendCommand(_ context.Context, in *ssm.SendCommandInput, _ ...func(*ssm.Options)) (*ssm.SendCommandOutput, error) {
	s.inputs <- in
	return &ssm.SendCommandOutput{}, nil
}

// A message is what notices that go together say.
type message struct{ comment, text, voidAfter string }

func messageOf(n session.Notice) message {
	comment := "cancelled"
	if !n.CloseAt.IsZero() {
		comment = "notify " + n.ID + " " + session.FormatTime(n.CloseAt)
	}
	return message{comment, base64.StdEncoding.EncodeToString([]byte(n.Text)), itoa(n.VoidAfter.Unix())}
}

// A noticeSent is what a command says to a host of one session.
type noticeSent struct {
	message
	hostID, sessionID, order string
}

// readNotices gives what a command tells, and the order in its comment.
func readNotices(in *ssm.SendCommandInput) (all []noticeSent, order string) {
	fields := strings.Fields(aws.ToString(in.Comment))
	if len(fields) == 4 {
		fields, order = fields[:3], fields[3]
	}
	if fields[0] == "cancelled" { // its ID says nothing
		fields = fields[:1]
	}
	m := message{strings.Join(fields, " "), in.Parameters["text"][0], in.Parameters["voidAfter"][0]}
	for _, group := range strings.Split(in.Parameters["sessions"][0], ";") {
		host, sessions, _ := strings.Cut(group, "=")
		for _, one := range strings.Split(sessions, ",") {
			all = append(all, noticeSent{m, host, one[:strings.IndexAny(one, "@~")], one[strings.Index(one, ":")+1:]})
		}
	}
	return all, order
}

// Promise 11: a cancel of what many requests have marked is not a command for each of
// them. 100 hosts of 10 sessions are five commands by the size of the parameter.
func TestNoticesOfCancelsGoTogether(t *testing.T) {
	api := sentTo{inputs: make(chan *ssm.SendCommandInput, 1000)}
	asked := notices(1000)
	for i := range asked {
		n := &asked[i]
		n.SessionID = fmt.Sprintf("%08d-2222-3333-4444-555555555555", i)
		n.NameOnHost, n.HostID, n.ID, n.CloseAt = n.SessionID, hostID(i%100), "notice-"+n.SessionID, time.Time{}
	}
	sender := &runcommand.Sender{API: api, NotifyDocument: "NotifyDocument"}
	if errs := sender.Notify(t.Context(), asked); !slices.Equal(errs, make([]error, len(asked))) {
		t.Fatalf("answers: %v", errs)
	}
	if len(api.inputs) != 5 {
		t.Errorf("%d commands", len(api.inputs))
	}
}

// The budget: one command for each message and 50 hosts. Each notice is sent once, with
// what it says.
func TestNoticesThatSayTheSameGoTogether(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		asked := notices(rapid.IntRange(1, 130).Draw(t, "notices"))
		want, got := map[noticeSent]int{}, map[noticeSent]int{}
		hosts, earliest := map[message]map[string]bool{}, map[message]string{}
		for i := range asked {
			n := &asked[i]
			n.HostID = hostID(rapid.IntRange(0, 99).Draw(t, "host"))
			n.Text = rapid.SampledFrom([]string{"Bye.", "Farewell."}).Draw(t, "text")
			n.ID = rapid.SampledFrom([]string{"n1", "n2"}).Draw(t, "ID")
			n.At = noticeAt.Add(time.Duration(rapid.IntRange(0, 3).Draw(t, "at")) * time.Millisecond)
			n.VoidAfter = n.At.Add(2 * time.Minute)
			n.CloseAt = rapid.SampledFrom([]time.Time{{}, noticeAt.Add(time.Hour), noticeAt.Add(time.Hour + time.Millisecond)}).Draw(t, "closeAt")
			m, order := messageOf(*n), strconv.FormatInt(n.At.UnixMilli(), 36)
			want[noticeSent{m, n.HostID, n.SessionID, order}]++
			if hosts[m] == nil {
				hosts[m], earliest[m] = map[string]bool{}, order
			}
			hosts[m][n.HostID], earliest[m] = true, min(earliest[m], order)
		}
		api := sentTo{inputs: make(chan *ssm.SendCommandInput, len(asked))}
		sender := &runcommand.Sender{API: api, NotifyDocument: "NotifyDocument"}
		if errs := sender.Notify(t.Context(), asked); !slices.Equal(errs, make([]error, len(asked))) {
			t.Fatalf("answers: %v", errs)
		}
		commands := len(api.inputs)
		close(api.inputs)
		for in := range api.inputs {
			all, order := readNotices(in)
			for _, one := range all {
				got[one]++
			}
			if m := all[0].message; order != "" && order != earliest[m] {
				t.Fatalf("%q has the order %s, the earliest notice %s", *in.Comment, order, earliest[m])
			}
		}
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(noticeSent{}, message{})); diff != "" {
			t.Fatalf("(-want +got):\n%s", diff)
		}
		least := 0
		for _, of := range hosts {
			least += (len(of) + 49) / 50
		}
		if commands != least {
			t.Fatalf("%d commands, want %d", commands, least)
		}
	})
}
