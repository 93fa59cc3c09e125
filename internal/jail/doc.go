// Package jail runs scripts in the sandbox: it chooses the isolation level that
// the platform allows, starts the zygotes inside nsjail, and drives slots and
// their single-use children.
//
// It knows neither HTTP nor the pool. Everything that comes from a child after
// its first word is hostile; what a slot or a zygote says is trusted, since
// neither ever runs user code or reads a byte of a request.
package jail
