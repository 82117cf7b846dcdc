// SPDX-License-Identifier: Apache-2.0
/* Native threads that are in malloc nearly all the time, and that know nothing of Python. With MALLOC_ARENA_MAX=1
 * they share the one lock of the one arena with every allocation of the interpreter. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

static atomic_int stop_asked;
static atomic_long wrong_bytes, rounds;
static pthread_t threads[16];
static int running;

static void *churn(void *arg)
{
	unsigned seed = (unsigned)(size_t)arg;
	unsigned char *held[64] = { 0 };
	size_t sizes[64] = { 0 };

	while (!atomic_load(&stop_asked)) {
		for (int i = 0; i < 64; i++) {
			if (held[i] && (held[i][0] != i || held[i][sizes[i] - 1] != i))
				atomic_fetch_add(&wrong_bytes, 1);
			free(held[i]);
			sizes[i] = 600 + (size_t)rand_r(&seed) % 5000; /* over 512: not what obmalloc serves */
			held[i] = malloc(sizes[i]);
			if (!held[i])
				abort();
			held[i][0] = held[i][sizes[i] - 1] = (unsigned char)i;
		}
		atomic_fetch_add(&rounds, 1);
	}
	for (int i = 0; i < 64; i++)
		free(held[i]);
	return NULL;
}

/* Starts n threads, at most 16; 0 or an errno. */
int churn_start(int n)
{
	for (running = 0; running < n && running < 16; running++) {
		int err = pthread_create(&threads[running], NULL, churn, (void *)(size_t)(running + 1));
		if (err)
			return err;
	}
	return 0;
}

/* Ends them; returns how many bytes were not what a thread wrote. */
long churn_stop(void)
{
	atomic_store(&stop_asked, 1);
	for (int i = 0; i < running; i++)
		pthread_join(threads[i], NULL);
	return atomic_load(&rounds) ? atomic_load(&wrong_bytes) : -1;
}
