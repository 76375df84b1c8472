/* Reads that are under way: what read_begin() and read_end() of a medium on files are made of.
 *
 *     rc = read_ahead_begin(&medium->ahead, file, fd, NULL, offset, memory, size_bytes, &ticket);
 *     ...work on the piece before...
 *     rc = read_ahead_end(&medium->ahead, file, ticket, &got);
 *
 * They run on a ring of their own, made at the first read and kept: the ring of persist() belongs
 * to the leader, and a read-only medium has none. Nothing is started where io_uring was not wanted
 * or is not to be had, and the caller reads with read() when it needs the bytes.
 *
 * Threads: any; one lock, which nobody needs for what the page cache has.
 */
#ifndef IOURING_READ_AHEAD_H
#define IOURING_READ_AHEAD_H

#include "base/file.h"
#include "base/sync.h"
#include "iouring/ring.h"

#include <sys/types.h>

#define READ_AHEAD_DEPTH 128u

struct read_ahead {
    struct base_lock lock;
    bool off;          /* io = sync, files in memory, or there is no ring to be had */
    struct ring *ring; /* NULL until the first read */
    pid_t owner;       /* who may wait for what is in flight */
    struct {
        const struct weir_file *file; /* NULL: free */
        uint64_t offset;
        uint8_t *memory;
        size_t size_bytes;
        bool done;
        int result; /* bytes, or -errno */
    } slots[READ_AHEAD_DEPTH];
};

/* 0 with a ticket, 1 with one for what the page cache had, -EBUSY (all slots are taken),
 * -EOPNOTSUPP (not here). Memory and size as O_DIRECT wants them.
 * @param cached  the same file through the page cache: what lies there whole is read at once; NULL:
 *                it is not asked */
int read_ahead_begin(struct read_ahead *ahead, const struct weir_file *file, int fd,
                     const struct base_file *cached, uint64_t offset, void *memory,
                     size_t size_bytes, uint64_t *ret_ticket);

/* Waits for that read: 0 and how much came, short only where the file ends; -errno of the medium;
 * -ENOTRECOVERABLE when the ring failed, and memory may still be written to. */
int read_ahead_end(struct read_ahead *ahead, const struct base_file *file, uint64_t ticket,
                   size_t *ret_size_bytes);

/* Waits for every read of this file that nobody has ended, and forgets it. */
void read_ahead_forget(struct read_ahead *ahead, const struct weir_file *file);

void read_ahead_destroy(struct read_ahead *ahead);

#endif
