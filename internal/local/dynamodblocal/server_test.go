package dynamodblocal_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/google/go-cmp/cmp"

	"dcv-session-broker/internal/local/dynamodblocal"
	"dcv-session-broker/internal/session"
)

// parentVariable makes this test binary the parent of a server with that data
// directory; the test kills it.
const parentVariable = "DYNAMODBLOCAL_TEST_PARENT"

func TestMain(m *testing.M) {
	dir := os.Getenv(parentVariable)
	if dir == "" {
		os.Exit(m.Run())
	}
	s, err := dynamodblocal.Start(context.Background(), dynamodblocal.Options{DataDir: dir})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println(s.Endpoint())
	select {}
}

func sessionsTable(name string) *dynamodb.CreateTableInput {
	return &dynamodb.CreateTableInput{
		TableName:            &name,
		BillingMode:          types.BillingModePayPerRequest,
		AttributeDefinitions: []types.AttributeDefinition{{AttributeName: aws.String("SessionId"), AttributeType: "S"}},
		KeySchema:            []types.KeySchemaElement{{AttributeName: aws.String("SessionId"), KeyType: "HASH"}},
		StreamSpecification: &types.StreamSpecification{
			StreamEnabled: aws.Bool(true), StreamViewType: types.StreamViewTypeNewAndOldImages,
		},
	}
}

// store makes a new table on the server.
func store(t *testing.T, endpoint, name string) (s dynamodblocal.Store, streamARN string) {
	t.Helper()
	s = dynamodblocal.Store{Client: dynamodb.NewFromConfig(dynamodblocal.ConfigOf(endpoint, dynamodblocal.TestKey)), TableName: name}
	streamARN, err := dynamodblocal.CreateTable(t.Context(), s.Client, sessionsTable(name))
	if err != nil {
		t.Fatal(err)
	}
	return s, streamARN
}

// up tells whether a program listens there.
func up(endpoint string) bool {
	conn, err := net.Dial("tcp", strings.TrimPrefix(endpoint, "http://"))
	if err != nil {
		return false
	}
	conn.Close()
	return true
}

func wantDown(t *testing.T, endpoint string) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Minute); up(endpoint); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s is still up", endpoint)
		}
	}
}

