/*
 * The live page: through it a writer tells reader processes how far the log is durable
 * (base/shared_page.h). A hint: a reader believes it only while LOCK is held and boot id, epoch and
 * seed agree with this boot and with CONTROL. Without it readers use what the groups prove. What a
 * killed writer leaves in it saves recovery from searching where nobody wrote (docs/adr/0024).
 *
 * Order of the writer's stores: durable_address, durable_lsn, sequence. So a reader that loads the
 * LSN first and the address second has an address that covers at least that LSN.
 */
#ifndef WAL_LIVE_H
#define WAL_LIVE_H

#include "base/identity.h"
#include "base/shared_page.h"

#include <weir/types.h>

#include <stdatomic.h>

#define LIVE_MAGIC UINT64_C(0x3156494c52494557) /* "WEIRLIV1" */

/* In the machine's own byte order: the page never leaves it. Three cache lines. */
struct live_page {
    uint64_t magic;
    uint8_t uuid[BASE_UUID_SIZE];
    uint8_t boot_id[BASE_BOOT_ID_SIZE];
    uint32_t pid;
    uint32_t seed;          /* of the epoch: random, tells two copies of one log apart */
    _Atomic uint64_t epoch; /* 0 until all other fields are filled in */
    /* Nothing of this epoch was handed to the medium behind this address: it moves first. 0: bytes
     * get there by other ways, too. */
    _Atomic uint64_t submitted_address;

    _Atomic uint64_t durable_address;
    _Atomic uint64_t durable_lsn;
    _Atomic uint64_t earliest;
    _Atomic uint32_t sequence; /* futex word: moves with durable, layout and closed */
    _Atomic uint32_t closed;   /* the writer has closed the log */
    _Atomic uint64_t layout;   /* CONTROL's: moves with truncation and compaction */
    uint64_t unused_too[3];

    _Atomic uint32_t waiters; /* readers that sleep on sequence; they write this line only */
};

_Static_assert(offsetof(struct live_page, durable_address) == 64, "readers poll a line of its own");
_Static_assert(offsetof(struct live_page, waiters) == 128, "waiters dirty a line of their own");

struct weir_log;
struct control;

/* Writer, before its epoch is in CONTROL: removes the page of the one before. 0 or -errno. */
int live_forget(struct weir_log *log);

/* Writer, once its epoch is in CONTROL and marks are set: makes the page. 0 or -errno: without it
 * the log works and readers poll. */
int live_create(struct weir_log *log);

/* The commit leader, before a group is handed to the medium that ends there. Nothing without a
 * page, here and below. */
void live_submit(struct weir_log *log, uint64_t end_address);

/* The commit leader, after marks.durable and marks.durable_address moved: a few stores. */
void live_store(struct weir_log *log);

/* Anybody, behind live_store(): wakes, only when a reader sleeps. */
void live_wake(struct weir_log *log);

/* Who moved marks.earliest or CONTROL's layout, under control_lock; the same otherwise. */
void live_publish_layout(struct weir_log *log);

/* Writer, last thing before it drops LOCK: tells readers, removes the page. */
void live_close(struct weir_log *log);

/* Of a writer that was killed (reader_page.c): behind which address nothing of CONTROL's epoch was
 * handed to the medium, as its page still says; UINT64_MAX: nobody knows. */
uint64_t live_submitted(const struct control *control);

#endif
