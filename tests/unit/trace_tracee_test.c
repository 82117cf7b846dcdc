// link: ma_trace
// SPDX-License-Identifier: Apache-2.0
/* Stops children of the test and lets them go again, and asks the children what they noticed. */
#include "cleanup.h"
#include "remote_call.h"
#include "wait.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define SECOND 1000000000ull

struct child {
	pid_t pid;
	int to, from; /* pipes */
};

static void block_sigchld(void)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
}

static struct child start(void (*body)(int in, int out))
{
	int down[2], up[2];
	cr_assert_eq(pipe(down), 0);
	cr_assert_eq(pipe(up), 0);
	pid_t pid = fork();
	cr_assert_geq(pid, 0);
	if (pid == 0) {
		sigset_t none;
		sigemptyset(&none);
		sigprocmask(SIG_SETMASK, &none, NULL);
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY, 0, 0, 0);
		close(down[1]);
		close(up[0]);
		body(down[0], up[1]);
		_exit(0);
	}
	close(down[0]);
	close(up[1]);
	return (struct child){ pid, down[1], up[0] };
}

static void finish(struct child *c)
{
	close(c->to);
	close(c->from);
	kill(c->pid, SIGKILL);
	waitpid(c->pid, NULL, 0);
}

static char answer(struct child *c)
{
	char byte = 0;
	cr_assert_eq(read(c->from, &byte, 1), 1, "the child gave no answer");
	return byte;
}

/* Until the child sleeps in a system call `nr`: /proc tells, no clock is waited for. */
static void until_blocked(pid_t pid, long nr)
{
	char path[64];
	long now = -1;
	snprintf(path, sizeof(path), "/proc/%d/syscall", pid);
	for (int i = 0; i < 5000 && now != nr; i++) {
		FILE *f = fopen(path, "r");
		if (f && fscanf(f, "%ld", &now) != 1)
			now = -1;
		if (f)
			fclose(f);
		if (now != nr)
			usleep(1000);
	}
	cr_assert_eq(now, nr, "the child did not block");
}

static void ok(struct ma_error *err)
{
	cr_assert_null(err, "%s", err ? err->message : "");
}

static char state_of(pid_t pid)
{
	struct ma_tracee t;
	struct ma_stat st;
	ok(ma_tracee_open(pid, &t));
	ok(ma_stat_read(t.dir, &st));
	ma_tracee_close(&t);
	return st.state;
}

static void echo(int in, int out)
{
	char byte;
	ssize_t n = read(in, &byte, 1);
	byte = n == 1 ? 'y' : errno == EINTR ? 'i' : 'n';
	(void)!write(out, &byte, 1);
}

Test(tracee, a_blocked_read_goes_on_after_an_injected_call, .init = block_sigchld)
{
	struct child c = start(echo);
	struct ma_tracee t;
	struct ma_maps maps;
	ma_raddr gadget;
	long result;
	until_blocked(c.pid, SYS_read);
	ok(ma_tracee_open(c.pid, &t));
	ok(ma_maps_read(t.live_dir, "maps", &maps));
	ok(ma_gadget_find(t.live, &maps, &gadget));
	ma_maps_deinit(&maps);
	ok(ma_tracee_stop_all(&t, SECOND));
	cr_assert_eq(t.count, 1);
	ok(ma_thread_block_signals(&t.threads[0]));
	struct ma_syscall call = { SYS_getpid, { 0 } };
	ok(ma_remote_call(&t.threads[0], gadget, &call, &result, NULL));
	cr_assert_eq(result, c.pid);
	struct ma_syscall bad = { SYS_close, { 999999 } };
	ok(ma_remote_call(&t.threads[0], gadget, &bad, &result, NULL));
	cr_assert_eq(result, -EBADF);
	ok(ma_tracee_release(&t));
	ok(ma_tracee_release(&t)); /* twice is harmless */
	ma_tracee_close(&t);
	cr_assert_eq(write(c.to, "x", 1), 1);
	cr_assert_eq(answer(&c), 'y', "the read was disturbed");
	finish(&c);
}

