// SPDX-License-Identifier: Apache-2.0
#include "spinner.h"

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t wake = PTHREAD_COND_INITIALIZER;
static pthread_t thread;
static bool running, stop;
static const char *text;

static void *spin(void *arg)
{
	struct timespec until;
	bool shown = false;
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec++;
	pthread_mutex_lock(&lock);
	for (unsigned tenths = 10; !stop; tenths++) {
		while (!stop && !pthread_cond_timedwait(&wake, &lock, &until))
			;
		if (stop)
			break;
		shown = true;
		fprintf(stderr, "\r\033[K%s   %u.%u s", text, tenths / 10, tenths % 10);
		until.tv_nsec += 100000000;
		if (until.tv_nsec >= 1000000000) {
			until.tv_nsec -= 1000000000;
			until.tv_sec++;
		}
	}
	pthread_mutex_unlock(&lock);
	if (shown)
		fputs("\r\033[K", stderr);
	return arg;
}

void ma_spinner_start(const char *what)
{
	sigset_t all, old;
	if (running || !isatty(STDERR_FILENO))
		return;
	text = what;
	stop = false;
	/* signals are for the thread that works */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	running = !pthread_create(&thread, NULL, spin, NULL);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
}

void ma_spinner_stop(void)
{
	if (!running)
		return;
	pthread_mutex_lock(&lock);
	stop = true;
	pthread_cond_signal(&wake);
	pthread_mutex_unlock(&lock);
	pthread_join(thread, NULL);
	running = false;
}
