package auth

import "time"

// At is o with other times than the server's.
func (o OIDC) At(refresh, fresh time.Duration) OIDC {
	o.refresh, o.fresh = refresh, fresh
	return o
}
