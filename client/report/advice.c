// SPDX-License-Identifier: Apache-2.0
#include "advice.h"

#include <string.h>

/* By the name of the type. */
static const struct {
	const char *type, *advice;
} by_type[] = {
	{ "functools._lru_cache_wrapper", "a cache of calls: give lru_cache a maxsize" },
	{ "dict", "if nothing ever leaves it, bound it, or let entries expire" },
	{ "collections.OrderedDict", "if nothing ever leaves it, bound it, or let entries expire" },
	{ "collections.defaultdict", "an entry is made by every look-up of a new key: bound it" },
	{ "weakref.WeakValueDictionary", "its values live as long as something else holds them" },
	{ "list", "if it only grows, take out what is done with, or bound it" },
	{ "collections.deque", "give it a maxlen, or make sure that somebody empties it" },
	{ "set", "if it only grows, take out what is done with" },
	{ "tuple", "it lives as long as what refers to it" },
	{ "frame", "a frame keeps its locals: an exception or a generator may hold it" },
	{ "generator", "a generator that waits keeps its locals: close it when it is not needed" },
	{ "coroutine", "a coroutine that waits keeps its locals: cancel it when it is not needed" },
	{ "cell", "a closure keeps it: let go of the function, or of the variable" },
	{ "traceback", "a traceback keeps all frames: store the text of the exception instead" },
	{ "module", "what a module has lives as long as the program" },
};

const char *ma_advice(const struct ma_analysis *a, const struct ma_holder *h)
{
	const char *by_kind = ma_suspect_kind_advice(h->kind);
	if (by_kind)
		return by_kind;
	const char *type = ma_type_name(a->snap, h->type_id);
	if (h->namespace)
		type = "module";
	for (size_t i = 0; i < sizeof(by_type) / sizeof(by_type[0]); i++)
		if (!strcmp(type, by_type[i].type))
			return by_type[i].advice;
	if (h->mostly && h->mostly_count < 8)
		return "one large object: is it needed for this long?";
	return "what it holds lives as long as it does";
}
