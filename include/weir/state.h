/* State files: what a derived system keeps beside the log, bound to a position in it.
 *
 *     LOG/derived/NAME/FILE     "state", "definition", ...
 *
 *     weir_state_create(log, "by_section", "state", &writer);
 *     weir_state_write(writer, bytes, size);                     // as often as wanted
 *     weir_state_commit(writer, "index", 1, position, &why);     // durable, atomic, or the old one
 *
 *     weir_state_open(log, "by_section", "state", &reader, &why);
 *     weir_state_about(reader, &about);                          // position, version, bytes
 *     weir_state_read(reader, bytes, size);
 *     weir_state_close(reader);
 *
 * It is derived data: whoever meets one that is refused (WEIR_E_STATE) rebuilds. Refused are
 *
 *   damage        every byte of the file lies under a checksum, and all are verified first
 *   another log   the uuid, and for a file that was copied, its name
 *   the past      a log that was brought back from an older copy than the state: the position lies
 *                 behind its end, or its record was written anew, or the log's epoch, layout,
 *                 horizon or first LSN is lower than it was
 *
 * Compaction and truncation make no state bad, though they may take the record of its position away
 * or to another place. Not found is then a log brought back from an older copy that has since been
 * written beyond the position, opened as often, and compacted as far.
 *
 * All of it works from a read-only log beside a live writer, too. Before a name's files are
 * written, take its lock (<weir/state_lock.h>).
 *
 * Lifetime: writers, readers and locks are given back before weir_log_close(), else it is -EBUSY.
 * Threads: a writer or reader belongs to one thread at a time.
 * Every call answers WEIR_E_FORKED in a child of fork(); there, only giving back is allowed.
 */
#ifndef WEIR_STATE_H
#define WEIR_STATE_H

#include <weir/state_lock.h>

