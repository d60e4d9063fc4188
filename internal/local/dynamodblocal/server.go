// Package dynamodblocal runs the table on one machine: it starts and stops the
// official DynamoDB Local, makes tables in it, reads and seeds their records,
// and reads their streams. Writing as the system writes is package dynamo's.
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

// EndpointVariable names the environment variable with the endpoint of a server
// that several test binaries share (command beside).
const EndpointVariable = "DYNAMODB_LOCAL_ENDPOINT"

var (
	// ErrNoLibrary: there is no DynamoDB Local where it was looked for.
	ErrNoLibrary = errors.New("DynamoDB Local is not there")
	// ErrNoJava: there is no java command.
	ErrNoJava = errors.New("java is not there")
)

// Options say which DynamoDB Local to run, and how.
type Options struct {
	// Library is the directory of DynamoDB Local's jars; if it is empty,
	// LibraryVariable says it.
	Library string
	// Port to listen on; 0 is a free one.
	Port int
	// DataDir keeps the tables in a file of that directory, where the next
	// start finds them again. It is made if it is not there, and one server has
	// it at a time: one that a killed program left behind is waited for. If it
	// is empty the tables are in memory only.
	DataDir string
	// TablesByKey gives each access key tables of its own, as AWS gives each
	// account; else all see the same.
	TablesByKey bool
}

// A Server is a running DynamoDB Local.
type Server struct {
	endpoint string
	process  *exec.Cmd
	lifeline io.Closer
	claim    io.Closer // to the port
	stderr   *tail
	done     chan struct{}
}

const (
	// startTime is more than ten times what a start takes.
	startTime = time.Minute
	// stopTime is how long Stop waits before it kills.
	stopTime = 5 * time.Second
)

// Start starts DynamoDB Local and waits until it answers. The context is for
// the start only; Stop ends the server. ErrNoLibrary and ErrNoJava tell that
// it cannot be had on this machine.
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
	defer data.Close() // the server has it, too
	tries := 1
	if o.Port == 0 {
		// Between finding a port free and the server's taking it, another
		// program may have taken it.
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

// lifeline runs a command until it ends, or its own stdin does. The other end
// of stdin is held by this process, and closed by the kernel however it dies,
// so that no server outlives it. (Linux's parent-death signal would be sent
// already when the thread ends that happened to start the server.) Of these
// processes only the server has 3 open, the lock of its data.
const lifeline = `
exec 4<&0
"$@" </dev/null 4<&- &
server=$!
exec 3>&-
{ cat <&4; kill "$server"; } >/dev/null 2>&1 &
exec 4<&-
wait "$server"`

func start(ctx context.Context, o Options, port int, claim io.Closer, data *os.File) (*Server, error) {
	args := []string{
		"-c", lifeline, "dynamodb-local", "java",
		// It is short-lived, and shares the machine with what it is used by.
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
	// A process group of its own: Ctrl-C in a terminal is for us, and we end
	// the server when we no longer need it.
	s.process.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	stdin, err := s.process.StdinPipe()
	if err == nil {
		s.lifeline = stdin
		err = s.process.Start()
	}
	if err != nil {
		claim.Close()
		return nil, fmt.Errorf("start DynamoDB Local: %w", err)
	}
	go func() {
		s.process.Wait() // how it ended, stderr tells better than its status
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

// answers tells whether it is a DynamoDB that answers: to a request without
// credentials, with an error of its own.
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

// Endpoint is the server's address, for the SDK.
func (s *Server) Endpoint() string { return s.endpoint }

// Done is closed when the server has ended, by itself or by Stop.
func (s *Server) Done() <-chan struct{} { return s.done }

// Stop ends the server. It is also ended when this process dies.
func (s *Server) Stop() error {
	s.lifeline.Close()
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

// claimPort finds that TCP port, or any for 0, free, and claims it among the
// programs that ask here, by taking the UDP port of the same number. Two
// servers started at once could else be given one port, and both starters be
// answered by the server that got it.
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
