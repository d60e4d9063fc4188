package main

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
)

// A simulatedSSM is Systems Manager with a fleet of hosts, of which each answers every
// command. It takes so many calls a second of each operation, in a bucket that holds the
// calls of a second; what comes beyond that is throttled.
type simulatedSSM struct {
	w          *fleetWorld
	rate       float64
	hostIDs    []string
	sessionIDs []string // of all hosts, in the order of a scan

	mu        sync.Mutex
	place     map[string]int  // of a host, by its ID
	closed    map[string]bool // sessions
	commands  map[string]*fleetCommand
	sent      []*fleetCommand
	documents map[string]string // the kinds of documents, by name
	calls     map[string]*fleetCalls
}

// A fleetCommand is one that was sent: status and output are by the place of the host in
// hosts.
type fleetCommand struct {
	id, document, comment string
	sentAt                time.Time
	hosts                 []int
	placeOf               map[string]int
	asked                 map[string][]string // by host: the keys of the sessions to close
	done                  []bool
}

// fleetCalls are the calls of one operation: tries are what came over the wire. ofClosing are the
// calls for close commands, the others are for inventories.
type fleetCalls struct {
	calls, ofClosing int
	tries, throttled int
	inSecond         map[int64]int // tries
	tokens           float64
	filledAt         time.Time
}

func newSimulatedSSM(w *fleetWorld, hosts int, rate float64) *simulatedSSM {
	s := &simulatedSSM{
		w: w, rate: rate, place: map[string]int{}, closed: map[string]bool{}, commands: map[string]*fleetCommand{},
		documents: map[string]string{}, calls: map[string]*fleetCalls{},
	}
	for n := range hosts {
		s.hostIDs = append(s.hostIDs, hostID(n))
		s.place[hostID(n)] = n
	}
	for n := range hosts * w.sessions {
		s.sessionIDs = append(s.sessionIDs, sessionID(n))
	}
	slices.SortFunc(s.sessionIDs, func(a, b string) int { return cmp.Compare(scanPlace(a), scanPlace(b)) })
	for _, f := range w.deployed.Functions() {
		for variable, kind := range map[string]string{"CLOSE_DOCUMENT": "close", "INVENTORY_DOCUMENT": "inventory"} {
			if name := f.Environment[variable]; name != "" {
				s.documents[name] = kind
			}
		}
	}
	return s
}

// scanPlace is where a key is in a scan: DynamoDB orders keys by a hash of its own.
func scanPlace(sessionID string) uint64 {
	h := sha256.Sum256([]byte(sessionID))
	return binary.BigEndian.Uint64(h[:])
}

// of are the calls of an operation, with the lock held.
func (s *simulatedSSM) of(operation string) *fleetCalls {
	c := s.calls[operation]
	if c == nil {
		c = &fleetCalls{inSecond: map[int64]int{}, tokens: s.rate, filledAt: time.Now()}
		s.calls[operation] = c
	}
	return c
}

// total are all calls of those operations, all where none is named.
func (s *simulatedSSM) total(operations ...string) (sum fleetCalls) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sum.inSecond = map[int64]int{}
	for name, c := range s.calls {
		if len(operations) > 0 && !slices.Contains(operations, name) {
			continue
		}
		sum.calls, sum.ofClosing, sum.tries, sum.throttled = sum.calls+c.calls, sum.ofClosing+c.ofClosing, sum.tries+c.tries, sum.throttled+c.throttled
		for second, n := range c.inSecond {
			sum.inSecond[second] += n
		}
	}
	return sum
}

// most is the most tries in a second.
func (c fleetCalls) most() (most int) {
	for _, n := range c.inSecond {
		most = max(most, n)
	}
	return most
}

func (s *simulatedSSM) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.calls {
		c.calls, c.ofClosing, c.tries, c.throttled, c.inSecond = 0, 0, 0, 0, map[int64]int{}
	}
}

