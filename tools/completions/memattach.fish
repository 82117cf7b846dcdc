# SPDX-License-Identifier: Apache-2.0
# fish completion of memattach
function __memattach_pids
    for dir in /proc/[0-9]*
        set -l exe (readlink $dir/exe 2>/dev/null); or continue
        string match -q 'python*' (basename $exe); and printf '%s\t%s\n' (basename $dir) (string join ' ' (string split0 <$dir/cmdline 2>/dev/null))
    end
end
function __memattach_ids
    memattach ls 2>/dev/null | string match -r '^[0-9a-f]{4,} .*' | string replace ' ' \t
end
set -l commands snap report diff query export ls rm check stacks doctor watch help
complete -c memattach -f
complete -c memattach -n "not __fish_seen_subcommand_from $commands" -a snap -d 'take a snapshot, no report'
complete -c memattach -n "not __fish_seen_subcommand_from $commands" -a report -d 'print the report of a snapshot file'
complete -c memattach -n "not __fish_seen_subcommand_from $commands" -a diff -d 'print what grew between two snapshots'
complete -c memattach -n "not __fish_seen_subcommand_from $commands" -a query -d 'ask a snapshot file with SQL'
complete -c memattach -n "not __fish_seen_subcommand_from $commands" -a ls -d 'list the snapshots that were taken'
complete -c memattach -n "not __fish_seen_subcommand_from $commands" -a rm -d 'remove snapshots'
complete -c memattach -n "not __fish_seen_subcommand_from $commands" -a export -d 'write a snapshot in the format of another tool'
complete -c memattach -n "not __fish_seen_subcommand_from $commands" -a check -d 'check every byte of a snapshot file'
complete -c memattach -n "not __fish_seen_subcommand_from $commands" -a stacks -d 'print the Python stack of every thread'
complete -c memattach -n "not __fish_seen_subcommand_from $commands" -a doctor -d 'say whether attaching would work'
complete -c memattach -n "not __fish_seen_subcommand_from $commands" -a watch -d 'take a snapshot before memory runs out'
complete -c memattach -n "not __fish_seen_subcommand_from $commands" -a help -d 'more about one command'
complete -c memattach -n "not __fish_seen_subcommand_from report diff query export check ls rm help" -a '(__memattach_pids)'
complete -c memattach -n "__fish_seen_subcommand_from report diff query export check" -F
complete -c memattach -n "__fish_seen_subcommand_from help" -a 'snap report diff query export ls rm check stacks doctor watch'
complete -c memattach -n "not __fish_seen_subcommand_from report diff query check ls rm stacks doctor help" -s o -l output -r -F -d 'where the snapshot goes'
complete -c memattach -n "not __fish_seen_subcommand_from report diff query export check ls rm doctor help" -l max-pause -x -d 'refuse a longer stop (ms)'
complete -c memattach -n "not __fish_seen_subcommand_from report diff query export check ls rm doctor help" -l raw -x -a 'copy live' -d 'large raw data'
complete -c memattach -n "not __fish_seen_subcommand_from report diff query export check ls rm stacks doctor help" -l values -x -a 'none hash prefix: all' -d 'of contents of objects'
complete -c memattach -n "not __fish_seen_subcommand_from snap check rm help" -l json -d 'machine-readable'
complete -c memattach -n "not __fish_seen_subcommand_from snap query check rm stacks doctor watch help" -l bytes -d 'exact numbers'
complete -c memattach -n "__fish_seen_subcommand_from diff" -l fail-over -x -d 'exit code 7 when memory grew by more'
complete -c memattach -n "__fish_seen_subcommand_from diff" -l fail-growth -x -d 'exit code 7 when what is there grew'
complete -c memattach -n "__fish_seen_subcommand_from report" -l type -x -d 'types whose name matches'
complete -c memattach -n "__fish_seen_subcommand_from stacks" -l native -d 'native frames too'
complete -c memattach -n "__fish_seen_subcommand_from query" -l csv -d 'comma-separated'
complete -c memattach -n "__fish_seen_subcommand_from report diff query export check rm" -a '(__memattach_ids)'
complete -c memattach -n "__fish_seen_subcommand_from report diff query export check ls rm" -l pid -x -a '(__memattach_pids)' -d 'of this process'
complete -c memattach -n "__fish_seen_subcommand_from report diff query export check ls rm" -l name -x -d 'of processes with this in their command line'
complete -c memattach -n "not __fish_seen_subcommand_from report diff query export check ls stacks doctor help" -l keep -x -d 'remove all but the newest N'
complete -c memattach -n "not __fish_seen_subcommand_from paths query export ls rm check stacks doctor watch help" -l tree -d 'its Python children, too'
complete -c memattach -n "not __fish_seen_subcommand_from paths query export ls rm check stacks doctor watch diff report help" -l cgroup -x -a '(__fish_complete_directories)' -d 'the processes of a control group'
complete -c memattach -n "__fish_seen_subcommand_from snap" -l name -x -d 'the process with this in its command line'
complete -c memattach -n "not __fish_seen_subcommand_from paths query export ls rm check stacks doctor watch diff report help" -l resume -d 'fetch the rest, or be able to later'
complete -c memattach -n "not __fish_seen_subcommand_from paths query export ls rm check stacks doctor watch diff report help" -l linger -x -d 'ssh: for so long it stays there'
complete -c memattach -n "__fish_seen_subcommand_from snap" -l every -x -d 'again after this time'
complete -c memattach -n "__fish_seen_subcommand_from snap" -l count -x -d 'so many times'
complete -c memattach -n "__fish_seen_subcommand_from ls" -l prune -d 'drop those whose file is gone'
complete -c memattach -n "__fish_seen_subcommand_from report diff" -l html -r -F -d 'one HTML file'
complete -c memattach -n "__fish_seen_subcommand_from export" -l format -x -a 'json csv arrow collapsed speedscope pprof heapsnapshot hprof' -d 'of the file'
complete -c memattach -n "__fish_seen_subcommand_from export" -l table -x -a 'objects edges types frames memory all' -d 'which table'
complete -c memattach -n "not __fish_seen_subcommand_from report query check ls rm help" -l identity -r -F -d 'private key of ssh://'
complete -c memattach -n "not __fish_seen_subcommand_from report query check ls rm help" -l known-hosts -r -F -d 'in place of ~/.ssh/known_hosts'
complete -c memattach -n "not __fish_seen_subcommand_from report query check ls rm help" -l ssh-config -r -F -d 'in place of ~/.ssh/config'
complete -c memattach -n "not __fish_seen_subcommand_from report query check ls rm help" -l sudo -d 'attach there by sudo'
complete -c memattach -n "not __fish_seen_subcommand_from report query check ls rm help" -l ca -r -F -d 'whose server to believe, of tls://'
complete -c memattach -n "not __fish_seen_subcommand_from report query check ls rm help" -l cert -r -F -d 'our certificate'
complete -c memattach -n "not __fish_seen_subcommand_from report query check ls rm help" -l key -r -F -d 'the key of it'
complete -c memattach -n "not __fish_seen_subcommand_from report query check ls rm doctor help" -l limit-rate -x -d 'bytes a second at most'
complete -c memattach -l no-color -d 'neither colour nor bars'
complete -c memattach -s h -l help -d 'help'
complete -c memattach -s V -l version -d 'version'
complete -c memattach -n "__fish_seen_subcommand_from watch" -l at -x -d '90% or a size'
