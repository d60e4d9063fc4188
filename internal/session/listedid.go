package session

import "strings"

// listedID is the ID under which a host's session is listed at first: its name,
// but for names that are not one session's own. The automatic console is called
// "console" on every host, and a name that ends like a host's ID could be taken
// for a session of that host.
func listedID(nameOnHost, hostID string) string {
	if nameOnHost == "console" || endsLikeAHost(nameOnHost) {
		return nameOnHost + "-" + hostID
	}
	return nameOnHost
}

func endsLikeAHost(name string) bool {
	for _, kind := range []string{"-i-", "-mi-"} {
		if i := strings.LastIndex(name, kind); i >= 0 {
			if n := len(name) - i - len(kind); n == 8 || n == 17 {
				return true
			}
		}
	}
	return false
}
