package auth

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
)

// Ages of a provider's keys.
const (
	// freshTime is how long keys are used without asking for them again: one
	// that the provider has withdrawn is not good for longer.
	freshTime = 5 * time.Minute
	// staleTime is how long they are used while the provider does not answer.
	staleTime = time.Hour
)

// keyring is a provider's keys. go-oidc fetches them, finds one by its id, and
// asks again for an id that it does not know; the keyring makes it forget the
// others after a time.
type keyring struct {
	jwks   string
	client *http.Client
	fresh  time.Duration

	mu  sync.Mutex
	now *keys
	old *keys // the last that were ever had, while now has none yet
}

// keys are those of one moment and of what was asked for since.
type keys struct {
	*oidc.RemoteKeySet

	since time.Time
	had   bool // they have verified something
}

// seen is what the keyring tells of a token beside go-oidc, which makes a text
// of each error.
type seen struct {
	asked   bool   // whether a key fits; not of a text that is no token
	payload []byte // that a key has vouched for
	fault   error  // why the keys could not be had
}

type seenKey struct{}

// VerifySignature implements oidc.KeySet.
func (k *keyring) VerifySignature(ctx context.Context, jwt string) ([]byte, error) {
	payload, fault, err := k.verify(ctx, jwt)
	if to, ok := ctx.Value(seenKey{}).(*seen); ok {
		*to = seen{asked: true, payload: payload, fault: fault}
	}
	return payload, err
}

func (k *keyring) verify(ctx context.Context, jwt string) (payload []byte, fault, err error) {
	now, old := k.current(time.Now()) //nolint:contextcheck // the keys outlive whoever asks first
	if payload, err = now.VerifySignature(ctx, jwt); err == nil {
		k.good(now)
		return payload, nil, nil
	}
	if errors.Unwrap(err) == nil { // go-oidc wraps why there are no keys; that none of them fits is plain
		return nil, nil, err
	}
	var unreached *url.Error
	if !errors.As(err, &unreached) && ctx.Err() == nil {
		err = errors.New("a key of the provider's cannot be read") // go-oidc's text has the whole answer in it
	}
	if old != nil {
		if payload, err := old.VerifySignature(ctx, jwt); err == nil {
			return payload, nil, nil
		}
	}
	return nil, err, err
}

// current is the keys to ask, and those before, which may be nil.
func (k *keyring) current(t time.Time) (now, old *keys) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.now == nil || t.Sub(k.now.since) > k.fresh {
		if k.now != nil && k.now.had {
			k.old = k.now
		}
		k.now = &keys{RemoteKeySet: oidc.NewRemoteKeySet(oidc.ClientContext(context.Background(), k.client), k.jwks), since: t}
	}
	if k.old != nil && t.Sub(k.old.since) > staleTime {
		k.old = nil
	}
	return k.now, k.old
}

func (k *keyring) good(now *keys) {
	k.mu.Lock()
	defer k.mu.Unlock()
	now.had, k.old = true, nil
}
