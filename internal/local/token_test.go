package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// TOKEN reaches the API, and a client that gets its token from the token endpoint is accepted.
func TestTokenFromTheEnvironmentIsWanted(t *testing.T) {
	api, kill := startLocal(t, 0, "STORE=memory", "STATE_DIR="+t.TempDir(), "TOKEN=s3cret")
	defer kill()

	resp, err := http.PostForm(api+"/oauth2/token", url.Values{
		"grant_type": {"client_credentials"}, "client_id": {"any"}, "client_secret": {"any"}, "scope": {"dcv-session-manager/sm_scope"},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var got struct {
		AccessToken string `json:"access_token"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&got); err != nil || got.AccessToken != "s3cret" {
		t.Fatalf("%d %+v (%v)", resp.StatusCode, got, err)
	}

	for authorization, want := range map[string]int{"": 401, "Bearer local": 401, "Bearer " + got.AccessToken: 200} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, api+"/deleteSessions",
			strings.NewReader(`[{"SessionId": "SessionId123", "Owner": "user1"}]`))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Authorization", authorization)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		answer, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("%q: %d %s", authorization, resp.StatusCode, answer)
		}
	}
}
