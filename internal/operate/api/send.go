package api

import "context"

// Send posts a request as it is, and reads its answer. It is repeated where it had none, so only for calls that may be.
func (c *Client) Send(ctx context.Context, path string, request, answer any) error {
	_, err := c.post(ctx, path, request, answer)
	return err
}
