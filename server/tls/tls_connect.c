// SPDX-License-Identifier: Apache-2.0
#include "cleanup.h"
#include "tls_private.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

/* Connects to one address; *fd_ret is set on success. */
static int connect_one(const struct addrinfo *a, int timeout_ms, int *fd_ret)
{
	_cleanup_close_ int fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, a->ai_protocol);
	if (fd < 0)
		return errno;
	if (connect(fd, a->ai_addr, a->ai_addrlen)) {
		struct pollfd p = { .fd = fd, .events = POLLOUT };
		int errnum = 0;
		socklen_t bytes = sizeof(errnum);
		if (errno != EINPROGRESS)
			return errno;
		int n = poll(&p, 1, timeout_ms);
		if (n <= 0)
			return n ? errno : ETIMEDOUT;
		if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &errnum, &bytes) || errnum)
			return errnum ? errnum : errno;
	}
	const int on = 1;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	*fd_ret = ma_take_fd(fd);
	return 0;
}

struct ma_error *ma_tls_connect(struct ma_tls_context *c, const char *host, unsigned port, int timeout_ms,
				struct ma_tls **ret)
{
	const struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG };
	struct addrinfo *found = NULL;
	char service[12];
	int errnum = 0;
	_cleanup_close_ int fd = -1;
	snprintf(service, sizeof(service), "%u", port);
	int failed = getaddrinfo(host, service, &hints, &found);
	if (failed)
		return ma_errorf(MA_ERR_OS, "no address of '%s': %s", host, gai_strerror(failed));
	for (const struct addrinfo *a = found; a && fd < 0; a = a->ai_next)
		errnum = connect_one(a, timeout_ms, &fd);
	freeaddrinfo(found);
	if (fd < 0) {
		if (errnum == ETIMEDOUT)
			return ma_errorf(MA_ERR_TIMEOUT, "cannot connect to port %u: no answer", port);
		return ma_error_os(errnum, "cannot connect to port %u", port);
	}
	MA_TRY(ma_tls_connect_fd(c, fd, host, timeout_ms, ret));
	(void)ma_take_fd(fd);
	return NULL;
}
