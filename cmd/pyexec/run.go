package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"
	"unicode"
	"unicode/utf8"

	pyexec "github.com/python-code-executor/pyexec"
	"github.com/python-code-executor/pyexec/client"
	"github.com/python-code-executor/pyexec/internal/app"
	"github.com/python-code-executor/pyexec/internal/config"
	"github.com/python-code-executor/pyexec/internal/jail"
)

var runCommand = command{
	name: "run", args: "SCRIPT", most: 1,
	summary: "run the main() of a script, in a sandbox here or on a server",
	about: `SCRIPT is a file, or - for standard input. What the script prints is shown as it
comes, then what main returned as JSON. Without --server the sandbox is started
here, with the settings below, and is gone afterwards. Files may have 64 MB
together; for a server all that is sent, files in base64, 2 MiB.

` + exitHelp,
	examples: []string{
		"pyexec run script.py",
		`pyexec run script.py --input '{"n": 3}'`,
		"pyexec run script.py --input @data.json --file table.csv --output results",
		"pyexec run - --quiet < script.py | jq .total",
		"pyexec run script.py --server http://localhost:8080 --json",
	},
	options: []option{
		{name: "input", kind: "JSON", help: "the argument of main; @FILE reads it from a file"},
		{name: "stdin", kind: "FILE", help: "what sys.stdin reads; - is standard input"},
		{name: "file", kind: "FILE", help: "put FILE into the working directory; FILE=PATH under another name; may be repeated"},
		{name: "env", kind: "NAME=VALUE", help: "add to the environment; may be repeated"},
		{name: "output", kind: "DIR", help: "keep there what the script leaves in output/"},
		{name: "timeout", kind: "DURATION", help: "wall clock of the run (10s)"},
		{name: "memory", kind: "SIZE", help: "memory of the run (512MB)"},
		serverOption,
		{name: "quiet", help: "print nothing but what main returned"},
		{name: "json", help: "print the whole answer as JSON, with details, and nothing else"},
	},
	settings: true,
	run:      run,
}

var serverOption = option{name: "server", kind: "URL", help: "use the server there, with the key in " + config.KeyVariable + " if it wants one (default: $" + config.ServerVariable + ")"}

