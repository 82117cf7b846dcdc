// SPDX-License-Identifier: Apache-2.0
#include "hostile.h"
void hostile_bombs(const char *folder)
{
	(void)folder;
}
