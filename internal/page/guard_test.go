package page

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
)

// Pages of other sites in a browser of this machine, and other machines, are refused.
func TestOtherSitesAreRefused(t *testing.T) {
	for _, c := range []struct {
		from, host string
		headers    http.Header
		want       error
	}{
		{"127.0.0.1:4711", "127.0.0.1:8080", nil, nil},
		{"127.0.0.1:4711", "LocalHost:8080", nil, nil},
		{"[::1]:4711", "[::1]:8080", nil, nil},
		{"127.0.0.1:4711", "127.0.0.1", nil, nil},
		{"127.0.0.1:4711", "127.0.0.1:8080", http.Header{"Origin": {"http://127.0.0.1:8080"}, "Sec-Fetch-Site": {"same-origin"}}, nil},
		{"127.0.0.1:4711", "127.0.0.1:8080", http.Header{"Sec-Fetch-Site": {"none"}}, nil},

		{"192.0.2.7:4711", "127.0.0.1:8080", nil, errNotThisMachine},
		{"", "127.0.0.1:8080", nil, errNotThisMachine},
		{"127.0.0.1:4711", "rebound.example:8080", nil, errForeignHost},
		{"127.0.0.1:4711", "localhost.example:8080", nil, errForeignHost},
		{"127.0.0.1:4711", "127.0.0.1.example", nil, errForeignHost},
		{"127.0.0.1:4711", "192.0.2.7:8080", nil, errForeignHost},
		{"127.0.0.1:4711", "", nil, errForeignHost},
		{"127.0.0.1:4711", "127.0.0.1:8080", http.Header{"Origin": {"http://site.example"}}, errForeignOrigin},
		{"127.0.0.1:4711", "127.0.0.1:8080", http.Header{"Origin": {"null"}}, errForeignOrigin},
		{"127.0.0.1:4711", "127.0.0.1:8080", http.Header{"Origin": {"http://127.0.0.1:8081"}}, errForeignOrigin},
		{"127.0.0.1:4711", "127.0.0.1:8080", http.Header{"Origin": {"https://127.0.0.1:8080"}}, errForeignOrigin},
		{"127.0.0.1:4711", "127.0.0.1:8080", http.Header{"Origin": {"http://127.0.0.1:8080", "http://site.example"}}, errForeignOrigin},
		{"127.0.0.1:4711", "127.0.0.1:8080", http.Header{"Sec-Fetch-Site": {"cross-site"}}, errForeignOrigin},
		{"127.0.0.1:4711", "127.0.0.1:8080", http.Header{"Sec-Fetch-Site": {"same-site"}}, errForeignOrigin},
	} {
		r := httptest.NewRequest(http.MethodPost, "/", nil)
		r.RemoteAddr, r.Host = c.from, c.host
		if c.headers != nil {
			r.Header = c.headers
		}
		if err := Guard(r); !errors.Is(err, c.want) {
			t.Errorf("from %q, to %q, with %v: %v, not %v", c.from, c.host, c.headers, err, c.want)
		}
	}
}

// The page and its parts are guarded, too, and load nothing from elsewhere.
func TestThePageIsServed(t *testing.T) {
	mux := http.NewServeMux()
	Register(mux)
	get := func(path, host string) *httptest.ResponseRecorder {
		r, w := httptest.NewRequest(http.MethodGet, path, nil), httptest.NewRecorder()
		r.RemoteAddr, r.Host = "127.0.0.1:4711", host
		mux.ServeHTTP(w, r)
		return w
	}
	for path, kind := range map[string]string{
		"/": "text/html; charset=utf-8", "/page/main.js": "text/javascript; charset=utf-8", "/page/page.css": "text/css; charset=utf-8",
	} {
		w := get(path, "localhost:8080")
		h := w.Header()
		if w.Code != http.StatusOK || h.Get("Content-Type") != kind || h.Get("Content-Security-Policy") != policy || h.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: %d, %v", path, w.Code, h)
		}
		if w := get(path, "rebound.example"); w.Code != http.StatusForbidden {
			t.Errorf("%s under a foreign name: %d", path, w.Code)
		}
	}
	if w := get("/page/nothing.js", "localhost"); w.Code != http.StatusNotFound {
		t.Errorf("a part that is not there: %d", w.Code)
	}
}
