// SPDX-License-Identifier: Apache-2.0
#include <memattach/diff.h>

#include "cleanup.h"
#include "diff_sites.h"
#include "memory.h"
#include "middle.h"
#include "saturate.h"
#include "side.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

static bool is_same_process(const struct ma_snap_meta *a, const struct ma_snap_meta *b)
{
	return a->pid == b->pid && a->start_time == b->start_time && a->pid && a->start_time &&
	       !strcmp(a->host, b->host);
}

/* The clock that nobody sets, where both were read on one machine since it started. */
static int64_t elapsed(const struct ma_snap_meta *old, const struct ma_snap_meta *new, bool same_process)
{
	if (same_process && old->taken_monotonic_ns && new->taken_monotonic_ns)
		return (int64_t)(new->taken_monotonic_ns - old->taken_monotonic_ns);
	return (int64_t)(new->taken_realtime_ns - old->taken_realtime_ns);
}

static int by_name(const void *a, const void *b)
{
	const struct ma_diff_type *x = a, *y = b;
	return strcmp(x->name, y->name);
}

/* What gained most first, what lost most last. */
static int compare_gains(uint64_t x_old, uint64_t x_new, uint64_t y_old, uint64_t y_new)
{
	bool x_grew = x_new > x_old, y_grew = y_new > y_old;
	uint64_t x_by = x_grew ? x_new - x_old : x_old - x_new, y_by = y_grew ? y_new - y_old : y_old - y_new;
	if (x_grew != y_grew)
		return x_grew ? -1 : 1;
	return x_by == y_by ? 0 : (x_by < y_by) == x_grew ? 1 : -1;
}

static int by_gain(const void *a, const void *b)
{
	const struct ma_diff_type *x = a, *y = b;
	int order = compare_gains(x->old_bytes, x->new_bytes, y->old_bytes, y->new_bytes);
	return order ? order : by_name(a, b);
}

static struct ma_error *compare_types(struct ma_diff *d, const struct ma_totals *old, const struct ma_totals *new)
{
	size_t n = 0, out = 0;
	d->types = calloc(old->types_count + new->types_count + 1, sizeof(*d->types));
	if (!d->types)
		return &ma_enomem;
	for (size_t i = 0; i < old->types_count; i++, n++) {
		d->types[n].name = old->types[i].name;
		d->types[n].old_count = old->types[i].count;
		d->types[n].old_bytes = old->types[i].bytes;
	}
	for (size_t i = 0; i < new->types_count; i++, n++) {
		d->types[n].name = new->types[i].name;
		d->types[n].new_count = new->types[i].count;
		d->types[n].new_bytes = new->types[i].bytes;
	}
	qsort(d->types, n, sizeof(*d->types), by_name);
	for (size_t i = 0; i < n; i++) { /* a name stands there once for each side at most */
		if (out && !strcmp(d->types[out - 1].name, d->types[i].name)) {
			d->types[out - 1].old_count += d->types[i].old_count;
			d->types[out - 1].old_bytes += d->types[i].old_bytes;
			d->types[out - 1].new_count += d->types[i].new_count;
			d->types[out - 1].new_bytes += d->types[i].new_bytes;
		} else {
			d->types[out++] = d->types[i];
		}
	}
	qsort(d->types, out, sizeof(*d->types), by_gain);
	d->types_count = out;
	return NULL;
}

static int by_module_name(const void *a, const void *b)
{
	const struct ma_diff_module *x = a, *y = b;
	return strcmp(x->name, y->name);
}

static int by_module_gain(const void *a, const void *b)
{
	const struct ma_diff_module *x = a, *y = b;
	int order = compare_gains(x->old_retained, x->new_retained, y->old_retained, y->new_retained);
	return order ? order : by_module_name(a, b);
}

static void add_module(struct ma_diff_module *to, const struct ma_diff_module *from)
{
	to->old_retained = add(to->old_retained, from->old_retained);
	to->new_retained = add(to->new_retained, from->new_retained);
	to->old_instances += from->old_instances;
	to->new_instances += from->new_instances;
	to->old_bytes = add(to->old_bytes, from->old_bytes);
	to->new_bytes = add(to->new_bytes, from->new_bytes);
}

/* The names change hands. */
static struct ma_error *compare_modules(struct ma_diff *d, struct ma_modules *old, struct ma_modules *new)
{
	struct ma_diff_module *rows = calloc(old->count + new->count + 1, sizeof(*rows));
	size_t n = 0, out = 0;
	if (!rows)
		return &ma_enomem;
	for (size_t i = 0; i < old->count; i++) {
		struct ma_module *m = &old->rows[i];
		rows[n++] = (struct ma_diff_module){ .name = ma_take_ptr(m->name),
						     .old_retained = m->retained,
						     .old_instances = m->count,
						     .old_bytes = m->bytes };
	}
	for (size_t i = 0; i < new->count; i++) {
		struct ma_module *m = &new->rows[i];
		rows[n++] = (struct ma_diff_module){ .name = ma_take_ptr(m->name),
						     .new_retained = m->retained,
						     .new_instances = m->count,
						     .new_bytes = m->bytes };
	}
	qsort(rows, n, sizeof(*rows), by_module_name);
	for (size_t i = 0; i < n; i++) {
		if (!out || strcmp(rows[out - 1].name, rows[i].name) != 0) {
			rows[out++] = rows[i];
			continue;
		}
		add_module(&rows[out - 1], &rows[i]);
		free(rows[i].name);
	}
	qsort(rows, out, sizeof(*rows), by_module_gain);
	d->modules = rows;
	d->modules_count = out;
	return NULL;
}

