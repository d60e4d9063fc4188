package awsenv

import "github.com/aws/aws-sdk-go-v2/aws"

// Calls is the client behind one of Config's: the SDK's own, which waits for
// nothing.
func Calls(c aws.HTTPClient) aws.HTTPClient { return c.(*client).HTTPClient }
