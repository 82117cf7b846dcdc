// SPDX-License-Identifier: Apache-2.0
#include "interrupt.h"

#include "cleanup.h"

static const int caught[] = { SIGINT, SIGTERM, SIGHUP };
static volatile int cancelled;
static volatile sig_atomic_t asked, patience;
static struct sigaction old[MA_ARRAY_SIZE(caught)];
static unsigned depth;

static void on_signal(int sig)
{
	(void)sig;
	asked = 1;
	if (patience)
		patience = 0;
	else
		cancelled = 1;
}

void ma_interrupt_catch(bool patient)
{
	struct sigaction sa = { .sa_handler = on_signal };
	if (depth++)
		return;
	asked = 0;
	cancelled = 0;
	patience = patient;
	sigemptyset(&sa.sa_mask);
	for (size_t i = 0; i < MA_ARRAY_SIZE(caught); i++) {
		sigaction(caught[i], NULL, &old[i]);
		if (old[i].sa_handler != SIG_IGN)
			sigaction(caught[i], &sa, NULL);
	}
}

void ma_interrupt_release(void)
{
	if (--depth)
		return;
	for (size_t i = 0; i < MA_ARRAY_SIZE(caught); i++)
		sigaction(caught[i], &old[i], NULL);
}

const volatile int *ma_interrupt_cancel(void)
{
	return &cancelled;
}

bool ma_interrupt_asked(void)
{
	return asked;
}

void ma_interrupt_hold(sigset_t *old_ret)
{
	sigset_t held;
	sigemptyset(&held);
	for (size_t i = 0; i < MA_ARRAY_SIZE(caught); i++)
		sigaddset(&held, caught[i]);
	sigprocmask(SIG_BLOCK, &held, old_ret);
}