// take tells whether the operation's rate leaves room for a try.
func (s *simulatedSSM) take(operation string, body []byte, first bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, now := s.of(operation), time.Now()
	c.tries++
	c.inSecond[now.Unix()]++
	if first {
		c.calls++
		var of struct{ DocumentName, CommandId string }
		if err := json.Unmarshal(body, &of); err != nil {
			panic(err)
		}
		if cmd := s.commands[of.CommandId]; cmd != nil {
			of.DocumentName = cmd.document
		}
		if s.documents[of.DocumentName] == "close" {
			c.ofClosing++
		}
	}
	c.tokens = min(max(s.rate, 1), c.tokens+s.rate*now.Sub(c.filledAt).Seconds())
	c.filledAt = now
	if c.tokens < 1 {
		c.throttled++
		return false
	}
	c.tokens--
	return true
}

// An ssmTransport is the way from a function to Systems Manager.
type ssmTransport struct{ e *fleetEnvironment }

// Do implements ssm.HTTPClient.
func (t ssmTransport) Do(r *http.Request) (*http.Response, error) {
	s := t.e.ssm
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	operation := strings.TrimPrefix(r.Header.Get("X-Amz-Target"), "AmazonSSM.")
	first := strings.HasPrefix(r.Header.Get("Amz-Sdk-Request"), "attempt=1")
	select {
	case <-time.After(settings[0].SystemsManager):
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
	if !s.take(operation, body, first) {
		return reply(http.StatusBadRequest, map[string]any{"__type": "ThrottlingException", "message": "Rate exceeded"}), nil
	}
	answer, listed := s.answer(operation, body)
	t.e.compute(computeRead + time.Duration(listed)*computeListed)
	return reply(http.StatusOK, answer), nil
}

func reply(status int, body any) *http.Response {
	text, err := json.Marshal(body)
	if err != nil {
		panic(err)
	}
	return &http.Response{
		StatusCode: status, Body: io.NopCloser(bytes.NewReader(text)), ContentLength: int64(len(text)),
		Header: http.Header{"Content-Type": {"application/x-amz-json-1.1"}},
	}
}

// answer is what the service answers, and how many invocations it lists.
func (s *simulatedSSM) answer(operation string, body []byte) (answer any, listed int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	read := func(in any) {
		if err := json.Unmarshal(body, in); err != nil {
			panic(err)
		}
	}
	switch operation {
	case "SendCommand":
		var in ssm.SendCommandInput
		read(&in)
		return map[string]any{"Command": map[string]any{"CommandId": s.send(in).id}}, 0
	case "ListCommandInvocations":
		var in ssm.ListCommandInvocationsInput
		read(&in)
		list := s.list(in)
		return list, len(list["CommandInvocations"].([]any))
	case "ListCommands":
		return map[string]any{"Commands": []any{}}, 0
	case "DescribeInstanceInformation":
		return map[string]any{"InstanceInformationList": []any{}}, 0
	}
	panic("nobody was to call " + operation)
}

// send has each host answer after its time, and tells EventBridge.
func (s *simulatedSSM) send(in ssm.SendCommandInput) *fleetCommand {
	cmd := &fleetCommand{
		id: fmt.Sprintf("c0000000-0000-4000-8000-%012d", len(s.sent)), document: aws.ToString(in.DocumentName), comment: aws.ToString(in.Comment),
		sentAt: time.Now(), placeOf: map[string]int{}, asked: map[string][]string{},
	}
	from, to := assumedCloseFrom, assumedCloseTo
	if len(in.Targets) > 0 {
		from, to = assumedInventoryFrom, assumedInventoryTo
		for n := range s.hostIDs {
			cmd.hosts = append(cmd.hosts, n)
		}
	}
	for _, id := range in.InstanceIds {
		cmd.hosts = append(cmd.hosts, s.place[id])
	}
	if sessions := in.Parameters["sessions"]; len(sessions) > 0 {
		for group := range strings.SplitSeq(sessions[0], ";") {
			hostID, sessions, _ := strings.Cut(group, "=")
			for one := range strings.SplitSeq(sessions, ",") {
				cmd.asked[hostID] = append(cmd.asked[hostID], one[:strings.IndexAny(one, "/@~")])
			}
		}
	}
	cmd.done = make([]bool, len(cmd.hosts))
	s.commands[cmd.id] = cmd
	s.sent = append(s.sent, cmd)
	for place, host := range cmd.hosts {
		id := s.hostIDs[host]
		cmd.placeOf[id] = place
		event := fmt.Sprintf(`{"source":"aws.ssm","detail-type":"EC2 Command Invocation Status-change Notification","detail":{"command-id":"%s","document-name":"%s","instance-id":"%s","requested-date-time":"%s","status":"Success"}}`,
			cmd.id, cmd.document, id, cmd.sentAt.UTC().Format("2006-01-02T15:04:05.000Z"))
		time.AfterFunc(s.w.between(from, to), func() {
			s.mu.Lock()
			cmd.done[place] = true
			for _, key := range cmd.asked[id] {
				s.closed[key] = true
			}
			s.mu.Unlock()
			time.AfterFunc(s.w.between(assumedEventFrom, assumedEventTo), func() {
				if len(cmd.asked) > 0 {
					s.w.mu.Lock()
					s.w.heardAt[id] = time.Now()
					s.w.mu.Unlock()
				}
				s.w.emit(event)
			})
		})
	}
	return cmd
}

const invocationsOnPage = 50

func (s *simulatedSSM) list(in ssm.ListCommandInvocationsInput) map[string]any {
	cmd := s.commands[aws.ToString(in.CommandId)]
	first, last := 0, len(cmd.hosts)
	if in.InstanceId != nil {
		first = cmd.placeOf[*in.InstanceId]
		last = first + 1
	} else if in.NextToken != nil {
		first, _ = strconv.Atoi(*in.NextToken)
	}
	end := min(first+invocationsOnPage, last)
	invocations := []any{}
	for place := first; place < end; place++ {
		status, output := "InProgress", ""
		if cmd.done[place] {
			status, output = "Success", s.output(cmd, cmd.hosts[place])
		}
		invocations = append(invocations, map[string]any{
			"CommandId": cmd.id, "InstanceId": s.hostIDs[cmd.hosts[place]], "Comment": cmd.comment, "DocumentName": cmd.document, "Status": status, "StatusDetails": status,
			"CommandPlugins": []any{map[string]any{"Name": "linux", "Status": status, "Output": output}},
		})
	}
	list := map[string]any{"CommandInvocations": invocations}
	if end < last {
		list["NextToken"] = strconv.Itoa(end)
	}
	return list
}

// output is what the host has printed.
func (s *simulatedSSM) output(cmd *fleetCommand, host int) string {
	var b strings.Builder
	if s.documents[cmd.document] == "close" {
		for _, key := range cmd.asked[s.hostIDs[host]] {
			fmt.Fprintf(&b, "{\"id\":\"%s\",\"result\":\"closed\"}\n", key)
		}
		return b.String()
	}
	n := 0
	for i := range s.w.sessions {
		if id := sessionID(host*s.w.sessions + i); !s.closed[id] {
			n++
			fmt.Fprintf(&b, `{"id":"%s","owner":"%s","name":"%s","type":"virtual","created":"%s","left":"","connections":1}`+"\n", id, fleetOwner(host), id, fleetCreated)
		}
	}
	fmt.Fprintf(&b, "{\"end\":%d}\n", n)
	return b.String()
}

// applied is how many hosts' answers to the newest inventory are in the Hosts table.
func (s *simulatedSSM) applied(newest map[string]time.Time, sentAt time.Time) (n int) {
	for _, at := range newest {
		if !at.Before(sentAt.Truncate(time.Millisecond)) {
			n++
		}
	}
	return n
}
