package runcommand_test

import (
	"context"
	"errors"
	"fmt"
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

const throttling = `{"__type":"ThrottlingException","message":"Rate exceeded"}`

// readerOf returns a reader whose calls the SDK makes, with those answers by operation; "" is none.
func readerOf(answer func(operation string) string) *runcommand.Reader {
	config := awsenv.SystemsManager.Config()
	config.Region, config.BaseEndpoint = "us-east-1", aws.String("http://ssm.invalid")
	config.Credentials = credentials.NewStaticCredentialsProvider("none", "none", "")
	config.HTTPClient = httpFunc(func(r *http.Request) (*http.Response, error) {
		body := answer(strings.TrimPrefix(r.Header.Get("X-Amz-Target"), "AmazonSSM."))
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
	return &runcommand.Reader{API: ssm.NewFromConfig(config)}
}

// pageOf returns a page with the hosts' answers, and another page after it.
func pageOf(output string, hostIDs ...string) string {
	var listed []string
	for _, id := range hostIDs {
		listed = append(listed, fmt.Sprintf(`{"CommandId":"c1","InstanceId":%q,"Comment":"inventory id1 2026-11-23T19:01:01.000Z","Status":"Success",
			"CommandPlugins":[{"Name":"linux","Status":"Success","Output":%q}]}`, id, output))
	}
	return fmt.Sprintf(`{"NextToken":"more","CommandInvocations":[%s]}`, strings.Join(listed, ","))
}

// Whenever the time ends, an answer that was not read because Systems Manager throttles says so:
// also while the SDK, or the reader, waits for the next try.
func TestThrottledReadsSaySo(t *testing.T) {
	long := pageOf(strings.Repeat("x", 2400), "i-1")
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
				reader := readerOf(func(operation string) string {
					if operation == "GetCommandInvocation" {
						return tc.get
					}
					return tc.list
				})
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

// Promise 11: after throttled tries the next calls keep a pause, those for pages and those for
// long outputs.
func TestCallsPauseAfterThrottling(t *testing.T) {
	hosts := []string{"i-1", "i-2", "i-3"}
	for operation, output := range map[string]string{"ListCommandInvocations": "", "GetCommandInvocation": strings.Repeat("x", 2400)} {
		synctest.Test(t, func(t *testing.T) {
			var tries []time.Time // of the operation
			pages := 0
			reader := readerOf(func(called string) string {
				if called == operation {
					if tries = append(tries, time.Now()); len(tries) <= 2 {
						return throttling
					}
				}
				if called == "GetCommandInvocation" {
					return `{"StandardOutputContent":"{\"end\":0}"}`
				}
				if output != "" {
					return pageOf(output, hosts...)
				}
				pages++
				return pageOf("", hosts[pages-1])
			})
			for _, errs := range reader.Pages(t.Context(), "c1", hosts) {
				for id, err := range errs {
					t.Errorf("%s, %s: %v", operation, id, err)
				}
			}
			// The first call takes three tries, the second begins immediately, and the third waits.
			if len(tries) != 5 || tries[4].Sub(tries[3]) < 50*time.Millisecond {
				t.Errorf("%s: tries at %v", operation, tries)
			}
		})
	}
}
