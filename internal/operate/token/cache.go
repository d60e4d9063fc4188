package token

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// A Cache is a Source that keeps a token until it expires, because issuers bill each one. A token on the disk is for one API
// only, and no other user of the machine can read it.
type Cache struct {
	From Credentials
	// API is the address that the tokens are for.
	API string
	// Dir is where tokens are kept; "" keeps them for this run only.
	Dir string
	// Note receives why a token cannot be kept, or why a kept one is not used.
	Note func(why string)
	Now  func() time.Time

	mu   sync.Mutex
	kept kept
}

// kept is the content of a token's file.
type kept struct {
	Token     string
	ExpiresAt time.Time
}

// margin is how long before its end a token counts as expired: a call takes time, and clocks differ.
const margin = time.Minute

// Dir is the program's folder in the user's cache directory.
func Dir() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	return filepath.Join(cache, "dcvbroker"), nil
}

// Token implements Source.
func (c *Cache) Token(ctx context.Context, refused string) (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.good(c.kept, refused) {
		return c.kept.Token, nil
	}
	if c.Dir != "" {
		// Another process may have got one meanwhile.
		read, err := c.read()
		if err == nil && c.good(read, refused) {
			c.kept = read
			return read.Token, nil
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			c.Note(fmt.Sprintf("a token that was kept is not used: %v", err))
		}
	}
	fetched, lifetime, err := c.From.fetch(ctx)
	switch last := c.kept; {
	case err != nil && last.Token != refused && c.Now().Before(last.ExpiresAt):
		return last.Token, nil // it is used also in its last minute
	case err != nil:
		return "", err
	}
	c.kept = kept{fetched, c.Now().Add(lifetime)}
	if lifetime <= margin { // the issuer names no lifetime, or a short one: it is used until it is refused
		c.kept.ExpiresAt = c.Now().Add(24 * time.Hour)
		return fetched, nil
	}
	if c.Dir != "" {
		if err := c.write(); err != nil {
			c.Note(fmt.Sprintf("the token is not kept, so the next run needs another, which may be billed: %v", err))
		}
	}
	return fetched, nil
}

func (c *Cache) good(k kept, refused string) bool {
	return k.Token != "" && k.Token != refused && c.Now().Add(margin).Before(k.ExpiresAt)
}

// file returns the file's name: a hash of all that the token depends on.
func (c *Cache) file() string {
	of, err := json.Marshal([]string{c.From.URL, c.From.ClientID, c.From.Scope, c.API})
	if err != nil {
		panic(err) // texts always have a JSON form
	}
	sum := sha256.Sum256(of)
	return filepath.Join(c.Dir, "token-"+hex.EncodeToString(sum[:16])+".json")
}

// read reads the file. It must be a plain file that, like its folder, only the user who runs this can read and write.
func (c *Cache) read() (k kept, err error) {
	if err := checkDir(c.Dir); err != nil {
		return k, err
	}
	name := c.file()
	there, err := os.Lstat(name)
	if err != nil {
		return k, err
	}
	if !there.Mode().IsRegular() || !private(there) {
		return k, fmt.Errorf("%s is not a file that only you can read: remove it", name)
	}
	f, err := os.Open(name)
	if err != nil {
		return k, err
	}
	defer f.Close()
	if opened, err := f.Stat(); err != nil || !os.SameFile(there, opened) {
		return k, fmt.Errorf("%s was replaced while it was opened", name)
	}
	if err := json.NewDecoder(f).Decode(&k); err != nil {
		return k, fmt.Errorf("%s cannot be read: %w", name, err)
	}
	return k, nil
}

// write replaces the file in one step: another process may be reading it.
func (c *Cache) write() error {
	if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		return err
	}
	if err := checkDir(c.Dir); err != nil {
		return err
	}
	content, err := json.Marshal(c.kept)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(c.Dir, "new-*") // with mode 0600
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err := errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	if err := os.Rename(f.Name(), c.file()); err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}

func checkDir(dir string) error {
	there, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	if !there.IsDir() || !private(there) {
		return fmt.Errorf("%s is not a folder that only you can read: chmod 700 it, or remove it", dir)
	}
	return nil
}
