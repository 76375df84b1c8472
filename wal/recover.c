/*
 * Recovery: finds the end of the log and hands what was found to the verdict.
 *
 * Happy path
 *   1. inventory: every retained segment's header
 *   2. walk from the start of the newest segment to x, the first group not valid in place; from the
 *      start of the one before when nothing on the way says that a record of the newest was durable
 *      (a writer may begin to read what is in front of x here: it does not change any more)
 *   3. look for evidence behind x: in (x, x + W], and on to the end of the newest segment; or only
 * as far as its killed writer has submitted anything (docs/adr/0024)
 *   4. verdict; then the tail, the segments and the counts for who opens
 *
 * Failure modes: everything that is refused leaves the log as it was, with one sentence that names
 * file, offset and LSNs; memory and reads that fail for other reasons come back as -errno.
 *
 * Invariants
 *   - Starting at the newest segment is enough once a group of it, valid in place, says that one of
 *     its records was durable: durable moves in order of address, so all in front of it was.
 *   - Starting one segment before the newest always is: the newest header lies there, so all but W
 *     bytes before it were durable, and W is at most a segment.
 *   - What is older cannot be torn, only damaged, and is checked at first read, by verification, or
 *     now on request.
 *   - At or behind CONTROL's witness address no group of an older epoch is accepted. Its writer is
 *     gone and what it left there was cut; if in-flight bytes turned up later, they stay cut.
 *   - Nothing here asserts about bytes of the medium.
 */
#include "wal/recover.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "wal/inventory.h"
#include "wal/live.h"
#include "wal/recover_judge.h"

#include <errno.h>
#include <string.h>

/* ---- which files there are ---- */

static uint64_t ordinal_of(const struct judge *judge, uint64_t address)
{
    return address / judge->control->segment_bytes;
}

uint64_t judge_witness_address(const struct control *control)
{
    uint64_t offset = control->witness_address & (control->segment_bytes - 1);
    bool at_header = offset < FORMAT_SEGMENT_HEADER_BYTES;
    return control->witness_address - offset + (at_header ? FORMAT_SEGMENT_HEADER_BYTES : offset);
}

static bool header_is_valid(const struct inventory_segment *segment)
{
    return segment != NULL && segment->header_result == 0;
}

static void note_file(struct judge *judge, bool *input, uint64_t ordinal)
{
    if (!*input) {
        *input = true;
        judge->bad_ordinal = ordinal;
    }
}

/* Without what it has made, files that it replaced, and that nobody has removed yet, would count
 * again: what was dropped would be back. */
static void check_newest_compaction(struct judge *judge)
{
    const struct control *control = judge->control;
    if (control->compact_next == 0 || control->compact_last < control->first_ordinal) {
        return;
    }
    uint64_t ordinal = FORMAT_COMPACTED_ORDINAL + control->compact_next - 1;
    const struct inventory_segment *newest = inventory_find(&judge->inventory, ordinal);
    if (newest == NULL) {
        note_file(judge, &judge->input.file_short, ordinal);
    } else if (!header_is_valid(newest) || newest->dead ||
               inventory_first(newest) != control->compact_first ||
               inventory_last(newest) != control->compact_last) {
        note_file(judge, &judge->input.header_damaged, ordinal);
    }
}

/* Every segment up to the newest header and the witness must be there in full. */
static void check_files(struct judge *judge)
{
    const struct control *control = judge->control;
    uint64_t last = control->first_ordinal;
    uint64_t witness = judge->witness;
    for (uint32_t i = 0; i < judge->inventory.count; i++) {
        const struct inventory_segment *segment = &judge->inventory.segments[i];
        if (header_is_valid(segment) && segment->ordinal > last && !segment->dead &&
            !format_is_compacted(segment->ordinal)) {
            last = segment->ordinal;
        }
    }
    judge->newest = last;
    if (witness % control->segment_bytes > FORMAT_SEGMENT_HEADER_BYTES &&
        ordinal_of(judge, witness) > last) {
        last = ordinal_of(judge, witness);
    }
    for (uint64_t place = control->first_ordinal; place <= last;) {
        const struct inventory_segment *segment = inventory_at(&judge->inventory, place);
        if (segment == NULL || segment->file_bytes < control->segment_bytes) {
            note_file(judge, &judge->input.file_short, segment != NULL ? segment->ordinal : place);
            return;
        }
        place = inventory_last(segment) + 1;
    }
    check_newest_compaction(judge);
}