static struct ma_error *compare_memory(struct ma_diff *d, const struct ma_memory *old, const struct ma_memory *new)
{
	d->old_rss = old->rss;
	d->new_rss = new->rss;
	d->memory = calloc(MA_MEM_COUNT, sizeof(*d->memory));
	if (!d->memory)
		return &ma_enomem;
	d->memory_count = MA_MEM_COUNT;
	for (unsigned i = 0; i < MA_MEM_COUNT; i++) {
		struct ma_diff_memory *row = &d->memory[i];
		char label[sizeof(row->text)];
		row->name = ma_memory_name(i);
		snprintf(row->text, sizeof(row->text), "%s", ma_memory_label(new, i, label));
		row->old_bytes = old->rows[i];
		row->new_bytes = new->rows[i];
	}
	return NULL;
}

/* `middle` may be NULL. Takes the names of modules out of the other two. */
static struct ma_error *compare(struct ma_diff *d, struct ma_side *old, struct ma_side *new,
				const struct ma_side *middle)
{
	struct ma_match m;
	d->old_objects = old->graph->totals.objects;
	d->new_objects = new->graph->totals.objects;
	d->old_bytes = old->graph->totals.bytes;
	d->new_bytes = new->graph->totals.bytes;
	MA_TRY(compare_memory(d, &old->memory, &new->memory));
	MA_TRY(compare_types(d, &old->graph->totals, &new->graph->totals));
	MA_TRY(compare_modules(d, &old->modules, &new->modules));
	MA_TRY(d->same_process ? ma_match_by_address(old, new, &m) : ma_match_by_path(old, new, &m));
	struct ma_error *err = ma_growths_create(&m, &d->growths);
	if (!err)
		err = ma_diff_sites_create(&m, &d->growths, &d->sites);
	if (!err && middle)
		err = ma_middle_compute(&m, &d->growths, middle, &d->middle);
	ma_match_deinit(&m);
	return err;
}

struct reading {
	const struct ma_snap *snap;
	struct ma_side *side;
	struct ma_error *err;
};

static void *read_side(void *arg)
{
	struct reading *r = arg;
	r->err = ma_side_create(r->snap, r->side);
	return NULL;
}

/* Each in a thread of its own: they share nothing. */
static struct ma_error *read_both(const struct ma_snap *old, const struct ma_snap *new, struct ma_side sides[2])
{
	struct reading first = { .snap = old, .side = &sides[0] }, second = { .snap = new, .side = &sides[1] };
	pthread_t thread;
	bool threaded = !pthread_create(&thread, NULL, read_side, &first);
	if (!threaded)
		read_side(&first);
	read_side(&second);
	if (threaded)
		pthread_join(thread, NULL);
	if (!first.err)
		return second.err;
	ma_error_free(second.err);
	return first.err;
}

static struct ma_error *check_middle(struct ma_diff *d, const struct ma_snap *middle)
{
	const struct ma_snap_meta *a = &ma_snap_tables(d->old_snap)->meta, *b = &ma_snap_tables(middle)->meta;
	const struct ma_snap_meta *c = &ma_snap_tables(d->new_snap)->meta;
	if (!d->same_process || !is_same_process(a, b))
		return ma_errorf(MA_ERR_USAGE, "three snapshots can only be compared when they are of one process");
	d->middle.first_ns = elapsed(a, b, true);
	d->middle.second_ns = elapsed(b, c, true);
	if (d->middle.first_ns < 0 || d->middle.second_ns < 0)
		return ma_errorf(MA_ERR_USAGE,
				 "three snapshots have to be given in the order in which they were taken");
	return NULL;
}

struct ma_error *ma_diff_create(const struct ma_snap *old_snap, const struct ma_snap *middle,
				const struct ma_snap *new_snap, struct ma_diff *ret)
{
	const struct ma_snap_meta *a = &ma_snap_tables(old_snap)->meta, *b = &ma_snap_tables(new_snap)->meta;
	struct ma_diff d = { .old_snap = old_snap, .new_snap = new_snap };
	struct ma_side sides[3] = { 0 };
	d.same_process = is_same_process(a, b);
	d.same_program = !strcmp(a->command, b->command);
	d.elapsed_ns = elapsed(a, b, d.same_process);
	struct ma_error *err = middle ? check_middle(&d, middle) : NULL;
	if (!err)
		err = read_both(old_snap, new_snap, sides);
	if (!err && middle)
		err = ma_side_create(middle, &sides[2]);
	if (!err)
		err = compare(&d, &sides[0], &sides[1], middle ? &sides[2] : NULL);
	for (size_t i = 0; i < MA_ARRAY_SIZE(sides); i++)
		ma_side_deinit(&sides[i]);
	if (err) {
		ma_diff_deinit(&d);
		return err;
	}
	*ret = d;
	return NULL;
}

void ma_diff_deinit(struct ma_diff *d)
{
	free(d->types);
	free(d->memory);
	for (size_t i = 0; i < d->modules_count; i++)
		free(d->modules[i].name);
	free(d->modules);
	ma_growths_deinit(&d->growths);
	ma_diff_sites_deinit(&d->sites);
	ma_middle_deinit(&d->middle);
	memset(d, 0, sizeof(*d));
}
