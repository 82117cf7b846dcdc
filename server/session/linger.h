// SPDX-License-Identifier: Apache-2.0
/* linger.h - what a cut link leaves of `memattach --stdio`, where the client has asked for that: the process goes on
 * for some time and holds the snapshot, a file without a name. The process of the client that comes back gets the
 * file's descriptor over an abstract socket, so that nothing is left in any folder however either of them ends. */
#ifndef MA_LINGER_H
#define MA_LINGER_H

#include <memattach/session.h>
#include <pthread.h>

#define MA_LINGER_MAX_S 86400u

struct ma_linger {          /* `at` -1: nothing is kept */
	int at, over, quit; /* the socket; eventfds: the client has all of it; the thread is to end */
	bool running;
	pthread_t thread;
	pthread_mutex_t lock; /* guards k */
	struct ma_serve_kept k;
	volatile int ending; /* never: a signal ends the process */
};

void ma_linger_init(struct ma_linger *l);
void ma_linger_deinit(struct ma_linger *l);
/* Everything is allowed, and what has a time is kept. `l` must outlive them. */
struct ma_serve_rules ma_linger_rules(struct ma_linger *l);

#endif
