/*
 * The handle: one struct per concern, each owned by the file that is named after it. This header is
 * for wal/ only; it says who may touch what.
 *
 *   tail         reserve.c          where the next record goes            under tail.lock
 *   commit       lead.c, seal.c     groups on their way to the medium     by the leader only
 *   waiters      commit.c           who sleeps until an LSN is durable    under waiters.lock
 *   tailers      cursor_tail.c      cursors that sleep at the end         atomics, and its lock
 *   segments     segment*.c         files, windows, pins                  under segments.lock
 *   control      control.c          what CONTROL says now                 under control_lock
 *   marks        (here)             watermarks                            atomics
 *
 * Lock order: compacting, reader.lock, control_lock, segments.making, the mapping of a segment,
 * tail.lock, segments.lock, waiters.lock, tailers.lock; reservations.lock is taken with none of
 * them held. The leader is not a lock: whoever is the leader may take any of them.
 */
#ifndef WAL_LOG_H
#define WAL_LOG_H

#include "base/fork_guard.h"
#include "base/shared_page.h"
#include "base/sync.h"
#include "base/thread.h"
#include "wal/control.h"
#include "wal/segment.h"

#include <weir/append.h>
#include <weir/cursor.h>
#include <weir/inspect.h>
#include <weir/log.h>

/* Fixed after open. */
struct wal_limits {
    uint64_t segment_bytes, run_ahead_bytes, group_bytes, record_bytes, window_bytes;
    uint32_t segment_shift;               /* segment_bytes = 1 << segment_shift */
    uint32_t block_bytes, spare_segments; /* alignment of groups: at least the medium's */
    uint32_t queue_depth, stream_depth;   /* writes in flight that somebody waits for, or nobody */
    uint32_t through_bytes;               /* largest group that its writer persists; 0 = none */
};

/* LSNs as everybody sees them. durable <= reserved; earliest - 1 <= durable. */
struct wal_marks {
    _Atomic uint64_t reserved;        /* last assigned LSN */
    _Atomic uint64_t durable;         /* last LSN such that it and all before are durable */
    _Atomic uint64_t durable_address; /* end of the last durable group */
    _Atomic uint64_t earliest;        /* CONTROL's first LSN: latest + 1 when the log is empty */
    _Atomic uint64_t horizon, compactions; /* CONTROL's; moved before the table of segments is */
    _Atomic uint64_t compacted; /* last LSN that a compaction has passed since this was opened */
};

/* A group between reserve and durable. Fields are written under tail.lock until it is closed, then
 * by the leader only. */
struct wal_group {
    struct wal_segment *segment;
    uint32_t offset;     /* of its header in the segment */
    uint32_t size_bytes; /* header and records so far */
    uint32_t record_count;
    uint16_t kind; /* enum format_group_kind */
    bool written;  /* its write has completed, or the window is the file */
    bool durable;
    bool flushes;         /* its write was submitted to be durable on completion */
    bool in_place;        /* holds records that callers filled in themselves: clean() all of it */
    weir_lsn first_lsn;   /* of an internal group: the next LSN */
    weir_lsn durable_lsn; /* as its sealed header says */
    uint64_t time_ns;
    uint64_t opened_ns; /* monotonic: it closes when it is a millisecond old */
    /* Taken under tail.lock, given back when published or cancelled: the group waits for them. */
    _Atomic uint32_t open_reservations;
};

#define WAL_GROUPS 512u /* ring of groups; a power of two */

/* Where the next record goes. Everything under lock; indices also read by the leader. */
struct wal_tail {
    struct base_lock lock;
    struct wal_segment *segment;   /* the open one */
    uint32_t offset;               /* where the open group starts, or the next one will */
    bool group_open;               /* groups[head] takes records */
    _Atomic uint32_t open_records; /* in the open group; 0 without one */
    bool epoch_pending; /* this writer's epoch group is not placed yet; nothing comes before it */
    weir_lsn next_lsn;
    uint64_t time_ns;         /* of the last group that was opened: time never goes back */
    int64_t clock_offset_ns;  /* real time minus monotonic, read again every second */
    uint64_t clock_read_ns;   /* monotonic, when it was */
    uint64_t segment_records; /* in the open segment, the open group's included */
    _Atomic uint64_t head;    /* index of the open group or the next one; below it: closed */
    _Atomic uint64_t reserved_address;   /* end of what is reserved, padding included */
    struct wal_group groups[WAL_GROUPS]; /* by index % WAL_GROUPS */
};

/* What a segment holds so far, for its seal. */
struct segment_totals {
    uint64_t records, groups, payload_bytes;
    uint64_t first_time_ns;
};

/* The pipeline behind the tail. Only the leader touches it, except for the atomics. */
struct wal_commit {
    _Atomic uint32_t leading; /* 1: somebody is the leader */
    _Atomic uint32_t kicked;  /* somebody could not become leader and wants a commit started */
    _Atomic uint32_t called;  /* weir_process() was asked for and has not run since */
    uint64_t submit;          /* index of the next group to seal and submit */
    _Atomic uint64_t done;    /* index of the first group that is not durable */
    uint32_t woken;           /* waiters woken since the last group was closed */
    /* Read by others, to see whether a kick is worth while: */
    _Atomic uint32_t in_flight;         /* persists and flushes that poll() will bring */
    _Atomic uint64_t submitted_address; /* end of the last group that was submitted */
    _Atomic uint32_t regrow; /* records that became durable since a group was submitted */
    uint32_t writes_in_flight;
    uint32_t flushes_in_flight; /* 0 or 1 */
    bool blocked;               /* the next group holds an open reservation */
    bool flush_wanted;     /* groups were written for somebody who waits for a flush behind them */
    uint64_t flush_covers; /* groups below this index become durable with the flush in flight */
    struct group_chain chain;            /* of the last sealed group */
    struct segment_totals totals;        /* of the segment that is being sealed */
    uint64_t last_seal_offset;           /* of the segment before it; 0 = there is none */
    _Atomic uint32_t published_sequence; /* moves when a reservation is published */
    weir_lsn flushed_lsn; /* on the medium; marks.durable waits for its witness when strict */
    /* Largest durable LSN in a header that is on the medium; read by others in commit_all(). */
    _Atomic uint64_t witnessed_lsn;
};

