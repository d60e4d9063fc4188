package runcommand

import (
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
)

// nodePages lists the nodes that Systems Manager manages and a filter shows, 50 a
// page.
func nodePages(api ssm.DescribeInstanceInformationAPIClient, filter string, values []string) *ssm.DescribeInstanceInformationPaginator {
	return ssm.NewDescribeInstanceInformationPaginator(api, &ssm.DescribeInstanceInformationInput{
		Filters:    []types.InstanceInformationStringFilter{{Key: aws.String(filter), Values: values}},
		MaxResults: aws.Int32(50),
	})
}
