package runcommand

import (
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
)

// nodePages lists the managed nodes that match a filter, 50 a page.
func nodePages(api ssm.DescribeInstanceInformationAPIClient, filter string, values []string) *ssm.DescribeInstanceInformationPaginator {
	return ssm.NewDescribeInstanceInformationPaginator(api, &ssm.DescribeInstanceInformationInput{
		Filters:    []types.InstanceInformationStringFilter{{Key: aws.String(filter), Values: values}},
		MaxResults: aws.Int32(50),
	})
}
