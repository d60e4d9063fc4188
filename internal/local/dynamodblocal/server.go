// Package dynamodblocal runs the table on one machine: it starts and stops the official
// DynamoDB Local, makes tables in it, reads and seeds their records, and reads their
// streams. The system's own writes are in package dynamo.
package dynamodblocal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// LibraryVariable names the environment variable with the directory that holds
// DynamoDB Local: its jar, and all those it depends on.
const LibraryVariable = "DYNAMODB_LOCAL_LIB"

// EndpointVariable names the environment variable with the endpoint of a server that
// several test binaries share (command withserver).
const EndpointVariable = "DYNAMODB_LOCAL_ENDPOINT"

var (
	// ErrNoLibrary means that there is no DynamoDB Local in the directory.
	ErrNoLibrary = errors.New("there is no DynamoDB Local")
	// ErrNoJava means that there is no java command.
	ErrNoJava = errors.New("there is no java command")
)

// Options say which DynamoDB Local to run, and how.
type Options struct {
	// Library is the directory of DynamoDB Local's jars. The default is the value of
	// LibraryVariable.
	Library string
	// Port is the port to listen on; 0 is a free one.
	Port int
	// DataDir is the directory with the file of the tables, for the next start. Start
	// makes it if it does not exist. One server uses it at a time: Start waits for a
	// server that a killed program has left. Without it the tables are in memory only.
	DataDir string
	// TablesByKey gives each access key its own tables, as each account has in AWS.
	// Otherwise all keys see the same tables.
	TablesByKey bool
}

// A Server is a running DynamoDB Local.
type Server struct {
	endpoint string
	process  *exec.Cmd
	stdin    io.Closer
	claim    io.Closer // on the port
	stderr   *tail
	done     chan struct{}
}

const (
	// startTime is more than a hundred times the duration of a start: some machines are busy.
	startTime = 5 * time.Minute
	// stopTime is how long Stop waits before it kills.
	stopTime = 5 * time.Second
)

// Start starts DynamoDB Local and waits until it answers. The context is for the start
// only; Stop ends the server. The errors ErrNoLibrary and ErrNoJava mean that this
// machine cannot run it.
func Start(ctx context.Context, o Options) (*Server, error) {
	if o.Library == "" {
		o.Library = os.Getenv(LibraryVariable)
	}
	if o.Library == "" {
		return nil, fmt.Errorf("%w: %s is not set", ErrNoLibrary, LibraryVariable)
	}
	if jars, _ := filepath.Glob(filepath.Join(o.Library, "DynamoDBLocal*.jar")); len(jars) == 0 {
		return nil, fmt.Errorf("%w: no DynamoDBLocal*.jar in %s", ErrNoLibrary, o.Library)
	}
	if _, err := exec.LookPath("java"); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoJava, err)
	}
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()

	data, err := lockDataDir(ctx, o.DataDir)
	if err != nil {
		return nil, err
	}
	defer data.Close() // the server has the file open, too
	tries := 1
	if o.Port == 0 {
		// After a port was found free, another program may take it before the server does.
		tries = 3
	}
	for {
		port, claim, err := claimPort(o.Port)
		if err != nil {
			return nil, err
		}
		s, err := start(ctx, o, port, claim, data)
		if tries--; err == nil || tries == 0 || ctx.Err() != nil {
			return s, err
		}
	}
}

// untilStdinEnds runs a command until the command or its own stdin ends. This process
// has the other end of stdin, which the kernel closes when the process dies, so the
// server ends with it. (Linux's parent-death signal is no alternative: it is sent when
// the thread that started the server ends.) Of these processes only the server has
// descriptor 3 open, the lock of its data.
const untilStdinEnds = `
exec 4<&0
"$@" </dev/null 4<&- &
server=$!
exec 3>&-
{ cat <&4; kill "$server"; } >/dev/null 2>&1 &
exec 4<&-
wait "$server"`

