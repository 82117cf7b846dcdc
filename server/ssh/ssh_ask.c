// SPDX-License-Identifier: Apache-2.0
/* The passphrase of a key, asked for on the terminal: wherever standard input and output go, they have no part in it.
 */
#include "cleanup.h"
#include "ssh_private.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

enum { CTRL_C = 3, CTRL_D = 4, BACKSPACE = 8, CTRL_BACKSLASH = 28, RUBOUT = 127 };

/* False: given up. */
static bool read_secret(int terminal, char *buf, size_t len)
{
	size_t n = 0;
	for (;;) {
		char c;
		ssize_t got = read(terminal, &c, 1);
		if (got < 0 && errno == EINTR)
			continue;
		if (got != 1 || c == CTRL_C || c == CTRL_D || c == CTRL_BACKSLASH)
			break;
		if (c == '\n' || c == '\r') {
			buf[n] = '\0';
			return true;
		}
		if (c == BACKSPACE || c == RUBOUT)
			n -= n > 0;
		else if (n + 1 < len)
			buf[n++] = c;
	}
	explicit_bzero(buf, len);
	return false;
}

static bool say(int terminal, const char *text)
{
	return write(terminal, text, strlen(text)) == (ssize_t)strlen(text);
}

enum ma_ssh_asked ma_ssh_ask(const char *key, char *buf, size_t len)
{
	struct termios old, quiet;
	_cleanup_close_ int terminal = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
	if (terminal < 0 || tcgetattr(terminal, &old))
		return MA_SSH_NO_TERMINAL;
	quiet = old;
	quiet.c_lflag &= ~(tcflag_t)(ECHO | ECHONL | ICANON | ISIG);
	quiet.c_cc[VMIN] = 1;
	quiet.c_cc[VTIME] = 0;
	if (tcsetattr(terminal, TCSAFLUSH, &quiet))
		return MA_SSH_NO_TERMINAL;
	bool told = say(terminal, "Passphrase of ") && say(terminal, key) && say(terminal, ": ") &&
		    read_secret(terminal, buf, len);
	tcsetattr(terminal, TCSAFLUSH, &old);
	(void)say(terminal, "\n");
	return told ? MA_SSH_TOLD : MA_SSH_GIVEN_UP;
}
