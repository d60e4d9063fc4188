package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"dcv-session-broker/internal/local/dynamodblocal"
	"dcv-session-broker/internal/session"
)

// An incarnation is a session as named by its ID and its creation time.
type incarnation struct{ id, created string }

// A client starts sessions on its own host, deletes them, and starts others under the
// same IDs.
type client struct {
	host     string
	table    dynamodblocal.Store
	sessions []*owned
	accepted map[incarnation]bool
	answered *atomic.Int64 // deletions accepted, of all clients
}

// owned is a session ID of a client.
type owned struct {
	id           string
	created      string // the creation time of the last started incarnation; "" before the first
	asked        bool   // whether its deletion was requested
	everAccepted bool
}

func newClients(table dynamodblocal.Store, answered *atomic.Int64) (clients []*client) {
	for n := range 4 {
		c := &client{host: fmt.Sprintf("i-%017d", n+1), table: table, accepted: map[incarnation]bool{}, answered: answered}
		for m := range 3 {
			c.sessions = append(c.sessions, &owned{id: fmt.Sprintf("s-%d-%d", n, m)})
		}
		clients = append(clients, c)
	}
	return clients
}

// work runs until ctx ends. It repeats a request without an answer, which may have been
// carried out.
func (c *client) work(ctx context.Context, api string) {
	for ; ctx.Err() == nil; time.Sleep(20 * time.Millisecond) {
		var wanted []*owned
		for _, s := range c.sessions {
			record, err := c.table.Get(ctx, s.id)
			if err != nil {
				break
			}
			there := record.Session()
			switch own := there.CreationTime == s.created; {
			case s.created == "", own && s.asked && there.State == session.Deleted:
				c.start(ctx, api, s)
			case own && there.State == session.Deleting && s.asked && rand.IntN(20) == 0:
				c.start(ctx, api, s) // before the deletion of the last one has ended
			case own && there.State == session.Ready,
				own && there.State == session.Deleting && !c.accepted[incarnation{s.id, s.created}]:
				wanted = append(wanted, s)
			}
		}
		if len(wanted) > 0 {
			c.delete(ctx, api, wanted)
		}
	}
}

// start starts a session. Half of them are not listed until an inventory finds them.
func (c *client) start(ctx context.Context, api string, s *owned) {
	answer, err := request(ctx, http.MethodPut, fmt.Sprintf("%s/local/hosts/%s/sessions/%s", api, c.host, s.id),
		fmt.Sprintf(`{"Owner": "user1", "Registered": %t}`, rand.IntN(2) == 0))
	var started struct{ CreationTime string }
	if err == nil && json.Unmarshal([]byte(answer), &started) == nil {
		s.created, s.asked = started.CreationTime, false
	}
}

func (c *client) delete(ctx context.Context, api string, some []*owned) {
	var entries []string
	for _, s := range some {
		s.asked = true
		entries = append(entries, fmt.Sprintf(`{"SessionId": %q, "Owner": "user1"}`, s.id))
	}
	answer, err := request(ctx, http.MethodPost, api+"/deleteSessions", "["+strings.Join(entries, ",")+"]")
	var said struct{ SuccessfulList []struct{ SessionId string } }
	if err != nil || json.Unmarshal([]byte(answer), &said) != nil {
		return
	}
	for _, a := range said.SuccessfulList {
		for _, s := range some {
			if s.id == a.SessionId {
				c.accepted[incarnation{s.id, s.created}], s.everAccepted = true, true
				c.answered.Add(1)
			}
		}
	}
}
