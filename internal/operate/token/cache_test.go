//go:build unix

package token_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"dcv-session-broker/internal/operate/token"
)

// An issuer issues numbered tokens.
type issuer struct {
	issued  atomic.Int32
	seconds int
}

func (i *issuer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_, _ = fmt.Fprintf(w, `{"access_token": "t0ken-%d", "expires_in": %d}`, i.issued.Add(1), i.seconds)
}

// A run is the token cache of one process.
type run struct {
	*token.Cache
	notes []string
}

func start(t *testing.T, dir, address string, now func() time.Time) *run {
	t.Helper()
	r := &run{}
	r.Cache = &token.Cache{
		From: token.Credentials{HTTP: http.DefaultClient, URL: address, ClientID: "client", Scope: "a/b",
			Secret: func(context.Context) (string, error) { return "s3cret", nil }},
		API: "https://api.example.com", Dir: dir, Now: now,
		Note: func(why string) { r.notes = append(r.notes, why) },
	}
	return r
}

func (r *run) get(t *testing.T, refused string) string {
	t.Helper()
	got, err := r.Token(t.Context(), refused)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func serve(t *testing.T, seconds int) (*issuer, string) {
	t.Helper()
	i := &issuer{seconds: seconds}
	server := httptest.NewServer(i)
	t.Cleanup(server.Close)
	return i, server.URL
}

func TestTokenIsKeptForItsHour(t *testing.T) {
	i, address := serve(t, 3600)
	dir := filepath.Join(t.TempDir(), "cache", "dcvbroker")
	now := time.Now()
	clock := func() time.Time { return now }
	for range 3 {
		r := start(t, dir, address, clock)
		for range 2 {
			if got := r.get(t, ""); got != "t0ken-1" {
				t.Errorf("the token was not kept: %s", got)
			}
		}
	}
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != 1 {
		t.Fatalf("%v, %v", files, err)
	}
	for _, path := range []string{dir, filepath.Join(dir, files[0].Name())} {
		there, err := os.Stat(path)
		if err != nil || there.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v, %v", path, there.Mode(), err)
		}
	}
	if name := files[0].Name(); strings.Contains(name, "client") || strings.Contains(name, "example") {
		t.Errorf("its name tells what it is for: %s", name)
	}

	now = now.Add(59*time.Minute + 30*time.Second)
	if got := start(t, dir, address, clock).get(t, ""); got != "t0ken-2" {
		t.Errorf("at the end of its hour: %s", got)
	}
	if i.issued.Load() != 2 {
		t.Errorf("%d were issued", i.issued.Load())
	}
}

// In its last minute a token is still used if the issuer does not answer.
func TestTokenIsUsedToItsEndWithoutAnIssuer(t *testing.T) {
	issuer := httptest.NewServer(&issuer{seconds: 3600})
	now := time.Now()
	r := start(t, "", issuer.URL, func() time.Time { return now })
	r.get(t, "")
	issuer.Close()
	now = now.Add(59*time.Minute + 30*time.Second)
	if got := r.get(t, ""); got != "t0ken-1" {
		t.Errorf("got %s", got)
	}
	if got, err := r.Token(t.Context(), "t0ken-1"); err == nil {
		t.Errorf("it was refused: got %s", got)
	}
	now = now.Add(30 * time.Second)
	if got, err := r.Token(t.Context(), ""); err == nil {
		t.Errorf("after its end: got %s", got)
	}
}

func TestTokenGoesNowhereElse(t *testing.T) {
	_, address := serve(t, 3600)
	dir := filepath.Join(t.TempDir(), "dcvbroker")
	start(t, dir, address, time.Now).get(t, "")
	for name, change := range map[string]func(*token.Cache){
		"another API":    func(c *token.Cache) { c.API = "https://other.example.com" },
		"another issuer": func(c *token.Cache) { c.From.URL += "/other" },
		"another client": func(c *token.Cache) { c.From.ClientID = "other" },
		"another scope":  func(c *token.Cache) { c.From.Scope = "c" },
	} {
		r := start(t, dir, address, time.Now)
		change(r.Cache)
		if got := r.get(t, ""); got == "t0ken-1" {
			t.Errorf("%s got the token of the first", name)
		}
	}
	if got := start(t, dir, address, time.Now).get(t, ""); got != "t0ken-1" {
		t.Errorf("the first has %s now", got)
	}
}

