/*
 * A reader process: what it knows of the writer, and how it learns more.
 *
 * Happy path beside a writer: LOCK is held and the live page is its own: walk the open segment up
 * to the durable address, move marks.durable. Again on each refresh; now and then look whether the
 * writer is still there.
 *
 * Happy path without one: LOCK can be had shared, so nothing is written any more: judge the end as
 * recovery does, flush it, show it: that is what the next writer keeps.
 *
 * From one to the other: the writer died or closed: LOCK can be had; judge. A new writer came:
 * CONTROL has another epoch; go on with its page. Its groups continue the chain that was walked,
 * through its epoch group.
 *
 * Failure modes: the writer holds LOCK and has no page (it is starting, or /dev/shm is not to be
 * had): the reader keeps what it has, and after lock_wait believes what the group headers prove:
 * all records below a header's durable LSN, hence without the last group. Truncation overtakes the
 * walk: the table is built anew and cursors get WEIR_E_TRUNCATED. The end is refused: what was
 * shown stays, every refresh says why until a new writer has mended it.
 *
 * Invariants: marks.durable never goes back; what lies below it was checked and does not move.
 */
#include "wal/reader.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "wal/lock.h"
#include "wal/open.h"
#include "wal/options.h"
#include "wal/repair.h"
#include "wal/tail.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define POLL_NS ((int64_t)(2 * BASE_NS_PER_MS))
#define IDLE_NS ((int64_t)(10 * BASE_NS_PER_MS))
#define WRITER_CHECK_NS (20 * BASE_NS_PER_MS)
#define CONTROL_CHECK_NS (100 * BASE_NS_PER_MS)
#define REBUILD_ATTEMPTS 16

static double seconds_since(uint64_t start_ns)
{
    return (double)(base_clock_monotonic_ns() - start_ns) / (double)BASE_NS_PER_S;
}

/* ---- showing ---- */

static void move_marks(struct weir_log *log, weir_lsn lsn, uint64_t address)
{
    if (lsn < log_durable(log)) {
        return;
    }
    atomic_store_explicit(&log->marks.durable_address, address, memory_order_release);
    atomic_store_explicit(&log->marks.reserved, lsn, memory_order_release);
    /* Release pairs with the acquire in log_durable(): groups and directory are in memory. */
    atomic_store_explicit(&log->marks.durable, lsn, memory_order_release);
    tail_notify(log);
}

/* The table from the first retained segment to the one that holds `end_address`. A segment whose
 * header is not durable yet is reached by walking the one before it. */
static int build(struct weir_log *log, uint64_t end_address, const struct group_chain *start,
                 struct weir_error *why)
{
    uint64_t first = log->control.first_ordinal;
    uint64_t last = end_address >> log->limits.segment_shift;
    uint64_t offset = end_address & (log->limits.segment_bytes - 1);
    if (offset <= FORMAT_SEGMENT_HEADER_BYTES) {
        last--;
    }
    if (last >= first) {
        return reader_table_extend(log, first, last, why);
    }
    if (start != NULL) {
        return reader_table_add_open(log, first, start);
    }
    /* The log's first writer may not have written its first group yet. */
    return reader_table_extend(log, first, first, NULL) < 0 ? -EAGAIN : 0;
}

/* The writer may have truncated or compacted what was about to be read: then CONTROL says so. 1:
 * try again. */
static int overtaken(struct weir_log *log, int rc, struct weir_error *why)
{
    const struct wal_segment *segment = log->reader->segment;
    uint64_t needed = segment != NULL ? segment->ordinal : log->control.first_ordinal;
    struct control control;
    int found = rc == -EAGAIN || rc == -ENOMEM ? rc : reader_load_control(log, &control, why);
    if (segment == NULL) {
        reader_table_clear(log); /* what a failed build left */
    }
    bool compacted = found == 0 && control.compact_next != log->control.compact_next;
    if (found < 0 || (control.first_ordinal <= needed && !compacted)) {
        return rc;
    }
    reader_table_adopt(log, &control);
    return 1;
}