/* Without a header the log can only begin where CONTROL says that it ends: nothing is in it. */
static bool may_lack_header(const struct judge *judge, uint64_t ordinal)
{
    uint64_t first_group = ordinal * judge->control->segment_bytes + FORMAT_SEGMENT_HEADER_BYTES;
    return ordinal == judge->start && ordinal == judge->newest && judge->witness == first_group;
}

/* Does a segment begin where the one before it ends, as far as both headers say? Only what a
 * compacted one continues with is known without reading groups. */
static bool follows(const struct inventory_segment *before, const struct segment_header *header)
{
    const struct segment_header *old = &before->header;
    if (format_is_compacted(before->ordinal)) {
        return header->base_lsn == old->last_lsn + 1 && header->base_time_ns == old->end_time_ns &&
               header->epoch == old->end_epoch && header->seed == old->end_seed &&
               header->chain == old->end_chain &&
               header->previous_seal_offset == old->end_seal_offset;
    }
    return header->base_lsn >= old->base_lsn && header->base_time_ns >= old->base_time_ns &&
           header->epoch >= old->epoch && header->previous_seal_offset != 0;
}

static bool header_fits(const struct judge *judge, const struct inventory_segment *before,
                        const struct inventory_segment *segment)
{
    const struct control *control = judge->control;
    const struct segment_header *header = &segment->header;
    bool compacted = format_is_compacted(segment->ordinal);
    bool limits = compacted ? header->horizon <= control->horizon &&
                                  header->last_ordinal < judge->newest &&
                                  header->seal_offset < control->segment_bytes
                            : header->block_bytes == control->block_bytes;
    return limits &&
           (before == NULL ? header->base_lsn <= control->first_lsn : follows(before, header));
}

/* Headers up to the walk's start were durable long ago, and each continues the one before. */
static void check_headers(struct judge *judge)
{
    const struct inventory_segment *before = NULL;
    for (uint64_t place = judge->control->first_ordinal; place <= judge->start;) {
        const struct inventory_segment *segment = inventory_at(&judge->inventory, place);
        if (!header_is_valid(segment)) {
            if (!may_lack_header(judge, place)) {
                note_file(judge, &judge->input.header_damaged, place);
            }
            return;
        }
        if (!header_fits(judge, before, segment) || inventory_first(segment) != place) {
            note_file(judge, &judge->input.header_damaged, segment->ordinal);
            return;
        }
        before = segment;
        place = inventory_last(segment) + 1;
    }
}

/* Closed by its writer, as far as CONTROL and the headers say: all of it was durable then, and the
 * last segment alone has to be read to know where its records lie. */
static bool was_closed(const struct judge *judge)
{
    return judge->control->clean && ordinal_of(judge, judge->witness) == judge->newest &&
           header_is_valid(inventory_find(&judge->inventory, judge->newest));
}

/* The last segment but one that has a valid header; the first when there are fewer. What lies in
 * front of it was durable, and so was what is compacted. */
static uint64_t choose_start(const struct judge *judge)
{
    uint64_t first = judge->control->first_ordinal;
    if (was_closed(judge)) {
        return judge->newest;
    }
    uint64_t start = judge->newest;
    for (uint64_t place = judge->newest; place > first && start == judge->newest;) {
        const struct inventory_segment *segment = inventory_at(&judge->inventory, --place);
        if (segment != NULL && format_is_compacted(segment->ordinal)) {
            break;
        }
        start = header_is_valid(segment) || place == first ? place : start;
    }
    return start;
}

/* ---- what is found ---- */

