# SPDX-License-Identifier: Apache-2.0
"""Runs memattach-faults, the binary that can be killed at each step of a snapshot (tests/faults/fault_point.c)."""
import subprocess
from collections import namedtuple

from memattach import Memattach

Point = namedtuple("Point", "name harm")


class Faulty(Memattach):
    """memattach-faults; `fault` is what it shall do ("TWIN_BORN:kill-tracer")."""
    fault, log = None, None

    def environ(self):
        env = super().environ()
        if self.fault:
            env.update(MEMATTACH_FAULT=self.fault, MEMATTACH_FAULT_ONCE=str(self.folder / "acted"))
        if self.log:
            env.update(MEMATTACH_FAULT_LOG=str(self.log))
        return env

    def run_with(self, fault, *args):
        """One run; true as second result when the point was reached."""
        acted = self.folder / "acted"
        acted.unlink(missing_ok=True)
        self.fault = fault
        done = self.run(*args)
        self.fault = None
        return done, acted.exists()

    def last_point(self, pid):
        """The name of the last step that process `pid` logged, None if it logged none."""
        steps = [line.split()[1] for line in self.log.read_text().splitlines() if line.startswith(f"{pid} ")]
        return steps[-1] if steps else None


def points(faulty):
    out = subprocess.run([faulty.path], env={"MEMATTACH_FAULT": "list"}, capture_output=True, text=True, check=True).stdout
    found = [Point(*line.split()) for line in out.splitlines()]
    assert len(found) > 40 and len({p.name for p in found}) == len(found)
    assert {p.harm for p in found} == {"SAFE", "MASKED", "UNNAMED", "IN_CALL"}
    return found
