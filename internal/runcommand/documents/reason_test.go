package documents_test

import (
	"strings"
	"testing"
)

// A reason is 80 characters: what a warning would take of them comes last.
func TestReasonsNameTheCause(t *testing.T) {
	onEveryHost(t, func(t *testing.T, h *host) {
		for said, want := range map[string]string{
			"bash: warning: setlocale: LC_ALL: cannot change locale (C.UTF-8): No such file or directory\nCould not get the system bus": "Could not get the system bus (exit 1) bash: warning: setlocale: LC_ALL: cannot c",
			"ERROR: ld.so: object '/usr/lib64/libmonitor.so' from /etc/ld.so.preload cannot be preloaded: ignored.\nhalf\nof it":        "half of it (exit 1) ERROR: ld.so: object '/usr/lib64/libmonitor.so' from /etc/ld",
			"<b>&</b>": "b /b (exit 1)", // each would be seven bytes in the reply of the agent
			"Warning":  "(exit 1) Warning",
		} {
			h.server("broken", said)
			if s := h.inventory(); s.failed != want {
				t.Errorf("inventory: %q, not %q", s.failed, want)
			}
			if lines := h.closes(incarnation("a", created)); len(lines) != 1 || lines[0].Reason != want {
				t.Errorf("close: %v, not %q", lines, want)
			}
		}
	})
}

// A close that dcv reports as done, and that does not show, is told as what it is.
func TestClosedButStillListed(t *testing.T) {
	onEveryAwk(t, func(t *testing.T, h *host) {
		h.noSleep()
		h.session("a", created)
		h.wrapDcv(`[ "$1" != close-session ] || exit 0`)
		lines := h.closes(incarnation("a", created))
		if len(lines) != 1 || lines[0].Result != "failed" || !strings.Contains(lines[0].Reason, "dcv closed it, and lists it still") {
			t.Errorf("%+v", lines)
		}
	})
}
