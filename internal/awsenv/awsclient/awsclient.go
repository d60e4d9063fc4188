// Package awsclient has the HTTP client of all calls to AWS. It is a package of its own,
// since awsenv also links what only functions need: with it dcvbroker would have 65 MB, not 15.
package awsclient

import (
	"io"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// Client returns a client that does not lose answers.
//
// The SDK closes a request's body when the head of the answer is there. If net/http has
// sent the body, but has not looked for its end yet, which a busy machine delays, it
// calls WriteTo of a closed body, gets io.EOF (smithy-go v1.28.8,
// transport/http/internal/io), takes that for a failed write, and closes the connection
// before the rest of the answer is read: "use of closed network connection". The SDK
// then makes the call again (aws/aws-sdk-go-v2, issues 1825 and 2737), which has been
// carried out. Read of a closed body has the same error, but there it is none.
func Client(c aws.HTTPClient) aws.HTTPClient { return client{c} }

type client struct{ aws.HTTPClient }

// onlyRead has no WriteTo.
type onlyRead struct{ io.ReadCloser }

// Do implements aws.HTTPClient.
func (c client) Do(req *http.Request) (*http.Response, error) {
	if req.Body != nil && req.Body != http.NoBody {
		req.Body = onlyRead{req.Body}
	}
	return c.HTTPClient.Do(req)
}
