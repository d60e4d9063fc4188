package tabletest

import (
	"fmt"
	"slices"
	"time"
)

// sentAt is what the table has of inventories, the newest first.
func (h *hostsTest) sentAt(what string, want ...int) {
	h.t.Helper()
	sent, err := h.hosts.LastInventories(h.t.Context())
	var got []int
	for _, at := range sent {
		got = append(got, int(at.Sub(noon)/time.Second))
	}
	if err != nil || !slices.Equal(got, want) {
		h.t.Errorf("%s: %v, want %v, %v", what, got, want, err)
	}
}

func (h *hostsTest) sends(seconds ...int) {
	h.t.Helper()
	for _, at := range seconds {
		if err := h.hosts.RecordInventorySent(h.t.Context(), after(at)); err != nil {
			h.t.Fatal(err)
		}
	}
}

func lastThreeInventories(h *hostsTest) {
	h.sentAt("none")
	for _, step := range []struct {
		sent int
		want []int
	}{
		{100, []int{100}}, {159, []int{100}}, {160, []int{160, 100}}, {160, []int{160, 100}}, {219, []int{160, 100}},
		{220, []int{220, 160, 100}}, {279, []int{220, 160, 100}}, {1000, []int{1000, 220, 160}}, {2000, []int{2000, 1000, 220}},
	} {
		h.sends(step.sent)
		h.sentAt(fmt.Sprint("sent at ", step.sent), step.want...)
	}
	h.quiet(3000, 10) // the fleet is no host
}

func forgottenInventories(h *hostsTest) {
	forget := func(at int, want ...int) {
		h.t.Helper()
		if err := h.hosts.ForgetInventory(h.t.Context(), after(at)); err != nil {
			h.t.Error(err)
		}
		h.sentAt(fmt.Sprint("without ", at), want...)
	}
	forget(100)
	h.sends(100)
	forget(100)
	h.sends(100, 200, 300, 400)
	forget(100, 400, 300, 200) // of which nobody knows any more
	forget(400, 300, 200)
	h.sends(500)
	h.sentAt("another", 500, 300, 200)
	forget(300, 500, 200)
	h.sends(600)
	forget(200, 600, 500)
	forget(200, 600, 500)
}
