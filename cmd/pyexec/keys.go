package main

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/python-code-executor/pyexec/internal/auth"
)

var keysCommand = command{
	name: "keys", args: "create|list|revoke|check [ID]", most: 2, words: []string{"create", "list", "revoke", "check"},
	summary: "make, list and revoke API keys",
	about: `create prints a new key and writes its hash into the file, list shows all keys
without what is secret, revoke takes the key with that ID out, check says what
is wrong with the file. A server sees each change at the next request. A key is
shown once: only its hash is kept.`,
	examples: []string{
		"pyexec keys create --keys-file=keys.yaml --caller=team-a --expires=90d --note='of the laptop'",
		"pyexec keys revoke tb6og6r5a6",
	},
	options: []option{
		{name: "keys-file", kind: "FILE", help: "the file; without it, $PYEXEC_KEYS_FILE"},
		{name: "caller", kind: "NAME", help: "whose key it is"},
		{name: "expires", kind: "AGE|DATE", help: "when it ends: 90d, 12h or 2027-01-31; never, unless given"},
		{name: "note", kind: "TEXT", help: "what helps to tell it from the others"},
	},
	run: keys,
}

// keys edits the keys file. Only a key goes to stdout from create, so that a
// script can take it.
func keys(in *invocation) int {
	file := in.value("keys-file")
	if file == "" {
		file = os.Getenv("PYEXEC_KEYS_FILE")
	}
	if file == "" {
		in.problem("which file? Give --keys-file, or set PYEXEC_KEYS_FILE")
	}
	action := "nothing"
	if len(in.args) > 0 {
		action = in.args[0]
	}
	switch want := map[string]int{"create": 1, "list": 1, "revoke": 2, "check": 1}[action]; {
	case want == 0:
		in.problem("what is to be done? One of %s", strings.Join(in.command.words, ", "))
	case len(in.args) < want:
		in.problem("which key? pyexec keys list shows their IDs")
	case len(in.args) > want:
		in.problem("unexpected argument %q", in.args[want])
	}
	for _, o := range []string{"caller", "expires", "note"} {
		if in.is(o) && action != "create" {
			in.problem("--%s is of pyexec keys create alone", o)
		}
	}
	if len(in.problems) > 0 {
		return in.usage()
	}
	var err error
	switch action {
	case "create":
		err = createKey(file, in.value("caller"), in.value("note"), in.value("expires"), in.ui.out, in.ui.err)
	case "list":
		err = listKeys(file, in.ui.out)
	case "revoke":
		if err = auth.RevokeKey(file, in.args[1]); err == nil {
			fmt.Fprintf(in.ui.err, "key %s is revoked\n", in.args[1])
		}
	case "check":
		if _, err = auth.ReadFile(file); err == nil {
			fmt.Fprintf(in.ui.err, "%s is well-formed\n", file)
		}
	}
	if err != nil {
		in.ui.fail("%v", err)
		return exitFailure
	}
	return 0
}

func createKey(file, caller, note, expires string, stdout, stderr io.Writer) error {
	if err := auth.CheckName(caller); err != nil {
		return fmt.Errorf("--caller: %w", err)
	}
	now := time.Now()
	key, secret := auth.NewKey(now)
	key.Note = note
	if expires != "" {
		at, err := expiry(expires, now)
		if err != nil {
			return fmt.Errorf("--expires: %w", err)
		}
		key.Expires = at
	}
	if err := auth.AddKey(file, caller, key); err != nil {
		return err
	}
	fmt.Fprintf(stderr, "key %s of %s is in %s; it is shown only here:\n", key.ID, caller, file)
	fmt.Fprintln(stdout, secret.Reveal())
	return nil
}

// expiry reads 90d, 12h or a date.
func expiry(s string, now time.Time) (time.Time, error) {
	at, err := time.Parse(time.DateOnly, s)
	if err != nil {
		var age time.Duration
		if days, ok := strings.CutSuffix(s, "d"); ok {
			n, failed := strconv.ParseUint(days, 10, 16)
			age, err = time.Duration(n)*24*time.Hour, failed
		} else {
			age, err = time.ParseDuration(s)
		}
		at = now.Add(age)
	}
	switch {
	case err != nil:
		return at, fmt.Errorf("%q is neither an age such as 90d or 12h nor a date such as 2027-01-31", s)
	case !at.After(now):
		return at, fmt.Errorf("%q has passed", s)
	}
	return at.Truncate(time.Second), nil
}

func listKeys(file string, w io.Writer) error {
	f, err := auth.ReadFile(file)
	if err != nil {
		return err
	}
	day := func(t time.Time) string {
		if t.IsZero() {
			return "-"
		}
		return t.UTC().Format(time.RFC3339)
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "ID\tCALLER\tCREATED\tEXPIRES\tNOTE")
	for _, e := range f.Callers {
		for _, k := range e.Keys {
			fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%q\n", k.ID, e.Caller.Name, day(k.Created), day(k.Expires), k.Note)
		}
	}
	return table.Flush()
}
