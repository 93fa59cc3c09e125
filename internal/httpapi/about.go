package httpapi

import "net/http"

// openapi is the document of the API.
func (a *API) openapi(*exchange) reply {
	return reply{status: http.StatusOK, outcome: "ok", body: a.document()}
}
