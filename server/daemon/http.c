// SPDX-License-Identifier: Apache-2.0
/* One request of HTTP/1.1 in a session whose client has asked for that: GET /metrics. */
#include "cleanup.h"
#include "daemon.h"
#include "stream.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

#define REQUEST_MAX 8192u
#define PAGE_MAX (1u << 20)

struct answer {
	unsigned status;
	const char *reason;
};

static int64_t now_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Up to the empty line that ends the header; what follows is no part of it. False when that does not come. */
static bool read_request(const struct ma_stream *s, char *text, int timeout_ms, bool *too_long_ret)
{
	const int64_t end = now_ms() + timeout_ms;
	for (size_t got = 0; got < REQUEST_MAX;) {
		size_t n = 0;
		const int64_t left = end - now_ms();
		if (left <= 0)
			return false;
		_cleanup_error_ struct ma_error *err = s->read(s->arg, text + got, REQUEST_MAX - got, (int)left, &n);
		if (err ? err->code != MA_ERR_TIMEOUT : !n)
			return false;
		got += n;
		text[got] = '\0';
		if (memmem(text, got, "\r\n\r\n", 4))
			return true;
	}
	*too_long_ret = true;
	return false;
}

/* "GET /metrics HTTP/1.1"; HEAD is the same without a body. */
static struct answer read_line(char *text, bool *head_ret)
{
	static const struct answer bad = { 400, "Bad Request" };
	char *end = strstr(text, "\r\n");
	if (!end)
		return bad;
	*end = '\0';
	char *target = strchr(text, ' '), *version = target ? strchr(target + 1, ' ') : NULL;
	if (!version || strncmp(version, " HTTP/1.", 8) || version[8] < '0' || version[8] > '9' || version[9])
		return bad;
	*target++ = *version = '\0';
	if (*target != '/')
		return bad;
	target[strcspn(target, "?")] = '\0';
	*head_ret = !strcmp(text, "HEAD");
	if (strcmp(target, "/metrics"))
		return (struct answer){ 404, "Not Found" };
	if (strcmp(text, "GET") && !*head_ret)
		return (struct answer){ 405, "Method Not Allowed" };
	return (struct answer){ 200, "OK" };
}

static struct answer of_error(const struct ma_error *err)
{
	if (err->code == MA_ERR_LIMIT)
		return (struct answer){ 429, "Too Many Requests" };
	return (struct answer){ 403, "Forbidden" };
}

static struct ma_error *send_answer(const struct ma_stream *s, struct answer a, bool no_body, const struct ma_buf *page,
				    int timeout_ms)
{
	_cleanup_buf_ struct ma_buf b = MA_BUF_INIT(PAGE_MAX + 1024);
	const char *type = a.status == 200 ? "text/plain; version=0.0.4; charset=utf-8" : "text/plain; charset=utf-8";
	ma_buf_printf(&b,
		      "HTTP/1.1 %u %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n%sCache-Control: no-store\r\n"
		      "Connection: close\r\n\r\n",
		      a.status, a.reason, type, page->len, a.status == 405 ? "Allow: GET, HEAD\r\n" : "");
	if (!no_body)
		ma_buf_add(&b, ma_buf_text(page), page->len);
	MA_TRY(ma_buf_error(&b));
	return s->write(s->arg, b.data, b.len, timeout_ms);
}

struct ma_error *ma_http_serve(const struct ma_stream *s, struct ma_metrics *m, const struct ma_serve_rules *rules,
			       int timeout_ms)
{
	_cleanup_buf_ struct ma_buf page = MA_BUF_INIT(PAGE_MAX);
	_cleanup_free_ char *text = malloc(REQUEST_MAX + 1);
	struct ma_serve_answer told = { .what = "metrics" };
	bool head = false, too_long = false;
	if (!text)
		return &ma_enomem;
	bool got = read_request(s, text, timeout_ms, &too_long);
	struct answer a = got ? read_line(text, &head) : (struct answer){ 408, "Request Timeout" };
	if (too_long)
		a = (struct answer){ 431, "Request Header Fields Too Large" };
	_cleanup_error_ struct ma_error *no = NULL;
	if (a.status == 200) {
		no = rules->allow(rules->arg, told.what, 0);
		if (no)
			a = of_error(no);
	} else {
		no = ma_errorf(MA_ERR_BAD_DATA, "a request over HTTP that is answered %u", a.status);
	}
	told.failed = no;
	rules->answered(rules->arg, &told);
	if (a.status == 200)
		ma_metrics_show(&page, m, rules);
	else
		ma_buf_printf(&page, "%s\n", no && a.status == 403 ? no->message : a.reason);
	MA_TRY(ma_buf_error(&page));
	return send_answer(s, a, head, &page, timeout_ms);
}
