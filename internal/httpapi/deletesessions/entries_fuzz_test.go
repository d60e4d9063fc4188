package deletesessions

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"dcv-session-broker/internal/session"
)

// Entries are read as by any other reader of JSON, and the faults name existing places.
func FuzzEntries(f *testing.F) {
	for _, body := range []string{
		"", "[]", "null", "{}", "[null]", "[[[[", "[{}]", "[1e999]", "[] []", "\ufeff[]", "[\"\xff\"]",
		`[{"SessionId": "SessionId123", "Owner": "user1", "Force": true}, {"SessionId": "SessionIdabc", "Owner": "user1"}]`,
		`[{"SessionId":"s","Owner":"o","Force":null,"Unknown":{"a":[1,2.5e3,"\ud834\udd1e"]}}]`,
		`[{"SessionId":"s","Owner":"o","SessionId":"t"}]`, `[{"SessionId":"\u0000","Owner":"\ud834","Force":"true"}]`,
		`[{"sessionid":"s","Owner":7},{},{},{},{}]`,
		`[{"SessionId":"s","Owner":"o","GracePeriodSeconds":600,"Message":"<b>Sav\u00e9 \ud834\udd1e","Reason":"r","HostId":"i-0","CreationTime":"2026-11-23T08:30:00.262883Z"}]`,
		`[{"SessionId":"s","Owner":"o","GracePeriodSeconds":6e1,"Message":null,"Reason":null,"HostId":null,"CreationTime":null}]`,
		`[{"SessionId":"s","Owner":"o","Force":true,"GracePeriodSeconds":0},{"SessionId":"s","Owner":"o","GracePeriodSeconds":-0}]`,
		`[{"SessionId":"s","Owner":"o","Message":"m"},{"SessionId":"s","Owner":"o","message":"m"},{"SessionId":"s","Owner":"o","Reason":"\u202e"}]`,
		`[{"SessionId":"s","Owner":"o","GracePeriodSeconds":59.5,"HostId":"","CreationTime":"2026-11-23T8:30:00,5Z"},{"SessionId":"s","Owner":"o"}]`,
	} {
		f.Add([]byte(body), uint16(0), "")
		f.Add([]byte(body), uint16(300), "The stack's message")
	}
	fields := []string{"SessionId", "Owner", "Force", "GracePeriodSeconds", "Message", "Reason", "HostId", "CreationTime"}
	f.Fuzz(func(t *testing.T, body []byte, period uint16, message string) {
		const maxBatch = 3
		defaults := Defaults{GracePeriod: time.Duration(period) * time.Second, Message: message}
		entries, faults := parseEntries(body, maxBatch, defaults)
		for _, fault := range faults {
			if fault.Reason == "" || !slices.Contains(append(fields, "body", "entry"), fault.Field) ||
				(fault.Field == "body") != (fault.Index == nil) || fault.Index != nil && (*fault.Index < 0 || *fault.Index >= maxBatch) {
				t.Errorf("fault %+v", fault)
			}
		}
		if len(faults) > 0 {
			return
		}
		var read []map[string]any
		if err := json.Unmarshal(body, &read); err != nil {
			t.Fatalf("read as %+v, but %v", entries, err)
		}
		var want []session.Entry
		for _, r := range read {
			e := session.Entry{Force: r["Force"] == true}
			e.SessionID, _ = r["SessionId"].(string)
			e.Owner, _ = r["Owner"].(string)
			for _, field := range fields[3:] {
				e.AsksCloseAt = e.AsksCloseAt || r[field] != nil
			}
			e.Reason, _ = r["Reason"].(string)
			e.HostID, _ = r["HostId"].(string)
			e.CreationTime, _ = r["CreationTime"].(string)
			if seconds, own := r["GracePeriodSeconds"].(float64); own {
				if seconds != 0 && (seconds < 60 || seconds > 86400 || e.Force) {
					t.Errorf("a grace period of %v, forced: %t", seconds, e.Force)
				}
				e.GracePeriod = time.Duration(seconds) * time.Second
			} else if !e.Force {
				e.GracePeriod = defaults.GracePeriod
			}
			if text, own := r["Message"].(string); own {
				if text != "" && e.GracePeriod == 0 {
					t.Errorf("nobody is shown %q", text)
				}
				e.Message = text
			} else if e.GracePeriod > 0 {
				e.Message = defaults.Message
			}
			for _, field := range []string{"Message", "Reason"} {
				if text, _ := r[field].(string); utf8.RuneCountInString(text) > 200 || strings.ContainsFunc(text, func(r rune) bool {
					return unicode.In(r, unicode.Cc, unicode.Zl, unicode.Zp, unicode.Bidi_Control)
				}) {
					t.Errorf("%s is %q", field, text)
				}
			}
			want = append(want, e)
		}
		if diff := cmp.Diff(want, entries); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}
