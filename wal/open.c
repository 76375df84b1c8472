/*
 * Open: from a directory to a handle that takes appends.
 *
 * Happy path of a writer: medium, LOCK, CONTROL (made first when nothing is there); judge the end
 * of the log (recover.c); flush the tail that is kept, and CONTROL; a new epoch and seed in
 * CONTROL; zero what was cut; build the table of segments; the open segment's bytes into its
 * window; an epoch group, durable. Only then does anybody get the handle.
 *
 * Where an engine is opened with it, the table is built in front of the verdict, and read by the
 * engine until that is there: in memory, with nothing changed on the medium.
 *
 * A reader goes to reader.c once the medium is there.
 *
 * Failure modes: everything gives back what it took, and nothing has changed on the medium before
 * the verdict is "open".
 *
 * What a crash leaves, step by step: docs/RECOVERY.md.
 */
#include "wal/open.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "base/clock.h"
#include "base/random.h"
#include "wal/address.h"
#include "wal/commit.h"
#include "wal/hold.h"
#include "wal/live.h"
#include "wal/lock.h"
#include "wal/medium_select.h"
#include "wal/options.h"
#include "wal/reader.h"
#include "wal/repair.h"
#include "wal/reserve.h"
#include "wal/truncate.h"
#include "wal/write_through.h"

#include <errno.h>
#include <string.h>

#define DURABLE_DEPTH 4u
/* One thread that streams comes back to take a completion only when it has filled the next group:
 * with four in flight the device often has less to do than it could (1 KiB: 0.8 to 0.88 of it). */
#define STREAM_DEPTH 8u

static uint32_t at_most(uint32_t depth, uint32_t most)
{
    return depth < most ? depth : most;
}

static double seconds_since(uint64_t start_ns)
{
    return (double)(base_clock_monotonic_ns() - start_ns) / (double)BASE_NS_PER_S;
}

/* ---- CONTROL ---- */

static int refuse_absent(struct weir_error *why)
{
    return log_error(why, -ENOENT, "CONTROL", UINT64_MAX,
                     "there is no log here, and creating one was not asked for");
}

/* Sizes that no log can have are found before anything is made. */
static int check_new_sizes(const struct weir_log_options *options, struct weir_error *why)
{
    struct control unused;
    return options_new_limits(options, &unused, why);
}

/* Before LOCK, which is a file: a directory that is refused stays as it is. */
static int check_directory(struct weir_log *log, const struct weir_log_options *options,
                           struct weir_error *why)
{
    struct control control;
    int rc = control_load(log->medium, &control, why);
    if (rc != -ENOENT) {
        return 0; /* what is wrong with CONTROL is found out under LOCK */
    }
    rc = create_check_directory(log->medium, why);
    if (rc < 0) {
        return rc;
    }
    return (options->flags & WEIR_LOG_CREATE) == 0 ? refuse_absent(why)
                                                   : check_new_sizes(options, why);
}

static int load_or_create(struct weir_log *log, const struct weir_log_options *options,
                          struct weir_error *why)
{
    int rc = control_load(log->medium, &log->control, why);
    if (rc != -ENOENT) {
        return rc;
    }
    if ((options->flags & WEIR_LOG_CREATE) == 0) {
        return refuse_absent(why);
    }
    rc = create_log(log->medium, options, why);
    if (rc == 0) {
        log->report.created = true;
        rc = control_load(log->medium, &log->control, why);
    }
    return rc;
}

/* The writer's turn begins: everything below the tail is durable, everything behind it is gone. */
static int store_new_epoch(struct weir_log *log, const struct recovery *found)
{
    log->control.epoch++;
    log->control.clean = false;
    log->control.witness_lsn = found->tail.chain.next_lsn - 1;
    log->control.witness_address = found->tail.address;
    log->control.witness_chain = found->tail.chain.crc;
    int rc = base_random_bytes(&log->control.seed, sizeof log->control.seed);
    return rc < 0 ? rc : control_store(log->medium, &log->control);
}

