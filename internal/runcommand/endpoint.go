package runcommand

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
)

// Endpoint returns the endpoint of the client's calls.
func Endpoint(client *ssm.Client) func(context.Context) (url string, err error) {
	return func(ctx context.Context) (string, error) {
		o := client.Options()
		endpoint, err := o.EndpointResolverV2.ResolveEndpoint(ctx, ssm.EndpointParameters{
			Region: aws.String(o.Region), Endpoint: o.BaseEndpoint,
		}.WithDefaults())
		return endpoint.URI.String(), err
	}
}
