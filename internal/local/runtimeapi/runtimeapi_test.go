package runtimeapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-lambda-go/lambdacontext"
)

// built is the binary of testdata/function, which uses AWS's client of the Runtime API.
var built string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "runtimeapi-")
	if err != nil {
		panic(err)
	}
	built = filepath.Join(dir, "bootstrap")
	build := exec.Command("go", "build", "-tags", "lambda.norpc", "-o", built, "./testdata/function")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		panic(fmt.Sprintf("%v\n%s", err, out))
	}
	failed := m.Run()
	os.RemoveAll(dir)
	os.Exit(failed)
}

func start(t *testing.T, env ...string) *Function {
	t.Helper()
	f, err := Start(built, env)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Stop)
	return f
}

type asked struct{ Do, Say, Dir string }

// request returns the context of a request with that ID. Its deadline is much later
// than anything here takes.
func request(t *testing.T, id string) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	t.Cleanup(cancel)
	return lambdacontext.NewContext(ctx, &lambdacontext.LambdaContext{AwsRequestID: id})
}

func invoke(ctx context.Context, f *Function, e any) (string, error) {
	body, err := json.Marshal(e)
	if err != nil {
		return "", err
	}
	answer, err := f.Invoke(ctx, body)
	return string(answer), err
}

func wantError(t *testing.T, err error, part string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), part) {
		t.Errorf("the error is %v; want one with %q", err, part)
	}
}

func TestRequestIDDeadlineAndEnvironmentReachTheFunction(t *testing.T) {
	t.Setenv("PATH", os.Getenv("PATH")+":/of-this-process")
	f := start(t, "GREETING=hello")
	for _, id := range []string{"one", "two"} {
		ctx := request(t, id)
		answer, err := invoke(ctx, f, asked{Do: "look"})
		if err != nil {
			t.Fatal(err)
		}
		deadline, _ := ctx.Deadline()
		want := fmt.Sprintf(`{"Deadline":%d,"Greeting":"hello","Path":"","RequestID":%q}`, deadline.UnixMilli(), id)
		if answer != want {
			t.Errorf("%s, not %s", answer, want)
		}
	}
}

func TestWithoutRequestIDOrDeadlineNothingIsInvoked(t *testing.T) {
	f := start(t)
	for _, ctx := range []context.Context{
		t.Context(),
		lambdacontext.NewContext(t.Context(), &lambdacontext.LambdaContext{AwsRequestID: "one"}),
	} {
		_, err := invoke(ctx, f, asked{Do: "say"})
		wantError(t, err, "no request ID, or no deadline")
	}
}

func TestErrorOfTheFunctionGoesToItsCallerOnly(t *testing.T) {
	f := start(t)
	_, err := invoke(request(t, "one"), f, asked{Do: "fail", Say: "the table is on fire"})
	wantError(t, err, "the table is on fire")
	_, err = invoke(request(t, "two"), f, asked{Do: "say it raw", Say: "{not JSON"})
	wantError(t, err, "the answer is not JSON: {not JSON")
	if answer, err := invoke(request(t, "three"), f, asked{Do: "say", Say: "hello"}); err != nil || !strings.Contains(answer, "hello") {
		t.Errorf("after the errors: %s %v", answer, err)
	}
}

func TestPanicIsAnErrorThatNamesIt(t *testing.T) {
	_, err := invoke(request(t, "one"), start(t), asked{Do: "panic", Say: "out of order"})
	wantError(t, err, "the function failed: ")
	wantError(t, err, "out of order")
}

func TestFunctionThatDiesIsAnErrorWithItsLastOutput(t *testing.T) {
	f := start(t)
	_, err := invoke(request(t, "one"), f, asked{Do: "die", Say: "out of memory"})
	wantError(t, err, "ended during the event")
	wantError(t, err, "out of memory")
	_, err = invoke(request(t, "two"), f, asked{Do: "say"})
	wantError(t, err, "ended")
}

func TestFunctionThatCannotBeginSaysWhy(t *testing.T) {
	f := start(t, "INIT_ERROR=SESSIONS_TABLE is not set")
	_, err := invoke(request(t, "one"), f, asked{Do: "say"})
	wantError(t, err, "SESSIONS_TABLE is not set")
}

