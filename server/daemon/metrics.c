// SPDX-License-Identifier: Apache-2.0
/* What /metrics shows, and how it is counted. */
#include "cleanup.h"
#include "daemon.h"
#include "proc.h"

#include <assert.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>

enum { LIST, SNAPSHOT, STACKS, DOCTOR, RESUME, METRICS };
static const char *const kinds[MA_METRIC_KINDS] = {
	[LIST] = "list",     [SNAPSHOT] = "snapshot", [STACKS] = "stacks",
	[DOCTOR] = "doctor", [RESUME] = "resume",     [METRICS] = "metrics",
};

static const char *const reasons[] = {
	[MA_ERR_OS] = "system",
	[MA_ERR_NO_MEMORY] = "memory",
	[MA_ERR_USAGE] = "usage",
	[MA_ERR_TARGET_GONE] = "target_gone",
	[MA_ERR_PERMISSION] = "permission",
	[MA_ERR_UNSUPPORTED] = "unsupported",
	[MA_ERR_BAD_DATA] = "bad_data",
	[MA_ERR_TIMEOUT] = "timeout",
	[MA_ERR_LIMIT] = "limit",
	[MA_ERR_CANCELLED] = "cancelled",
};
static_assert(MA_ARRAY_SIZE(reasons) == MA_METRIC_REASONS, "a reason for each code");

/* Upper bounds, in microseconds. */
static const uint32_t pauses_us[MA_METRIC_PAUSES] = { 500,   1000,   2500,   5000,   10000,   25000,
						      50000, 100000, 250000, 500000, 1000000, 2500000 };

static void count(uint64_t *n, uint64_t more)
{
	__atomic_add_fetch(n, more, __ATOMIC_RELAXED);
}

static uint64_t value(const uint64_t *n)
{
	return __atomic_load_n(n, __ATOMIC_RELAXED);
}

/* ------------------------------------------------------------------ counting */

static void count_pause(struct ma_metrics *m, uint64_t ns)
{
	unsigned i = 0;
	while (i < MA_METRIC_PAUSES && ns > pauses_us[i] * UINT64_C(1000))
		i++;
	count(&m->pauses[i], 1);
	count(&m->pause_ns, ns);
}

void ma_metrics_refused(struct ma_metrics *m)
{
	count(&m->refused, 1);
}

void ma_metrics_answered(struct ma_metrics *m, const struct ma_serve_answer *a)
{
	unsigned kind = 0;
	while (kind < MA_METRIC_KINDS && strcmp(kinds[kind], a->what))
		kind++;
	if (kind == MA_METRIC_KINDS)
		return;
	count(&m->requests[kind], 1);
	if (a->failed) {
		count(&m->failures[kind][(unsigned)a->failed->code < MA_METRIC_REASONS ? a->failed->code : MA_ERR_OS],
		      1);
		return;
	}
	if (kind == SNAPSHOT || kind == STACKS) {
		count(&m->taken[kind - SNAPSHOT], 1);
		count(&m->bytes, a->file_bytes);
		count_pause(m, a->pause_ns);
	}
}

/* Its own place, else a free one, else that of the one whose last snapshot is the oldest. Two at a time may choose the
 * same: then one of them is not shown. */
static struct ma_watched *place_of(struct ma_metrics *m, pid_t pid)
{
	struct ma_watched *best = &m->watched[0];
	for (unsigned i = 0; i < MA_WATCHED_MAX; i++) {
		struct ma_watched *w = &m->watched[i];
		if (__atomic_load_n(&w->pid, __ATOMIC_ACQUIRE) == pid)
			return w;
		if (best->pid && (!w->pid || w->taken_ms < best->taken_ms))
			best = w;
	}
	return best;
}

static bool start_time(int dir, uint64_t *ret)
{
	struct ma_stat st;
	_cleanup_error_ struct ma_error *err = ma_stat_read(dir, &st);
	if (err || st.state == 'Z')
		return false;
	*ret = st.start_time;
	return true;
}

