package api

import "context"

// Send posts a request unchanged and returns the answer. It repeats a request that had no answer: use it only for calls
// that may be repeated.
func (c *Client) Send(ctx context.Context, path string, request, answer any) error {
	_, err := c.post(ctx, path, request, answer)
	return err
}
