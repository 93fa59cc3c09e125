module github.com/python-code-executor/pyexec

go 1.26