func run(in *invocation) int {
	req, status := runRequest(in)
	switch {
	case len(in.problems) > 0 && status != 0: // a file, though it was asked for in the right way
		in.ui.fail("%v", errors.Join(in.problems...))
		return status
	case len(in.problems) > 0:
		return in.usage()
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	// A reader that leaves, as head does, must not end this process before its
	// sandbox: with somebody to notify, a write fails instead. To ignore the
	// signal would be inherited by the sandbox.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	c, local, status := executorOf(ctx, in)
	if c != nil {
		status = show(ctx, in, c, req)
	}
	if local == nil {
		return status
	}
	if status == exitInternal || status == exitUnavailable {
		fmt.Fprint(in.ui.err, local.log)
	}
	if err := local.close(); err != nil {
		in.ui.fail("%v", err)
	}
	return status
}

// runRequest makes the request out of flags and files; what is wrong with them
// is among the problems.
func runRequest(in *invocation) (req client.Request, status int) {
	req.Details = true
	if len(in.args) == 0 {
		in.problem("which script? Give a file, or - for standard input")
		return req, 0
	}
	if in.args[0] == "-" && in.value("stdin") == "-" {
		in.problem("--stdin: standard input is the script already")
	}
	read := func(flag, name string) []byte {
		text, err := readFile(name)
		if err != nil {
			in.problem("%s%w", flag, err)
			status = exitNoInput
		}
		return text
	}
	text := func(flag, name, instead string) string {
		b := read(flag, name)
		if err := notUTF8(b); err != nil {
			in.problem("%s%s: %w; %s", flag, name, err, instead)
		}
		return string(b)
	}
	req.Script = text("", in.args[0], "save it as UTF-8, whatever its coding line says")
	if in.is("stdin") {
		req.Stdin = text("--stdin: ", in.value("stdin"), "sys.stdin is text: --file gives a script bytes")
	}
	if in.is("input") {
		doc := []byte(in.value("input"))
		if name, ok := strings.CutPrefix(in.value("input"), "@"); ok {
			doc = read("--input: ", name)
		}
		if err := notUTF8(doc); err != nil {
			in.problem("--input: %w", err)
		} else if status == 0 && !json.Valid(doc) {
			in.problem("--input: %s is not JSON; a text needs its quotes, as in '\"text\"'", shorten(doc))
		}
		req.Input = json.RawMessage(doc)
	}
	for _, v := range in.given["file"] {
		from, to, ok := strings.Cut(v, "=")
		if !ok {
			to = filepath.Base(from)
		}
		if !utf8.ValidString(to) {
			in.problem("--file: the name %q is not UTF-8; FILE=PATH gives it another", to)
		}
		req.Files = append(req.Files, client.File{Path: to, Content: read("--file: ", from)})
	}
	for _, v := range in.given["env"] {
		name, value, ok := strings.Cut(v, "=")
		if !ok {
			in.problem("--env: %q is not NAME=VALUE", v)
		}
		if !utf8.ValidString(v) {
			in.problem("--env: %q is not UTF-8", v)
		}
		if req.Env == nil {
			req.Env = map[string]string{}
		}
		req.Env[name] = value
	}
	runLimits(in, &req)
	return req, status
}

// runLimits are the request's on a server; here they are the server's own, so
// that they may be raised.
func runLimits(in *invocation, req *client.Request) {
	if serverOf(in) == "" {
		for _, name := range []string{"timeout", "memory"} {
			if in.is(name) {
				in.settings = append(in.settings, "--"+name+"="+in.value(name))
			}
		}
		return
	}
	for _, s := range in.settings {
		in.problem("%s: the server at %s has its own settings", strings.SplitN(s, "=", 2)[0], serverOf(in))
	}
	if in.is("timeout") {
		d, err := time.ParseDuration(in.value("timeout"))
		if err != nil || d <= 0 {
			in.problem("--timeout: %q is not a duration such as 10s or 1m30s", in.value("timeout"))
		}
		req.Timeout = d
	}
	if in.is("memory") {
		b, err := config.ParseBytes(in.value("memory"))
		if err != nil {
			in.problem("--memory: %w", err)
		} else if b < pyexec.MiB { // 0 MB would ask for nothing
			in.problem("--memory: %q is less than 1MB", in.value("memory"))
		}
		req.Memory = b.MB()
	}
}

// notUTF8 says where text is no text. JSON could only carry something else in
// its place.
func notUTF8(text []byte) error {
	line := 1
	for len(text) > 0 {
		r, n := utf8.DecodeRune(text)
		if r == utf8.RuneError && n == 1 {
			return fmt.Errorf("byte 0x%02x in line %d is not UTF-8", text[0], line)
		}
		if r == '\n' {
			line++
		}
		text = text[n:]
	}
	return nil
}

func readFile(name string) ([]byte, error) {
	if name == "-" {
		return io.ReadAll(os.Stdin)
	}
	return os.ReadFile(name)
}

func serverOf(in *invocation) string {
	if in.is("server") {
		return in.value("server")
	}
	return os.Getenv(config.ServerVariable)
}

// executorOf is a client of the server that was named, or of one in this
// process, which must be closed; without a client there is an exit status.
func executorOf(ctx context.Context, in *invocation) (c *client.Client, local *localServer, status int) {
	if url := serverOf(in); url != "" {
		c, err := client.New(url, client.WithKey(os.Getenv(config.KeyVariable)))
		if err != nil {
			in.problem("--%w", err)
			return nil, nil, in.usage()
		}
		return c, nil, 0
	}
	conf, status, ok := loadConfig(in.settings)
	if !ok {
		return nil, nil, status
	}
	done := in.ui.progress(func() string { return "starting the sandbox" })
	local, err := serveLocally(ctx, conf)
	done()
	switch {
	case ctx.Err() != nil:
		in.ui.fail("interrupted")
		return nil, local, exitInterrupt
	case err != nil:
		in.ui.fail("%v", err)
		return nil, nil, startStatus(err)
	}
	if iso, _ := local.app.Isolation(); iso.Level != string(jail.Full) {
		in.ui.note("isolation: %s; pyexec doctor says why not more", iso.Level)
	}
	c, err = client.New("http://localhost", client.WithHTTPClient(local.client()))
	if err != nil {
		in.ui.fail("%v", err)
		return nil, local, exitInternal
	}
	return c, local, 0
}

// startStatus tells what cannot be had from what went wrong.
func startStatus(err error) int {
	var refused *jail.Refusal
	if errors.As(err, &refused) || errors.Is(err, app.ErrConfig) {
		return exitConfig
	}
	return exitFailure
}

// show runs the request and writes what comes of it.
func show(ctx context.Context, in *invocation, c *client.Client, req client.Request) int {
	began := time.Now()
	done := in.ui.progress(func() string { return fmt.Sprintf("running, %.0f s", time.Since(began).Seconds()) })
	defer done()
	midLine := false // what was printed last on standard output has no end of line
	var lost error   // of a write here, which ends the run; not the server's
	res, err := c.Stream(ctx, req, func(e client.Event) error {
		if in.is("json") || in.is("quiet") || e.Text == "" {
			return nil
		}
		done() // what is printed and the progress would be in each other's way
		if e.Kind == client.Stderr {
			_, lost = io.WriteString(in.ui.err, in.ui.safe(in.ui.errTTY, e.Text))
			return lost
		}
		midLine = !strings.HasSuffix(e.Text, "\n")
		_, lost = io.WriteString(in.ui.out, in.ui.safe(in.ui.outTTY, e.Text))
		return lost
	})
	done()
	if lost != nil { // main tells of standard output; of the other nothing can be told
		return exitOfWrite(lost)
	}
	if midLine {
		fmt.Fprintln(in.ui.out)
	}
	if ctx.Err() != nil {
		in.ui.fail("interrupted")
		return exitInterrupt
	}
	if err != nil {
		return showError(in, err)
	}
	if in.is("json") {
		fmt.Fprintf(in.ui.out, "%s\n", in.ui.safe(in.ui.outTTY, string(bytes.TrimSpace(res.Body))))
	} else {
		fmt.Fprintf(in.ui.out, "%s\n", in.ui.safe(in.ui.outTTY, string(indented(res.Value))))
	}
	u := res.Usage
	in.ui.note("%d ms, %d ms of processor, %d MB", u.WallMS, u.CPUMS, u.MemoryBytes>>20)
	return keep(in, res.Files)
}

func showError(in *invocation, err error) int {
	status := exitOf(err)
	var e *client.Error
	if !errors.As(err, &e) {
		in.ui.fail("%v", err)
		return status
	}
	if in.is("json") && json.Valid(e.Body) { // else it is a proxy's page
		fmt.Fprintf(in.ui.out, "%s\n", in.ui.safe(in.ui.outTTY, string(bytes.TrimSpace(e.Body))))
		return status
	}
	safe := func(s string) string { return in.ui.safe(in.ui.errTTY, s) }
	if e.Traceback != "" {
		fmt.Fprintf(in.ui.err, "%s\n", safe(strings.TrimSuffix(e.Traceback, "\n")))
	}
	fmt.Fprintf(in.ui.err, "%s %s\n", in.ui.paint(red, safe(string(e.Type))+":"), safe(e.Message))
	if e.SourceLine != "" {
		fmt.Fprintf(in.ui.err, "  %s\n", safe(e.SourceLine))
	}
	if e.Hint != "" && !strings.Contains(e.Message, e.Hint) {
		fmt.Fprintf(in.ui.err, "%s %s\n", in.ui.paint(bold, "hint:"), safe(e.Hint))
	}
	if e.Retryable() {
		fmt.Fprintf(in.ui.err, "nothing was run; try again in %v\n", e.RetryAfter)
	}
	if kept := keep(in, e.Details.Files); kept != 0 {
		return kept
	}
	return status
}

// keep writes the files that a run left; the folder is never left, whatever
// their paths say.
func keep(in *invocation, files []client.File) int {
	if len(files) == 0 || in.is("json") && !in.is("output") {
		return 0
	}
	if !in.is("output") {
		in.ui.note("%d files in output/ are not kept; --output DIR keeps them", len(files))
		return 0
	}
	if err := writeFiles(in.value("output"), files); err != nil {
		in.ui.fail("--output: %v", err)
		return exitCannotWrite
	}
	for _, f := range files {
		in.ui.note("%s, %d bytes", filepath.Join(in.value("output"), strings.TrimPrefix(f.Path, "output/")), len(f.Content))
	}
	return 0
}

func writeFiles(dir string, files []client.File) error {
	if err := os.MkdirAll(dir, 0o755); err != nil { //nolint:gosec // as mkdir does
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	for _, f := range files {
		name := filepath.FromSlash(strings.TrimPrefix(f.Path, "output/"))
		if strings.ContainsFunc(name, unicode.IsControl) { // which our server refuses
			return fmt.Errorf("the server names a file %q", name)
		}
		if err := root.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			return err
		}
		if err := root.WriteFile(name, f.Content, 0o644); err != nil {
			return err
		}
	}
	return nil
}

func indented(doc []byte) []byte {
	var b bytes.Buffer
	if json.Indent(&b, doc, "", "  ") != nil {
		return doc
	}
	return b.Bytes()
}

func shorten(text []byte) string {
	if len(text) > 60 {
		return fmt.Sprintf("%q...", text[:60])
	}
	return fmt.Sprintf("%q", text)
}
