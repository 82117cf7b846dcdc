#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# no_globals.sh ARCHIVE...: fails when one of them has a variable that can be written to. What is read-only but for
# relocation (.data.rel.ro) is none.
for archive; do
	# "VALUE FLAGS SECTION SIZE NAME"; of the seven flags the last is F for a function, O or none for a variable, the
	# one before it d for a section
	objdump -t "$archive" | awk -v archive="$archive" '
		/^[0-9a-f]+ ......F \.text/ { functions++ }
		/^[0-9a-f]+ .....[^d][O ] (\.t?data|\.t?bss|\*COM\*)/ && !/ \.data\.rel\.ro(\.local)?[ \t]/ {
			print archive ": " $NF " can be written to"
			found = 1
		}
		END { exit found || !functions }' || exit 1
done
