package app

import (
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"os"
	"sync"

	"github.com/python-code-executor/pyexec/internal/auth"
	"github.com/python-code-executor/pyexec/internal/config"
	"github.com/python-code-executor/pyexec/internal/httpapi"
)

// certificate follows a pair of files: a new pair counts from the next
// handshake on. A pair that does not fit, as while it is being replaced, is
// passed over in favour of the one before.
type certificate struct {
	cert, key string
	log       *slog.Logger

	mu     sync.Mutex
	stamps [2]os.FileInfo
	pair   *tls.Certificate
}

func newCertificate(c config.Config, log *slog.Logger) (*certificate, error) {
	k := &certificate{cert: c.TLSCert, key: c.TLSKey, log: log}
	if err := k.load(); err != nil {
		return nil, err
	}
	return k, nil
}

// get is for tls.Config.GetCertificate.
func (k *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.load(); err != nil {
		k.log.Error("the new certificate cannot be used; the one before goes on", "error", err)
	}
	return k.pair, nil
}

// load reads the files if they have changed.
func (k *certificate) load() error {
	var now [2]os.FileInfo
	same := true
	var missing []error
	names := []string{"tls-cert", "tls-key"}
	for i, path := range []string{k.cert, k.key} {
		info, err := os.Stat(path)
		if err != nil {
			missing = append(missing, about(names[i], err))
			continue
		}
		now[i] = info
		old := k.stamps[i]
		same = same && old != nil && os.SameFile(old, info) && old.Size() == info.Size() && old.ModTime().Equal(info.ModTime())
	}
	if len(missing) > 0 {
		return errors.Join(missing...)
	}
	if same {
		return nil
	}
	k.stamps = now // of a pair that does not fit, too: it is told once
	cert, certErr := auth.ReadRegular(k.cert)
	key, keyErr := auth.ReadRegular(k.key)
	if certErr != nil || keyErr != nil {
		return errors.Join(about(names[0], certErr), about(names[1], keyErr))
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return about("tls-cert, tls-key", err)
	}
	k.pair = &pair
	return nil
}

// serve serves until the server is closed.
func (a *App) serve() error {
	if a.certificate == nil {
		return a.server.Serve(a.listener)
	}
	return a.server.ServeTLS(a.listener, "", "")
}

// browsers is what of browsers is let in: on loopback no foreign names, since
// everything that this machine's browser shows can reach it.
func (a *App) browsers(at net.Listener) httpapi.Browsers {
	b := httpapi.Browsers{Hosts: a.config.AllowedHosts, Origins: a.config.CORSOrigins}
	if tcp, ok := at.Addr().(*net.TCPAddr); ok && tcp.IP.IsLoopback() && len(b.Hosts) == 0 {
		b.Hosts = []string{"localhost"}
	}
	return b
}
