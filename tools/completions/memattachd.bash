# SPDX-License-Identifier: Apache-2.0
# bash completion for memattachd
_memattachd()
{
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}
	COMPREPLY=()
	case $prev in
	--dir | init | client) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -d -- "$cur"); return ;;
	--user) mapfile -t COMPREPLY < <(compgen -u -- "$cur"); return ;;
	--listen | --connections | --per-address | --new-connections | --requests | --handshake-timeout | --idle-timeout | --keep) return ;;
	esac
	local words='--listen --dir --user --connections --per-address --new-connections --requests --handshake-timeout --idle-timeout --keep --help --version'
	[ "$COMP_CWORD" != 1 ] || words+=' init client'
	case ${COMP_WORDS[1]} in init | client) [ "$COMP_CWORD" = 1 ] || return ;; esac
	mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
}
complete -F _memattachd memattachd