func start(ctx context.Context, o Options, port int, claim io.Closer, data *os.File) (*Server, error) {
	args := []string{
		"-c", untilStdinEnds, "dynamodb-local", "java",
		// The server is short-lived, and shares the machine with the programs that use it.
		"-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
		"-Djava.library.path=" + o.Library,
		"-cp", filepath.Join(o.Library, "*"),
		"software.amazon.dynamodb.services.local.main.ServerRunner",
		"-disableTelemetry", "-port", strconv.Itoa(port),
	}
	if !o.TablesByKey {
		args = append(args, "-sharedDb")
	}
	if o.DataDir == "" {
		args = append(args, "-inMemory")
	} else {
		args = append(args, "-dbPath", o.DataDir)
	}
	s := &Server{
		endpoint: "http://127.0.0.1:" + strconv.Itoa(port),
		process:  exec.Command("sh", args...),
		stderr:   &tail{},
		claim:    claim,
		done:     make(chan struct{}),
	}
	s.process.Stderr = s.stderr
	if data != nil {
		s.process.ExtraFiles = []*os.File{data}
	}
	// Its own process group: Ctrl-C in a terminal must reach only this process, which ends
	// the server when it is no longer needed.
	s.process.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	stdin, err := s.process.StdinPipe()
	if err == nil {
		s.stdin = stdin
		err = s.process.Start()
	}
	if err != nil {
		claim.Close()
		return nil, fmt.Errorf("start DynamoDB Local: %w", err)
	}
	go func() {
		s.process.Wait() // stderr explains the end better than the status
		s.claim.Close()
		close(s.done)
	}()
	if err := s.waitUntilUp(ctx); err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	return s, nil
}

func (s *Server) waitUntilUp(ctx context.Context) error {
	for {
		if s.answers(ctx) {
			return nil
		}
		select {
		case <-s.done:
			return fmt.Errorf("DynamoDB Local ended before it answered on %s: %s", s.endpoint, s.stderr)
		case <-ctx.Done():
			return fmt.Errorf("DynamoDB Local does not answer on %s: %w: %s", s.endpoint, ctx.Err(), s.stderr)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// answers tells whether DynamoDB answers on the port: a request without credentials
// gets one of its errors.
func (s *Server) answers(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.endpoint, nil)
	if err != nil {
		return false
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 4096))
	return err == nil && bytes.Contains(body, []byte("com.amazonaws.dynamodb"))
}

// Endpoint returns the server's address, for the SDK.
func (s *Server) Endpoint() string { return s.endpoint }

// Done is closed when the server has ended, by itself or by Stop.
func (s *Server) Done() <-chan struct{} { return s.done }

// Stop ends the server. It is also ended when this process dies.
func (s *Server) Stop() error {
	s.stdin.Close()
	select {
	case <-s.done:
		return nil
	case <-time.After(stopTime):
	}
	if err := syscall.Kill(-s.process.Process.Pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("kill DynamoDB Local: %w", err)
	}
	<-s.done
	return nil
}

// claimPort checks that the TCP port is free, or finds a free one for 0. It reserves
// the port among the callers of claimPort by opening the UDP port of the same number.
// Otherwise two servers that start at the same time could get one port, and both
// starters would use the server that has it.
func claimPort(wanted int) (port int, claim io.Closer, err error) {
	for range 10 {
		var tcp net.Listener
		if tcp, err = net.Listen("tcp", fmt.Sprintf(":%d", wanted)); err != nil {
			break
		}
		port = tcp.Addr().(*net.TCPAddr).Port
		claim, err = net.ListenPacket("udp", fmt.Sprintf("127.0.0.1:%d", port))
		tcp.Close()
		if err == nil {
			return port, claim, nil
		}
	}
	return 0, nil, fmt.Errorf("find a port for DynamoDB Local: %w", err)
}

// tail keeps the end of what is written to it.
type tail struct {
	mu   sync.Mutex
	text []byte
}

const tailSize = 4096

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, p...)
	if over := len(t.text) - tailSize; over > 0 {
		t.text = append(t.text[:0], t.text[over:]...)
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.text) == 0 {
		return "it said nothing on stderr"
	}
	return strings.TrimSpace(string(t.text))
}