static int open_process(pid_t pid)
{
	char path[32];
	snprintf(path, sizeof(path), "/proc/%d", (int)pid);
	return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

void ma_metrics_watch(struct ma_metrics *m, const struct ma_serve_answer *a)
{
	struct timespec now;
	uint64_t started;
	_cleanup_close_ int dir = open_process(a->pid);
	if (dir < 0 || !start_time(dir, &started))
		return;
	clock_gettime(CLOCK_REALTIME, &now);
	struct ma_watched *w = place_of(m, a->pid);
	__atomic_store_n(&w->pid, 0, __ATOMIC_RELEASE); /* whoever reads it now passes it over */
	w->start_time = started;
	w->objects = a->objects;
	w->object_bytes = a->object_bytes;
	w->taken_ms = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
	__atomic_store_n(&w->pid, a->pid, __ATOMIC_RELEASE);
}

/* ------------------------------------------------------------------ showing */

/* The text exposition format of Prometheus, version 0.0.4. */
static void head(struct ma_buf *b, const char *name, const char *type, const char *help)
{
	ma_buf_printf(b, "# HELP memattachd_%s %s\n# TYPE memattachd_%s %s\n", name, help, name, type);
}

static void show_requests(struct ma_buf *b, const struct ma_metrics *m)
{
	head(b, "requests_total", "counter", "Requests that were answered, refused ones and failures too.");
	for (unsigned i = 0; i < MA_METRIC_KINDS; i++)
		ma_buf_printf(b, "memattachd_requests_total{request=\"%s\"} %" PRIu64 "\n", kinds[i],
			      value(&m->requests[i]));
	head(b, "failures_total", "counter", "Requests that were refused or failed.");
	for (unsigned i = 0; i < MA_METRIC_KINDS; i++)
		for (unsigned k = MA_ERR_OS; k < MA_METRIC_REASONS; k++)
			ma_buf_printf(b, "memattachd_failures_total{request=\"%s\",reason=\"%s\"} %" PRIu64 "\n",
				      kinds[i], reasons[k], value(&m->failures[i][k]));
	head(b, "refused_connections_total", "counter", "Connections that were turned away or ended by a limit.");
	ma_buf_printf(b, "memattachd_refused_connections_total %" PRIu64 "\n", value(&m->refused));
}

static void show_pauses(struct ma_buf *b, const struct ma_metrics *m)
{
	uint64_t sum = 0;
	head(b, "snapshots_total", "counter", "Snapshots that were taken and sent.");
	for (unsigned i = 0; i < MA_ARRAY_SIZE(m->taken); i++)
		ma_buf_printf(b, "memattachd_snapshots_total{kind=\"%s\"} %" PRIu64 "\n", i ? "stacks" : "heap",
			      value(&m->taken[i]));
	head(b, "snapshot_bytes_total", "counter", "Bytes of the snapshots that were sent.");
	ma_buf_printf(b, "memattachd_snapshot_bytes_total %" PRIu64 "\n", value(&m->bytes));
	head(b, "pause_seconds", "histogram", "How long a process stood still for a snapshot.");
	for (unsigned i = 0; i < MA_METRIC_PAUSES; i++) {
		sum += value(&m->pauses[i]);
		ma_buf_printf(b, "memattachd_pause_seconds_bucket{le=\"%g\"} %" PRIu64 "\n", pauses_us[i] / 1e6, sum);
	}
	sum += value(&m->pauses[MA_METRIC_PAUSES]);
	ma_buf_printf(b,
		      "memattachd_pause_seconds_bucket{le=\"+Inf\"} %" PRIu64 "\nmemattachd_pause_seconds_sum %.9f\n"
		      "memattachd_pause_seconds_count %" PRIu64 "\n",
		      sum, (double)value(&m->pause_ns) / 1e9, sum);
}

struct shown {
	struct ma_watched w;
	uint64_t rss;
	char labels[160];
};

/* What a process calls itself may be anything. */
static void labels_of(struct shown *s, const struct ma_status *status)
{
	char name[sizeof(status->name)];
	size_t n = 0;
	for (const char *p = status->name; *p; p++)
		name[n++] = *p >= 0x20 && *p < 0x7f && *p != '"' && *p != '\\' ? *p : '?';
	name[n] = '\0';
	snprintf(s->labels, sizeof(s->labels), "{pid=\"%d\",uid=\"%u\",comm=\"%s\"}", (int)s->w.pid, status->uid[0],
		 name);
}

/* False when it has ended, or is not for this client. */
static bool look(const struct ma_serve_rules *rules, struct shown *s)
{
	uint64_t started;
	struct ma_status status;
	_cleanup_free_ char *command = NULL;
	_cleanup_close_ int dir = open_process(s->w.pid);
	if (dir < 0 || !start_time(dir, &started) || started != s->w.start_time)
		return false;
	_cleanup_error_ struct ma_error *err = ma_status_read(dir, &status);
	if (!err)
		err = ma_cmdline_read(dir, &command);
	if (err || !rules->sees(rules->arg, s->w.pid, status.uid[0], command))
		return false;
	s->rss = status.rss_anon + status.rss_file + status.rss_shmem;
	labels_of(s, &status);
	return true;
}

static void show_watched(struct ma_buf *b, const struct ma_metrics *m, const struct ma_serve_rules *rules)
{
	static const struct {
		const char *name, *help;
	} gauges[] = {
		{ "process_resident_memory_bytes", "Resident memory now, of processes of which a snapshot was taken." },
		{ "process_object_bytes", "Bytes of its Python objects in its last snapshot." },
		{ "process_objects", "Python objects in its last snapshot." },
		{ "process_snapshot_timestamp_seconds", "When its last snapshot was taken." },
	};
	_cleanup_free_ struct shown *shown = calloc(MA_WATCHED_MAX, sizeof(*shown));
	size_t n = 0;
	for (unsigned i = 0; shown && i < MA_WATCHED_MAX; i++) {
		const struct ma_watched *w = &m->watched[i];
		pid_t pid = __atomic_load_n(&w->pid, __ATOMIC_ACQUIRE);
		shown[n].w = *w;
		shown[n].w.pid = pid;
		bool twice = false;
		for (size_t k = 0; k < n; k++)
			twice = twice || shown[k].w.pid == pid;
		if (pid > 0 && pid == __atomic_load_n(&w->pid, __ATOMIC_ACQUIRE) && !twice && look(rules, &shown[n]))
			n++;
	}
	for (unsigned g = 0; g < MA_ARRAY_SIZE(gauges); g++) {
		head(b, gauges[g].name, "gauge", gauges[g].help);
		for (size_t i = 0; i < n; i++) {
			const struct shown *s = &shown[i];
			const uint64_t values[] = { s->rss, s->w.object_bytes, s->w.objects, s->w.taken_ms };
			ma_buf_printf(b, "memattachd_%s%s ", gauges[g].name, s->labels);
			if (g == 3)
				ma_buf_printf(b, "%.3f\n", (double)values[g] / 1000);
			else
				ma_buf_printf(b, "%" PRIu64 "\n", values[g]);
		}
	}
}

void ma_metrics_show(struct ma_buf *b, const struct ma_metrics *m, const struct ma_serve_rules *rules)
{
	head(b, "build_info", "gauge", "The version of memattachd.");
	ma_buf_str(b, "memattachd_build_info{version=\"" MA_VERSION "\"} 1\n");
	show_requests(b, m);
	show_pauses(b, m);
	show_watched(b, m, rules);
}
