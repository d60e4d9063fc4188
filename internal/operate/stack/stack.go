// Package stack reads from CloudFormation what a deployed stack consists of.
package stack

import (
	"context"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
)

// Client is the part of CloudFormation's client that is used here.
type Client interface {
	DescribeStacks(context.Context, *cloudformation.DescribeStacksInput, ...func(*cloudformation.Options)) (*cloudformation.DescribeStacksOutput, error)
	ListStackResources(context.Context, *cloudformation.ListStackResourcesInput, ...func(*cloudformation.Options)) (*cloudformation.ListStackResourcesOutput, error)
}

// A Stack is an existing stack.
type Stack struct {
	Name, ID string
	Status   string
	Reason   string // of the status, if there is one
	// Outputs and Parameters are the values by name.
	Outputs, Parameters map[string]string
	// Resources are the physical names by logical ID; nil before ReadResources.
	Resources map[string]string
}

// Read reads the stack of that name, or ID, in the region of the client.
func Read(ctx context.Context, client Client, region, name string) (*Stack, error) {
	out, err := client.DescribeStacks(ctx, &cloudformation.DescribeStacksInput{StackName: &name})
	if err != nil {
		if Missing(err) {
			return nil, fmt.Errorf("there is no stack %s in %s, in the account of these credentials: name another with --stack (make: STACK=...), --region or --profile, or deploy it with make deploy", name, region)
		}
		return nil, fmt.Errorf("describe stack %s: %w", name, err)
	}
	if len(out.Stacks) != 1 {
		return nil, fmt.Errorf("describe stack %s: %d stacks were answered", name, len(out.Stacks))
	}
	described := out.Stacks[0]
	s := &Stack{
		Name:       aws.ToString(described.StackName),
		ID:         aws.ToString(described.StackId),
		Status:     string(described.StackStatus),
		Reason:     aws.ToString(described.StackStatusReason),
		Outputs:    map[string]string{},
		Parameters: map[string]string{},
	}
	for _, o := range described.Outputs {
		s.Outputs[aws.ToString(o.OutputKey)] = aws.ToString(o.OutputValue)
	}
	for _, p := range described.Parameters {
		s.Parameters[aws.ToString(p.ParameterKey)] = aws.ToString(p.ParameterValue)
	}
	return s, nil
}

// ReadResources reads the stack's resources, for which the caller needs another permission than for Read.
func (s *Stack) ReadResources(ctx context.Context, client Client) error {
	s.Resources = map[string]string{}
	pages := cloudformation.NewListStackResourcesPaginator(client, &cloudformation.ListStackResourcesInput{StackName: &s.Name})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return fmt.Errorf("list resources of stack %s: %w", s.Name, err)
		}
		for _, r := range page.StackResourceSummaries {
			if r.ResourceStatus == types.ResourceStatusDeleteComplete {
				continue // still listed after a first deployment that failed
			}
			s.Resources[aws.ToString(r.LogicalResourceId)] = aws.ToString(r.PhysicalResourceId)
		}
	}
	return nil
}

// Output returns an output; it is an error if the stack has none of this name.
func (s *Stack) Output(name string) (string, error) {
	if v := s.Outputs[name]; v != "" {
		return v, nil
	}
	return "", fmt.Errorf("stack %s (%s) has no output %s: is it a stack of this template, and completely deployed?", s.Name, s.Status, name)
}

// Parameter returns the value of a parameter; it is an error if the stack has none of this name.
func (s *Stack) Parameter(name string) (string, error) {
	if v, ok := s.Parameters[name]; ok {
		return v, nil
	}
	return "", fmt.Errorf("stack %s (%s) has no parameter %s: is it a stack of this template?", s.Name, s.Status, name)
}

// Resource returns the physical name of a resource; it is an error if the stack has none of this ID.
func (s *Stack) Resource(logicalID string) (string, error) {
	if v := s.Resources[logicalID]; v != "" {
		return v, nil
	}
	return "", fmt.Errorf("stack %s (%s) has no resource %s: is it a stack of this template, and completely deployed?", s.Name, s.Status, logicalID)
}

// Missing tells whether CloudFormation said that the stack does not exist: a ValidationError "Stack with id
// NAME does not exist".
func Missing(err error) bool {
	return err != nil && strings.Contains(err.Error(), "ValidationError") && strings.Contains(err.Error(), "does not exist")
}
