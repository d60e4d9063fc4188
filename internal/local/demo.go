package main

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
)

// The demo fleet: the developer guide's example session, two hosts with more
// than one session, a console, and a session that the table does not know. Users
// are connected to two of them.
var demoFleet = []struct {
	host, session, body string
	connected           bool
}{
	{"i-0a1b2c3d4e5f60001", "SessionId123", `{"Owner": "user1", "Type": "virtual"}`, false},
	{"i-0a1b2c3d4e5f60001", "design-review", `{"Owner": "user2", "Type": "virtual"}`, false},
	{"i-0a1b2c3d4e5f60002", "console", `{"Owner": "user3", "Type": "console"}`, true},
	{"i-0a1b2c3d4e5f60003", "render-7", `{"Owner": "user1", "Type": "virtual"}`, true},
	{"i-0a1b2c3d4e5f60003", "unlisted", `{"Owner": "user4", "Type": "virtual", "Registered": false}`, false},
}

// startDemoFleet starts the fleet through the control API.
func startDemoFleet(ctx context.Context, control http.Handler) error {
	for _, s := range demoFleet {
		path := "/local/hosts/" + s.host + "/sessions/" + s.session
		_, err := call(ctx, control, http.MethodPut, path, s.body)
		if err == nil && s.connected {
			_, err = call(ctx, control, http.MethodPut, path+"/connections", "")
		}
		if err != nil {
			return fmt.Errorf("demo fleet: %w", err)
		}
	}
	return nil
}

func call(ctx context.Context, control http.Handler, method, path, body string) (string, error) {
	r := httptest.NewRequestWithContext(ctx, method, path, strings.NewReader(body))
	r.RemoteAddr = "127.0.0.1:0"
	r.Host = "127.0.0.1"
	w := httptest.NewRecorder()
	control.ServeHTTP(w, r)
	if w.Code/100 != 2 {
		return "", fmt.Errorf("%s %s: %s", method, path, w.Body)
	}
	return w.Body.String(), nil
}
