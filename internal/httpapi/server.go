package httpapi

import (
	"log/slog"
	"net/http"
	"time"
)

// NewServer returns a server of handler that a client cannot hold up. There
// is no ReadTimeout and no WriteTimeout, since they would cut the wait and
// the run as well: [API] sets the deadlines of body and answer itself.
func NewServer(handler http.Handler, logger *slog.Logger) *http.Server {
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	return &http.Server{
		Handler:           handler,
		Protocols:         &protocols,
		ReadHeaderTimeout: 5 * time.Second,
		IdleTimeout:       60 * time.Second,
		MaxHeaderBytes:    16<<10 - headerSlack,
		// What clients do wrong before a handler runs is for debugging only.
		ErrorLog: slog.NewLogLogger(logger.Handler(), slog.LevelDebug),
	}
}

// headerSlack is what net/http adds to MaxHeaderBytes.
const headerSlack = 4 << 10
