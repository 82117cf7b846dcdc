# SPDX-License-Identifier: Apache-2.0
"""Two processes count under one lock of multiprocessing: an acquire or a release by anybody else shows as a lost count, a
broken lock or a standstill. Prints the other process's pid in its ready line's place before it."""
import multiprocessing

import common


def count(lock, value, inside, stop, result, poll=None):
    done = 0
    while not stop.value and (poll is None or poll()):
        for _ in range(50):
            if not lock.acquire(timeout=20):
                result.check(False, "no lock within 20 s")
                return done
            if inside.value:
                result.check(False, "two holders of one lock")
            inside.value = 1
            value.value += 1
            inside.value = 0
            lock.release()
            done += 1
    return done


def other(lock, value, inside, stop, done, wrong):
    result = common.Result()
    done.value = count(lock, value, inside, stop, result)
    wrong.value = len(result.notes)


def run():
    context = multiprocessing.get_context("fork")
    result = common.Result()
    lock = context.Lock()
    value, inside, stop, done, wrong = (context.Value("Q", 0, lock=False) for _ in range(5))
    child = context.Process(target=other, args=(lock, value, inside, stop, done, wrong), daemon=True)
    child.start()
    common.say("other", child.pid)
    common.ready()
    mine = count(lock, value, inside, stop, result, common.poll)
    stop.value = 1
    child.join(30)
    result.check(child.exitcode == 0, "the other process:", child.exitcode)
    result.check(wrong.value == 0, "wrong in the other process:", wrong.value)
    result.check(value.value == mine + done.value, value.value, "!=", mine, "+", done.value)
    free = lock.acquire(timeout=5)
    result.check(free, "the lock is not free at the end")
    if free:
        lock.release()
        try:
            lock.release()
            result.check(False, "the lock could be released twice")
        except ValueError:
            pass
    result.print()


common.main(run)
