package httpapi

import (
	"net/http"

	"github.com/python-code-executor/pyexec/internal/openapi"
)

// openapi is the document of the API.
func (a *API) openapi(*exchange) reply {
	return reply{status: http.StatusOK, outcome: "ok", body: a.document()}
}

// docs is the document for people.
func (a *API) docs(*exchange) reply {
	return reply{status: http.StatusOK, outcome: "ok", body: a.page(), header: http.Header{
		"Content-Type":            {"text/html; charset=utf-8"},
		"Content-Security-Policy": {openapi.PagePolicy},
	}}
}
