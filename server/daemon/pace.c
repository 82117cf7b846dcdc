// SPDX-License-Identifier: Apache-2.0
/* How often: requests of a client, connections of an address. */
#include "cleanup.h"
#include "daemon.h"

#include <errno.h>
#include <memattach/siphash.h>
#include <sys/random.h>
#include <time.h>

#define MINUTE_NS (60 * UINT64_C(1000000000))
#define CLOCKS 4096u

bool ma_pace(uint64_t *clock, unsigned per_minute)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	const uint64_t now = (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec, share = MINUTE_NS / per_minute;
	uint64_t was = __atomic_load_n(clock, __ATOMIC_RELAXED), next;
	do {
		next = (was > now ? was : now) + share;
		if (next > now + MINUTE_NS)
			return false;
	} while (!__atomic_compare_exchange_n(clock, &was, next, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
	return true;
}

/* As many clocks as there are, whatever number of addresses comes: those whose hash is the same share one. Nobody
 * outside knows the key, so nobody can choose an address for that. */
struct ma_arrivals {
	struct ma_siphash_key key;
	uint64_t clocks[CLOCKS];
};

struct ma_error *ma_arrivals_create(struct ma_arrivals **ret)
{
	uint8_t key[MA_SIPHASH_KEY_BYTES];
	if (getrandom(key, sizeof(key), 0) != (ssize_t)sizeof(key))
		return ma_error_os(errno, "no random numbers");
	struct ma_arrivals *a = calloc(1, sizeof(*a));
	if (!a)
		return &ma_enomem;
	a->key = ma_siphash_key_of(key);
	*ret = a;
	return NULL;
}

void ma_arrivals_destroy(struct ma_arrivals *a)
{
	free(a);
}

bool ma_arrivals_may(struct ma_arrivals *a, const struct in6_addr *from, unsigned per_minute)
{
	return ma_pace(&a->clocks[ma_siphash(&a->key, from, sizeof(*from), 1, 3) % CLOCKS], per_minute);
}