static struct group_chain chain_from(const struct segment_header *header)
{
    return (struct group_chain){
        .next_lsn = header->base_lsn,
        .time_ns = header->base_time_ns,
        .epoch = header->epoch,
        .seed = header->seed,
        .crc = header->chain,
    };
}

static int add_segment(struct recovery *recovery, const struct recovery_segment *segment)
{
    uint32_t count = recovery->segment_count;
    if ((count & (count - 1)) == 0) { /* full whenever it is a power of two, or 0 */
        uint32_t capacity = count == 0 ? 1 : 2 * count;
        struct recovery_segment *segments = base_alloc_array(capacity, sizeof *segments);
        if (segments == NULL) {
            return -ENOMEM;
        }
        if (count > 0) {
            memcpy(segments, recovery->segments, count * sizeof *segments);
        }
        base_free(recovery->segments);
        recovery->segments = segments;
    }
    recovery->segments[recovery->segment_count++] = *segment;
    return 0;
}

/* What is known of a segment from its header and the next one's; of a compacted one, from its own.
 */
static struct recovery_segment describe_older(const struct inventory_segment *segment,
                                              const struct segment_header *next)
{
    const struct segment_header *header = &segment->header;
    struct recovery_segment older = {
        .ordinal = segment->ordinal,
        .first_ordinal = inventory_first(segment),
        .last_ordinal = inventory_last(segment),
        .start = chain_from(header),
        .seal_offset = (uint32_t)next->previous_seal_offset,
        .end_seal_offset = (uint32_t)next->previous_seal_offset,
        .seal_seed = next->seed,
        .last_lsn = next->base_lsn - 1,
        .last_time_ns = next->base_time_ns,
    };
    if (header->compacted) {
        older.start.epoch = header->end_epoch;
        older.start.seed = header->end_seed;
        older.seal_offset = (uint32_t)header->seal_offset;
    }
    return older;
}

static int add_older_segments(struct judge *judge, struct recovery *recovery)
{
    int rc = 0;
    for (uint64_t place = judge->control->first_ordinal; rc == 0 && place < judge->start;) {
        const struct inventory_segment *segment = inventory_at(&judge->inventory, place);
        place = inventory_last(segment) + 1;
        const struct inventory_segment *next = inventory_at(&judge->inventory, place);
        struct recovery_segment older = describe_older(segment, &next->header);
        rc = add_segment(recovery, &older);
    }
    return rc;
}

static int add_walked_segments(struct judge *judge, struct recovery *recovery)
{
    int rc = 0;
    for (uint32_t i = 0; i < judge->walked_count && rc == 0; i++) {
        rc = add_segment(recovery, &judge->walked[i]);
    }
    return rc;
}

static int add_number(uint64_t **list, uint32_t *count, uint64_t number)
{
    uint64_t *longer = base_alloc_array(*count + 1, sizeof *longer);
    if (longer == NULL) {
        return -ENOMEM;
    }
    if (*count > 0) {
        memcpy(longer, *list, *count * sizeof *longer);
    }
    base_free(*list);
    longer[(*count)++] = number;
    *list = longer;
    return 0;
}

/* Spares are the complete files right behind the tail; other files that are not retained go. */
static int sort_other_files(struct judge *judge, struct recovery *recovery)
{
    uint64_t next = recovery->tail.ordinal + 1;
    int rc = 0;
    for (uint32_t i = 0; i < judge->inventory.count && rc == 0; i++) {
        const struct inventory_segment *segment = &judge->inventory.segments[i];
        if (!segment->dead && inventory_last(segment) >= judge->control->first_ordinal &&
            inventory_first(segment) <= recovery->tail.ordinal) {
            continue;
        }
        if (!segment->dead && segment->ordinal == next &&
            segment->file_bytes >= judge->control->segment_bytes) {
            rc = add_number(&recovery->spares, &recovery->spare_count, next++);
        } else {
            rc = add_number(&recovery->leftovers, &recovery->leftover_count, segment->ordinal);
        }
    }
    return rc;
}

