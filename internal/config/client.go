package config

// The variables that commands which call a server read. They are not settings
// of one, but may well be set in the same shell.
const (
	ServerVariable = "PYEXEC_SERVER"  // the URL that pyexec run and bench call
	KeyVariable    = "PYEXEC_API_KEY" // sent with each call
)

func isClientVariable(name string) bool { return name == ServerVariable || name == KeyVariable }
