// SPDX-License-Identifier: Apache-2.0
/* Snapshots that wait for clients whose links were cut. The file has no name: the session that took it holds it open,
 * and the session of the client that comes back takes its descriptor from there. */
#include "cleanup.h"
#include "daemon.h"
#include "outbox.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>

#define STEP_MS 20

enum { FREE, CHANGING, RUNNING, WHOLE, FETCHED };

static int64_t now_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static unsigned state_of(const struct ma_kept *k)
{
	return __atomic_load_n(&k->state, __ATOMIC_ACQUIRE);
}

static void set_state(struct ma_kept *k, unsigned state)
{
	__atomic_store_n(&k->state, state, __ATOMIC_RELEASE);
}

static struct ma_kept *find(struct ma_kept *all, int client, const unsigned char key[16])
{
	for (unsigned i = 0; i < MA_KEPT_MAX; i++)
		if (state_of(&all[i]) >= RUNNING && all[i].client == client && !memcmp(all[i].k.key, key, 16))
			return &all[i];
	return NULL;
}

/* Those of sessions that were killed are free. */
static struct ma_kept *find_free(struct ma_kept *all)
{
	for (unsigned i = 0; i < MA_KEPT_MAX; i++) {
		unsigned state = state_of(&all[i]);
		if (state != FREE && !(kill(all[i].session, 0) && errno == ESRCH))
			continue;
		if (__atomic_compare_exchange_n(&all[i].state, &state, CHANGING, false, __ATOMIC_ACQ_REL,
						__ATOMIC_RELAXED))
			return &all[i];
	}
	return NULL;
}

bool ma_kept_put(struct ma_kept *all, int client, const struct ma_serve_kept *k)
{
	struct ma_kept *mine = find(all, client, k->key);
	if (mine) { /* somebody may be looking at it: what does not change is left alone */
		if (mine->session != getpid())
			return false; /* the client has given this key to another one */
		mine->k.result = k->result;
		set_state(mine, WHOLE);
		return true;
	}
	mine = find_free(all);
	if (!mine)
		return false;
	mine->client = client;
	mine->session = getpid();
	mine->k = *k;
	set_state(mine, k->whole ? WHOLE : RUNNING);
	return true;
}

/* The descriptor of another session of ours: a file without a name, as we make them. */
static int open_of(const struct ma_kept *k)
{
	_cleanup_close_ int process = (int)syscall(SYS_pidfd_open, k->session, 0);
	if (process < 0)
		return -1;
	_cleanup_close_ int fd = (int)syscall(SYS_pidfd_getfd, process, k->k.fd, 0);
	if (fd < 0 || !ma_outbox_is_kept(fd))
		return -1;
	return ma_take_fd(fd);
}

bool ma_kept_get(struct ma_kept *all, int client, const unsigned char key[16], struct ma_serve_kept *ret, int *fd)
{
	struct ma_kept *k = find(all, client, key);
	if (!k || kill(k->session, 0))
		return false;
	if (*fd < 0)
		*fd = open_of(k);
	const int whole = state_of(k) >= WHOLE; /* its result is there from then on */
	*ret = k->k;
	ret->whole = whole;
	ret->result.attach.left_behind = NULL; /* a pointer of another process */
	return *fd >= 0;
}

void ma_kept_fetched(struct ma_kept *all, int client, const unsigned char key[16])
{
	struct ma_kept *k = find(all, client, key);
	if (k)
		set_state(k, FETCHED);
}

void ma_kept_drop(struct ma_kept *all, int client, const unsigned char key[16], int wait_ms,
		  const volatile sig_atomic_t *ending)
{
	struct ma_kept *k = find(all, client, key);
	const int64_t end = now_ms() + wait_ms;
	if (!k || k->session != getpid())
		return;
	/* nobody reads it from us after that: who has its descriptor has the file */
	while (!*ending && state_of(k) != FETCHED && now_ms() < end)
		poll(NULL, 0, STEP_MS);
	set_state(k, FREE);
}