struct wal_waiter; /* commit.c */
struct wal_reader; /* reader.c: following another process's open segment */

struct wal_waiters {
    struct base_lock lock;
    struct wal_waiter *first, *last;
    _Atomic uint32_t count;
    uint32_t queued;           /* so far; each in the next set of its gate */
    _Atomic uint32_t gates[2]; /* words that they sleep on, by the index of their group */
};

struct wal_tailers {
    _Atomic uint32_t sequence; /* moves with durable; cursors sleep on it */
    _Atomic uint32_t sleeping;
    struct base_lock lock;
    struct weir_cursor *eventfds; /* cursors with a descriptor to signal */
    _Atomic uint32_t eventfd_count;
};

#define WAL_RESERVATIONS 64u
struct wal_reservation {
    weir_lsn lsn; /* 0: free */
    uint64_t since_ns;
    uint64_t thread;
    struct wal_segment *segment;
    struct wal_group *group;
    uint32_t offset; /* of the record's header */
    uint32_t size;   /* payload */
    uint16_t type;
};

struct wal_reservations {
    struct base_lock lock;
    _Atomic uint32_t open;
    struct wal_reservation slots[WAL_RESERVATIONS];
};

struct wal_counters {
    _Atomic uint64_t appends, append_bytes, groups, writes, flushes, device_bytes;
};

struct wal_service {
    bool running;
    _Atomic uint32_t stop;
    struct base_thread thread;
};

struct weir_log {
    struct base_fork_guard guard;
    struct weir_medium *medium;
    uint32_t flags; /* WEIR_LOG_* */
    enum weir_witness witness;
    int64_t idle_ns;
    int64_t lock_wait_ns; /* from lock_wait_from_option() */
    struct wal_limits limits;
    uint32_t uuid_seed;
    struct weir_open_report report;
    struct weir_file *lock_file;

    struct base_lock control_lock, compacting; /* compacting: before all others */
    struct control control;

    struct wal_marks marks;
    struct wal_tail tail;
    struct wal_commit commit;
    struct wal_waiters waiters;
    struct wal_tailers tailers;
    struct wal_segments segments;
    struct wal_reservations reservations;
    struct wal_counters counters;
    struct wal_service service;
    struct base_shared_page live; /* writer: how far durable is, for reader processes */
    struct wal_reader *reader;    /* NULL unless another process writes */
    _Atomic int poison;           /* 0, or the -errno of the write or flush that failed */
    _Atomic uint32_t cursors;     /* open cursors and pins; handles of state files */
    _Atomic uint32_t callbacks;   /* threads inside a callback that this log feeds */
    _Atomic int event_fd;         /* the medium's; -1 until weir_eventfd() */
};

/* 0, or why no call is possible on this handle now: WEIR_E_FORKED. */
static inline int log_check(const struct weir_log *log)
{
    return base_fork_guard_is_child(&log->guard) ? WEIR_E_FORKED : 0;
}

/* The last durable LSN; what was written below it is visible to the caller (acquire pairs with the
 * release in lead.c, and in reader.c). */
static inline weir_lsn log_durable(const struct weir_log *log)
{
    return atomic_load_explicit(&log->marks.durable, memory_order_acquire);
}

static inline weir_lsn log_earliest(const struct weir_log *log)
{
    return atomic_load_explicit(&log->marks.earliest, memory_order_acquire);
}

/* Fills a detail; format as printf. Returns code. why may be NULL. */
int log_error(struct weir_error *why, int code, const char *file, uint64_t offset,
              const char *format, ...) __attribute__((format(printf, 5, 6)));
int log_error_range(struct weir_error *why, int code, weir_lsn from, weir_lsn to);

/* For an error that was not explained where it was found: names the directory. */
void log_error_explain(struct weir_error *why, int code, const char *directory);

/* The first failure of a write or flush counts; wakes everybody who waits. */
void log_poison(struct weir_log *log, int error);

static inline bool log_is_poisoned(const struct weir_log *log)
{
    return __builtin_expect(atomic_load_explicit(&log->poison, memory_order_seq_cst) != 0, 0);
}

static inline uint64_t log_address(const struct weir_log *log, const struct wal_segment *segment,
                                   uint64_t offset)
{
    return (segment->ordinal << log->limits.segment_shift) + offset;
}

/* Read-only beside a writer: learns what is durable now and loads it. 0; -errno; WEIR_E_*. */
int reader_refresh(struct weir_log *log);

/* Waits up to timeout_ns for the writer to move, in slices; then the caller refreshes. `sequence`:
 * tailers.sequence from before it last looked, as another thread may have refreshed since. */
int reader_wait(struct weir_log *log, uint32_t sequence, int64_t timeout_ns);

#endif
