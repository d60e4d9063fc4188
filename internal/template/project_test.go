package template_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"dcv-session-broker/internal/session"
	"dcv-session-broker/internal/template"
	"dcv-session-broker/internal/template/templatetest"
)

// The parsed text that is kept between two loads does not depend on their parameters.
func TestALoadLeavesNothingToTheNext(t *testing.T) {
	levels := func(params map[string]string) (all []string) {
		for _, f := range templatetest.Load(t, params).Functions() {
			all = append(all, f.Name+" "+f.Environment["LOG_LEVEL"]+" "+f.Environment["GIVE_UP_AFTER_MINUTES"])
			f.Environment["LOG_LEVEL"] = "spoilt"
		}
		return all
	}
	first := levels(nil)
	if other := levels(map[string]string{"LogLevel": "debug", "GiveUpAfterMinutes": "90"}); slices.Equal(first, other) {
		t.Errorf("the parameters change nothing: %q", other)
	}
	if again := levels(nil); !slices.Equal(first, again) {
		t.Errorf("%q, and with the same parameters again %q", first, again)
	}
}

// Schedules that cost money or stop machines run only if a parameter enables them;
// those that deletions need always run.
func TestThisProjectsSchedulesFollowTheirParameters(t *testing.T) {
	for _, c := range []struct {
		idle, stop, hours string
		want              map[string]bool
	}{
		{"0", "false", "0", map[string]bool{"Deletions": true, "Inventory": true, "Idle": false, "Stop": false, "Close": false}},
		{"1", "false", "0", map[string]bool{"Deletions": true, "Inventory": true, "Idle": true, "Stop": false, "Close": false}},
		{"0", "true", "0", map[string]bool{"Deletions": true, "Inventory": true, "Idle": false, "Stop": true, "Close": false}},
		{"0", "false", "12", map[string]bool{"Deletions": true, "Inventory": true, "Idle": false, "Stop": false, "Close": true}},
		{"60", "true", "0", map[string]bool{"Deletions": true, "Inventory": true, "Idle": true, "Stop": true, "Close": false}},
	} {
		enabled := map[string]bool{}
		for _, f := range templatetest.Load(t, map[string]string{"CloseIdleAfterMinutes": c.idle, "StopEmptyHosts": c.stop, "MaxSessionHours": c.hours}).Functions() {
			for _, s := range f.Schedules {
				enabled[s.Event] = s.Enabled
			}
		}
		if !maps.Equal(enabled, c.want) {
			t.Errorf("CloseIdleAfterMinutes=%s, StopEmptyHosts=%s, MaxSessionHours=%s: enabled: %v, want %v", c.idle, c.stop, c.hours, enabled, c.want)
		}
	}
	defaults := templatetest.Load(t, nil).Parameters()
	if defaults["CloseIdleAfterMinutes"] != "0" || defaults["StopEmptyHosts"] != "false" || defaults["MaxSessionHours"] != "0" {
		t.Error("sessions are closed because they are idle or old, or empty hosts are stopped, where nobody asked for it")
	}
}

// A company's parameters do not change the parts that this project's tests check.
func TestThisProjectTakesWhatACompanySets(t *testing.T) {
	vpc := map[string]string{"VpcSubnetIds": "subnet-0a1b2c3d4e5f60001,subnet-0a1b2c3d4e5f60002", "VpcSecurityGroupIds": "sg-0a1b2c3d4e5f60003"}
	company := map[string]string{
		"PermissionsBoundaryArn": "arn:aws:iam::000000000000:policy/boundary",
		"KmsKeyArn":              "arn:aws:kms:us-east-1:000000000000:key/1234abcd-12ab-34cd-56ef-1234567890ab",
		"AllowedOrigins":         "https://portal.example.com",
		"ReserveConcurrency":     "true",
	}
	maps.Copy(company, vpc)
	if functions, plain := fmt.Sprint(templatetest.Load(t, company).Functions()), fmt.Sprint(templatetest.Load(t, nil).Functions()); functions != plain {
		t.Errorf("%s\nwithout it: %s", functions, plain)
	}
	for missing := range vpc {
		half := maps.Clone(vpc)
		delete(half, missing)
		if _, err := template.Load("../../template.yaml", half); err == nil {
			t.Errorf("a VPC without %s is taken", missing)
		}
	}
}

// Stacks may share a bus. Each stack's trail has only the ends of its own sessions.
func TestThisProjectsAuditTrailIsOfItsOwnStack(t *testing.T) {
	const bus = "arn:aws:events:us-east-1:000000000000:event-bus/studio"
	for _, params := range []map[string]string{nil, {"EventBusArn": bus}} {
		rules := 0
		for _, r := range templatetest.Load(t, params).Rules() {
			if len(r.LogGroups) == 0 {
				continue
			}
			rules++
			for event, kept := range map[string]bool{
				`{"source": "dcv-session-broker", "detail-type": "DCV Session Ended", "detail": {"Stack": "local", "SessionId": "s1"}}`: true,
				`{"source": "dcv-session-broker", "detail-type": "DCV Session Ended", "detail": {"Stack": "other", "SessionId": "s1"}}`: false,
				`{"source": "dcv-session-broker", "detail-type": "DCV Session Ended", "detail": {"SessionId": "s1"}}`:                   false,
				`{"source": "dcv-session-broker", "detail-type": "Something Else", "detail": {"Stack": "local", "SessionId": "s1"}}`:    false,
				`{"source": "somebody-else", "detail-type": "DCV Session Ended", "detail": {"Stack": "local", "SessionId": "s1"}}`:      false,
			} {
				got, err := r.Pattern.Match([]byte(event))
				if err != nil || got != kept {
					t.Errorf("%s: %s: kept: %v, %v", r.LogicalID, event, got, err)
				}
			}
		}
		if rules != 1 {
			t.Errorf("%d rules write the audit trail", rules)
		}
	}
}

// Users are warned at least two runs before the idle limit, so the domain must know the
// interval of idle runs.
func TestIdleRunsComeAsOftenAsTheDomainSays(t *testing.T) {
	for _, f := range templatetest.Load(t, nil).Functions() {
		for _, s := range f.Schedules {
			if s.Event == "Idle" && s.Every != session.IdleRunEvery {
				t.Errorf("every %s in the template, every %s in the domain", s.Every, session.IdleRunEvery)
			}
		}
	}
}