/* ---- the table of segments ---- */

static int add_spare(struct weir_log *log, uint64_t ordinal, struct wal_segment **ret_segment)
{
    struct wal_segment *segment = segment_new(log, ordinal, SEGMENT_SPARE);
    if (segment == NULL) {
        return -ENOMEM;
    }
    int rc = segment_table_add(log, segment);
    if (rc < 0) {
        segment_free(log, segment);
        return rc;
    }
    *ret_segment = segment;
    return 0;
}

static int add_sealed(struct weir_log *log, const struct recovery_segment *known,
                      const struct group_chain *behind)
{
    struct wal_segment *segment = segment_new(log, known->ordinal, SEGMENT_SEALED);
    if (segment == NULL) {
        return -ENOMEM;
    }
    segment->first = known->first_ordinal;
    segment->last = known->last_ordinal;
    segment->start = known->start;
    segment->seal_offset = known->seal_offset;
    segment->seal_seed = behind->seed;
    segment->last_lsn = known->last_lsn;
    segment->last_time_ns = known->last_time_ns;
    int rc = segment_table_add(log, segment);
    if (rc < 0) {
        segment_free(log, segment);
    }
    return rc;
}

static int add_sealed_segments(struct weir_log *log, const struct recovery *found)
{
    int rc = 0;
    for (uint32_t i = 0; rc == 0 && i + 1 < found->segment_count; i++) {
        const struct recovery_segment *next = &found->segments[i + 1];
        rc = add_sealed(log, &found->segments[i], &next->start);
    }
    return rc;
}

/* Where recovery has read the segment into a window, that becomes the segment's. */
static int open_segment(struct weir_log *log, struct wal_segment *segment,
                        struct recovery_window *given)
{
    if (given->window == NULL || given->ordinal != segment->ordinal) {
        int rc = segment_open_file(log, segment);
        return rc < 0 ? rc : segment_open_window(log, segment);
    }
    int rc = log->medium->ops->lock(given->file, WEIR_LOCK_EXCLUSIVE);
    rc = rc < 0 ? rc : segment_directory_alloc(log, segment);
    if (rc < 0) {
        return rc;
    }
    segment->file = given->file;
    segment_set_window(log, segment, given->window);
    given->window = NULL; /* taken */
    return 0;
}

/* The open segment: its file, its window, and what recovery has read of it. */
static int add_open_segment(struct weir_log *log, struct recovery *found)
{
    const struct recovery_tail *tail = &found->tail;
    base_lock_acquire(&log->segments.making);
    int rc = 0;
    struct wal_segment *segment = NULL;
    if (!tail->has_file) {
        rc = segment_create_spare(log);
        base_lock_acquire(&log->segments.lock);
        segment = rc == 0 ? segment_lookup(log, tail->ordinal) : NULL;
        base_lock_release(&log->segments.lock);
        rc = rc < 0 ? rc : segment_open_window(log, segment);
    } else {
        rc = add_spare(log, tail->ordinal, &segment);
        rc = rc < 0 ? rc : open_segment(log, segment, &found->window);
    }
    bool loaded = found->window.ordinal == tail->ordinal && found->window.window == NULL &&
                  found->window.loaded == tail->offset;
    if (rc == 0 && tail->has_header && !loaded) {
        rc = log->medium->ops->load(segment->window, 0, tail->offset);
    }
    base_lock_release(&log->segments.making);
    if (rc < 0) {
        return rc;
    }
    WEIR_ASSERT(tail->entry_count <= segment->directory.capacity);
    if (tail->entry_count > 0) {
        memcpy(segment->directory.entries, tail->entries,
               tail->entry_count * sizeof(struct format_directory_entry));
    }
    atomic_store_explicit(&segment->directory.count, tail->entry_count, memory_order_release);
    segment->start = tail->start;
    segment->state = SEGMENT_OPEN;
    log->tail.segment = segment;
    return 0;
}

