/*
 * Reads under way, in slots; a ticket is the number of one, or says how much the page cache had.
 *
 * Happy path: begin takes a slot and submits, unless the page cache has it all, which takes neither
 * a slot nor the lock: threads that copy do not wait for each other, nor for one that waits for the
 * medium. End reaps completions, whosever they are, until its own slot is done.
 *
 * Failure modes:
 *   - no io_uring (EPERM, ENOSYS, ENOMEM): off for good; read() serves, which needs none.
 *   - a read is cut short: the rest is read at once; nothing comes only at the end of the file.
 *   - the ring fails: what is in flight has an unknown outcome, and its memory may still be written
 *     to. That is no word of the medium about these bytes, so it must not be taken for one.
 *   - a forked child: the reads in flight are its parent's, on memory that it does not share.
 *
 * Invariant: a slot is free only when the kernel has let go of its memory.
 */
#include "iouring/read_ahead.h"

#include "base/assert.h"

#include <errno.h>
#include <unistd.h>

#define TICKET_DONE (UINT64_C(1) << 63) /* the rest of it is how much there was */

static bool make_ring(struct read_ahead *ahead)
{
    if (ahead->ring == NULL && !ahead->off) {
        struct ring_options options = {.depth = READ_AHEAD_DEPTH};
        char why[160];
        ahead->off = ring_create(&options, &ahead->ring, why, sizeof why) < 0;
        ahead->owner = getpid();
    }
    return !ahead->off && ahead->owner == getpid();
}

static int take_slot(const struct read_ahead *ahead)
{
    for (unsigned slot = 0; slot < READ_AHEAD_DEPTH; slot++) {
        if (ahead->slots[slot].file == NULL) {
            return (int)slot;
        }
    }
    return -EBUSY;
}

int read_ahead_begin(struct read_ahead *ahead, const struct weir_file *file, int fd,
                     const struct base_file *cached, uint64_t offset, void *memory,
                     size_t size_bytes, uint64_t *ret_ticket)
{
    size_t got = 0;
    if (cached != NULL && base_file_read_resident(cached, offset, memory, size_bytes, &got)) {
        *ret_ticket = TICKET_DONE | got;
        return 1;
    }
    base_lock_acquire(&ahead->lock);
    int slot = make_ring(ahead) ? take_slot(ahead) : -EOPNOTSUPP;
    int rc = slot < 0
                 ? slot
                 : ring_submit_read(ahead->ring, fd, memory, size_bytes, offset, (uint64_t)slot);
    if (rc == 0) {
        ahead->slots[slot].file = file;
        ahead->slots[slot].offset = offset;
        ahead->slots[slot].memory = memory;
        ahead->slots[slot].size_bytes = size_bytes;
        ahead->slots[slot].done = false;
        *ret_ticket = (uint64_t)slot;
    }
    base_lock_release(&ahead->lock);
    return rc == 0 || rc == -EBUSY ? rc : -EOPNOTSUPP;
}

/* With the lock held, also while it waits: the others' completions come here as well. */
static int wait_for(struct read_ahead *ahead, uint64_t slot)
{
    struct weir_completion completions[READ_AHEAD_DEPTH];
    while (!ahead->slots[slot].done) {
        int count = ring_reap(ahead->ring, completions, READ_AHEAD_DEPTH, -1);
        if (count <= 0) {
            return -ENOTRECOVERABLE;
        }
        for (int i = 0; i < count; i++) {
            ahead->slots[completions[i].token].done = true;
            ahead->slots[completions[i].token].result = completions[i].result;
        }
    }
    return 0;
}

int read_ahead_end(struct read_ahead *ahead, const struct base_file *file, uint64_t ticket,
                   size_t *ret_size_bytes)
{
    if ((ticket & TICKET_DONE) != 0) {
        *ret_size_bytes = (size_t)(ticket & ~TICKET_DONE);
        return 0;
    }
    WEIR_ASSERT(ticket < READ_AHEAD_DEPTH && ahead->slots[ticket].file != NULL);
    base_lock_acquire(&ahead->lock);
    int rc = wait_for(ahead, ticket);
    int result = ahead->slots[ticket].result;
    uint64_t offset = ahead->slots[ticket].offset;
    uint8_t *memory = ahead->slots[ticket].memory;
    size_t size = ahead->slots[ticket].size_bytes;
    if (rc == 0) {
        ahead->slots[ticket].file = NULL;
    }
    base_lock_release(&ahead->lock);
    if (rc < 0 || result < 0) {
        return rc < 0 ? rc : result;
    }
    size_t got = (size_t)result;
    if (got < size && got % BASE_FILE_BLOCK == 0) {
        size_t more = 0;
        rc = base_file_read(file, offset + got, memory + got, size - got, &more);
        got += more;
    }
    if (rc == 0) {
        *ret_size_bytes = got;
    }
    return rc;
}

void read_ahead_forget(struct read_ahead *ahead, const struct weir_file *file)
{
    base_lock_acquire(&ahead->lock);
    for (uint64_t slot = 0; slot < READ_AHEAD_DEPTH && ahead->ring != NULL; slot++) {
        if (ahead->slots[slot].file == file && ahead->owner == getpid() &&
            wait_for(ahead, slot) == 0) {
            ahead->slots[slot].file = NULL;
        }
    }
    base_lock_release(&ahead->lock);
}

void read_ahead_destroy(struct read_ahead *ahead)
{
    if (ahead->ring != NULL) {
        ring_destroy(ahead->ring);
    }
}
