package fleet_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"

	"dcv-session-broker/internal/local/fleet"
	"dcv-session-broker/internal/template"
)

// A thousand sessions on a hundred hosts, closed by two commands like the broker's.
func TestAWholeFleetIsProcessedInReasonableTime(t *testing.T) {
	d := linux(`#!/bin/sh
for session in $SSM_sessions; do
  case $session in
  "$AWS_SSM_INSTANCE_ID"/*) dcv close-session "${session#*/}" && echo "${session#*/}" ;;
  esac
done
`)
	d.Parameters = map[string]template.DocumentParameter{"sessions": {EnvVar: true}}
	f := newFleet(t, fleet.Options{}, d)
	before := runtime.NumGoroutine()
	var ids, sessions []string
	for h := range 100 {
		id := fmt.Sprintf("i-%017d", h)
		ids = append(ids, id)
		for s := range 10 {
			name := fmt.Sprintf("session-%d-%d", h, s)
			f.startSession(id, fleet.Session{ID: name, Owner: "user"})
			sessions = append(sessions, id+"/"+name)
		}
	}
	begun := time.Now()
	for h := 0; h < 100; h += 50 {
		f.sendInput(&ssm.SendCommandInput{
			InstanceIds: ids[h : h+50], MaxErrors: aws.String("100%"), MaxConcurrency: aws.String("100%"),
			Parameters: map[string][]string{"sessions": {strings.Join(sessions[h*10:(h+50)*10], " ")}},
		})
	}
	// Waiting invocations may not have a goroutine each.
	if got := runtime.NumGoroutine() - before; got > 80 {
		t.Errorf("%d goroutines, while few scripts run at the same time", got)
	}
	eventually(t, func() error {
		for _, id := range ids {
			if got := f.statuses(id); len(got) == 0 || got[len(got)-1] != "Success" {
				return fmt.Errorf("host %s: %v after %v", id, got, time.Since(begun))
			}
		}
		return nil
	})
	t.Logf("1,000 sessions on 100 hosts took %v", time.Since(begun))
	hosts, err := f.Hosts()
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range hosts {
		if len(h.Sessions) > 0 {
			t.Errorf("host %s still has %v", h.HostID, h.Sessions)
		}
	}
	f.Close()
	eventually(t, func() error {
		if got := runtime.NumGoroutine(); got > before {
			return fmt.Errorf("%d goroutines are left, %d before", got, before)
		}
		return nil
	})
}
