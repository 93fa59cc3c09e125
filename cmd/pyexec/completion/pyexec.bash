# What bash needs to complete pyexec: source <(pyexec completion bash)
_pyexec() {
	local cur=${COMP_WORDS[COMP_CWORD]} word IFS=$'\n'
	local -a words=() parts=("${COMP_WORDS[@]:1:COMP_CWORD}")
	# bash splits --flag=value into three words.
	local i prefix=''
	for ((i = 0; i < ${#parts[@]}; i++)); do
		if [[ ${parts[i]} == = && ${#words[@]} -gt 0 ]]; then
			words[-1]+="=${parts[i + 1]-}"
			prefix=${words[-1]%%=*}=
			((i++))
		else
			words+=("${parts[i]}")
			prefix=''
		fi
	done
	[[ $cur == = ]] && cur=''
	COMPREPLY=()
	while IFS=$'\t' read -r word _; do
		COMPREPLY+=("${word#"$prefix"}")
	done < <("${COMP_WORDS[0]}" __complete "${words[@]}" 2>/dev/null)
}
complete -o default -F _pyexec pyexec
