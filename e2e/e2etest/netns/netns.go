// Package netns gives a test process a network of its own: its loopback
// interface holds addresses that elsewhere belong to the world, to a private
// network or to a cloud's metadata server, and there is no way out.
package netns

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// marker tells the process inside that it is there.
const marker = "PYEXEC_TEST_NETNS"

// Nameserver is what the resolver of the processes inside asks.
const Nameserver = "127.0.0.1:53"

// Networks are the networks that the interface has, each with its first
// address: on a loopback every address of a network is a local one, so that a
// test may listen on any.
var Networks = []string{
	"93.184.216.1/24", "151.101.1.1/24", // the world
	"10.11.12.1/24", "172.16.5.1/24", "192.168.7.1/24", "100.64.9.1/24", "198.18.3.1/24", "203.0.113.1/24",
	"169.254.169.1/24", "168.63.129.1/24", "100.100.100.1/24",
	"2606:4700::1111/64", "fd00:ec2::254/64", "2001:db8::1/64",
}

// Main runs a package's tests in such a network, by starting the test binary
// again. Where the machine gives no namespaces the tests are skipped, and fail
// with CI=true.
func Main(m *testing.M, after func()) {
	if os.Getenv(marker) == "" {
		os.Exit(outside())
	}
	os.Unsetenv(marker)
	if err := prepare(); err != nil {
		fmt.Fprintln(os.Stderr, "network namespace of the test:", err)
		os.Exit(1)
	}
	code := m.Run()
	if after != nil {
		after()
	}
	os.Exit(code)
}

func outside() int {
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Env = append(os.Environ(), marker+"=1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWNET | unix.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL,
	}
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		return exit.ExitCode()
	case os.Getenv("CI") == "true":
		fmt.Fprintln(os.Stderr, "no network namespace for the tests:", err)
		return 1
	}
	fmt.Fprintln(os.Stderr, "NOT TESTED: no network namespace for the tests (they need root):", err)
	return 0
}

// prepare brings the loopback up with its addresses, and puts a resolver's
// configuration over the machine's.
func prepare() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return err
	}
	host, _, _ := strings.Cut(Nameserver, ":")
	if err := cover("/etc/resolv.conf", "nameserver "+host+"\noptions timeout:2 attempts:1\n"); err != nil {
		return err
	}
	if err := cover("/etc/hosts", "127.0.0.1 localhost\n93.184.216.60 hosts-file.example.com\n127.0.0.1 hosts-loopback.example.com\n"); err != nil {
		return err
	}
	for i, text := range append([]string{"127.0.0.1/8"}, Networks...) {
		p := netip.MustParsePrefix(text)
		set := addIPv4
		if p.Addr().Is6() {
			set = addIPv6
		}
		if err := set(i, p); err != nil {
			return fmt.Errorf("address %s: %w", text, err)
		}
	}
	return nil
}

// cover mounts a text over a file, for this mount namespace.
func cover(path, text string) error {
	path, err := filepath.EvalSymlinks(path)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp("", "netns-")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // the mount keeps it
	_, err = f.WriteString(text)
	if err := errors.Join(err, f.Chmod(0o644), f.Close()); err != nil {
		return err
	}
	return unix.Mount(f.Name(), path, "", unix.MS_BIND, "")
}

// ifreq is struct ifreq of netdevice(7).
type ifreq struct {
	name [16]byte
	data [24]byte
}

func ioctl(family int, request uintptr, argument unsafe.Pointer) error {
	fd, err := unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), request, uintptr(argument)); errno != 0 {
		return errno
	}
	return nil
}

// addIPv4 gives an alias of the loopback an address and a mask, and brings it up.
func addIPv4(i int, p netip.Prefix) error {
	name := "lo"
	if i > 0 {
		name = fmt.Sprintf("lo:%d", i)
	}
	set := func(request uintptr, addr [4]byte) error {
		r := ifreq{}
		copy(r.name[:], name)
		binary.NativeEndian.PutUint16(r.data[:], unix.AF_INET)
		copy(r.data[4:], addr[:])
		return ioctl(unix.AF_INET, request, unsafe.Pointer(&r))
	}
	var mask [4]byte
	binary.BigEndian.PutUint32(mask[:], ^uint32(0)<<(32-p.Bits()))
	if err := errors.Join(set(unix.SIOCSIFADDR, p.Addr().As4()), set(unix.SIOCSIFNETMASK, mask)); err != nil {
		return err
	}
	up := ifreq{}
	copy(up.name[:], name)
	binary.NativeEndian.PutUint16(up.data[:], unix.IFF_UP|unix.IFF_RUNNING)
	return ioctl(unix.AF_INET, unix.SIOCSIFFLAGS, unsafe.Pointer(&up))
}

// addIPv6 adds an address to the loopback, which is the first interface.
func addIPv6(_ int, p netip.Prefix) error {
	request := struct {
		addr   [16]byte
		length uint32
		index  int32
	}{p.Addr().As16(), uint32(p.Bits()), 1}
	return ioctl(unix.AF_INET6, unix.SIOCSIFADDR, unsafe.Pointer(&request))
}
