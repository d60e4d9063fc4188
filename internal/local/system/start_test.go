package system

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"dcv-session-broker/internal/local/runtimeapi"
	"dcv-session-broker/internal/template/templatetest"
)

// They connect before the first event, to each service that every event needs. EC2 is
// rarely called.
func TestBuiltFunctionsOpenTheirConnectionsWhileTheyStart(t *testing.T) {
	deployed := templatetest.Load(t, nil)
	bootstraps := buildFunctions(t)
	for _, f := range deployed.Functions() {
		t.Run(f.Name, func(t *testing.T) {
			asked := make(chan string, 10)
			env := []string{"AWS_REGION=us-east-1", "AWS_ACCESS_KEY_ID=local", "AWS_SECRET_ACCESS_KEY=local"}
			want := map[string]bool{}
			for name, value := range f.Environment {
				if service, ok := strings.CutPrefix(name, "AWS_ENDPOINT_URL_"); ok {
					server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
						asked <- service + r.Header.Get("X-Amz-Target")
					}))
					t.Cleanup(server.Close)
					value = server.URL
					if service != "EC2" {
						want[service] = true
					}
				}
				env = append(env, name+"="+value)
			}
			running, err := runtimeapi.Start(bootstraps[f.Name], env)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(running.Stop)
			for len(want) > 0 {
				select {
				case service := <-asked:
					if !want[service] {
						t.Errorf("asks %s, or again", service)
					}
					delete(want, service)
				case <-time.After(5 * time.Minute):
					t.Fatalf("opens no connection to %v: %s", want, running.Output())
				}
			}
		})
	}
}
