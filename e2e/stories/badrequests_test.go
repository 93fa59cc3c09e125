package stories

import (
	"strings"
	"testing"

	"github.com/python-code-executor/pyexec/e2e/badrequests"
)

// TestBadRequests sends the table of malformed and hostile requests.
func TestBadRequests(t *testing.T) {
	t.Parallel()
	server := start(t, "--concurrency=4", "--queue=32")
	before := server.Settle()
	t.Run("rows", func(t *testing.T) {
		badrequests.Run(t, strings.TrimPrefix(server.BaseURL, "http://"), badrequests.Options{Python: true, Places: 36})
	})
	server.AssertClean(t, before)
}
