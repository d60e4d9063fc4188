package dynamodblocal

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// orphanTime is how long a server may take to end after its program was killed.
const orphanTime = 15 * time.Second

// lockDataDir makes the directory and locks it. The kernel releases the lock when no
// process has the file open. Without a directory the file is nil.
func lockDataDir(ctx context.Context, dir string) (*os.File, error) {
	if dir == "" {
		return nil, nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	name := filepath.Join(dir, "lock")
	file, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	for deadline := time.Now().Add(orphanTime); ; {
		err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return file, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, errors.Join(fmt.Errorf("lock %s: %w", name, err), file.Close())
		}
		if time.Now().After(deadline) || ctx.Err() != nil {
			return nil, errors.Join(fmt.Errorf("another DynamoDB Local uses the tables in %s: end it (fuser %s shows which process it is)", dir, name), file.Close())
		}
		time.Sleep(50 * time.Millisecond)
	}
}