static int add_spares(struct weir_log *log, const struct recovery *found)
{
    int rc = 0;
    for (uint32_t i = 0; rc == 0 && i < found->spare_count; i++) {
        struct wal_segment *spare;
        rc = add_spare(log, found->spares[i], &spare);
    }
    return rc;
}

static void set_tail(struct weir_log *log, const struct recovery *found)
{
    const struct recovery_tail *from = &found->tail;
    struct wal_tail *tail = &log->tail;
    struct wal_commit *commit = &log->commit;
    tail->offset = from->offset;
    tail->next_lsn = from->chain.next_lsn;
    tail->time_ns = from->chain.time_ns;
    tail->segment_records = from->records;
    tail->epoch_pending = true;
    atomic_store(&tail->reserved_address, from->address);
    atomic_store(&commit->submitted_address, from->address);
    commit->chain = from->chain;
    commit->flushed_lsn = from->chain.next_lsn - 1;
    atomic_store(&commit->witnessed_lsn, commit->flushed_lsn);
    commit->totals.records = from->records;
    commit->totals.groups = from->groups;
    commit->totals.payload_bytes = from->payload_bytes;
    commit->totals.first_time_ns = from->first_time_ns;
    if (found->segment_count > 1) {
        commit->last_seal_offset = found->segments[found->segment_count - 2].end_seal_offset;
    }
    atomic_store(&log->marks.reserved, commit->flushed_lsn);
    atomic_store(&log->marks.durable, commit->flushed_lsn);
    atomic_store(&log->marks.durable_address, from->address);
    atomic_store(&log->marks.earliest, log->control.first_lsn);
    atomic_store(&log->marks.horizon, log->control.horizon);
    atomic_store(&log->marks.compactions, log->control.compact_next);
}

static int build(struct weir_log *log, struct recovery *found)
{
    int rc = add_sealed_segments(log, found);
    rc = rc < 0 ? rc : add_open_segment(log, found);
    rc = rc < 0 ? rc : add_spares(log, found);
    if (rc == 0) {
        set_tail(log, found);
    }
    return rc;
}

/* ---- the writer ---- */

/* On a full disk the segment may have no room for it: the log opens all the same, to be read and
 * truncated, and the first append that finds room writes it (reserve.c). */
static int write_epoch_group(struct weir_log *log)
{
    int rc = reserve_internal(log, FORMAT_GROUP_EPOCH);
    if (rc == -ENOSPC || rc == -EDQUOT) {
        return 0;
    }
    if (rc < 0) {
        return rc;
    }
    uint64_t address = atomic_load_explicit(&log->tail.reserved_address, memory_order_acquire);
    rc = commit_wait(log, 0, address, WEIR_WAIT_FOREVER);
    int poison = atomic_load_explicit(&log->poison, memory_order_acquire);
    return rc < 0 && poison != 0 ? poison : rc;
}

static void fill_report(struct weir_log *log, const struct recovery *found)
{
    struct weir_open_report *report = &log->report;
    weir_lsn last = found->tail.chain.next_lsn - 1;
    bool empty = last < log->control.first_lsn;
    report->clean = found->clean;
    report->epoch = log->control.epoch;
    report->earliest = empty ? 0 : log->control.first_lsn;
    report->latest = empty ? 0 : last;
    report->horizon = log->control.horizon;
    report->cut_bytes = found->cut_bytes;
    report->cut_groups = found->cut_groups;
    report->cut_records = found->cut_records;
    report->scanned_bytes = found->scanned_bytes;
    report->scanned_records = found->scanned_records;
    report->scanned_segments = found->scanned_segments;
    memcpy(report->uuid, log->control.uuid, sizeof report->uuid);
}

