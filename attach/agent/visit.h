// SPDX-License-Identifier: Apache-2.0
/* visit.h - the visitors, by file. Each writes the edges of one object; none calls another object's. */
#ifndef MAA_VISIT_H
#define MAA_VISIT_H

#include "emit.h"

/* walk.c */
void maa_visit_values(struct maa *m, struct maa_w *w, addr_t table, addr_t values, uint64_t max);
void maa_visit_traverse(struct maa *m, struct maa_w *w, addr_t a, addr_t fn);
/* instance.c */
addr_t maa_dict_at(struct maa *m, addr_t a, const struct maa_type *t); /* its __dict__ by dictoffset, 0 if none */
void maa_visit_managed(struct maa *m, struct maa_w *w, addr_t a, const struct maa_type *t);
/* builtin.c */
void maa_visit_builtin(struct maa *m, struct maa_w *w, addr_t a, const struct maa_type *t);
/* size_more.c */
void maa_visit_bytesio(struct maa *m, struct maa_w *w, addr_t a);
void maa_visit_stgdict(struct maa *m, struct maa_w *w, addr_t a);
/* native.c */
void maa_visit_native(struct maa *m, struct maa_w *w, addr_t a, const struct maa_type *t);
/* In place of tp_traverse: what tp_members and tp_dictoffset say, and the words of the object that are addresses of
 * others, as guessed edges. */
void maa_visit_words(struct maa *m, struct maa_w *w, addr_t a);
void maa_visit_state(struct maa *m, struct maa_w *w, addr_t state, uint64_t bytes); /* of a module */
void maa_visit_metatype(struct maa *m, struct maa_w *w, addr_t a);
/* numpy.c */
void maa_visit_numpy(struct maa *m, struct maa_w *w, addr_t a, const struct maa_type *t, uint64_t tags, uint64_t from);
/* frames.c */
void maa_visit_frame(struct maa *m, struct maa_w *w, addr_t frame);   /* a frame object */
void maa_visit_iframe(struct maa *m, struct maa_w *w, addr_t iframe); /* 3.11+ */
void maa_visit_static_type(struct maa *m, struct maa_w *w, addr_t type);
void maa_visit_gen(struct maa *m, struct maa_w *w, addr_t a);
addr_t maa_iframe_code(struct maa *m, addr_t iframe);

/* Pushes without looking at the limit of the list: positions, and what the lists of the collector lack. */
MAA_INLINE void maa_push_always(struct maa *m, uint64_t item)
{
	if (m->wtop < m->whard) {
		m->work[m->wtop] = item;
		*(volatile uint64_t *)&m->wtop = m->wtop + 1;
	}
}

#endif
