# SPDX-License-Identifier: Apache-2.0
complete -c memattachd -f -n __fish_use_subcommand -a init -d 'make a CA, certificates and a list of clients'
complete -c memattachd -f -n __fish_use_subcommand -a client -d 'make the pair of a further client'
complete -c memattachd -F -n "__fish_seen_subcommand_from init client"
complete -c memattachd -f -l listen -x -d 'HOST:PORT, and nowhere else'
complete -c memattachd -l dir -x -a '(__fish_complete_directories)' -d 'certificates and the list of clients'
complete -c memattachd -f -l user -x -a '(__fish_complete_users)' -d 'who to become when started as root'
complete -c memattachd -f -l connections -x -d 'at once'
complete -c memattachd -f -l per-address -x -d 'of one address at once'
complete -c memattachd -f -l requests -x -d 'of one client within a minute'
complete -c memattachd -f -l handshake-timeout -x -d 'seconds for a client to show who it is'
complete -c memattachd -f -l idle-timeout -x -d 'seconds of silence after which a client is cut off'
complete -c memattachd -f -l help -d 'help'
complete -c memattachd -f -l version -d 'version'
