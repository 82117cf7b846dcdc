// SPDX-License-Identifier: Apache-2.0
/* escape.h - strings of a target or a file, made safe for a terminal, JSON or CSV. */
#ifndef MA_ESCAPE_H
#define MA_ESCAPE_H

#include "buffer.h"

#include <memattach/types.h>

/* Appends `bytes` of `p` to a terminal line: C0 and C1 controls, DEL, line separators, marks that change the direction
 * of text or do not show, and bytes that are not UTF-8 become \n, \x1b, \u202e; all else stays as it is. */
void ma_escape_text(struct ma_buf *b, const char *p, size_t bytes);
/* The same for UTF-8 that need not be: each byte that is not UTF-8 becomes U+FFFD, nothing else changes. */
void ma_escape_utf8(struct ma_buf *b, const char *p, size_t bytes);
/* A JSON string with its quotes; bytes that are not UTF-8 become U+FFFD. */
void ma_escape_json(struct ma_buf *b, const char *p, size_t bytes);
/* One CSV field (RFC 4180): quoted where it must be; a ' goes before a leading = + - @ (also in full width), tab,
 * carriage return or line feed, which a spreadsheet would run as a formula. */
void ma_escape_csv(struct ma_buf *b, const char *p, size_t bytes);
/* Columns that UTF-8 text without controls takes on a terminal: 2 for East Asian wide, 0 for combining marks. */
size_t ma_text_columns(const char *text);
/* Shortens `text` in place to at most `columns` columns, with "..." in its middle. */
void ma_text_fit(char *text, size_t columns);

#endif
