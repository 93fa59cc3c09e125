package jail

import "golang.org/x/sys/unix"

// landlockABI is the kernel's Landlock version, 0 where there is none. The
// system call is asked, not /sys/kernel/security, which containers hide.
func landlockABI() int {
	const createRulesetVersion = 1
	abi, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, createRulesetVersion)
	if errno != 0 {
		return 0
	}
	return int(abi)
}
