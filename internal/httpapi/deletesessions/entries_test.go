package deletesessions

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"dcv-session-broker/internal/httpapi"
	"dcv-session-broker/internal/session"
)

// parse reads entries of the session s and owner o, each given by its other fields.
func parse(defaults Defaults, entries ...string) ([]session.Entry, []httpapi.Fault) {
	for i, fields := range entries {
		entries[i] = `{"SessionId":"s","Owner":"o"` + strings.TrimSuffix(","+fields, ",") + `}`
	}
	return parseEntries([]byte("["+strings.Join(entries, ",")+"]"), 1000, defaults)
}

func TestFieldsOfGracePeriodsAndPreconditions(t *testing.T) {
	for fields, want := range map[string]session.Entry{
		``:                          {},
		`"GracePeriodSeconds":0`:    {AsksCloseAt: true},
		`"GracePeriodSeconds":60`:   {AsksCloseAt: true, GracePeriod: time.Minute},
		`"GracePeriodSeconds":60.0`: {AsksCloseAt: true, GracePeriod: time.Minute},
		`"GracePeriodSeconds":86400,"Message":"Goodbye"`: {AsksCloseAt: true, GracePeriod: 24 * time.Hour, Message: "Goodbye"},
		`"Reason":"r"`:   {AsksCloseAt: true, Reason: "r"},
		`"HostId":"i-0"`: {AsksCloseAt: true, HostID: "i-0"},
		`"CreationTime":"2026-11-23T08:30:00+01:00"`:                                               {AsksCloseAt: true, CreationTime: "2026-11-23T08:30:00+01:00"},
		`"Force":true,"Reason":"r","GracePeriodSeconds":0`:                                         {AsksCloseAt: true, Reason: "r", Force: true},
		`"Force":true,"HostId":"i-0","Message":""`:                                                 {AsksCloseAt: true, HostID: "i-0", Force: true},
		`"GracePeriodSeconds":null,"Message":null,"Reason":null,"HostId":null,"CreationTime":null`: {},
		`"GracePeriod":1,"Messages":1,"Host":1,"host id":1,"Created":1,"":1`:                       {},
	} {
		want.SessionID, want.Owner = "s", "o"
		entries, faults := parse(Defaults{}, fields)
		if diff := cmp.Diff([]session.Entry{want}, entries); diff != "" || len(faults) > 0 {
			t.Errorf("%s: %+v (-want +got):\n%s", fields, faults, diff)
		}
	}
}

// The stack's default never makes a fault: Force ignores it, a message alone uses it,
// and 0 is none.
func TestDefaultsAreForEntriesWithoutTheirOwn(t *testing.T) {
	defaults := Defaults{GracePeriod: 5 * time.Minute, Message: "The stack's"}
	for fields, want := range map[string]session.Entry{
		``:                                    {GracePeriod: 5 * time.Minute, Message: "The stack's"},
		`"Force":false`:                       {GracePeriod: 5 * time.Minute, Message: "The stack's"},
		`"Force":true`:                        {Force: true},
		`"Force":true,"GracePeriodSeconds":0`: {Force: true, AsksCloseAt: true},
		`"GracePeriodSeconds":0`:              {AsksCloseAt: true},
		`"GracePeriodSeconds":null`:           {GracePeriod: 5 * time.Minute, Message: "The stack's"},
		`"GracePeriodSeconds":60`:             {GracePeriod: time.Minute, Message: "The stack's", AsksCloseAt: true},
		`"Message":"Mine"`:                    {GracePeriod: 5 * time.Minute, Message: "Mine", AsksCloseAt: true},
		`"Message":""`:                        {GracePeriod: 5 * time.Minute, AsksCloseAt: true},
		`"Reason":"r"`:                        {GracePeriod: 5 * time.Minute, Message: "The stack's", Reason: "r", AsksCloseAt: true},
	} {
		want.SessionID, want.Owner = "s", "o"
		entries, faults := parse(defaults, fields)
		if diff := cmp.Diff([]session.Entry{want}, entries); diff != "" || len(faults) > 0 {
			t.Errorf("%s: %+v (-want +got):\n%s", fields, faults, diff)
		}
	}
	own, faults := parse(Defaults{Message: "The stack's"}, `"GracePeriodSeconds":600`)
	if len(faults) > 0 || own[0].Message != "The stack's" {
		t.Errorf("%+v, %+v", own, faults)
	}
	if none, faults := parse(Defaults{Message: "The stack's"}, ``); len(faults) > 0 || none[0].Message != "" {
		t.Errorf("%+v, %+v", none, faults)
	}
}

const (
	period     = "GracePeriodSeconds is neither 0 nor a whole number from 60 to 86400"
	forced     = "GracePeriodSeconds contradicts Force, which ends the session immediately"
	nobody     = "Message would be shown to nobody, since there is no grace period"
	notTime    = "CreationTime is not a time of RFC 3339, such as 2026-11-23T08:30:00.262883Z"
	otherThan0 = " is not as in entry 0: entries for the same session are one deletion"
)

