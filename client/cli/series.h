// SPDX-License-Identifier: Apache-2.0
/* series.h - snapshots of the same processes again and again: --every TIME --count N. */
#ifndef MA_SERIES_CMD_H
#define MA_SERIES_CMD_H

#include "taking.h"
#include "targets.h"

/* Takes one snapshot of each, or a series of them, and prints a line for each.
 *
 * Rounds begin at the multiples of --every after the first; what a round that takes longer runs over is left out.
 * A tree or a control group is looked up again for each round, in *targets. A way to another machine that breaks is
 * taken anew in the next round.
 * The series ends after --count rounds, when all processes have ended, or with a signal: then the snapshot under way is
 * finished first (a second signal undoes it). All these are success, once there was a snapshot. One that fails later is
 * said and the series goes on; the command fails in the end. */
MA_CHECK struct ma_error *ma_take_series(const struct ma_cli *cli, struct ma_targets *targets,
					 struct ma_taking *taking);

#endif
