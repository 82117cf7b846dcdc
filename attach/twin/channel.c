// SPDX-License-Identifier: Apache-2.0
#include "channel.h"

#include "buffer.h"
#include "cleanup.h"
#include "proc.h"

#include <errno.h>
#include <memattach/wire.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

struct ma_error *ma_channel_create(int ends[2])
{
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends))
		return ma_error_os(errno, "cannot make a socket pair");
	return NULL;
}

union control {
	struct cmsghdr align;
	char bytes[CMSG_SPACE(sizeof(int))];
};

bool ma_channel_send(int end, enum ma_msg_kind kind, const void *data, size_t bytes, int fd)
{
	uint32_t tag = kind;
	union control control = { 0 };
	if (bytes > MA_MSG_MAX - 1)
		bytes = MA_MSG_MAX - 1;
	struct iovec iov[2] = { { &tag, sizeof(tag) }, { (void *)(uintptr_t)data, bytes } };
	struct msghdr mh = { .msg_iov = iov, .msg_iovlen = bytes ? 2 : 1 };
	if (fd >= 0) {
		mh.msg_control = control.bytes;
		mh.msg_controllen = sizeof(control.bytes);
		struct cmsghdr *c = CMSG_FIRSTHDR(&mh);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	}
	/* This one is sent while the target stands still: it does not wait for a command that is stopped itself. */
	int flags = MSG_NOSIGNAL | (kind == MA_MSG_UNDO ? MSG_DONTWAIT : 0);
	ssize_t n;
	do
		n = sendmsg(end, &mh, flags);
	while (n < 0 && errno == EINTR);
	return n >= 0;
}

bool ma_channel_send_error(int end, const struct ma_error *err)
{
	char buf[4096];
	struct ma_msg_error head = { (int32_t)err->code, err->errnum };
	size_t len = strnlen(err->message, sizeof(buf) - sizeof(head));
	memcpy(buf, &head, sizeof(head));
	memcpy(buf + sizeof(head), err->message, len);
	return ma_channel_send(end, MA_MSG_ERROR, buf, sizeof(head) + len, -1);
}

int ma_channel_receive(int end, int timeout_ms, struct ma_msg *ret)
{
	struct pollfd p = { .fd = end, .events = POLLIN };
	int n = poll(&p, 1, timeout_ms);
	if (n == 0 || (n < 0 && errno == EINTR))
		return 0;
	uint32_t tag = 0;
	union control control;
	struct iovec iov[2] = { { &tag, sizeof(tag) }, { &ret->u, sizeof(ret->u) - 1 } };
	struct msghdr mh = {
		.msg_iov = iov, .msg_iovlen = 2, .msg_control = control.bytes, .msg_controllen = sizeof(control.bytes)
	};
	ssize_t got = recvmsg(end, &mh, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (got < (ssize_t)sizeof(tag))
		return -1;
	ret->kind = (enum ma_msg_kind)tag;
	ret->bytes = (size_t)got - sizeof(tag);
	ret->u.text[ret->bytes] = 0;
	ret->fd = -1;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&mh); c; c = CMSG_NXTHDR(&mh, c))
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS && c->cmsg_len >= CMSG_LEN(sizeof(int)))
			memcpy(&ret->fd, CMSG_DATA(c), sizeof(int));
	return 1;
}

struct ma_error *ma_channel_error(const struct ma_msg *msg)
{
	if (msg->bytes < sizeof(msg->u.error))
		return ma_errorf(MA_ERR_OS, "the tracer failed");
	struct ma_error *err =
		ma_errorf((enum ma_error_code)msg->u.error.code, "%s", msg->u.text + sizeof(msg->u.error));
	if (err != &ma_enomem)
		err->errnum = msg->u.error.errnum;
	return err;
}

bool ma_channel_closed(int end)
{
	struct pollfd p = { .fd = end, .events = POLLRDHUP };
	return poll(&p, 1, 0) > 0 && (p.revents & (POLLHUP | POLLRDHUP | POLLERR));
}

struct ma_error *ma_channel_send_tids(int end, int dir, const struct ma_thread *threads, size_t count)
{
	_cleanup_buf_ struct ma_buf b = MA_BUF_INIT(MA_MSG_MAX - 1);
	for (size_t i = 0; i < count; i++) {
		char path[48], comm[64] = "";
		_cleanup_free_ char *text = NULL;
		snprintf(path, sizeof(path), "task/%d/comm", threads[i].tid);
		struct ma_error *err = ma_proc_read(dir, path, sizeof(comm) - 1, &text, NULL);
		if (!err)
			snprintf(comm, sizeof(comm), "%.*s", (int)strcspn(text, "\n"), text);
		ma_error_free(err);
		ma_buf_varint(&b, MA_META_TID);
		ma_buf_varint(&b, 16 + strlen(comm));
		ma_buf_u64(&b, (uint64_t)threads[i].tid);
		ma_buf_u64(&b, threads[i].tls);
		ma_buf_add(&b, comm, strlen(comm));
		if (b.len > MA_MSG_MAX - 256 || i + 1 == count) {
			ma_channel_send(end, MA_MSG_TIDS, ma_buf_text(&b), b.len, -1);
			b.len = 0;
		}
	}
	return ma_buf_error(&b);
}
