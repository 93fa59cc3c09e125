// Package image tests the Docker image in each environment that can be had
// here: plain docker run, hardened, with our seccomp profile, and gVisor. Its
// tests have the build tag "image", since they need a Docker daemon and the
// built image: make image-test brings both.
package image