func TestStore(t *testing.T) {
	s, streamARN := store(t, dynamodblocal.ForTest(t), "Store")
	// Once more: the table keeps its records.
	a := session.Record{"SessionId": "a", "Owner": "user1", "Attempts": int64(2), "Force": true, "Name": ""}
	b := session.Record{"SessionId": "b"}
	for _, r := range []session.Record{b, a} {
		if err := s.Put(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	again, err := dynamodblocal.CreateTable(t.Context(), s.Client, sessionsTable("Store"))
	if err != nil || again != streamARN {
		t.Errorf("created again: stream %q, %v, want %q", again, err, streamARN)
	}
	all, err := s.All(t.Context())
	if diff := cmp.Diff([]session.Record{a, b}, all); diff != "" || err != nil {
		t.Errorf("%v, all (-want +got):\n%s", err, diff)
	}
	if err := s.Delete(t.Context(), "b"); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Get(t.Context(), "b"); got != nil || err != nil {
		t.Errorf("deleted, but %v, %v", got, err)
	}
	got, err := s.Get(t.Context(), "a")
	if diff := cmp.Diff(a, got); diff != "" || err != nil {
		t.Errorf("%v, record (-want +got):\n%s", err, diff)
	}
}

func TestAllReadsEveryPage(t *testing.T) {
	s, _ := store(t, dynamodblocal.ForTest(t), "Pages")
	const n, size = 30, 100_000 // a page is 1 MB
	for i := range n {
		r := session.Record{"SessionId": fmt.Sprintf("s-%02d", i), "Name": strings.Repeat("x", size)}
		if err := s.Put(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	all, err := s.All(t.Context())
	if len(all) != n || err != nil {
		t.Errorf("%d records, want %d, %v", len(all), n, err)
	}
}

// Two starts at the same time have a server each.
func TestTwoStartsAtTheSameTimeHaveTwoServers(t *testing.T) {
	shared := dynamodblocal.ForTest(t)
	server, err := dynamodblocal.Start(t.Context(), dynamodblocal.Options{})
	if err != nil {
		t.Fatal(err)
	}
	one, _ := store(t, shared, "Twice")
	other, _ := store(t, server.Endpoint(), "Twice")
	if err := one.Put(t.Context(), session.Record{"SessionId": "a"}); err != nil {
		t.Fatal(err)
	}
	if got, err := other.Get(t.Context(), "a"); got != nil || err != nil {
		t.Errorf("the other server has %v, %v", got, err)
	}
	if err := server.Stop(); err != nil {
		t.Error(err)
	}
	select {
	case <-server.Done():
	default:
		t.Error("stopped, but not done")
	}
	wantDown(t, server.Endpoint())
	if err := server.Stop(); err != nil {
		t.Errorf("stopped again: %v", err)
	}
}

func TestServerDiesWithItsParent(t *testing.T) {
	dynamodblocal.ForTest(t)
	dir := t.TempDir()
	parent := exec.Command(os.Args[0])
	parent.Env = append(os.Environ(), parentVariable+"="+dir)
	out, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	endpoint := strings.TrimSpace(line)
	if err != nil || !up(endpoint) {
		t.Fatalf("the parent said %q, %v", line, err)
	}
	short, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err = dynamodblocal.Start(short, dynamodblocal.Options{DataDir: dir})
	wantErr(t, err, nil, "another DynamoDB Local uses the tables in "+dir)
	parent.Process.Kill()
	parent.Wait()
	wantDown(t, endpoint)
}

func TestCannotStart(t *testing.T) {
	t.Run("no variable", func(t *testing.T) {
		t.Setenv(dynamodblocal.LibraryVariable, "")
		_, err := dynamodblocal.Start(t.Context(), dynamodblocal.Options{})
		wantErr(t, err, dynamodblocal.ErrNoLibrary, dynamodblocal.LibraryVariable)
	})
	t.Run("nothing there", func(t *testing.T) {
		dir := t.TempDir()
		_, err := dynamodblocal.Start(t.Context(), dynamodblocal.Options{Library: dir})
		wantErr(t, err, dynamodblocal.ErrNoLibrary, dir)
	})
	jar := t.TempDir()
	if err := os.WriteFile(jar+"/DynamoDBLocal.jar", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Run("no java", func(t *testing.T) {
		t.Setenv("PATH", t.TempDir())
		_, err := dynamodblocal.Start(t.Context(), dynamodblocal.Options{Library: jar})
		wantErr(t, err, dynamodblocal.ErrNoJava, "java")
	})
	t.Run("java fails", func(t *testing.T) {
		dynamodblocal.ForTest(t) // otherwise there may be no java
		_, err := dynamodblocal.Start(t.Context(), dynamodblocal.Options{Library: jar})
		if err == nil || !strings.Contains(err.Error(), "ClassNotFoundException") {
			t.Errorf("%v, want java's own words", err)
		}
	})
	t.Run("port taken", func(t *testing.T) {
		endpoint, err := url.Parse(dynamodblocal.ForTest(t)) // the port is used by another server
		if err != nil {
			t.Fatal(err)
		}
		port, err := strconv.Atoi(endpoint.Port())
		if err != nil {
			t.Fatal(err)
		}
		_, err = dynamodblocal.Start(t.Context(), dynamodblocal.Options{Port: port})
		wantErr(t, err, nil, "address already in use")
	})
	t.Run("no time", func(t *testing.T) {
		dynamodblocal.ForTest(t)
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		_, err := dynamodblocal.Start(ctx, dynamodblocal.Options{})
		wantErr(t, err, context.DeadlineExceeded, "does not answer")
	})
}

func wantErr(t *testing.T, err, want error, words string) {
	t.Helper()
	if err == nil || want != nil && !errors.Is(err, want) || !strings.Contains(err.Error(), words) {
		t.Errorf("%v, want %v with %q", err, want, words)
	}
}
