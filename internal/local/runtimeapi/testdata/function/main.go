// A function that does what its event says.
package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"
)

type event struct {
	Do, Say string
	Dir     string // for wait: the function makes the file "begun" there and waits for "go"
}

var running, mostEver atomic.Int32

func handle(ctx context.Context, e event) (any, error) {
	mostEver.Store(max(mostEver.Load(), running.Add(1)))
	defer running.Add(-1)
	switch e.Do {
	case "look":
		lc, _ := lambdacontext.FromContext(ctx)
		deadline, _ := ctx.Deadline()
		return map[string]any{
			"RequestID": lc.AwsRequestID, "Deadline": deadline.UnixMilli(),
			"Greeting": os.Getenv("GREETING"), "Path": os.Getenv("PATH"),
		}, nil
	case "say":
		return map[string]any{"Said": e.Say, "AtOnce": mostEver.Load()}, nil
	case "say it raw": // the answer is sent unchanged
		return strings.NewReader(e.Say), nil
	case "fail":
		return nil, errors.New(e.Say)
	case "panic":
		panic(e.Say)
	case "die":
		fmt.Fprintln(os.Stderr, e.Say)
		os.Exit(3)
	case "wait":
		if err := os.WriteFile(e.Dir+"/begun", nil, 0o600); err != nil {
			return nil, err
		}
		for {
			if _, err := os.Stat(e.Dir + "/go"); err == nil {
				return "late", nil
			}
			time.Sleep(time.Millisecond)
		}
	}
	return nil, fmt.Errorf("asked to %q", e.Do)
}

func main() {
	if fault := os.Getenv("INIT_ERROR"); fault != "" {
		url := "http://" + os.Getenv("AWS_LAMBDA_RUNTIME_API") + "/2018-06-01/runtime/init/error"
		resp, err := http.Post(url, "application/json", strings.NewReader(fmt.Sprintf(`{"errorMessage": %q}`, fault)))
		if err != nil || resp.StatusCode != http.StatusAccepted {
			fmt.Fprintln(os.Stderr, resp, err)
		}
		os.Exit(1)
	}
	lambda.Start(handle)
}
