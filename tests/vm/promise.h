/* What a writer was told is durable, on the same disk as the log, beside its file system.
 *
 * Each writer has a block of its own. It is written with direct I/O behind the acknowledgement, so
 * an image of the disk as of any moment says what had been promised by then. Whoever makes an image
 * keeps all of these blocks: an acknowledgement that was given stays given.
 */
#ifndef TESTS_VM_PROMISE_H
#define TESTS_VM_PROMISE_H

#include "base/random.h"

#include <stdbool.h>
#include <stddef.h>

#include <weir/weir.h>

#define PROMISE_THREADS 4u
#define PROMISE_RUNS 96u /* of writing processes, one behind the other */
#define PROMISE_BLOCK ((size_t)512)

struct promise {
    uint64_t opened;    /* 1: the log is open, hence there */
    uint64_t number;    /* the last record of this writer that was acknowledged; 1 is its first */
    uint64_t lsn;       /* and that record's LSN */
    uint64_t truncated; /* records below this LSN may be gone */
};

struct promises {
    int fd;
    uint64_t offset;
    struct promise of[PROMISE_RUNS][PROMISE_THREADS];
};

/* Reads all of them; false when the disk cannot be read. */
bool promises_open(struct promises *promises, const char *disk, uint64_t offset, bool writable);
/* Writes one, from any thread; ends the process when the disk does not take it. */
void promise_keep(const struct promises *promises, unsigned run, unsigned thread);
/* Runs that have opened the log. */
unsigned promises_runs(const struct promises *promises);

/* The record of a writer: its bytes follow from who wrote it and as which one. */
#define RECORD_MOST ((size_t)3000)
#define RECORD_LEAST ((size_t)12) /* run, thread, number */

struct origin {
    uint32_t run, thread, number;
};

size_t vm_record_make(struct origin origin, uint8_t bytes[RECORD_MOST]);
/* False: no writer writes that. */
bool vm_record_read(const void *bytes, size_t size, struct origin *ret_origin);

#endif