static void epoll(int in, int out)
{
	struct epoll_event ev = { .events = EPOLLIN };
	int ep = epoll_create1(0);
	char byte;
	epoll_ctl(ep, EPOLL_CTL_ADD, in, &ev);
	int n = epoll_wait(ep, &ev, 1, 60000);
	byte = n == 1 ? 'y' : n < 0 && errno == EINTR ? 'i' : 'n';
	(void)!write(out, &byte, 1);
}

static char disturb_epoll(bool repair)
{
	struct child c = start(epoll);
	struct ma_tracee t;
	until_blocked(c.pid, SYS_epoll_wait);
	ok(ma_tracee_open(c.pid, &t));
	t.repair = repair;
	for (int i = 0; i < 3; i++) {
		ok(ma_tracee_stop_all(&t, SECOND));
		ok(ma_tracee_release(&t));
		if (repair)
			until_blocked(c.pid, SYS_epoll_wait);
		else
			break;
	}
	ma_tracee_close(&t);
	if (repair)
		cr_assert_eq(write(c.to, "x", 1), 1);
	char byte = answer(&c);
	finish(&c);
	return byte;
}

Test(tracee, epoll_wait_is_repaired, .init = block_sigchld)
{
	cr_assert_eq(disturb_epoll(true), 'y');
	cr_assert_eq(disturb_epoll(false), 'i',
		     "without the repair the same stop must be visible, or this test proves nothing");
}

Test(tracee, a_stopped_process_stays_stopped, .init = block_sigchld)
{
	struct child c = start(echo);
	struct ma_tracee t;
	until_blocked(c.pid, SYS_read);
	kill(c.pid, SIGSTOP);
	cr_assert_eq(waitpid(c.pid, NULL, WUNTRACED), c.pid);
	ok(ma_tracee_open(c.pid, &t));
	ok(ma_tracee_stop_all(&t, SECOND));
	cr_assert(t.threads[0].group_stop);
	ok(ma_tracee_release(&t));
	ma_tracee_close(&t);
	for (int i = 0; i < 1000 && state_of(c.pid) != 'T'; i++)
		usleep(1000);
	cr_assert_eq(state_of(c.pid), 'T');
	kill(c.pid, SIGCONT);
	cr_assert_eq(write(c.to, "x", 1), 1);
	cr_assert_eq(answer(&c), 'y');
	finish(&c);
}

static void *sleeper(void *arg)
{
	char byte;
	(void)!read(*(int *)arg, &byte, 1);
	return NULL;
}

static void twenty_threads(int in, int out)
{
	int never[2];
	(void)!pipe(never);
	for (int i = 0; i < 20; i++) {
		pthread_t th;
		pthread_create(&th, NULL, sleeper, &never[0]);
	}
	(void)!write(out, "r", 1);
	echo(in, out);
}

Test(tracee, every_thread_is_found_and_let_go, .init = block_sigchld)
{
	struct child c = start(twenty_threads);
	struct ma_tracee t;
	cr_assert_eq(answer(&c), 'r');
	ok(ma_tracee_open(c.pid, &t));
	ok(ma_tracee_stop_all(&t, SECOND));
	cr_assert_eq(t.count, 21);
	for (size_t i = 0; i < t.count; i++) {
		cr_assert(t.threads[i].stopped);
		cr_assert_neq(t.threads[i].tls, 0);
		cr_assert_eq(ma_tracee_find_tls(&t, t.threads[i].tls), &t.threads[i], "thread pointers are told apart");
	}
	ok(ma_tracee_release(&t));
	ma_tracee_close(&t);
	cr_assert_eq(write(c.to, "x", 1), 1);
	cr_assert_eq(answer(&c), 'y');
	finish(&c);
}

Test(tracee, a_dead_target_is_an_expected_result, .init = block_sigchld)
{
	struct child c = start(echo);
	struct ma_tracee t;
	ok(ma_tracee_open(c.pid, &t));
	kill(c.pid, SIGKILL);
	waitpid(c.pid, NULL, 0);
	struct ma_error *err = ma_tracee_stop_all(&t, SECOND);
	cr_assert_not_null(err);
	cr_assert_eq(err->code, MA_ERR_TARGET_GONE, "%s", err->message);
	ma_error_free(err);
	ma_tracee_close(&t);
	err = ma_tracee_open(c.pid, &t);
	cr_assert_eq(err->code, MA_ERR_TARGET_GONE);
	ma_error_free(err);
	finish(&c);
}