/* Who opens the engine with the log may read it while recovery looks behind its end. */
struct builder {
    struct weir_log *log;
    const struct wal_address_opening *opening;
    bool built;
    int rc;
};

static void build_ahead(void *context, struct recovery *found)
{
    struct builder *builder = context;
    if (builder->opening != NULL) {
        builder->built = true;
        builder->rc = build(builder->log, found);
    }
    if (builder->built && builder->rc == 0) {
        builder->opening->found(builder->opening->context, builder->log);
    }
}

static int repair(struct weir_log *log, struct recovery *found, bool built, struct weir_error *why)
{
    uint64_t start_ns = base_clock_monotonic_ns();
    int rc = repair_flush_tail(log->medium, &log->control, found, why);
    rc = rc < 0 ? rc : repair_flush_control(log->medium, why);
    rc = rc < 0 ? rc : hold_flush_all(log->medium, why);
    (void)live_forget(log); /* another user's, or in another container, stays: it is not believed */
    rc = rc < 0 ? rc : store_new_epoch(log, found);
    rc = rc < 0 ? rc : repair_zero_window(log->medium, &log->control, found, why);
    if (rc == 0) { /* what follows may need a segment of that name */
        truncate_remove_half_made(log, found->leftovers, found->leftover_count);
    }
    rc = rc < 0 || built ? rc : build(log, found);
    rc = rc < 0 ? rc : write_epoch_group(log);
    log->report.repair_s = seconds_since(start_ns);
    return rc;
}

static int recover(struct weir_log *log, const struct weir_log_options *options,
                   const struct wal_address_opening *opening, struct weir_error *why)
{
    struct builder builder = {.log = log, .opening = opening};
    const struct recovery_beside beside = {build_ahead, &builder};
    struct recovery found = {0};
    uint64_t start_ns = base_clock_monotonic_ns();
    uint64_t tail = log->control.witness_address >> log->limits.segment_shift;
    int rc = lock_wait_for_io(log->medium, tail, log->lock_wait_ns, why);
    rc = rc < 0 ? rc : recover_judge_for_writer(log->medium, &log->control, &beside, &found, why);
    if (opening != NULL) {
        opening->settle(opening->context);
    }
    rc = rc < 0 ? rc : builder.rc;
    if (rc == 0 && options->verify == WEIR_VERIFY_ALL) {
        rc = recover_verify_all(log->medium, &log->control, &found, why);
    }
    log->report.scan_s = seconds_since(start_ns);
    if (rc == 0) {
        rc = repair(log, &found, builder.built, why);
    }
    if (rc == 0) {
        fill_report(log, &found);
        truncate_remove_leftovers(log, found.leftovers, found.leftover_count);
    }
    recover_free(&found);
    return rc;
}

static int open_writer(struct weir_log *log, const struct weir_log_options *options,
                       const struct wal_address_opening *opening, struct weir_error *why)
{
    uint64_t start_ns = base_clock_monotonic_ns();
    int rc = check_directory(log, options, why);
    if (rc == 0) {
        rc = lock_take(log->medium, WEIR_LOCK_EXCLUSIVE, log->lock_wait_ns, &log->lock_file, why);
    }
    if (rc < 0) {
        return rc;
    }
    log->report.lock_s = seconds_since(start_ns);
    if (opening != NULL) {
        opening->begin(opening->context, log->medium);
    }
    start_ns = base_clock_monotonic_ns();
    rc = load_or_create(log, options, why);
    if (rc == 0) {
        rc = options_apply(options, &log->control, &log->medium->info, &log->limits, why);
    }
    log->limits.queue_depth = at_most(log->medium->info.queue_depth, DURABLE_DEPTH);
    log->limits.stream_depth = at_most(log->medium->info.queue_depth, STREAM_DEPTH);
    log->limits.through_bytes = rc == 0 ? write_through_limit(log) : 0;
    log->uuid_seed = group_uuid_seed(log->control.uuid);
    log->report.control_s = seconds_since(start_ns);
    rc = rc < 0 ? rc : recover(log, options, opening, why);
    if (rc == 0) {
        (void)live_create(log); /* without the page readers poll the groups instead */
        rc = service_start(log);
    }
    return rc;
}

