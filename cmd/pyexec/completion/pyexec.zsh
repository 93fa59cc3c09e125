#compdef pyexec
# What zsh needs to complete pyexec: source <(pyexec completion zsh)
_pyexec() {
	local line word
	local -a found
	while IFS= read -r line; do
		word=${line%%$'\t'*}
		found+=("${word//:/\\:}:${line#*$'\t'}")
	done < <("${words[1]}" __complete "${(@)words[2,CURRENT]}" 2>/dev/null)
	if (( ${#found} )); then
		_describe pyexec found
	else
		_files
	fi
}
if [[ ${funcstack[1]} == _pyexec ]]; then
	_pyexec "$@"
else
	compdef _pyexec pyexec
fi
