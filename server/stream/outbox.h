// SPDX-License-Identifier: Apache-2.0
/* outbox.h - what waits for a link that is slower than the walk: in memory, then in an unnamed file. A thread of its
 * own sends it as frames, so that whoever puts bytes in waits for the disk at most, never for the link. */
#ifndef MA_OUTBOX_H
#define MA_OUTBOX_H

#include "messages.h"

struct ma_outbox;

struct ma_outbox_options {
	const struct ma_stream *stream; /* nobody else may write to it until the outbox is destroyed */
	const char *folder;             /* for the unnamed file, mode 0600 */
	size_t memory_bytes;            /* 0 = 32 MiB */
	uint64_t rate;                  /* bytes a second at most, 0 = no limit */
	int timeout_ms;                 /* a link that takes nothing for so long is dead */
	/* all bytes go to the file and stay there while there is room and they are no more than keep_bytes
	 * (0 = 1 GiB), and a link that breaks ends nothing */
	bool keep;
	size_t keep_bytes;
};

/* Bytes to send at once: with a rate a tenth of a second's worth, so that it is kept to evenly. */
size_t ma_outbox_step(uint64_t rate);

MA_CHECK struct ma_error *ma_outbox_create(const struct ma_outbox_options *options, struct ma_outbox **ret);
/* Bytes of the snapshot, copied. Waits when memory and disk are full. The error is that of the link. */
MA_CHECK struct ma_error *ma_outbox_put(struct ma_outbox *o, const void *data, size_t bytes);
/* Replaces a message about the progress that was not sent yet. Never waits. */
void ma_outbox_progress(struct ma_outbox *o, const struct ma_attach_progress *now);
/* Waits until all is sent, or *stop is not 0. */
MA_CHECK struct ma_error *ma_outbox_finish(struct ma_outbox *o, const volatile int *stop);
/* With `keep`: the file, which has every byte that was put in; -1 when they could not all be kept. */
int ma_outbox_kept(const struct ma_outbox *o);
/* Whether a descriptor that came from another process of ours is of such a file. */
bool ma_outbox_is_kept(int fd);
/* Bytes that went through the file: for tests and measurements. */
uint64_t ma_outbox_filed(const struct ma_outbox *o);
/* Ends the thread; what was not sent is dropped. The file stays. */
void ma_outbox_stop(struct ma_outbox *o);
/* The same and all else. NULL is allowed. */
void ma_outbox_destroy(struct ma_outbox *o);

#endif