/* Walks to `end_address` (UINT64_MAX: as far as groups are valid, from the segment of `from`). */
static int walk_to(struct weir_log *log, uint64_t end_address, uint64_t from,
                   const struct group_chain *start, struct weir_error *why)
{
    int rc = 1;
    for (int attempt = 0; rc == 1 && attempt < REBUILD_ATTEMPTS; attempt++) {
        rc = log->reader->segment == NULL ? build(log, from, start, why) : 0;
        rc = rc < 0 ? rc : reader_walk(log, end_address, why);
        if (rc < 0) {
            rc = overtaken(log, rc, why);
        }
    }
    reader_table_trim(log);
    return rc == 1 ? -EAGAIN : rc;
}

/* ---- without a writer ---- */

static void report_judged(struct weir_log *log, const struct recovery *found)
{
    struct weir_open_report *report = &log->report;
    if (log->reader->opened) {
        return; /* the report is about opening */
    }
    report->clean = found->clean;
    report->cut_bytes = found->cut_bytes;
    report->cut_groups = found->cut_groups;
    report->cut_records = found->cut_records;
    report->scanned_bytes = found->scanned_bytes;
    report->scanned_records = found->scanned_records;
    report->scanned_segments = found->scanned_segments;
}

static int show_judged(struct weir_log *log, const struct recovery *found, struct weir_error *why)
{
    const struct recovery_tail *tail = &found->tail;
    int rc = walk_to(log, tail->address, tail->address, &tail->start, why);
    if (rc < 0) {
        return rc;
    }
    if (log->reader->chain.next_lsn != tail->chain.next_lsn ||
        log->reader->chain.crc != tail->chain.crc) {
        return log_error(why, WEIR_E_DAMAGED, NULL, UINT64_MAX,
                         "the end of the log changed while it was read");
    }
    move_marks(log, tail->chain.next_lsn - 1, tail->address);
    report_judged(log, found);
    return 0;
}

/* Nobody writes, and the caller has LOCK shared: nobody will begin to. */
static int judge(struct weir_log *log, struct weir_error *why)
{
    struct recovery found = {0};
    uint64_t start_ns = base_clock_monotonic_ns();
    int rc = recover_judge(log->medium, &log->control, &found, why);
    if (rc == 0 && log->reader->options.verify == WEIR_VERIFY_ALL) {
        rc = recover_verify_all(log->medium, &log->control, &found, why);
    }
    rc = rc < 0 ? rc : repair_flush_tail(log->medium, &log->control, &found, why);
    if (rc == 0 && !found.clean) {
        rc = repair_flush_control(log->medium, why);
    }
    rc = rc < 0 ? rc : show_judged(log, &found, why);
    recover_free(&found);
    if (!log->reader->opened) {
        log->report.scan_s = seconds_since(start_ns);
    }
    return rc;
}

/* ---- what CONTROL says ---- */

static int adopt_control(struct weir_log *log, const struct control *control,
                         struct weir_error *why)
{
    struct wal_reader *reader = log->reader;
    if (log->limits.segment_bytes == 0) {
        int rc = options_apply(&reader->options, control, &log->medium->info, &log->limits, why);
        if (rc < 0) {
            return rc;
        }
        log->uuid_seed = group_uuid_seed(control->uuid);
        base_lock_acquire(&log->control_lock);
        log->control = *control;
        base_lock_release(&log->control_lock);
    }
    reader_table_adopt(log, control);
    return 0;
}

static void leave_page(struct wal_reader *reader)
{
    reader_page_release(reader->page);
    reader->page = NULL;
}

static void enter_state(struct weir_log *log, enum reader_state state)
{
    struct wal_reader *reader = log->reader;
    uint64_t now_ns = base_clock_coarse_ns();
    reader->state = state;
    reader->starting = false;
    reader->writer_checked_ns = reader->control_checked_ns = now_ns;
}

/* ---- beside a writer ---- */

static int follow_page(struct weir_log *log, struct weir_error *why)
{
    struct wal_reader *reader = log->reader;
    const struct live_page *page = reader_page_data(reader->page);
    /* In this order: see live.h. Each acquire pairs with a release in live.c. */
    reader->seen_sequence = atomic_load_explicit(&page->sequence, memory_order_acquire);
    weir_lsn lsn = atomic_load_explicit(&page->durable_lsn, memory_order_acquire);
    uint64_t address = atomic_load_explicit(&page->durable_address, memory_order_acquire);
    if (lsn == log_durable(log) && reader->segment != NULL) {
        return 0;
    }
    int rc = walk_to(log, address, address, NULL, why);
    if (rc < 0) {
        return rc;
    }
    if (lsn >= reader->chain.next_lsn) {
        return log_error(why, WEIR_E_DAMAGED, NULL, UINT64_MAX,
                         "the writer reported LSN %llu durable; its groups end before %llu",
                         (unsigned long long)lsn, (unsigned long long)reader->chain.next_lsn);
    }
    move_marks(log, lsn, address);
    return 0;
}

