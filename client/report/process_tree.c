// SPDX-License-Identifier: Apache-2.0
#include "process_tree.h"

#include "cleanup.h"
#include "json_util.h"
#include "page.h"
#include "pss.h"

#include <inttypes.h>
#include <stdlib.h>

#define DEPTH_MAX 16

struct sums {
	struct ma_pss *each; /* of the members, in their order */
	struct ma_pss all;
	uint64_t rss, share;
	uint64_t first_ns, last_ns; /* of their stops */
};

static uint64_t rss_of(const struct ma_pss *p)
{
	return p->anon.rss + p->file.rss + p->shmem.rss;
}

static uint64_t share_of(const struct ma_pss *p)
{
	return p->anon.share + p->file.share + p->shmem.share;
}

static void add_part(struct ma_pss_part *to, const struct ma_pss_part *from)
{
	to->rss += from->rss;
	to->share += from->share;
}

static struct ma_error *sum_up(const struct ma_tree_member *members, size_t count, struct sums *ret)
{
	struct sums s = { .first_ns = UINT64_MAX };
	_cleanup_free_ struct ma_pss *each = calloc(count, sizeof(*each));
	if (!each)
		return &ma_enomem;
	for (size_t i = 0; i < count; i++)
		each[i].tab = members[i].tab;
	MA_TRY(ma_pss_compute(each, count));
	for (size_t i = 0; i < count; i++) {
		uint64_t at = members[i].tab->meta.taken_realtime_ns;
		add_part(&s.all.anon, &each[i].anon);
		add_part(&s.all.file, &each[i].file);
		add_part(&s.all.shmem, &each[i].shmem);
		s.first_ns = at < s.first_ns ? at : s.first_ns;
		s.last_ns = at > s.last_ns ? at : s.last_ns;
	}
	s.rss = rss_of(&s.all);
	s.share = share_of(&s.all);
	s.each = ma_take_ptr(each);
	*ret = s;
	return NULL;
}

/* How many of the members are above it. */
static unsigned depth_of(const struct ma_tree_member *members, size_t count, size_t of)
{
	unsigned depth = 0;
	uint64_t parent = members[of].tab->meta.parent_pid;
	for (size_t i = 0; parent && i < count && depth < DEPTH_MAX;) {
		if (members[i].tab->meta.pid == parent) {
			depth++;
			parent = members[i].tab->meta.parent_pid;
			i = 0;
		} else {
			i++;
		}
	}
	return depth;
}

static void print_part(const struct ma_page *p, const char *label, const struct ma_pss_part *part)
{
	char rss[MA_HUMAN_MAX], share[MA_HUMAN_MAX];
	if (part->rss)
		fprintf(p->out, "  %-30s %11s %13s\n", label, ma_human_bytes(rss, part->rss, p->opt->bytes),
			ma_human_bytes(share, part->share, p->opt->bytes));
}

static void print_member(const struct ma_page *p, const struct ma_tree_member *m, const struct ma_pss *pss,
			 unsigned depth)
{
	char rss[MA_HUMAN_MAX], share[MA_HUMAN_MAX], objects[MA_HUMAN_MAX];
	const struct ma_snap_meta *meta = &m->tab->meta;
	const char *command = ma_human_what_runs(meta->command);
	size_t used = 58 + 2 * (size_t)depth;
	fprintf(p->out, "%7" PRIu64 " ", meta->pid);
	ma_page_cell(p, m->name, strlen(m->name), 8, true);
	fprintf(p->out, " %11s %13s %12s   %*s", ma_human_bytes(rss, rss_of(pss), p->opt->bytes),
		ma_human_bytes(share, share_of(pss), p->opt->bytes),
		ma_human_count(objects, m->tab->stats[MA_STAT_OBJECTS]), (int)(2 * depth), "");
	ma_page_cell(p, command, strlen(command), p->columns > used + 12 ? p->columns - used : 12, false);
	fprintf(p->out, "%s\n", m->tab->complete ? "" : " (cut off)");
}

