package main

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"regexp"
	"strconv"
	"time"

	"golang.org/x/term"
)

// settings are read from the environment; README.md here lists them.
type settings struct {
	port, bind   string
	ssmPort      string
	ec2Port      string
	store        string
	dynamoDB     string // endpoint of a DynamoDB Local that is running
	dynamoDBPort int
	stateDir     string
	token        string // that the API requires; "": none
	log          string // file; "" is one under build/, "-" standard error
	logLevel     slog.Level
	columns      int                      // of the terminal; 0: the terminal's own
	forceMode    string                   // "": the template's
	giveUpAfter  time.Duration            // 0: the template's
	silentAfter  time.Duration            // 0: the template's
	idleAfter    time.Duration            // 0: the template's; whole minutes
	stopAfter    time.Duration            // 0: never; whole minutes
	every        map[string]time.Duration // by task; else the template's
}

func readSettings() (settings, error) {
	s := settings{
		port:     env("PORT", "8080"),
		bind:     env("BIND", "127.0.0.1"),
		ssmPort:  env("SSM_PORT", ""),
		ec2Port:  env("EC2_PORT", ""),
		store:    env("STORE", "memory"),
		stateDir: env("STATE_DIR", ""),
		token:    env("TOKEN", ""),
		log:      env("LOG", ""),
		logLevel: slog.LevelInfo,
	}
	var errs []error
	switch s.store {
	case "memory":
	case "dynamodb":
		s.dynamoDB = env("AWS_ENDPOINT_URL_DYNAMODB", "")
	default:
		errs = append(errs, fmt.Errorf("STORE is %q; it can be memory or dynamodb", s.store))
	}
	for name, port := range map[string]string{"PORT": s.port, "SSM_PORT": s.ssmPort, "EC2_PORT": s.ec2Port, "DYNAMODB_PORT": env("DYNAMODB_PORT", "")} {
		n, err := strconv.ParseUint(port, 10, 16)
		if port != "" && err != nil {
			errs = append(errs, fmt.Errorf("%s is %q; it must be a port number", name, port))
		}
		if name == "DYNAMODB_PORT" {
			s.dynamoDBPort = int(n)
		}
	}
	if !bearerToken.MatchString(s.token) {
		// Not quoted: it may be a secret with a line break after it.
		errs = append(errs, errors.New("TOKEN cannot be sent as a bearer token; it can have letters, digits and -._~+/, and = at its end"))
	}
	duration := func(name string) (time.Duration, bool) {
		text := env(name, "")
		d, err := time.ParseDuration(text)
		if text != "" && (err != nil || d <= 0) {
			errs = append(errs, fmt.Errorf("%s is %q; it must be a time like 90s or 5m", name, text))
		}
		return d, text != "" && err == nil && d > 0
	}
	switch s.forceMode = env("FORCE_MODE", ""); s.forceMode {
	case "", "purge", "best-effort":
	default:
		errs = append(errs, fmt.Errorf("FORCE_MODE is %q; it can be purge or best-effort", s.forceMode))
	}
	s.giveUpAfter, _ = duration("GIVE_UP_AFTER")
	s.silentAfter, _ = duration("SILENT_AFTER")
	if s.idleAfter, _ = duration("CLOSE_IDLE_AFTER"); s.idleAfter%time.Minute != 0 {
		errs = append(errs, fmt.Errorf("CLOSE_IDLE_AFTER is %q; it must be whole minutes, as hosts count them", env("CLOSE_IDLE_AFTER", "")))
	}
	if stop, set := duration("STOP_EMPTY_AFTER"); !set || stop%time.Minute == 0 && stop >= 5*time.Minute {
		s.stopAfter = stop
	} else {
		errs = append(errs, fmt.Errorf("STOP_EMPTY_AFTER is %q; it must be whole minutes, 5m at least", env("STOP_EMPTY_AFTER", "")))
	}
	s.every = map[string]time.Duration{}
	for task, name := range map[string]string{"deletions": "DELETIONS_EVERY", "inventory": "INVENTORY_EVERY", "idle": "IDLE_EVERY"} {
		if d, set := duration(name); set {
			s.every[task] = d
		}
	}
	if columns := env("COLUMNS", ""); columns != "" {
		n, err := strconv.ParseUint(columns, 10, 16)
		if err != nil {
			errs = append(errs, fmt.Errorf("COLUMNS is %q; it must be a number of characters", columns))
		}
		s.columns = int(n)
	}
	if level := env("LOG_LEVEL", ""); level != "" {
		if err := s.logLevel.UnmarshalText([]byte(level)); err != nil {
			errs = append(errs, fmt.Errorf("LOG_LEVEL is %q; it can be debug, info, warn or error", level))
		}
	}
	return s, errors.Join(errs...)
}

// bearerToken is a b64token of RFC 6750, section 2.1, or nothing.
var bearerToken = regexp.MustCompile(`^([A-Za-z0-9._~+/-]+=*)?$`)

func env(name, ifUnset string) string {
	if v := os.Getenv(name); v != "" {
		return v
	}
	return ifUnset
}

// width returns how many characters a line of the story may have.
func (s settings) width() int {
	if s.columns > 0 {
		return s.columns
	}
	if width, _, err := term.GetSize(int(os.Stdout.Fd())); err == nil && width > 0 {
		return width
	}
	return 132 // a file
}

// parameters returns the template's parameters that differ from the defaults.
func (s settings) parameters() map[string]string {
	parameters := map[string]string{}
	if s.forceMode != "" {
		parameters["ForceMode"] = s.forceMode
	}
	if s.idleAfter > 0 {
		parameters["CloseIdleAfterMinutes"] = strconv.Itoa(int(s.idleAfter / time.Minute))
	}
	if s.stopAfter > 0 {
		parameters["StopEmptyHosts"] = "true"
		parameters["StopEmptyAfterMinutes"] = strconv.Itoa(int(s.stopAfter / time.Minute))
	}
	return parameters
}