static int follow_groups(struct weir_log *log, struct weir_error *why)
{
    struct wal_reader *reader = log->reader;
    int rc = walk_to(log, UINT64_MAX, log->control.witness_address, NULL, why);
    if (rc < 0) {
        return rc;
    }
    weir_lsn lsn =
        reader->proven > log->control.witness_lsn ? reader->proven : log->control.witness_lsn;
    if (lsn < reader->chain.next_lsn) {
        move_marks(log, lsn, reader_address(log));
    }
    return 0;
}

static int follow(struct weir_log *log, struct weir_error *why)
{
    return log->reader->page != NULL ? follow_page(log, why) : follow_groups(log, why);
}

/* ---- who writes? ---- */

/* LOCK is held. 1: its holder is followed; 0: it is not known yet where it is. */
static int attach_to_writer(struct weir_log *log, bool without_page, struct weir_error *why)
{
    struct wal_reader *reader = log->reader;
    struct control control;
    int rc = reader_load_control(log, &control, why);
    if (rc < 0) {
        return rc == -ENOENT ? 0 : rc; /* it is creating the log */
    }
    struct reader_page *page = reader_page_open(&control);
    if (page == NULL && !without_page) {
        return 0;
    }
    leave_page(reader);
    reader->page = page;
    rc = adopt_control(log, &control, why);
    rc = rc < 0 ? rc : follow(log, why);
    if (rc < 0) {
        leave_page(reader);
        return rc == -EAGAIN ? 0 : rc;
    }
    reader->verdict = 0;
    enter_state(log, READER_FOLLOWING);
    return 1;
}

/* LOCK is ours, shared. 1: the end is judged (or refused: reader->verdict); 0: writes are still in
 * flight. */
static int attach_to_nobody(struct weir_log *log, int64_t wait_ns, struct weir_error *why)
{
    struct wal_reader *reader = log->reader;
    struct control control;
    int rc = reader_load_control(log, &control, why);
    if (rc == -ENOENT) {
        reader->starting = false;
        return 1; /* an interrupted creation: an empty log; or none (reader_open()) */
    }
    rc = rc < 0 ? rc : adopt_control(log, &control, why);
    if (rc < 0) {
        return rc;
    }
    uint64_t tail = control.witness_address >> log->limits.segment_shift;
    rc = lock_wait_for_io(log->medium, tail, wait_ns, why);
    if (rc < 0) {
        return rc == WEIR_E_LOCKED && wait_ns == 0 ? 0 : rc;
    }
    leave_page(reader);
    reader->verdict = judge(log, why);
    enter_state(log, READER_IDLE);
    return 1;
}

/* One look. 1: it is known who writes; 0: not yet; negative: an error. */
static int attach(struct weir_log *log, bool without_page, int64_t wait_ns, struct weir_error *why)
{
    struct weir_file *lock = NULL;
    int rc = lock_take(log->medium, WEIR_LOCK_SHARED, 0, &lock, NULL);
    if (rc == WEIR_E_LOCKED) {
        return attach_to_writer(log, without_page, why);
    }
    if (rc < 0 && rc != -ENOENT) {
        return log_error(why, rc, LOCK_NAME, UINT64_MAX, "LOCK cannot be locked: %s",
                         weir_error_text(rc));
    }
    rc = attach_to_nobody(log, wait_ns, why);
    lock_drop(log->medium, &lock);
    return rc;
}

/* ---- refreshing ---- */

static int look_again(struct weir_log *log)
{
    struct wal_reader *reader = log->reader;
    uint64_t now_ns = base_clock_coarse_ns();
    if (!reader->starting) {
        reader->starting = true;
        reader->starting_since_ns = now_ns;
    }
    uint64_t waited = now_ns - reader->starting_since_ns;
    bool without_page = log->lock_wait_ns >= 0 && waited > (uint64_t)log->lock_wait_ns;
    reader->writer_checked_ns = now_ns;
    int rc = attach(log, without_page, 0, NULL);
    return rc < 0 ? rc : reader->verdict;
}

