package page

import (
	"errors"
	"net"
	"net/http"
	"strings"
)

var (
	errNotThisMachine = errors.New("this answers to this machine only")
	errForeignHost    = errors.New("this answers under the names 127.0.0.1, [::1] and localhost only")
	errForeignOrigin  = errors.New("this does not answer to pages of other sites")
)

// Guard refuses requests that do not come from this machine, and those that a browser
// sends for another site's page. Browsers name the page's site in Origin. A site whose
// name points to this machine meanwhile (DNS rebinding) is its own origin, but its name
// is in Host.
func Guard(r *http.Request) error {
	from, _, err := net.SplitHostPort(r.RemoteAddr)
	if ip := net.ParseIP(from); err != nil || ip == nil || !ip.IsLoopback() {
		return errNotThisMachine
	}
	if !isLoopback(r.Host) {
		return errForeignHost
	}
	// A browser that sends no Origin with a GET sends Sec-Fetch-Site. An old one sends
	// neither, but does not let a page read the answer of another site.
	if origin := r.Header.Values("Origin"); len(origin) > 1 || len(origin) == 1 && origin[0] != "http://"+r.Host {
		return errForeignOrigin
	}
	if site := r.Header.Get("Sec-Fetch-Site"); site == "cross-site" || site == "same-site" {
		return errForeignOrigin
	}
	return nil
}

// isLoopback tells whether a name always means this machine.
func isLoopback(host string) bool {
	name := host
	if withoutPort, _, err := net.SplitHostPort(host); err == nil {
		name = withoutPort
	}
	name = strings.TrimSuffix(strings.TrimPrefix(name, "["), "]")
	ip := net.ParseIP(name)
	return strings.EqualFold(name, "localhost") || ip != nil && ip.IsLoopback()
}