func TestProgramThatIsNotThereIsAnError(t *testing.T) {
	if f, err := Start(filepath.Join(t.TempDir(), "none"), nil); err == nil {
		f.Stop()
		t.Error("it started")
	}
}

func TestOneEventAtATimeAndEachCallerGetsItsOwnAnswer(t *testing.T) {
	f := start(t)
	var callers sync.WaitGroup
	for i := range 20 {
		callers.Go(func() {
			word := fmt.Sprintf("word-%d", i)
			answer, err := invoke(request(t, word), f, asked{Do: "say", Say: word})
			if want := fmt.Sprintf(`{"AtOnce":1,"Said":%q}`, word); err != nil || answer != want {
				t.Errorf("%s %v, not %s", answer, err, want)
			}
		})
	}
	callers.Wait()
}

// The function goes on with an event that has timed out. Its answer is not the answer
// to the next event.
func TestLateAnswerIsNotForTheNextCall(t *testing.T) {
	f := start(t)
	dir := t.TempDir()
	ctx, timeOut := context.WithCancel(request(t, "slow"))
	slow := make(chan error)
	go func() {
		_, err := invoke(ctx, f, asked{Do: "wait", Dir: dir})
		slow <- err
	}()
	for _, err := os.Stat(filepath.Join(dir, "begun")); err != nil; _, err = os.Stat(filepath.Join(dir, "begun")) {
		time.Sleep(time.Millisecond)
	}
	timeOut()
	if err := <-slow; !errors.Is(err, context.Canceled) {
		t.Errorf("the event that timed out: %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "go"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for range 10 {
		if answer, err := invoke(request(t, "next"), f, asked{Do: "say", Say: "hello"}); err != nil || !strings.Contains(answer, "hello") {
			t.Errorf("%s %v", answer, err)
		}
	}
}

// An event whose deadline has passed is not sent, even if the function is ready.
func TestEventWhoseTimeIsOverIsNotBegun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &Function{events: make(chan *event)}
		go func() {
			for e := range f.events {
				t.Errorf("%s was begun", e.id)
			}
		}()
		ctx, timeOut := context.WithCancel(request(t, "one"))
		timeOut()
		for range 50 {
			synctest.Wait()
			if _, err := f.Invoke(ctx, nil); !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		}
		close(f.events)
	})
}

func TestOnlyTheFirstAnswerToTheEventUnderWayCounts(t *testing.T) {
	f := &Function{events: make(chan *event)}
	api := f.api()
	call := func(method, path, body string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		api.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), method, "/2018-06-01/runtime/invocation/"+path, strings.NewReader(body)))
		return w
	}
	answerTo := func(id, body string, status int) {
		t.Helper()
		if w := call(http.MethodPost, id+"/response", body); w.Code != status {
			t.Errorf("answer %s to %s: %d, not %d", body, id, w.Code, status)
		}
	}
	answerTo("one", `"too early"`, http.StatusBadRequest)
	answered := make(chan string)
	go func() {
		answer, err := f.Invoke(request(t, "one"), []byte(`"event"`))
		answered <- fmt.Sprint(string(answer), err)
	}()
	if w := call(http.MethodGet, "next", ""); w.Body.String() != `"event"` || w.Header().Get("Lambda-Runtime-Aws-Request-Id") != "one" {
		t.Errorf("%v %s", w.Header(), w.Body)
	}
	answerTo("other", `"another's"`, http.StatusBadRequest)
	answerTo("one", `"first"`, http.StatusAccepted)
	answerTo("one", `"second"`, http.StatusAccepted)
	if got := <-answered; got != `"first"<nil>` {
		t.Error(got)
	}
}

func TestStopEndsTheFunction(t *testing.T) {
	f, err := Start(built, nil)
	if err != nil {
		t.Fatal(err)
	}
	f.Stop()
	if f.cmd.ProcessState == nil {
		t.Error("it runs on")
	}
	_, err = invoke(request(t, "one"), f, asked{Do: "say"})
	wantError(t, err, "ended")
}