func TestRefusedTokenIsReplacedOnce(t *testing.T) {
	i, address := serve(t, 3600)
	dir := filepath.Join(t.TempDir(), "dcvbroker")
	one, other := start(t, dir, address, time.Now), start(t, dir, address, time.Now)
	refused := one.get(t, "")
	other.get(t, "")
	if got := one.get(t, refused); got != "t0ken-2" {
		t.Errorf("got %s", got)
	}
	if got := other.get(t, refused); got != "t0ken-2" || i.issued.Load() != 2 {
		t.Errorf("the other process got %s; %d were issued", got, i.issued.Load())
	}
}

func TestWhatOthersCanReadIsNotUsed(t *testing.T) {
	for name, spoil := range map[string]func(t *testing.T, dir, file string) error{
		"readable by the group": func(t *testing.T, _, file string) error { return os.Chmod(file, 0o640) },
		"readable by all":       func(t *testing.T, _, file string) error { return os.Chmod(file, 0o604) },
		"a folder of all":       func(t *testing.T, dir, _ string) error { return os.Chmod(dir, 0o755) },
		"a link": func(t *testing.T, _, file string) error {
			elsewhere := filepath.Join(t.TempDir(), "token.json")
			if err := os.Rename(file, elsewhere); err != nil {
				return err
			}
			return os.Symlink(elsewhere, file)
		},
		"a folder that is a link": func(t *testing.T, dir, _ string) error {
			elsewhere := filepath.Join(t.TempDir(), "moved")
			if err := os.Rename(dir, elsewhere); err != nil {
				return err
			}
			return os.Symlink(elsewhere, dir)
		},
		"a pipe": func(_ *testing.T, _, file string) error { // a pipe without a writer
			return errors.Join(os.Remove(file), syscall.Mkfifo(file, 0o600))
		},
		"corrupt": func(t *testing.T, _, file string) error { return os.WriteFile(file, []byte(`{"Token": "t0`), 0o600) },
		"empty":   func(t *testing.T, _, file string) error { return os.WriteFile(file, nil, 0o600) },
	} {
		t.Run(name, func(t *testing.T) {
			_, address := serve(t, 3600)
			dir := filepath.Join(t.TempDir(), "dcvbroker")
			start(t, dir, address, time.Now).get(t, "")
			files, err := filepath.Glob(filepath.Join(dir, "token-*"))
			if err != nil || len(files) != 1 {
				t.Fatal(files, err)
			}
			if err := spoil(t, dir, files[0]); err != nil {
				t.Fatal(err)
			}
			r := start(t, dir, address, time.Now)
			if got := r.get(t, ""); got != "t0ken-2" || len(r.notes) == 0 {
				t.Errorf("got %s, notes %q", got, r.notes)
			}
			if got := r.get(t, ""); got != "t0ken-2" {
				t.Errorf("the same run got another: %s", got)
			}
			for _, note := range r.notes {
				if strings.Contains(note, "t0ken") || strings.Contains(note, "s3cret") {
					t.Errorf("note: %s", note)
				}
			}
		})
	}
}

func TestTwoProcessesAtTheSameTime(t *testing.T) {
	_, address := serve(t, 3600)
	dir := filepath.Join(t.TempDir(), "dcvbroker")
	var all sync.WaitGroup
	for range 20 {
		r := start(t, dir, address, time.Now)
		all.Go(func() {
			if got, err := r.Token(t.Context(), ""); err != nil || !strings.HasPrefix(got, "t0ken-") || len(r.notes) > 0 {
				t.Errorf("got %s, %v, %q", got, err, r.notes)
			}
		})
	}
	all.Wait()
	if left, err := filepath.Glob(filepath.Join(dir, "new-*")); err != nil || len(left) > 0 {
		t.Errorf("left: %q, %v", left, err)
	}
	last := start(t, dir, address, time.Now)
	if got := last.get(t, ""); !strings.HasPrefix(got, "t0ken-") || len(last.notes) > 0 {
		t.Errorf("afterwards: %s, %q", got, last.notes)
	}
}

func TestWhereNothingCanBeKeptEachRunSaysSo(t *testing.T) {
	i, address := serve(t, 3600)
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	r := start(t, filepath.Join(file, "dcvbroker"), address, time.Now)
	r.get(t, "")
	if r.get(t, ""); i.issued.Load() != 1 || !strings.Contains(strings.Join(r.notes, "\n"), "is not kept") {
		t.Errorf("%d were issued, %q", i.issued.Load(), r.notes)
	}
}

func TestIssuerThatNamesNoTimeIsAskedEachRun(t *testing.T) {
	i, address := serve(t, 0)
	dir := filepath.Join(t.TempDir(), "dcvbroker")
	for range 2 {
		r := start(t, dir, address, time.Now)
		r.get(t, "")
		r.get(t, "")
	}
	if i.issued.Load() != 2 {
		t.Errorf("%d were issued", i.issued.Load())
	}
}
