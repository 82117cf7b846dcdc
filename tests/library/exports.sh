#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# exports.sh LIBRARY HEADER...: fails unless the functions that LIBRARY exports are those that the headers declare.
library=$1
shift
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
# declarations begin in the first column, members of structs do not
cat "$@" | sed 's,/\*.*\*/,,' | grep -E '^(MA_CHECK |const |struct |bool |void |int |size_t |uint32_t ).*\(' |
	grep -oE '\*?ma_[a-z0-9_]+\(' | tr -d '*(' | sort -u >"$dir/declared"
nm -D --defined-only "$library" | awk '$2 == "T" { print $3 }' | sort -u >"$dir/exported"
[ -s "$dir/declared" ] || { echo "no declarations found"; exit 1; }
diff "$dir/declared" "$dir/exported"