// wanted checks faults, each written as "index field reason".
func wanted(t *testing.T, what string, faults []httpapi.Fault, want ...string) {
	t.Helper()
	got := []string{}
	for _, f := range faults {
		got = append(got, fmt.Sprint(*f.Index, " ", f.Field, " ", f.Reason))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func TestFaultsOfGracePeriodsAndPreconditions(t *testing.T) {
	for fields, want := range map[string][]string{
		`"GracePeriodSeconds":59`:                                       {period},
		`"GracePeriodSeconds":-60`:                                      {period},
		`"GracePeriodSeconds":86401`:                                    {period},
		`"GracePeriodSeconds":60.5`:                                     {period},
		`"GracePeriodSeconds":"600"`:                                    {period},
		`"GracePeriodSeconds":true`:                                     {period},
		`"GracePeriodSeconds":[600]`:                                    {period},
		`"GracePeriodSeconds":30,"Message":"m"`:                         {period},
		`"GracePeriodSeconds":60,"GracePeriodSeconds":60,"Message":"m"`: {"GracePeriodSeconds is there twice"},
		`"gracePeriodSeconds":600,"Message":"m"`:                        {`GracePeriodSeconds is spelled GracePeriodSeconds, not "gracePeriodSeconds"`},
		`"grace_period_seconds":600`:                                    {`GracePeriodSeconds is spelled GracePeriodSeconds, not "grace_period_seconds"`},
		`"Grace-Period-Seconds":600`:                                    {`GracePeriodSeconds is spelled GracePeriodSeconds, not "Grace-Period-Seconds"`},
		`"message":1,"REASON":2,"host-id":3,"creationTime":4`: {
			`Message is spelled Message, not "message"`, `Reason is spelled Reason, not "REASON"`,
			`HostId is spelled HostId, not "host-id"`, `CreationTime is spelled CreationTime, not "creationTime"`,
		},
		`"Force":true,"GracePeriodSeconds":60`:               {forced},
		`"Force":true,"GracePeriodSeconds":60,"Message":"m"`: {forced},
		`"Force":true,"Message":"m"`:                         {nobody},
		`"Force":true,"Message":"m","GracePeriodSeconds":0`:  {nobody},
		`"Message":"m"`:                           {nobody},
		`"Message":"m","GracePeriodSeconds":0`:    {nobody},
		`"Message":"m","GracePeriodSeconds":null`: {nobody},
		`"Message":7,"Reason":{},"HostId":[],"CreationTime":false`: {
			"Message is not a string", "Reason is not a string", "HostId is not a string", "CreationTime is not a string",
		},
		`"GracePeriodSeconds":60,"Message":"a\nb","Reason":"\u202eb"`:  {"Message has a control character", "Reason has a bidirectional formatting character"},
		`"GracePeriodSeconds":60,"Message":"\u2028","Reason":"\udd1e"`: {"Message has a line separator", "Reason is not valid Unicode"},
		`"Reason":"` + strings.Repeat("x", 201) + `"`:                  {"Reason is longer than 200 characters"},
		`"HostId":"","CreationTime":""`:                                {"HostId is empty", "CreationTime is empty"},
		`"HostId":"a\u0000","CreationTime":"yesterday"`:                {"HostId has a control character", notTime},
		`"CreationTime":"2026-11-23 08:30:00Z"`:                        {notTime},
	} {
		for i, f := range want {
			want[i] = "1 " + f
		}
		_, faults := parse(Defaults{}, `"HostId":"h"`, fields)
		// The first entry differs, but the second has a fault, so it is not known what it asks for.
		wanted(t, fields, faults, want...)
	}
}

// With a default of the stack the same requests are good, except for a message alone.
func TestDefaultsMakeNoFault(t *testing.T) {
	for _, fields := range [][]string{
		{``}, {`"Force":true`}, {`"GracePeriodSeconds":0`}, {`"GracePeriodSeconds":600`}, {`"Reason":"r"`}, {`"Force":true`, ``},
		{`"GracePeriodSeconds":0`, `"GracePeriodSeconds":0,"Force":true`}, {`"Reason":"r"`, `"Force":true,"Reason":"r"`},
		{`"GracePeriodSeconds":600`, `"GracePeriodSeconds":600.0`}, {`"HostId":"h"`, `"HostId":"h","Message":null`},
		{`"GracePeriodSeconds":60,"Message":"m"`, `"Message":"\u006d","GracePeriodSeconds":60`},
	} {
		for _, defaults := range []Defaults{{}, {GracePeriod: time.Minute, Message: "m"}, {GracePeriod: 10 * time.Minute}, {Message: "m"}} {
			if _, faults := parse(defaults, append([]string{}, fields...)...); len(faults) > 0 {
				t.Errorf("%q with %+v: %+v", fields, defaults, faults)
			}
		}
	}
}

// Entries for one session are one deletion: if two differ it is not known which was
// meant, with any defaults of the stack.
func TestEntriesForOneSessionAskForTheSame(t *testing.T) {
	for _, defaults := range []Defaults{{}, {GracePeriod: 10 * time.Minute, Message: "m"}} {
		for _, tc := range []struct{ a, b, differs string }{
			{`"GracePeriodSeconds":600`, `"GracePeriodSeconds":601`, "GracePeriodSeconds"},
			{`"GracePeriodSeconds":600`, ``, "GracePeriodSeconds"},
			{`"GracePeriodSeconds":0`, ``, "GracePeriodSeconds"},
			{`"GracePeriodSeconds":600`, `"Force":true`, "GracePeriodSeconds"},
			{`"GracePeriodSeconds":600,"Message":"m"`, `"GracePeriodSeconds":600`, "Message"},
			{`"GracePeriodSeconds":600,"Message":"m"`, `"GracePeriodSeconds":600,"Message":"n"`, "Message"},
			{`"Reason":"r"`, ``, "Reason"},
			{`"Reason":"r"`, `"Reason":"q","Force":true`, "Reason"},
			{`"HostId":"i-0"`, ``, "HostId"},
			{`"HostId":"i-0"`, `"HostId":"I-0"`, "HostId"},
			{`"CreationTime":"2026-11-23T08:30:00Z"`, `"CreationTime":"2026-11-23T08:30:00+00:00"`, "CreationTime"},
		} {
			for _, pair := range [][]string{{tc.a, tc.b}, {tc.b, tc.a}} {
				_, faults := parse(defaults, append([]string{}, pair...)...)
				wanted(t, fmt.Sprintf("%q with %+v", pair, defaults), faults, "1 "+tc.differs+otherThan0)
			}
		}
	}
	_, faults := parse(Defaults{}, `"HostId":"h","Reason":"r"`, `"HostId":"h","Reason":"r"`, `"HostId":"g"`, `"GracePeriodSeconds":7`, `"HostId":"h"`)
	wanted(t, "several", faults, "3 "+period, "2 Reason"+otherThan0, "2 HostId"+otherThan0, "4 Reason"+otherThan0)
	// Another owner's, or another session, is another deletion.
	_, faults = parseEntries([]byte(`[{"SessionId":"s","Owner":"o","Reason":"r"},{"SessionId":"s","Owner":"p"},{"SessionId":"t","Owner":"o"}]`), 1000, Defaults{})
	wanted(t, "others", faults, []string{}...)
}

// With any number of faults the answer is within Lambda's limit of 6 MB.
func TestAllFaultsFitIntoTheAnswer(t *testing.T) {
	const most = 3000 // MaxBatchSize at most
	long := `"` + strings.Repeat("_", 100)
	entry := `{"SessionId":"","Owner":7,"Force":"","GracePeriodSeconds":7,"Message":7,"Reason":7,"HostId":"` + strings.Repeat("x", 257) + `","CreationTime":"",` +
		long + `GracePeriodSeconds":1,` + long + `Message":1,` + long + `Reason":1,` + long + `HostId":1,` + long + `CreationTime":1,"a":1,"a":1}`
	_, faults := parseEntries([]byte("["+strings.Repeat(entry+",", most)+entry+"]"), most, Defaults{})
	if size := len(httpapi.JSON(httpapi.ErrorResponse{Errors: faults})); len(faults) != 14*most+1 || size > 5_500_000 {
		t.Errorf("%d faults in %d bytes", len(faults), size)
	}
}

// Each text is a separate command.
func TestOneRequestHasFewMessages(t *testing.T) {
	body := func(n int, fields string) []byte {
		var entries []string
		for i := range n {
			entries = append(entries, fmt.Sprintf(`{"SessionId":"s%d","Owner":"o",%s}`, i, strings.ReplaceAll(fields, "#", fmt.Sprint(60+i))))
		}
		return []byte("[" + strings.Join(entries, ",") + "]")
	}
	const same = `"Message":"Goodbye","GracePeriodSeconds":60`
	for fields, most := range map[string]int{same: 1000, `"Message":"#","GracePeriodSeconds":60`: 16, `"Message":"Goodbye","GracePeriodSeconds":#`: 16} {
		if _, faults := parseEntries(body(most, fields), 1000, Defaults{}); len(faults) > 0 {
			t.Errorf("%d of %s: %+v", most, fields, faults)
		}
		_, faults := parseEntries(body(most+1, fields), 2000, Defaults{})
		want := "has 17 different messages or grace periods; one request may have 16"
		if fields != same && (len(faults) != 1 || faults[0].Field != "body" || faults[0].Reason != want) {
			t.Errorf("%d of %s: %+v", most+1, fields, faults)
		}
	}
}
