package awsenv

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"dcv-session-broker/internal/telemetry"
)

// Calls returns the SDK's own client, which does not wait, from one of Config's.
func Calls(c aws.HTTPClient) aws.HTTPClient { return c.(*client).HTTPClient }

// SetCalls replaces it.
func SetCalls(c, calls aws.HTTPClient) { c.(*client).HTTPClient = calls }

// WaitLong makes calls wait longer for their connection until the test's end, for slow
// machines.
func WaitLong(t *testing.T) {
	connect, longest := connectTime, longestWait
	connectTime, longestWait = time.Minute, time.Minute
	t.Cleanup(func() { connectTime, longestWait = connect, longest })
}

// Version returns the release that Start logs.
func (e *Environment) Version() string { return e.version() }

// Output returns the output that Start returns.
func (e *Environment) Output() *telemetry.Output { return e.output() }
