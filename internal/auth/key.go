package auth

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"regexp"
	"strings"
	"time"

	"github.com/python-code-executor/pyexec"
)

// A key is pyx_ID_SECRET. The id finds its row and may be shown; the secret
// has 130 bits of chance, so that a plain SHA-256 of the key cannot be turned
// around: a slow hash would only help who guesses, and cost each request.
const keyPrefix = "pyx_"

// Key is one row of a caller's keys.
type Key struct {
	ID      string
	Hash    [sha256.Size]byte
	Created time.Time
	Expires time.Time // zero: never
	Note    string
}

// NewKey makes a key. The secret is not kept anywhere.
func NewKey(now time.Time) (Key, pyexec.Secret) {
	id := strings.ToLower(rand.Text()[:10])
	text := keyPrefix + id + "_" + rand.Text()
	return Key{ID: id, Hash: sha256.Sum256([]byte(text)), Created: now.UTC().Truncate(time.Second)}, pyexec.NewSecret(text)
}

var goodKeyID = regexp.MustCompile(`^[a-z0-9]{4,32}$`)

// keyID is the id in a presented key; "" when it has none.
func keyID(text string) string {
	id, _, ok := strings.Cut(strings.TrimPrefix(text, keyPrefix), "_")
	if !ok {
		return ""
	}
	return id
}

// matches compares in a time that does not depend on where they differ.
func (k Key) matches(presented pyexec.Secret) bool {
	hash := sha256.Sum256([]byte(presented.Reveal()))
	return subtle.ConstantTimeCompare(hash[:], k.Hash[:]) == 1
}

func (k Key) expired(now time.Time) bool { return !k.Expires.IsZero() && !now.Before(k.Expires) }

// hashText is how the file spells the hash.
func (k Key) hashText() string { return hex.EncodeToString(k.Hash[:]) }
