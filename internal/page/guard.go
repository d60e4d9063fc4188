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

// Guard refuses what does not come from this machine, and what a browser sends for
// another site. Browsers send requests to this machine for every page, and say
// whose it is in Origin. A site whose name has been pointed at this machine
// meanwhile (DNS rebinding) is its own origin, but is asked for under its name.
func Guard(r *http.Request) error {
	from, _, err := net.SplitHostPort(r.RemoteAddr)
	if ip := net.ParseIP(from); err != nil || ip == nil || !ip.IsLoopback() {
		return errNotThisMachine
	}
	if !isLoopback(r.Host) {
		return errForeignHost
	}
	// A browser that sends no Origin with a GET says where it comes from, or, an old
	// one, reads no answer of another site's.
	if origin := r.Header.Values("Origin"); len(origin) > 1 || len(origin) == 1 && origin[0] != "http://"+r.Host {
		return errForeignOrigin
	}
	if site := r.Header.Get("Sec-Fetch-Site"); site == "cross-site" || site == "same-site" {
		return errForeignOrigin
	}
	return nil
}

// isLoopback tells the names that always mean this machine.
func isLoopback(host string) bool {
	name := host
	if withoutPort, _, err := net.SplitHostPort(host); err == nil {
		name = withoutPort
	}
	name = strings.TrimSuffix(strings.TrimPrefix(name, "["), "]")
	ip := net.ParseIP(name)
	return strings.EqualFold(name, "localhost") || ip != nil && ip.IsLoopback()
}