static bool has_new_epoch(struct weir_log *log)
{
    struct control control;
    return reader_load_control(log, &control, NULL) == 0 &&
           (log->limits.segment_bytes == 0 || control.epoch != log->control.epoch);
}

static bool is_due(uint64_t since_ns, uint64_t interval_ns)
{
    return base_clock_coarse_ns() - since_ns >= interval_ns;
}

/* Nobody wrote when last looked. */
static int refresh_idle(struct weir_log *log)
{
    struct wal_reader *reader = log->reader;
    if (is_due(reader->writer_checked_ns, (uint64_t)IDLE_NS)) {
        reader->writer_checked_ns = base_clock_coarse_ns();
        if (has_new_epoch(log)) {
            reader->verdict = 0;
            return look_again(log);
        }
    }
    return reader->verdict;
}

/* What the writer truncated or compacted since. */
static int take_truncation(struct weir_log *log)
{
    struct wal_reader *reader = log->reader;
    bool moved = false;
    if (reader->page != NULL) {
        /* Acquire pairs with the release in live_publish_earliest(). */
        weir_lsn earliest =
            atomic_load_explicit(&reader_page_data(reader->page)->earliest, memory_order_acquire);
        uint64_t layout =
            atomic_load_explicit(&reader_page_data(reader->page)->layout, memory_order_acquire);
        moved = earliest > log_earliest(log) || layout > log->control.layout;
    }
    if (!moved && !is_due(reader->control_checked_ns, CONTROL_CHECK_NS)) {
        return 0;
    }
    reader->control_checked_ns = base_clock_coarse_ns();
    struct control control;
    int rc = reader_load_control(log, &control, NULL);
    if (rc < 0) {
        return rc;
    }
    if (control.epoch != log->control.epoch) {
        return look_again(log);
    }
    if (control.generation != log->control.generation) {
        reader_table_adopt(log, &control);
    }
    return 0;
}

static bool writer_is_gone(struct weir_log *log)
{
    struct wal_reader *reader = log->reader;
    if (reader->page != NULL && !reader_page_is_current(reader->page, &log->control)) {
        return true; /* it has closed the log, or is about to */
    }
    if (!is_due(reader->writer_checked_ns, WRITER_CHECK_NS)) {
        return false;
    }
    reader->writer_checked_ns = base_clock_coarse_ns();
    return lock_writer_is_alive(log->medium) == 0;
}

static int refresh_following(struct weir_log *log)
{
    const struct wal_reader *reader = log->reader;
    int rc = take_truncation(log);
    if (rc < 0 || reader->starting || reader->state != READER_FOLLOWING) {
        return rc;
    }
    rc = follow(log, NULL);
    rc = rc == -EAGAIN ? 0 : rc; /* truncated faster than it can be read: the next time */
    return writer_is_gone(log) ? look_again(log) : rc;
}

int reader_refresh(struct weir_log *log)
{
    struct wal_reader *reader = log->reader;
    int rc;
    base_lock_acquire(&reader->lock);
    if (reader->starting) {
        rc = is_due(reader->writer_checked_ns, (uint64_t)POLL_NS) ? look_again(log) : 0;
    } else if (reader->state == READER_FOLLOWING) {
        rc = refresh_following(log);
    } else {
        rc = refresh_idle(log);
    }
    base_lock_release(&reader->lock);
    return rc;
}

/* ---- waiting ---- */

static void sleep_on_page(const struct reader_page *page, uint32_t seen, int64_t timeout_ns)
{
    struct live_page *data = reader_page_data(page);
    /* Counted first, looked second, both sequentially consistent, as in live.c the other way round:
     * either this sees the new sequence or the writer sees this waiter. */
    atomic_fetch_add_explicit(&data->waiters, 1, memory_order_seq_cst);
    if (atomic_load_explicit(&data->sequence, memory_order_seq_cst) == seen) {
        base_wait(&data->sequence, seen, timeout_ns, true);
    }
    atomic_fetch_sub_explicit(&data->waiters, 1, memory_order_seq_cst);
}