#ifdef __cplusplus
extern "C" {
#endif

struct weir_state_writer;
struct weir_state_reader;

struct weir_state_about {
    size_t size;       /* sizeof(struct weir_state_about) */
    weir_lsn position; /* 0 = before the first record */
    uint64_t bytes;    /* of what was written */
    uint32_t version;
    char kind[WEIR_STATE_KIND_MAX + 1];
};

#define WEIR_STATE_ABOUT_INIT WEIR_SIZED_INIT(weir_state_about)

/* Begins a new version of a file. The old one stays what it is until commit.
 *
 * @param log         an open log (read-only is enough)
 * @param name        see WEIR_STATE_NAME_MAX; "engine" is taken
 * @param file        the same characters; "lock" is taken
 * @param ret_writer  weir_state_commit() or weir_state_abandon() give it back
 * Returns: 0; -EINVAL; WEIR_E_NOT_A_LOG (it was not made yet); -EBUSY (somebody is writing this
 *   very file); -ETIMEDOUT (somebody removes a name for longer than lock_wait); WEIR_E_FORKED;
 *   -ENOMEM; -ENOSPC, -EACCES and other -errno.
 * Durability: nothing yet, but the directories of a name's first file.
 * Threads: any.
 * Blocks: on flushes of directories, the first time.
 * Allocates: the writer and 260 KiB.
 */
WEIR_EXPORT int weir_state_create(struct weir_log *log, const char *name, const char *file,
                                  struct weir_state_writer **ret_writer);

/* Adds bytes. An error is kept: every later call, and commit, tell it again.
 *
 * @param writer  from weir_state_create()
 * @param data    copied
 * @param size    any number of bytes
 * Returns: 0; -EINVAL; WEIR_E_FORKED; -ENOSPC and other -errno.
 * Durability: none before weir_state_commit().
 * Threads: one at a time.
 * Blocks: on a write, every 256 KiB.
 * Allocates: nothing.
 */
WEIR_EXPORT int weir_state_write(struct weir_state_writer *writer, const void *data, size_t size);

/* Puts what was written in the place of the old file, in one step. Gives the writer back, whatever
 * it returns.
 *
 * @param writer     from weir_state_create()
 * @param kind       up to WEIR_STATE_KIND_MAX bytes
 * @param version    of what was written, for who reads it
 * @param position   a durable LSN that the state is as of; 0 = before the first record
 * @param ret_error  NULL, or where to put the detail of a failure; its size member is set
 * Returns: 0; -EINVAL (kind; the position is not durable); WEIR_E_FORKED; WEIR_E_DAMAGED and other
 *   errors of reading the log at the position; -ENOSPC and other -errno: the old file stays, unless
 *   it was only the last flush that failed, when it is the old one or the new one.
 * Durability: durable when it returns 0; a crash before leaves the old file.
 * Threads: one at a time.
 * Blocks: on writes and two flushes.
 * Allocates: nothing.
 */
WEIR_EXPORT int weir_state_commit(struct weir_state_writer *writer, const char *kind,
                                  uint32_t version, weir_lsn position,
                                  struct weir_error *ret_error);

/* Throws away what was written, and gives the writer back.
 *
 * @param writer  NULL is allowed
 * Returns: nothing.
 * Durability: none; the old file stays.
 * Threads: one at a time.
 * Blocks: hardly.
 * Allocates: nothing.
 */
WEIR_EXPORT void weir_state_abandon(struct weir_state_writer *writer);

/* Opens a file that fits this log, and verifies all of it: what weir_state_read() gives later was
 * written. When the file is replaced or removed meanwhile, the reader keeps the old one.
 *
 * @param log         an open log (read-only is enough)
 * @param name        see WEIR_STATE_NAME_MAX
 * @param file        as for weir_state_create()
 * @param ret_reader  weir_state_close() gives it back
 * @param ret_error   NULL, or where to put the detail of a failure; its size member is set
 * Returns: 0; -ENOENT (there is none); WEIR_E_STATE (damaged, of another log, or of a past that the
 *   log has not got); -EINVAL; WEIR_E_FORKED; WEIR_E_DAMAGED and other errors of reading the log at
 *   the position; -ENOMEM; -EACCES and other -errno.
 * Durability: none.
 * Threads: any.
 * Blocks: on reading the file.
 * Allocates: the reader and 260 KiB.
 */
WEIR_EXPORT int weir_state_open(struct weir_log *log, const char *name, const char *file,
                                struct weir_state_reader **ret_reader,
                                struct weir_error *ret_error);

/* Reads only what a file says of itself. Its own checksum is verified, and that the file fits the
 * log; not the rest of the file.
 *
 * @param log        an open log
 * @param name       see WEIR_STATE_NAME_MAX
 * @param file       as for weir_state_create()
 * @param ret_about  its size member is set by the caller
 * @param ret_error  NULL, or where to put the detail of a failure; its size member is set
 * Returns: as weir_state_open().
 * Durability: none.
 * Threads: any.
 * Blocks: on reading 4 KiB.
 * Allocates: 260 KiB, freed before it returns.
 */
WEIR_EXPORT int weir_state_peek(struct weir_log *log, const char *name, const char *file,
                                struct weir_state_about *ret_about, struct weir_error *ret_error);

/* What the file says of itself.
 *
 * @param reader     from weir_state_open()
 * @param ret_about  its size member is set by the caller
 * Returns: 0; -EINVAL.
 * Durability: what it says was durable once.
 * Threads: one at a time.
 * Blocks: never.
 * Allocates: nothing.
 */
WEIR_EXPORT int weir_state_about(const struct weir_state_reader *reader,
                                 struct weir_state_about *ret_about);

/* Reads on.
 *
 * @param reader    from weir_state_open()
 * @param ret_data  exactly size bytes; undefined on failure
 * @param size      at most weir_state_left()
 * Returns: 0; WEIR_E_STATE (fewer are left: nothing was read; or the medium has changed what was
 *   verified); -EINVAL; WEIR_E_FORKED; -errno.
 * Durability: none.
 * Threads: one at a time.
 * Blocks: on a read, every 256 KiB.
 * Allocates: nothing.
 */
WEIR_EXPORT int weir_state_read(struct weir_state_reader *reader, void *ret_data, size_t size);

/* Bytes that are left: to know before allocating that a length can be true.
 *
 * @param reader  from weir_state_open()
 * Returns: a number of bytes.
 * Durability: none.
 * Threads: one at a time.
 * Blocks: never.
 * Allocates: nothing.
 */
WEIR_EXPORT uint64_t weir_state_left(const struct weir_state_reader *reader);

/* Gives a reader back.
 *
 * @param reader  NULL is allowed
 * Returns: nothing.
 * Durability: none.
 * Threads: one at a time.
 * Blocks: never.
 * Allocates: nothing.
 */
WEIR_EXPORT void weir_state_close(struct weir_state_reader *reader);

/* Removes a file, or all of a name: its files and its directory, the lock included. Have the lock.
 *
 * @param log   an open log (read-only is enough)
 * @param name  see WEIR_STATE_NAME_MAX
 * @param file  NULL for all
 * Returns: 0, also when there was none; -EINVAL; -ETIMEDOUT, as weir_state_create(); WEIR_E_FORKED;
 *   -errno: some may be gone.
 * Durability: durable when it returns 0.
 * Threads: any.
 * Blocks: on flushes of directories.
 * Allocates: nothing that stays.
 */
WEIR_EXPORT int weir_state_remove(struct weir_log *log, const char *name, const char *file);

/* Calls fn for each name that has a directory, in order of name, with nothing locked.
 *
 * @param log      an open log
 * @param fn       other than 0 stops; the name is valid during the call
 * @param context  handed to fn
 * Returns: 0; what fn returned; -EINVAL; WEIR_E_FORKED; -ENOMEM; -errno.
 * Durability: none.
 * Threads: any.
 * Blocks: on reading the directory.
 * Allocates: 64 bytes for each name, freed before it returns.
 */
WEIR_EXPORT int weir_state_list(struct weir_log *log, int (*fn)(void *context, const char *name),
                                void *context);

#ifdef __cplusplus
}
#endif
#endif
