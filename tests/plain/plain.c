// SPDX-License-Identifier: Apache-2.0
/* plain.c - main() of a test program without criterion (criterion/criterion.h). Arguments are names of tests to leave
 * out. With MEMATTACH_PLANT=race, leak or overflow it does that, too: what is looked for must be found. */
#include <criterion/criterion.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <sys/wait.h>
#include <unistd.h>

static struct plain_test *first, *first_suite;
static jmp_buf end_of_test;
static unsigned failed;
static int planted;

void plain_add(struct plain_test *t)
{
	t->next = first;
	first = t;
}

void plain_add_suite(struct plain_test *t)
{
	t->next = first_suite;
	first_suite = t;
}

void plain_failed(const char *file, int line, const char *what, ...)
{
	fprintf(stderr, "%s:%d: %s\n", file, line, what);
	failed++;
}

void plain_stop(void)
{
	longjmp(end_of_test, 1);
}

void plain_skip(void)
{
	longjmp(end_of_test, 1);
}

static void *count(void *arg)
{
	(void)arg;
	for (unsigned i = 0; i < 1000; i++)
		planted++;
	return NULL;
}

static void plant(const struct plain_test *t)
{
	const char *what = t->name;
	pthread_t two[2];
	if (!strcmp(what, "race")) {
		for (unsigned i = 0; i < 2; i++)
			if (pthread_create(&two[i], NULL, count, NULL))
				abort();
		for (unsigned i = 0; i < 2; i++)
			pthread_join(two[i], NULL);
	} else if (!strcmp(what, "leak")) {
		char *volatile lost = malloc(100);
		lost[0] = 1;
		lost = NULL;
	} else if (!strcmp(what, "overflow")) {
		volatile char *volatile block = malloc(100);
		block[100] = 1;
		free((void *)block);
	}
}

static bool left_out(const char *name, int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		if (!strcmp(argv[i], name))
			return true;
	return false;
}

static const struct plain_test *suite_of(const struct plain_test *t)
{
	static const struct plain_test none;
	size_t bytes = strcspn(t->name, "/");
	for (const struct plain_test *s = first_suite; s; s = s->next)
		if (strlen(s->name) == bytes && !memcmp(s->name, t->name, bytes))
			return s;
	return &none;
}

/* In a child, as tests rely on globals being new: forked, not executed, so that valgrind and sanitizers stay with it.
 */
static bool passes(void (*what)(const struct plain_test *t), const struct plain_test *t)
{
	int status;
	fflush(NULL);
	pid_t pid = fork();
	if (pid == 0) {
		what(t);
		exit(failed ? 1 : 0);
	}
	return pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) && !WEXITSTATUS(status);
}

static void run(const struct plain_test *t)
{
	void (*init)(void) = t->init ? t->init : suite_of(t)->init;
	void (*fini)(void) = t->fini ? t->fini : suite_of(t)->fini;
	if (init)
		init();
	if (!setjmp(end_of_test))
		t->body();
	if (fini)
		fini();
}

int main(int argc, char **argv)
{
	unsigned all = 0, bad = 0;
	const char *planted_name = getenv("MEMATTACH_PLANT");
	for (const struct plain_test *t = first; t; t = t->next) {
		if (t->disabled || t->signal || t->exit_code || left_out(t->name, argc, argv))
			continue; /* what is said of how a test ends is criterion's to check */
		all++;
		if (passes(run, t))
			continue;
		fprintf(stderr, "%s failed\n", t->name);
		bad++;
	}
	if (planted_name)
		bad += !passes(plant, &(struct plain_test){ .name = planted_name });
	printf("%s: %u tests, %u failures\n", argv[0], all, bad);
	return bad || !all;
}