/* Its parent must exist. */
static int make_directory(const char *directory, const struct weir_log_options *options,
                          bool *ret_made, struct weir_error *why)
{
    *ret_made = medium_directory_is_absent(directory);
    if (*ret_made) {
        int rc = check_new_sizes(options, why);
        if (rc < 0) {
            return rc;
        }
    }
    int rc = medium_make_directory(directory);
    return rc == 0 ? 0
                   : log_error(why, rc, NULL, UINT64_MAX, "%s: %s", directory,
                               rc == -ENOENT ? "the directory that it is to be made in is not there"
                                             : weir_error_text(rc));
}

/* A directory that does not exist, or is none, before any file in it is made. */
static int open_medium(struct weir_log *log, const char *directory,
                       const struct weir_log_options *options, struct weir_error *why)
{
    int rc = 0;
    bool made = false;
    if ((options->flags & WEIR_LOG_CREATE) != 0 && options->medium != WEIR_MEDIUM_CUSTOM &&
        directory != NULL) {
        rc = make_directory(directory, options, &made, why);
    }
    rc = rc < 0 ? rc : medium_select(directory, options, &log->medium, why);
    if (rc < 0 && made) {
        medium_remove_directory(directory);
    }
    if (rc == 0) {
        log->report.medium = log->medium->info;
    }
    return rc;
}

int weir_log_open(const char *directory, const struct weir_log_options *options,
                  struct weir_log **ret_log, struct weir_error *ret_error)
{
    return wal_address_open(directory, options, NULL, ret_log, ret_error);
}

int wal_address_open(const char *directory, const struct weir_log_options *given,
                     const struct wal_address_opening *opening, struct weir_log **ret_log,
                     struct weir_error *ret_error)
{
    uint64_t start_ns = base_clock_monotonic_ns();
    bool has_error = ret_error != NULL && ret_error->size >= sizeof *ret_error;
    struct weir_log_options options = {0};
    struct weir_log *log = NULL;
    int rc = options_take(given, &options, has_error ? ret_error : NULL);
    if (ret_log == NULL || (ret_error != NULL && !has_error)) {
        rc = -EINVAL;
    }
    if (rc < 0) {
        goto out;
    }
    log = base_alloc_zero(sizeof *log);
    if (log == NULL) {
        rc = -ENOMEM;
        goto out;
    }
    log->event_fd = -1;
    log->flags = options.flags;
    log->witness = options.witness;
    log->idle_ns = options.idle_ns;
    log->lock_wait_ns = lock_wait_from_option(options.lock_wait_ns);
    log->report.size = sizeof log->report;
    rc = base_fork_guard_create(&log->guard);
    rc = rc < 0 ? rc : open_medium(log, directory, &options, ret_error);
    if (rc == 0) {
        bool reads = (options.flags & WEIR_LOG_READ_ONLY) != 0;
        rc = reads ? reader_open(log, &options, ret_error)
                   : open_writer(log, &options, opening, ret_error);
    }
    if (rc == 0) {
        log->report.total_s = seconds_since(start_ns);
        *ret_log = log;
        return 0;
    }
out:
    if (opening != NULL) {
        opening->end(opening->context); /* before the medium goes */
    }
    if (log != NULL && log->medium != NULL) {
        options.custom_medium = NULL; /* log_free destroys it */
    }
    if (log != NULL) {
        if (log->medium != NULL) {
            commit_drain(log);
        }
        log_free(log);
    }
    if (options.custom_medium != NULL) {
        options.custom_medium->ops->destroy(options.custom_medium);
    }
    log_error_explain(ret_error, rc, directory);
    return rc;
}
