package tabletest

import (
	"fmt"
	"time"

	"github.com/google/go-cmp/cmp"

	"dcv-session-broker/internal/session"
)

func (h *hostsTest) refused(limit int, want ...session.RefusedHost) {
	h.t.Helper()
	got, err := h.hosts.RefusedHosts(h.t.Context(), limit)
	for i := range got {
		got[i].At = got[i].At.UTC()
	}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		h.t.Errorf("%v, refused (-want +got):\n%s", err, diff)
	}
}

// refusedAndForgotten notes more hosts than a call takes. A note is no answer of its host.
func refusedAndForgotten(h *hostsTest) {
	ctx, table := h.t.Context(), h.hosts
	h.refused(10)
	var many []string
	for n := range 60 {
		many = append(many, fmt.Sprintf("i-%02d", n))
	}
	h.answers("i-1", 1, 10, true)
	for _, note := range []struct {
		hostIDs []string
		at      int
	}{{many, 100}, {[]string{"i-1", "i-2"}, 50}, {[]string{"i-1"}, 70}, {[]string{"i-2"}, 75}, {nil, 80}} {
		if err := table.RecordRefused(ctx, note.hostIDs, after(note.at)); err != nil {
			h.t.Fatal(err)
		}
	}
	h.refused(2, session.RefusedHost{HostID: "i-1", At: after(70)}, session.RefusedHost{HostID: "i-2", At: after(75)})
	if all, err := table.RefusedHosts(ctx, 100); len(all) != 62 || err != nil {
		h.t.Errorf("%d refused hosts, %v", len(all), err)
	}
	for _, noted := range []session.RefusedHost{
		{HostID: "i-1", At: after(50)}, // refused again since
		{HostID: "i-2", At: after(75)}, {HostID: "i-2", At: after(75)}, {HostID: "i-3", At: after(75)},
	} {
		if err := table.ForgetRefused(ctx, noted); err != nil {
			h.t.Error(err)
		}
	}
	h.refused(1, session.RefusedHost{HostID: "i-1", At: after(70)})
	if all, err := table.RefusedHosts(ctx, 100); len(all) != 61 || err != nil {
		h.t.Errorf("%d refused hosts, %v", len(all), err)
	}
	h.quiet(1000, 10, "i-1")
	h.newest(map[string]time.Time{"i-1": after(1)})
	if silences, err := h.hosts.Silences(ctx, []string{"i-1", "i-2", "refused-i-1", "refused-i-2"}); len(silences) != 1 || err != nil {
		h.t.Errorf("silences: %v, %v", silences, err)
	}
}
