#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# run.sh MEMATTACH CASE - runs one case; `run.sh MEMATTACH CASE --write` writes what is expected from what came.
memattach=$1 dir=$2
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
COLUMNS=100 NO_COLOR=1 TZ=UTC sh -c "\"$memattach\" $(cat "$dir/cmd")" >"$tmp/expect" 2>"$tmp/error" </dev/null
echo $? >"$tmp/exit"
if [ "$3" = --write ]; then
	for file in expect error; do
		rm -f "$dir/$file"
		[ -s "$tmp/$file" ] && cp "$tmp/$file" "$dir/$file"
	done
	rm -f "$dir/exit"
	[ "$(cat "$tmp/exit")" = 0 ] || cp "$tmp/exit" "$dir/exit"
	exit 0
fi
failed=0
for file in expect error; do
	want=/dev/null
	[ -e "$dir/$file" ] && want=$dir/$file
	diff -u "$want" "$tmp/$file" || failed=1
done
want=0
[ -e "$dir/exit" ] && want=$(cat "$dir/exit")
if [ "$(cat "$tmp/exit")" != "$want" ]; then
	echo "exit code $(cat "$tmp/exit"), not $want"
	failed=1
fi
exit $failed
