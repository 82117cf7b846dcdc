// SPDX-License-Identifier: Apache-2.0
#include "cleanup.h"
#include "proc.h"

#include <memattach/session.h>

#include <fcntl.h>

uint64_t ma_session_memory_left(void)
{
	struct ma_room room;
	_cleanup_close_ int self = open("/proc/self", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_error_ struct ma_error *err = self < 0 ? &ma_enomem : ma_room_read(self, &room);
	if (err)
		return UINT64_MAX;
	uint64_t machine = room.machine_limit ? room.machine_limit - room.machine_usage : UINT64_MAX;
	uint64_t group = room.group_limit ? room.group_limit - room.group_usage : UINT64_MAX;
	return machine < group ? machine : group;
}
