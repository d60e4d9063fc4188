package main

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"dcv-session-broker/internal/local/system"
)

// An issuer bills tokens: one is kept, is sent to its API only, and is replaced when the API refuses it.
func TestTokensAreKept(t *testing.T) {
	_, one := startSystem(t, system.Options{Token: apiToken})
	_, other := startSystem(t, system.Options{Token: apiToken + "-2"})
	var issued atomic.Int32
	sentTo := map[string]string{}
	at := func(address string) string {
		return before(t, address, func(w http.ResponseWriter, r *http.Request, pass http.Handler) {
			sentTo[address] = r.Header.Get("Authorization")
			pass.ServeHTTP(w, r)
		})
	}
	first, second := at(one), at(other)
	issuer := before(t, one, func(w http.ResponseWriter, r *http.Request, pass http.Handler) {
		issued.Add(1)
		pass.ServeHTTP(w, r)
	})
	env := map[string]string{"TOKEN_URL": issuer + "/oauth2/token", "CLIENT_ID": "client", "CLIENT_SECRET": clientSecret}
	dir := filepath.Join(t.TempDir(), "dcvbroker")
	get := func(address string) (said string, status int) {
		t.Helper()
		var out strings.Builder
		p := program{
			in: strings.NewReader(""), out: &out, err: &out, now: time.Now, pause: time.Millisecond, cacheDir: dir,
			getenv: func(name string) string { return env[name] },
		}
		status = p.run(t.Context(), []string{"get", "--url", address})
		if strings.Contains(out.String(), clientSecret) || strings.Contains(out.String(), apiToken) {
			t.Errorf("it shows what is secret:\n%s", &out)
		}
		return out.String(), status
	}
	for range 2 {
		if said, status := get(first); status != exitDone || issued.Load() != 1 {
			t.Errorf("%d, %d were issued\n%s", status, issued.Load(), said)
		}
	}
	// The other API refuses it, and then a new one: the program gives up.
	if said, status := get(second); status != exitNotRun || issued.Load() != 3 || !strings.Contains(said, "look at Issuer, Audience and Scope") {
		t.Errorf("%d, %d were issued\n%s", status, issued.Load(), said)
	}
	if said, status := get(first); status != exitDone || issued.Load() != 3 || sentTo[one] != "Bearer "+apiToken {
		t.Errorf("%d, %d were issued\n%s", status, issued.Load(), said)
	}
	// The kept token is refused.
	files, err := filepath.Glob(filepath.Join(dir, "token-*"))
	if err != nil || len(files) != 2 {
		t.Fatalf("%q, %v", files, err)
	}
	for _, file := range files {
		if err := os.WriteFile(file, []byte(`{"Token": "an old one", "ExpiresAt": "2126-11-29T00:00:00Z"}`), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if said, status := get(first); status != exitDone || issued.Load() != 4 {
		t.Errorf("%d, %d were issued\n%s", status, issued.Load(), said)
	}
	if said, status := get(first); status != exitDone || issued.Load() != 4 {
		t.Errorf("%d, %d were issued\n%s", status, issued.Load(), said)
	}
	// A redirect is not followed, wherever it goes.
	elsewhere := before(t, other, func(http.ResponseWriter, *http.Request, http.Handler) { t.Error("the redirect was followed") })
	env = map[string]string{"TOKEN": apiToken}
	redirecting := before(t, one, func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
		http.Redirect(w, r, elsewhere+r.URL.Path, http.StatusTemporaryRedirect)
	})
	if said, status := get(redirecting); status != exitNotRun || !strings.Contains(said, "answered 307") {
		t.Errorf("%d\n%s", status, said)
	}
	env = map[string]string{"TOKEN": apiToken + "-3"}
	if said, status := get(first); status != exitNotRun || !strings.Contains(said, "set TOKEN to one that has not expired") {
		t.Errorf("%d\n%s", status, said)
	}
}
