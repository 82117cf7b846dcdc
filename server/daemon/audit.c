// SPDX-License-Identifier: Apache-2.0
#include "daemon.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define VALUE_MAX 400 /* of a text; so that all values of a line fit in it */

static void put(struct ma_audit *a, const char *text, size_t bytes)
{
	if (bytes < sizeof(a->text) - a->bytes) { /* room for the newline stays */
		memcpy(a->text + a->bytes, text, bytes);
		a->bytes += bytes;
	}
}

void ma_audit_begin(struct ma_audit *a, const char *event)
{
	a->bytes = 0;
	put(a, "memattachd: ", 12);
	put(a, event, strlen(event));
}

static void put_name(struct ma_audit *a, const char *name)
{
	put(a, " ", 1);
	put(a, name, strlen(name));
	put(a, "=", 1);
}

/* What comes from a client or a target must neither end the line nor reach a terminal. */
void ma_audit_text(struct ma_audit *a, const char *name, const char *value)
{
	put_name(a, name);
	put(a, "\"", 1);
	const size_t begin = a->bytes;
	for (const unsigned char *p = (const unsigned char *)value; *p; p++) {
		if (a->bytes - begin > VALUE_MAX) {
			put(a, "...", 3);
			break;
		}
		char hex[5];
		bool plain = *p >= 0x20 && *p < 0x7f && *p != '"' && *p != '\\';
		int n = snprintf(hex, sizeof(hex), plain ? "%c" : "\\x%02x", *p);
		put(a, hex, (size_t)n);
	}
	put(a, "\"", 1);
}

void ma_audit_number(struct ma_audit *a, const char *name, uint64_t value)
{
	char text[24];
	int n = snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
	put_name(a, name);
	put(a, text, (size_t)n);
}

void ma_audit_write(struct ma_audit *a)
{
	a->text[a->bytes] = '\n';
	if (write(STDERR_FILENO, a->text, a->bytes + 1) < 0) {
		/* there is nobody left to tell */
	}
	a->bytes = 0;
}