/* Sleeps for one slice at most: the writer may die without a word. */
int reader_wait(struct weir_log *log, uint32_t sequence, int64_t timeout_ns)
{
    struct wal_reader *reader = log->reader;
    base_lock_acquire(&reader->lock);
    /* Marks move and the page's sequence is noted under this lock: whoever finds nothing new here
     * sleeps on a sequence that belongs to what it has seen. */
    if (atomic_load_explicit(&log->tailers.sequence, memory_order_relaxed) != sequence) {
        base_lock_release(&reader->lock);
        return 0;
    }
    bool follows = reader->state == READER_FOLLOWING && !reader->starting;
    struct reader_page *page = follows ? reader->page : NULL;
    page = page != NULL && page->shared.writable ? page : NULL;
    uint32_t seen = reader->seen_sequence;
    int64_t slice = page != NULL ? (int64_t)WRITER_CHECK_NS : POLL_NS;
    slice = reader->state == READER_IDLE ? IDLE_NS : slice;
    if (page != NULL) {
        page->users++;
    }
    base_lock_release(&reader->lock);
    int64_t sleep_ns = timeout_ns >= 0 && timeout_ns < slice ? timeout_ns : slice;
    if (page == NULL) {
        lock_sleep(sleep_ns);
        return 0;
    }
    sleep_on_page(page, seen, sleep_ns);
    base_lock_acquire(&reader->lock);
    reader_page_release(page);
    base_lock_release(&reader->lock);
    return 0;
}

/* ---- open and close ---- */

static void note_polling(struct weir_log *log)
{
    const struct wal_reader *reader = log->reader;
    if (reader->state == READER_FOLLOWING && reader->page == NULL) {
        char *reason = log->report.medium.reason;
        size_t length = strlen(reason);
        (void)snprintf(reason + length, sizeof log->report.medium.reason - length,
                       "; no page in /dev/shm: durable is polled from the groups");
    }
}

static void finish_report(struct weir_log *log)
{
    struct weir_open_report *report = &log->report;
    const struct wal_reader *reader = log->reader;
    weir_lsn durable = log_durable(log), earliest = log_earliest(log);
    memcpy(report->uuid, log->control.uuid, sizeof report->uuid);
    report->live_writer = reader->state == READER_FOLLOWING;
    report->epoch = log->control.epoch;
    report->earliest = earliest > durable ? 0 : earliest;
    report->latest = earliest > durable ? 0 : durable;
    report->horizon = log->control.horizon;
    if (report->scanned_segments == 0) {
        report->scanned_bytes = reader->walked_bytes;
        report->scanned_records = reader->walked_records;
        report->scanned_segments = reader->segment != NULL ? 1 : 0;
    }
    note_polling(log);
}

/* Until it is known who writes, or lock_wait has passed: a writer may be starting, or dying. */
static int attach_waiting(struct weir_log *log, struct weir_error *why)
{
    uint64_t start_ns = base_clock_monotonic_ns();
    for (;;) {
        int64_t waited = (int64_t)(base_clock_monotonic_ns() - start_ns);
        bool late = log->lock_wait_ns >= 0 && waited >= log->lock_wait_ns;
        int rc = attach(log, late, log->lock_wait_ns, why);
        if (rc != 0 || late) {
            log->reader->starting = rc == 0; /* refreshing goes on looking */
            return rc < 0 ? rc : 0;
        }
        lock_sleep(POLL_NS);
    }
}

int reader_open(struct weir_log *log, const struct weir_log_options *options,
                struct weir_error *why)
{
    uint64_t start_ns = base_clock_monotonic_ns();
    log->reader = base_alloc_zero(sizeof *log->reader);
    if (log->reader == NULL) {
        return -ENOMEM;
    }
    log->reader->options = *options;
    atomic_store_explicit(&log->marks.earliest, 1, memory_order_relaxed);
    int rc = attach_waiting(log, why);
    rc = rc < 0 ? rc : log->reader->verdict;
    if (rc == 0 && log->limits.segment_bytes == 0) {
        rc = create_check_begun(log->medium, why);
    }
    if (rc == 0) {
        log->reader->opened = true;
        log->report.lock_s = seconds_since(start_ns) - log->report.scan_s;
        finish_report(log);
    }
    return rc;
}

void reader_close(struct weir_log *log)
{
    leave_page(log->reader);
    base_free(log->reader);
    log->reader = NULL;
}