static void describe_tail(struct judge *judge, struct recovery_tail *tail)
{
    *tail = (struct recovery_tail){
        .ordinal = judge->ordinal,
        .offset = judge->walk.offset,
        .has_header = judge->has_header,
        .has_file = inventory_find(&judge->inventory, judge->ordinal) != NULL,
        .chain = judge->walk.chain,
        .address = judge_address(judge),
        .last_group_address = judge->last_group_address,
        .start = judge->segment_start,
        .records = judge->directory.records,
        .groups = judge->directory.groups,
        .payload_bytes = judge->directory.payload_bytes,
        .first_time_ns = judge->directory.first_time_ns,
        .entries = judge->directory.entries,
        .entry_count = judge->directory.count,
    };
    judge->directory = (struct scan_directory){0}; /* the entries are the tail's now */
}

/* What the walk alone has found. */
static int describe_log(struct judge *judge, struct recovery *recovery)
{
    describe_tail(judge, &recovery->tail);
    recovery->window = judge->window; /* nothing in front of x is read into it any more */
    judge->window = (struct recovery_window){0};
    judge->is_described = true;
    int rc = add_older_segments(judge, recovery);
    rc = rc < 0 ? rc : add_walked_segments(judge, recovery);
    return rc < 0 ? rc : sort_other_files(judge, recovery);
}

static int describe(struct judge *judge, struct recovery *recovery)
{
    const struct scan_evidence *evidence = &judge->evidence;
    recovery->clean = judge->control->clean;
    recovery->zero_from = evidence->zero_from;
    recovery->witnessed = judge->known_durable;
    if (!recovery->clean) {
        recovery->cut_bytes = evidence->held_bytes + evidence->unreadable_bytes;
        recovery->cut_groups = evidence->groups;
        recovery->cut_records = evidence->records;
    }
    recovery->scanned_records = judge->scanned_records;
    recovery->scanned_segments = judge->walked_count;
    return judge->is_described ? 0 : describe_log(judge, recovery);
}

/* ---- the whole ---- */

static int walk_from(struct judge *judge, uint64_t start)
{
    judge->start = start;
    check_headers(judge);
    return judge->input.header_damaged ? 0 : judge_walk(judge);
}

/* Files or headers that are missing end it before it begins. What does not begin early enough, and
 * what is wrong with the newest segment alone, is judged by the walk that always did. */
static int walk(struct judge *judge)
{
    if (judge->input.file_short || judge->input.header_damaged) {
        return 0;
    }
    uint64_t start = choose_start(judge);
    int rc = start < judge->newest ? judge_find_seal(judge) : 0;
    if (rc > 0) {
        rc = walk_from(judge, judge->newest);
        if (rc < 0 || (!judge->input.header_damaged && judge_proves_start(judge))) {
            return rc;
        }
        judge_forget_walk(judge);
    }
    return rc < 0 ? rc : walk_from(judge, start);
}

static void open_window(struct judge *judge)
{
    const struct weir_medium_ops *ops = judge->medium->ops;
    struct recovery_window *window = &judge->window;
    char name[FORMAT_NAME_BYTES];
    if (judge->medium->info.window_is_file || judge->input.file_short ||
        !header_is_valid(inventory_find(&judge->inventory, judge->newest))) {
        return;
    }
    format_segment_name(judge->newest, name);
    if (ops->open(judge->medium, name, WEIR_FILE_WRITE, &window->file) < 0) {
        return;
    }
    if (ops->window_open(window->file, judge->control->segment_bytes, &window->window) < 0) {
        ops->close(window->file);
        return;
    }
    window->medium = judge->medium;
    window->ordinal = judge->newest;
}

/* An end as a kill leaves it, of a segment that lies in a window up to there. */
static bool is_plain_end(const struct judge *judge)
{
    const struct recovery_window *window = &judge->window;
    bool whole = window->window != NULL && window->ordinal == judge->ordinal &&
                 window->loaded == judge->walk.offset && window->loaded % FORMAT_BLOCK == 0;
    bool plain = judge->has_header && judge->walk.end == SCAN_INVALID && !judge->control->clean &&
                 judge->newer_epoch == 0 && !judge->foreign;
    return whole && plain && !judge->input.file_short && !judge->input.header_damaged;
}

