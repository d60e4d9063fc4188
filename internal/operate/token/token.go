// Package token gets access tokens for the API.
package token

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cognitoidentityprovider"
)

// A Source returns tokens. Tokens are never shown, and never part of an error.
type Source interface {
	// Token returns a token to call the API with. refused is a token that the API has just answered with 401, or
	// "": Token does not return it again.
	Token(ctx context.Context, refused string) (string, error)
}

// Given is a Source of a token that the caller already has.
type Given string

// Token implements Source.
func (g Given) Token(_ context.Context, refused string) (string, error) {
	if refused == string(g) {
		return "", errors.New("the API refused the token in TOKEN: set TOKEN to one that has not expired and is for this API")
	}
	return string(g), nil
}

// Credentials get a token by client credentials (RFC 6749, section 4.4), a new one for each call.
type Credentials struct {
	HTTP     *http.Client
	URL      string
	ClientID string
	Secret   func(context.Context) (string, error)
	Scope    string
}

// maxAnswerBytes is more than the size of an issuer's answer.
const maxAnswerBytes = 1 << 20

// Token implements Source.
func (c Credentials) Token(ctx context.Context, _ string) (string, error) {
	token, _, err := c.fetch(ctx)
	return token, err
}

// fetch gets a token and its lifetime. An error has the issuer's error code, and nothing of the request.
func (c Credentials) fetch(ctx context.Context) (token string, lifetime time.Duration, err error) {
	secret, err := c.Secret(ctx)
	if err != nil {
		return "", 0, err
	}
	form := url.Values{"grant_type": {"client_credentials"}, "scope": {c.Scope}}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.URL, strings.NewReader(form.Encode()))
	if err != nil {
		return "", 0, err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth(url.QueryEscape(c.ClientID), url.QueryEscape(secret)) // RFC 6749, section 2.3.1
	resp, err := c.HTTP.Do(r)
	if err != nil {
		return "", 0, err
	}
	defer resp.Body.Close()
	var answer struct {
		AccessToken string `json:"access_token"`
		ExpiresIn   int    `json:"expires_in"`
		Error       string `json:"error"`
	}
	err = json.NewDecoder(io.LimitReader(resp.Body, maxAnswerBytes)).Decode(&answer)
	switch {
	case answer.Error != "":
		return "", 0, fmt.Errorf("%s answered %d, %s", c.URL, resp.StatusCode, answer.Error)
	case resp.StatusCode != http.StatusOK || err != nil || answer.AccessToken == "":
		return "", 0, fmt.Errorf("%s answered %d, without a token: is it the address of a token endpoint?", c.URL, resp.StatusCode)
	}
	return answer.AccessToken, time.Duration(answer.ExpiresIn) * time.Second, nil
}

// UserPools is the part of Cognito's client that is used here.
type UserPools interface {
	DescribeUserPoolClient(context.Context, *cognitoidentityprovider.DescribeUserPoolClientInput, ...func(*cognitoidentityprovider.Options)) (*cognitoidentityprovider.DescribeUserPoolClientOutput, error)
}

// SecretOf reads the secret of a user pool's client, since no output of the stack has it.
func SecretOf(pools UserPools, poolID, clientID string) func(context.Context) (string, error) {
	return func(ctx context.Context) (string, error) {
		out, err := pools.DescribeUserPoolClient(ctx, &cognitoidentityprovider.DescribeUserPoolClientInput{
			UserPoolId: &poolID, ClientId: &clientID,
		})
		if err != nil {
			return "", fmt.Errorf("read the secret of client %s of user pool %s: %w", clientID, poolID, err)
		}
		if out.UserPoolClient == nil || aws.ToString(out.UserPoolClient.ClientSecret) == "" {
			return "", errors.New("client " + clientID + " has no secret")
		}
		return *out.UserPoolClient.ClientSecret, nil
	}
}
