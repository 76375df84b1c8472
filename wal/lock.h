/*
 * Locks between openers: LOCK, which the writer holds as long as it lives, and the locks of other
 * files of the log (holds/.lock, segments).
 *
 *     rc = lock_take(medium, WEIR_LOCK_EXCLUSIVE, wait_ns, &file, why);   // WEIR_E_LOCKED names
 * who
 *     ...
 *     lock_drop(medium, &file);
 *
 * They belong to open file descriptions, so they work between processes and between two handles of
 * one process, go when the process dies, and stay as long as I/O on the description is in flight.
 *
 *     writer                LOCK exclusive, all its life
 *     reader without one    LOCK shared, while it judges the tail
 *     reader beside one     tries LOCK shared now and then: success means that the writer is gone
 */
#ifndef WAL_LOCK_H
#define WAL_LOCK_H

#include <weir/error.h>
#include <weir/medium.h>

#define LOCK_NAME "LOCK"
#define LOCK_HOLDER_BYTES 160u

/* From weir_log_options.lock_wait_ns (0: the default) to what the functions below take. */
int64_t lock_wait_from_option(int64_t option_ns);

/* For locks that are held for a few calls only, by other threads of this process, too: at least a
 * second, also where nobody waits for a writer to go. */
int64_t lock_wait_a_moment(int64_t wait_ns);

/*
 * Takes LOCK and, when exclusive, writes into it who has it. An exclusive one makes the file first.
 *
 * @param wait_ns  how long another holder is waited for; 0 only tries, < 0 for ever
 * Returns 0; WEIR_E_LOCKED; -ENOENT (shared only: no LOCK, hence no writer); -errno.
 */
int lock_take(struct weir_medium *medium, enum weir_lock_mode mode, int64_t wait_ns,
              struct weir_file **ret_file, struct weir_error *why);

/* Gives it back. *file becomes NULL; NULL is allowed. */
void lock_drop(struct weir_medium *medium, struct weir_file **file);

/* Is LOCK held exclusively, hence a writer alive? 1 yes, 0 no, -errno. Takes and drops it. */
int lock_writer_is_alive(struct weir_medium *medium);

/* Takes the lock of an open file, waiting. 0; -EAGAIN when wait_ns have passed; -errno. */
int lock_file(struct weir_medium *medium, struct weir_file *file, enum weir_lock_mode mode,
              int64_t wait_ns);

/*
 * Waits until no write of a killed process can be in flight any more: it holds the locks of the
 * segments that it was writing for as long as that. For who has LOCK and is about to read the end.
 *
 * @param first_ordinal  segments below it are complete
 * Returns 0; WEIR_E_LOCKED; -errno.
 */
int lock_wait_for_io(struct weir_medium *medium, uint64_t first_ordinal, int64_t wait_ns,
                     struct weir_error *why);

/* The line that the last writer put into LOCK: "process 71 on host since 2026-...". "" if none. */
void lock_read_holder(struct weir_medium *medium, char ret_line[LOCK_HOLDER_BYTES]);

/* Sleeps; through base, so that a simulation owns it. */
void lock_sleep(int64_t duration_ns);

#endif
