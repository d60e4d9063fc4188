package awsenv_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/ssm"

	"dcv-session-broker/internal/awsenv"
)

// A lateConn's writes are late: each returns when the head of the answer has been there
// for some time.
type lateConn struct {
	net.Conn
	answered <-chan struct{}
}

func (c lateConn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	if len(b) > 0 && b[0] == '{' { // the body
		<-c.answered
	}
	return n, err
}

// A call whose answer begins before the client has finished the request, as on a busy
// machine, is made once.
func TestAnswerThatBeginsEarlyIsRead(t *testing.T) {
	lambda(t)
	const document = "a document"
	answered := make(chan struct{})
	var calls atomic.Int32
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		first := calls.Add(1) == 1
		w.WriteHeader(http.StatusOK)
		w.(http.Flusher).Flush()
		if first {
			time.Sleep(100 * time.Millisecond) // for the SDK to close the request's body
			close(answered)
			time.Sleep(100 * time.Millisecond) // for the client to close the connection
		}
		io.WriteString(w, `{"Content":"`+document+`"}`)
	}))
	defer s.Close()
	config := awsenv.Service{CallTimeout: time.Minute}.Config()
	awsenv.SetCalls(config.HTTPClient, awsenv.Calls(config.HTTPClient).(*awshttp.BuildableClient).WithTransportOptions(func(tr *http.Transport) {
		dial := tr.DialContext
		tr.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := dial(ctx, network, address)
			return lateConn{conn, answered}, err
		}
	}))
	client := ssm.NewFromConfig(config, func(o *ssm.Options) { o.BaseEndpoint = &s.URL })
	out, err := client.GetDocument(t.Context(), &ssm.GetDocumentInput{Name: aws.String("Close")})
	if err != nil {
		t.Fatal(err)
	}
	if n := calls.Load(); n != 1 || aws.ToString(out.Content) != document {
		t.Errorf("%d calls, %q", n, aws.ToString(out.Content))
	}
}
