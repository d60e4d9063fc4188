package runcommand_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ssm"

	"dcv-session-broker/internal/awsenv"
	"dcv-session-broker/internal/runcommand"
)

type httpFunc func(*http.Request) (*http.Response, error)

func (do httpFunc) Do(r *http.Request) (*http.Response, error) { return do(r) }

// Whenever the time ends, an answer that was not read because Systems Manager throttles says so:
// also while the SDK, or the reader, waits for the next try.
func TestThrottledReadsSaySo(t *testing.T) {
	const throttling = `{"__type":"ThrottlingException","message":"Rate exceeded"}`
	long := `{"CommandInvocations":[{"CommandId":"c1","InstanceId":"i-1","Comment":"inventory id1 2026-11-23T19:01:01.000Z","Status":"Success",
		"CommandPlugins":[{"Name":"linux","Status":"Success","Output":"` + strings.Repeat("x", 2400) + `"}]}]}`
	for name, tc := range map[string]struct {
		list, get string // the answers of the two operations; "" is none
		throttled bool
	}{
		"the list is throttled":    {throttling, "", true},
		"an output is throttled":   {long, throttling, true},
		"the list hangs":           {"", "", false},
		"an output hangs":          {long, "", false},
		"reading is not permitted": {`{"__type":"AccessDeniedException"}`, "", false},
	} {
		for _, limit := range []time.Duration{10 * time.Millisecond, 300 * time.Millisecond, 700 * time.Millisecond, 2 * time.Second, 5 * time.Second, 30 * time.Second} {
			synctest.Test(t, func(t *testing.T) {
				config := awsenv.SystemsManager.Config()
				config.Region, config.BaseEndpoint = "us-east-1", aws.String("http://ssm.invalid")
				config.Credentials = credentials.NewStaticCredentialsProvider("none", "none", "")
				config.HTTPClient = httpFunc(func(r *http.Request) (*http.Response, error) {
					body := tc.list
					if strings.HasSuffix(r.Header.Get("X-Amz-Target"), ".GetCommandInvocation") {
						body = tc.get
					}
					if body == "" {
						<-r.Context().Done()
						return nil, r.Context().Err()
					}
					time.Sleep(5 * time.Millisecond)
					status := http.StatusOK
					if strings.Contains(body, "Exception") {
						status = http.StatusBadRequest
					}
					return &http.Response{StatusCode: status, Header: http.Header{"Content-Type": {"application/x-amz-json-1.1"}}, Body: io.NopCloser(strings.NewReader(body))}, nil
				})
				reader := &runcommand.Reader{API: ssm.NewFromConfig(config)}
				ctx, stop := context.WithTimeout(t.Context(), limit)
				defer stop()
				for range 2 { // the second begins with a pause
					failed := error(nil)
					for _, errs := range reader.Pages(ctx, "c1", []string{"i-1"}) {
						failed = errors.Join(failed, errs["i-1"])
					}
					if failed == nil || errors.Is(failed, runcommand.ErrThrottled) != tc.throttled {
						t.Errorf("%s, %v: %v", name, limit, failed)
					}
				}
			})
		}
	}
}
