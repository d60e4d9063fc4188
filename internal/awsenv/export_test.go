package awsenv

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"dcv-session-broker/internal/telemetry"
)

// Calls is the client behind one of Config's: the SDK's own, which waits for
// nothing.
func Calls(c aws.HTTPClient) aws.HTTPClient { return c.(*client).HTTPClient }

// WaitLong has calls wait for their connection however slow the machine is, until
// the test's end.
func WaitLong(t *testing.T) {
	connect, longest := connectTime, longestWait
	connectTime, longestWait = time.Minute, time.Minute
	t.Cleanup(func() { connectTime, longestWait = connect, longest })
}

// Version is the release that Start tells.
func (e *Environment) Version() string { return e.version() }

// Output is what Start has lines and metrics go to.
func (e *Environment) Output() *telemetry.Output { return e.output() }
