// Package standin answers as DynamoDB and Systems Manager do over HTTP, for the
// operations that deleting sessions takes, after a latency. All contenders of
// the benchmark talk to it through their own SDK, so what they are measured
// with is the same. It counts every call.
package standin

import (
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"time"
)

// Latency is how long a call takes, its processing included.
type Latency struct{ Table, SystemsManager time.Duration }

// A Server is both services.
type Server struct {
	URL   string
	Table *Table

	http     *http.Server
	mu       sync.Mutex
	latency  Latency
	calls    map[string]int
	arrivals []time.Time
	// connections that were opened, if it serves TLS.
	connections int
	hosts       *Hosts // nil: Systems Manager takes commands, and knows nothing of them
}

// Start serves an empty table.
func Start() (*Server, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &Server{URL: "http://" + listener.Addr().String(), Table: &Table{}, calls: map[string]int{}}
	s.http = &http.Server{Handler: s, ReadHeaderTimeout: time.Minute}
	go s.http.Serve(listener)
	return s, nil
}

// StartTLS is Start over TLS. What its certificate is checked by is written to
// that file.
func StartTLS(authority string) (*Server, error) {
	s := &Server{Table: &Table{}, calls: map[string]int{}}
	secure := httptest.NewUnstartedServer(s)
	secure.Config.ErrorLog = log.New(io.Discard, "", 0) // of callers that were ended
	secure.Config.ConnState = s.connState
	secure.StartTLS()
	s.URL, s.http = secure.URL, secure.Config
	return s, os.WriteFile(authority, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: secure.Certificate().Raw}), 0o600)
}

// connState counts connections.
func (s *Server) connState(_ net.Conn, state http.ConnState) {
	if state == http.StateNew {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.connections++
	}
}

// Connections are those that were opened since Begin.
func (s *Server) Connections() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.connections
}

// Close ends it.
func (s *Server) Close() { s.http.Close() }

// Begin sets the latency and forgets the calls so far.
func (s *Server) Begin(l Latency) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.latency, s.calls, s.arrivals, s.connections, s.hosts = l, map[string]int{}, nil, 0, nil
}

// Calls are those since Begin, by operation.
func (s *Server) Calls() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.calls)
}

// Spread is the time from the first to the last arrival of a table's call since
// Begin.
func (s *Server) Spread() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.arrivals) == 0 {
		return 0
	}
	return s.arrivals[len(s.arrivals)-1].Sub(s.arrivals[0])
}

// ServeHTTP is one call.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	arrived := time.Now()
	service, operation, ok := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	if !ok {
		if r.Method == http.MethodPost && r.PostFormValue("Action") == "TerminateInstances" {
			s.serveEC2(w, r.PostForm)
			return
		}
		http.NotFound(w, r) // a connection that is only opened
		return
	}
	s.mu.Lock()
	s.calls[operation]++
	hosts := s.hosts
	latency := s.latency.Table
	if service == "AmazonSSM" {
		latency = s.latency.SystemsManager
	} else {
		s.arrivals = append(s.arrivals, arrived)
	}
	s.mu.Unlock()

	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	var answer []byte
	if hosts != nil && service == "AmazonSSM" {
		at := s.spend(arrived, latency, hosts)
		s.mu.Lock()
		answer, err = hosts.answer(operation, body, at)
		s.mu.Unlock()
	} else {
		answer, err = s.answer(operation, body)
		s.spend(arrived, latency, hosts)
	}
	contentType := "application/x-amz-json-1.0"
	if service == "AmazonSSM" {
		contentType = "application/x-amz-json-1.1"
	}
	w.Header().Set("Content-Type", contentType)
	if fault := (*Fault)(nil); errors.As(err, &fault) {
		w.WriteHeader(http.StatusBadRequest)
		answer, _ = json.Marshal(map[string]string{"__type": "com.amazonaws#" + fault.Code, "message": fault.Message})
	} else if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		answer, _ = json.Marshal(map[string]string{"__type": "com.amazonaws#ValidationException", "message": err.Error()})
	}
	w.Write(answer)
}

// A Fault is an error with a code of the service's.
type Fault struct{ Code, Message string }

func (f *Fault) Error() string { return f.Code + ": " + f.Message }

func (s *Server) answer(operation string, body []byte) ([]byte, error) {
	switch operation {
	case "BatchExecuteStatement":
		return s.Table.batchExecuteStatement(body)
	case "GetItem":
		return s.Table.getItem(body)
	case "UpdateItem":
		return s.Table.updateItem(body)
	case "BatchWriteItem": // notes of hosts, which nobody reads here
		return []byte("{}"), nil
	case "SendCommand":
		return sendCommand(body)
	}
	return nil, &Fault{"UnknownOperationException", operation}
}

// sendCommand takes what SendCommand takes of hosts.
func sendCommand(body []byte) ([]byte, error) {
	var in struct {
		DocumentName string
		InstanceIDs  []string `json:"InstanceIds"`
	}
	if err := json.Unmarshal(body, &in); err != nil {
		return nil, err
	}
	if n := len(in.InstanceIDs); in.DocumentName == "" || n < 1 || n > 50 {
		return nil, &Fault{"ValidationException", "1 to 50 InstanceIds of a document"}
	}
	return json.Marshal(map[string]any{"Command": map[string]any{
		"CommandId": "11111111-2222-3333-4444-555555555555", "DocumentName": in.DocumentName,
		"InstanceIds": in.InstanceIDs, "Status": "Pending", "TargetCount": len(in.InstanceIDs),
	}})
}
