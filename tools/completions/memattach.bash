# SPDX-License-Identifier: Apache-2.0
# bash completion of memattach
_memattach_pids()
{
	local dir exe
	for dir in /proc/[0-9]*; do
		exe=$(readlink "$dir/exe" 2>/dev/null) || continue
		case ${exe##*/} in python*) echo "${dir#/proc/}" ;; esac
	done
}

_memattach_ids()
{
	memattach ls 2>/dev/null | while read -r id _; do
		case $id in *[!0-9a-f]*) ;; *) echo "$id" ;; esac
	done
}

_memattach()
{
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} command='' word i
	COMPREPLY=()
	for ((i = 1; i < COMP_CWORD; i++)); do
		word=${COMP_WORDS[i]}
		case $word in -*) continue ;; esac
		case ${COMP_WORDS[i - 1]} in -o | --output | --html | --format | --table | --type | --max-pause | --raw | --values | --pid | --name | --keep | --every | --count | --at | --fail-over | --fail-growth | --identity | --known-hosts | --ssh-config | --ca | --cert | --key | --limit-rate | --linger) continue ;; esac
		command=$word
		break
	done
	case $prev in
	-o | --output | --html | --identity | --known-hosts | --ssh-config | --ca | --cert | --key) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return ;;
	--cgroup) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -d -- "$cur"); return ;;
	--pid) mapfile -t COMPREPLY < <(compgen -W "$(_memattach_pids)" -- "$cur"); return ;;
	--type | --max-pause | --name | --keep | --every | --count | --at | --fail-over | --fail-growth | --limit-rate | --linger) return ;;
	--format) mapfile -t COMPREPLY < <(compgen -W 'json csv arrow collapsed speedscope pprof heapsnapshot hprof' -- "$cur"); return ;;
	--table) mapfile -t COMPREPLY < <(compgen -W 'objects edges types frames memory all' -- "$cur"); return ;;
	--raw) mapfile -t COMPREPLY < <(compgen -W 'copy live' -- "$cur"); return ;;
	--values) mapfile -t COMPREPLY < <(compgen -W 'none hash prefix: all' -- "$cur"); return ;;
	esac
	if [[ $cur == -* ]]; then
		local options='--no-color --help' far='--identity --known-hosts --ssh-config --sudo --ca --cert --key'
		case $command in
		'') options+=" --tree --cgroup --name --keep --version --output --json --bytes --max-pause --raw --values $far --limit-rate --resume --linger" ;;
		snap) options+=" --tree --cgroup --name --every --count --keep --output --max-pause --raw --values $far --limit-rate --resume --linger" ;;
		report) options+=' --html --tree --pid --name --json --bytes --type' ;;
		diff) options+=' --html --pid --name --json --bytes --fail-over --fail-growth' ;;
		query) options+=' --pid --name --csv --json' ;;
		export) options+=' --pid --name --output --format --table --bytes' ;;
		check) options+=' --pid --name' ;;
		ls) options+=' --json --bytes --pid --name --prune' ;;
		rm) options+=' --keep --pid --name' ;;
		stacks) options+=" --json --max-pause --raw --native $far --limit-rate" ;;
		doctor) options+=" --json $far" ;;
		watch) options+=' --at --output --max-pause --raw --values' ;;
		[0-9]* | ssh* | tls*) options+=" --tree --keep --output --json --bytes --max-pause --raw --values $far --limit-rate --resume --linger" ;;
		esac
		mapfile -t COMPREPLY < <(compgen -W "$options" -- "$cur")
		return
	fi
	case $command in
	'') mapfile -t COMPREPLY < <(compgen -W "snap report diff query export ls rm check stacks doctor watch help $(_memattach_pids)" -- "$cur") ;;
	help) mapfile -t COMPREPLY < <(compgen -W "snap report diff query export ls rm check stacks doctor watch" -- "$cur") ;;
	snap | stacks | doctor | watch) mapfile -t COMPREPLY < <(compgen -W "$(_memattach_pids)" -- "$cur") ;;
	report | diff | query | export | check)
		compopt -o filenames
		mapfile -t COMPREPLY < <(compgen -f -- "$cur"; compgen -W "$(_memattach_ids)" -- "$cur")
		;;
	rm) mapfile -t COMPREPLY < <(compgen -W "$(_memattach_ids)" -- "$cur") ;;
	esac
}
complete -F _memattach memattach