static int find_end(struct judge *judge, const struct recovery_beside *beside,
                    struct recovery *recovery)
{
    const struct control *control = judge->control;
    int rc = inventory_read(judge->medium, control->uuid, NULL, NULL, &judge->inventory);
    rc = rc < 0 ? rc : inventory_resolve(&judge->inventory, control);
    if (rc < 0) {
        return rc;
    }
    for (uint32_t i = 0; i < judge->inventory.count; i++) {
        if (judge->inventory.segments[i].header_result == WEIR_E_NEWER_FORMAT) {
            judge->bad_ordinal = judge->inventory.segments[i].ordinal;
            return WEIR_E_NEWER_FORMAT;
        }
    }
    judge->witness = judge_witness_address(control);
    check_files(judge);
    if (beside != NULL) {
        open_window(judge);
        judge->submitted = live_submitted(control);
    }
    rc = walk(judge);
    if (rc == 0 &&
        (judge->input.header_damaged || (judge->input.file_short && judge->walked_count == 0))) {
        return judge_headers_only(judge);
    }
    if (rc == 0 && beside != NULL && is_plain_end(judge)) {
        rc = describe_log(judge, recovery);
        if (rc == 0) {
            beside->found(beside->context, recovery);
        }
    }
    return rc < 0 ? rc : judge_evidence(judge);
}

static void free_judge(struct judge *judge)
{
    scan_free(&judge->scan);
    scan_directory_free(&judge->directory);
    inventory_free(&judge->inventory);
}

static int judge(struct weir_medium *medium, const struct control *control,
                 const struct recovery_beside *beside, struct recovery *ret_recovery,
                 struct weir_error *why)
{
    uint64_t begin_ns = base_clock_monotonic_ns();
    struct judge judge = {.medium = medium, .control = control, .submitted = UINT64_MAX};
    struct recovery recovery = {0};
    int rc = scan_init(&judge.scan, medium, control->segment_bytes, control->block_bytes,
                       group_uuid_seed(control->uuid));
    rc = rc < 0 ? rc : find_end(&judge, beside, &recovery);
    if (rc == 0) {
        enum verdict verdict = verdict_decide(&judge.input);
        rc = verdict == VERDICT_OPEN ? describe(&judge, &recovery)
                                     : judge_explain(&judge, verdict, why);
    } else if (rc == WEIR_E_NEWER_FORMAT) {
        rc = judge_explain_newer(&judge, why);
    }
    recovery.scanned_bytes = judge.scan.read_bytes;
    recovery.seconds = (double)(base_clock_monotonic_ns() - begin_ns) / (double)BASE_NS_PER_S;
    free_judge(&judge); /* nothing is read into the window any more */
    if (!judge.is_described) {
        recovery.window = judge.window;
    }
    if (rc < 0) {
        recover_free(&recovery);
        return rc;
    }
    *ret_recovery = recovery;
    return 0;
}

int recover_judge(struct weir_medium *medium, const struct control *control,
                  struct recovery *ret_recovery, struct weir_error *why)
{
    return judge(medium, control, NULL, ret_recovery, why);
}

int recover_judge_for_writer(struct weir_medium *medium, const struct control *control,
                             const struct recovery_beside *beside, struct recovery *ret_recovery,
                             struct weir_error *why)
{
    return judge(medium, control, beside, ret_recovery, why);
}

void recover_free(struct recovery *recovery)
{
    if (recovery->window.window != NULL) {
        recovery->window.medium->ops->window_close(recovery->window.window);
        recovery->window.medium->ops->close(recovery->window.file);
    }
    base_free(recovery->tail.entries);
    base_free(recovery->segments);
    base_free(recovery->spares);
    base_free(recovery->leftovers);
    *recovery = (struct recovery){0};
}
