package session

import (
	"context"
	"fmt"
	"slices"
)

// lookedUp is how many records of a host are read together. Hosts have few, and the
// first one that lives answers the question.
const lookedUp = 25

// HostEmpty tells whether the table has nothing on a host: no session that
// lives, no deletion that is open. A host that has not answered for a while may
// run more than the table has.
//
// The index may be a moment behind and show sessions that have just ended, so their
// records are read. So the last of several sessions that end together finds its host
// empty. A session that is listed at that moment, and not in the index yet, is missed.
func HostEmpty(ctx context.Context, index Index, getter Getter, hostID string) (bool, error) {
	for shown, err := range onHost(ctx, index, hostID) {
		if err != nil {
			return false, fmt.Errorf("read the sessions of host %s: %w", hostID, err)
		}
		for some := range slices.Chunk(shown, lookedUp) {
			if lives, err := anyLives(ctx, getter, hostID, some); lives || err != nil {
				return false, err
			}
		}
	}
	return true, nil
}

func anyLives(ctx context.Context, getter Getter, hostID string, shown []Record) (bool, error) {
	var ids []string
	for _, r := range shown {
		ids = append(ids, r.text(AttrSessionID))
	}
	records, err := getter.Get(ctx, ids)
	if err != nil {
		return false, fmt.Errorf("look up the sessions of host %s: %w", hostID, err)
	}
	return slices.ContainsFunc(records, func(r Record) bool { return r.text(AttrLiveHostID) == hostID }), nil
}