struct ma_error *ma_process_tree_text(FILE *out, const struct ma_tree_member *members, size_t count,
				      const struct ma_report_options *opt)
{
	struct ma_page p;
	struct sums s;
	char b1[MA_HUMAN_MAX], b2[MA_HUMAN_MAX];
	size_t largest = 0;
	MA_TRY(sum_up(members, count, &s));
	bool lost;
	ma_page_init(&p, out, opt, &lost);
	const struct ma_snap_meta *first = &members[0].tab->meta;
	const char *command = ma_human_program(first->command);
	ma_page_cell(&p, command, strlen(command), p.columns - 40, false);
	fprintf(out, "    %zu process%s   ", count, count == 1 ? "" : "es");
	ma_page_cell(&p, first->host, strlen(first->host), 24, false);
	fprintf(out, "\nresident %s, %s with what they share counted once", ma_human_bytes(b1, s.rss, opt->bytes),
		ma_human_bytes(b2, s.share, opt->bytes));
	if (count > 1)
		fprintf(out, "\nstopped one after the other, within %s", ma_human_duration(b1, s.last_ns - s.first_ns));
	fputc('\n', out);
	ma_page_title(&p, "MEMORY                              resident  counted once", NULL);
	print_part(&p, "anonymous (shared by fork)", &s.all.anon);
	print_part(&p, "executables, libraries, files", &s.all.file);
	print_part(&p, "shared memory", &s.all.shmem);
	ma_page_title(&p, "    PID SNAPSHOT    resident  counted once      objects   PROCESS", NULL);
	for (size_t i = 0; i < count; i++) {
		print_member(&p, &members[i], &s.each[i], depth_of(members, count, i));
		if (share_of(&s.each[i]) > share_of(&s.each[largest]))
			largest = i;
	}
	fputs("\nnext  memattach report ", out);
	ma_page_cell(&p, members[largest].name, strlen(members[largest].name), 4096, false);
	fputc('\n', out);
	free(s.each);
	return ma_page_error(&p);
}

static json_t *member_json(const struct ma_tree_member *m, const struct ma_pss *pss, int *failed)
{
	char time[MA_HUMAN_MAX];
	const struct ma_snap_meta *meta = &m->tab->meta;
	json_t *o = json_object();
	set(o, "snapshot", text(m->path), failed);
	set(o, "taken_at", json_string(ma_human_time(time, meta->taken_realtime_ns)), failed);
	set(o, "host", text(meta->host), failed);
	set(o, "pid", number(meta->pid), failed);
	set(o, "parent_pid", number(meta->parent_pid), failed);
	set(o, "command", text(meta->command), failed);
	set(o, "python", text(meta->python), failed);
	set(o, "pause_ns", number(meta->pause_ns), failed);
	set(o, "complete", json_boolean(m->tab->complete), failed);
	set(o, "objects", number(m->tab->stats[MA_STAT_OBJECTS]), failed);
	set(o, "bytes", number(m->tab->stats[MA_STAT_BYTES]), failed);
	set(o, "rss_bytes", number(rss_of(pss)), failed);
	set(o, "pss_bytes", number(share_of(pss)), failed);
	return o;
}

static json_t *part_json(const char *name, const struct ma_pss_part *part, int *failed)
{
	json_t *o = json_object();
	set(o, "name", json_string(name), failed);
	set(o, "rss_bytes", number(part->rss), failed);
	set(o, "pss_bytes", number(part->share), failed);
	return o;
}

struct ma_error *ma_process_tree_json(FILE *out, const struct ma_tree_member *members, size_t count)
{
	struct sums s;
	int failed = 0;
	MA_TRY(sum_up(members, count, &s));
	json_t *root = json_object(), *list = json_array(), *memory = json_array();
	set(root, "schema", json_integer(1), &failed);
	set(root, "rss_bytes", number(s.rss), &failed);
	set(root, "pss_bytes", number(s.share), &failed);
	set(root, "spread_ns", number(s.last_ns - s.first_ns), &failed);
	append(memory, part_json("anon", &s.all.anon, &failed), &failed);
	append(memory, part_json("file", &s.all.file, &failed), &failed);
	append(memory, part_json("shmem", &s.all.shmem, &failed), &failed);
	set(root, "memory", memory, &failed);
	for (size_t i = 0; i < count; i++)
		append(list, member_json(&members[i], &s.each[i], &failed), &failed);
	set(root, "processes", list, &failed);
	free(s.each);
	char *dump = failed ? NULL : json_dumps(root, JSON_INDENT(2));
	json_decref(root);
	if (!dump)
		return &ma_enomem;
	fputs(dump, out);
	fputc('\n', out);
	free(dump);
	return NULL;
}
