# SPDX-License-Identifier: Apache-2.0
"""Every kind of lock and wait that the victims know, with the functions in which they wait."""

# Of v_contend: (innermost functions of the waiters, of main when it gives the lock up, of the
# waiters then).
LIBC = {
    kind: (f"lock_{kind}", f"unlock_{kind}", f"unlock_{kind}")
    for kind in ("mutex", "recursive", "errorcheck", "adaptive", "robust", "inherit", "shared",
                 "spin", "mtx")
} | {
    "write": ("lock_read|lock_write", "unlock_rwlock", "unlock_rwlock"),
    "read": ("lock_write", "unlock_rwlock", "unlock_rwlock"),
    "timed": ("timed_mutex|clock_mutex", "unlock_mutex", "unlock_mutex"),
    "mtx_timed": ("timed_mtx", "unlock_mtx", "unlock_mtx"),
    "rw_timed": ("timed_read|timed_write|clock_read|clock_write", "unlock_rwlock",
                 "unlock_rwlock"),
    "cond": ("lock_mutex", "park_cond", "unlock_mutex"),
    "cond_timed": ("lock_mutex", "park_timed", "unlock_mutex"),
    "cond_clock": ("lock_mutex", "park_clock", "unlock_mutex"),
    "cnd": ("lock_mtx", "park_cnd", "unlock_mtx"),
    "cnd_timed": ("lock_mtx", "park_cnd_timed", "unlock_mtx"),
}

# Of the v_futex victims: (function of the waiters, of main where the waits end: None for what is no
# lock).
RUST = {
    "mutex": ("wait_mutex", "end_mutex"), "read": ("wait_read", "end_read"),
    "write": ("wait_write", "end_write"), "once": ("wait_once", "turn_once"),
    "condvar": ("wait_condvar", None), "park": ("wait_park", None), "mpsc": ("wait_mpsc", None),
    "barrier": ("wait_barrier", None),
}
CXX = {
    "guard": ("wait_guard", "end_guard"), "semaphore": ("wait_semaphore", None),
    "semaphore_for": ("wait_semaphore_for", None), "latch": ("wait_latch", None),
    "barrier": ("wait_barrier", None), "atomic": ("wait_atomic", None),
    "small": ("wait_small", None), "future": ("wait_future", None),
}
FUTEX = {
    "plain": "wake_plain", "shared": "wake_shared", "bitset": "wake_bitset",
    "other_bit": "wake_bitset", "op": "wake_op", "requeue": "wake_requeue",
    "cmp_requeue": "wake_cmp_requeue",
}
