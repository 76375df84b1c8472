/*
 * Where the log ends, and what lies behind that.
 *
 * Happy path: from a segment's header group by group to its seal, over to the next header, which
 * continues from the seal, and on; the walk ends at x, where the next group goes. Behind x, headers
 * of CONTROL's epoch say how far the log was durable when they were written.
 *
 * Failure modes: a seal whose directory is damaged is passed when the next segment continues from
 * it (the directory is derived; readers walk the groups instead). A header that does not continue
 * from the seal before is not the next segment's: x is in front of it.
 */
#include "wal/recover_judge.h"

#include "wal/log.h"

#include <errno.h>

enum stop {
    STOP_NEWER_EPOCH = 1,
    STOP_FOREIGN,
    STOP_CUT_EPOCH, /* of a writer that is gone, behind the witness */
    STOP_NO_MEMORY,
};

/* ---- CONTROL's witness ---- */

static uint64_t segment_start_of(const struct judge *judge)
{
    return judge->ordinal * judge->control->segment_bytes;
}

static bool agrees_with_witness(const struct judge *judge)
{
    return judge->walk.chain.crc == judge->control->witness_chain &&
           judge->walk.chain.next_lsn == judge->control->witness_lsn + 1;
}

/* The witness may name any address between the end of the last group and the start of the next:
 * they differ where a segment ends. */
static bool is_at_witness(const struct judge *judge)
{
    return judge->passed_address <= judge->witness && judge->witness <= judge_address(judge);
}

/* Called wherever the walk stands in front of a group. */
static bool look_at_witness(struct judge *judge)
{
    if (judge->passed_witness || judge_address(judge) < judge->witness) {
        return true;
    }
    judge->passed_witness = true;
    judge->foreign = !is_at_witness(judge) || !agrees_with_witness(judge);
    return !judge->foreign;
}

/* ---- one segment ---- */

/* Only CONTROL's own epoch goes on behind the witness. */
static int check_group_epoch(struct judge *judge, const struct scan_group *group)
{
    const struct control *control = judge->control;
    bool of_older = group->chain->epoch < control->epoch;
    if (group->header.kind != FORMAT_GROUP_EPOCH) {
        bool seal = group->header.kind == FORMAT_GROUP_SEAL;
        return judge->passed_witness && of_older && !seal ? STOP_CUT_EPOCH : 0;
    }
    const struct format_epoch *body =
        (const struct format_epoch *)(group->bytes + FORMAT_GROUP_HEADER_BYTES);
    uint64_t epoch = le64_load(&body->epoch);
    if (epoch > control->epoch) {
        judge->newer_epoch = epoch;
        judge->newer_address = group->header.address;
        return STOP_NEWER_EPOCH;
    }
    if (epoch == control->epoch) {
        judge->foreign = le32_load(&body->seed) != control->seed;
        return judge->foreign ? STOP_FOREIGN : 0;
    }
    return judge->passed_witness ? STOP_CUT_EPOCH : 0;
}

static int each_group(void *context, const struct scan_group *group)
{
    struct judge *judge = context;
    if (!look_at_witness(judge)) {
        return STOP_FOREIGN;
    }
    int stop = check_group_epoch(judge, group);
    if (stop != 0) {
        return stop;
    }
    if (scan_directory_add(&judge->directory, group) < 0) {
        return STOP_NO_MEMORY;
    }
    judge->start_is_proven =
        judge->start_is_proven || group->header.durable_lsn >= judge->walked_from.next_lsn;
    judge->last_group_address = group->header.address;
    judge->scanned_records += group->header.record_count;
    judge->passed_address =
        group->header.address + format_align(group->header.size_bytes, judge->scan.block_bytes);
    return 0;
}

static bool continues(const struct segment_header *header, const struct group_chain *chain,
                      uint64_t seal_offset)
{
    return header->base_lsn == chain->next_lsn && header->base_time_ns == chain->time_ns &&
           header->epoch == chain->epoch && header->seed == chain->seed &&
           header->chain == chain->crc && header->previous_seal_offset == seal_offset;
}

static const struct segment_header *header_of(const struct judge *judge, uint64_t ordinal)
{
    const struct inventory_segment *segment = inventory_find(&judge->inventory, ordinal);
    return segment != NULL && segment->header_result == 0 ? &segment->header : NULL;
}

/* A seal whose body is damaged, with a next segment that continues from it: goes behind it. */
static bool pass_damaged_seal(struct judge *judge)
{
    struct scan_walk *walk = &judge->walk;
    const struct segment_header *next = header_of(judge, judge->ordinal + 1);
    if (walk->end != SCAN_INVALID || !walk->has_refused ||
        walk->refused.kind != FORMAT_GROUP_SEAL || next == NULL) {
        return false;
    }
    struct group_chain behind = walk->chain;
    group_chain_advance(&behind, NULL, &walk->refused);
    if (!continues(next, &behind, walk->offset)) {
        return false;
    }
    judge->last_group_address = walk->refused.address;
    judge->passed_address = walk->refused.address + judge->scan.block_bytes;
    walk->chain = behind;
    walk->seal_offset = walk->offset;
    walk->end = SCAN_SEALED;
    return true;
}

static void note_walked(struct judge *judge)
{
    const struct scan_walk *walk = &judge->walk;
    bool sealed = walk->end == SCAN_SEALED;
    judge->walked[judge->walked_count++] = (struct recovery_segment){
        .ordinal = judge->ordinal,
        .first_ordinal = judge->ordinal,
        .last_ordinal = judge->ordinal,
        .start = judge->segment_start,
        .seal_offset = sealed ? walk->seal_offset : 0,
        .end_seal_offset = sealed ? walk->seal_offset : 0,
        .seal_seed = sealed ? walk->chain.seed : 0,
        .last_lsn = walk->chain.next_lsn - 1,
        .last_time_ns = walk->chain.time_ns,
        .walked = true,
    };
}

/* The segment stays open: what has been read ahead may be evidence. */
static int walk_segment(struct judge *judge)
{
    scan_close(&judge->scan);
    struct weir_window *window =
        judge->ordinal == judge->window.ordinal ? judge->window.window : NULL;
    int rc = scan_open_into(&judge->scan, judge->ordinal, window != NULL ? window->base : NULL);
    if (rc < 0) {
        return rc;
    }
    uint64_t likely = judge->control->clean ? judge->witness : judge->submitted;
    if (likely / judge->control->segment_bytes == judge->ordinal) {
        /* Reading on would touch memory that costs more than the bytes. */
        judge->scan.likely_end = likely % judge->control->segment_bytes;
    }
    if (window != NULL) { /* from the start on; whatever this says, the walk says it again */
        const uint8_t *header;
        (void)scan_bytes(&judge->scan, 0, FORMAT_SEGMENT_HEADER_BYTES, &header);
    }
    rc = scan_walk(&judge->scan, &judge->walk, each_group, judge);
    if (window != NULL) {
        judge->window.loaded = judge->scan.spoilt ? 0 : judge->walk.offset;
    }
    if (rc == 0 && judge->walk.end == SCAN_STOPPED && judge->walk.stop == STOP_NO_MEMORY) {
        return -ENOMEM;
    }
    return rc;
}

/* ---- from segment to segment ---- */

/* Where no header says so (a log without a group, or one that was truncated to nothing right before
 * its first group in a new segment), CONTROL does. */
static struct group_chain chain_from_control(const struct control *control)
{
    return (struct group_chain){
        .next_lsn = control->witness_lsn + 1,
        .time_ns = control->witness_lsn > 0 ? control->written_ns : 0, /* not before that */
        .crc = control->witness_chain,
    };
}

static struct group_chain chain_from_header(const struct segment_header *header)
{
    return (struct group_chain){
        .next_lsn = header->base_lsn,
        .time_ns = header->base_time_ns,
        .epoch = header->epoch,
        .seed = header->seed,
        .crc = header->chain,
    };
}

static bool begin_first(struct judge *judge)
{
    const struct control *control = judge->control;
    const struct segment_header *header = header_of(judge, judge->start);
    judge->ordinal = judge->start;
    judge->passed_address = segment_start_of(judge);
    judge->passed_witness = judge->witness < judge->passed_address;
    judge->has_header = header != NULL;
    judge->walk.chain = header != NULL ? chain_from_header(header) : chain_from_control(control);
    judge->segment_start = judge->walked_from = judge->walk.chain;
    if (header == NULL) {
        return false;
    }
    if (header->epoch > control->epoch) {
        judge->newer_epoch = header->epoch;
        judge->newer_address = segment_start_of(judge);
    }
    judge->foreign = header->epoch == control->epoch && header->seed != control->seed;
    return judge->newer_epoch == 0 && !judge->foreign;
}

/* Behind a seal. False: x is the start of this segment. */
static bool begin_next(struct judge *judge)
{
    struct group_chain chain = judge->walk.chain;
    uint64_t seal_offset = judge->walk.seal_offset;
    judge->ordinal++;
    judge->walk = (struct scan_walk){.chain = chain, .offset = FORMAT_SEGMENT_HEADER_BYTES};
    judge->segment_start = chain;
    scan_directory_clear(&judge->directory);
    const struct inventory_segment *file = inventory_find(&judge->inventory, judge->ordinal);
    if (file == NULL || file->file_bytes < judge->control->segment_bytes) {
        judge->input.file_short = true;
        judge->bad_ordinal = judge->ordinal;
        return false;
    }
    const struct segment_header *header = header_of(judge, judge->ordinal);
    judge->has_header = header != NULL && continues(header, &chain, seal_offset);
    return judge->has_header && judge->walked_count + 1 < JUDGE_WALKED_MAX;
}

int judge_walk(struct judge *judge)
{
    judge->walk.offset = FORMAT_SEGMENT_HEADER_BYTES;
    bool goes_on = begin_first(judge);
    while (goes_on) {
        int rc = walk_segment(judge);
        if (rc < 0) {
            return rc;
        }
        if (judge->walk.end != SCAN_SEALED && !pass_damaged_seal(judge)) {
            break;
        }
        note_walked(judge);
        goes_on = begin_next(judge);
    }
    if (!goes_on) {
        judge->walk.end = SCAN_INVALID;
        judge->walk.fault = GROUP_HEADER_CRC;
    }
    note_walked(judge);
    (void)look_at_witness(judge);
    return 0;
}

/* With its directory, as far as it goes, unread: who walks up to a seal checks more. */
int judge_find_seal(struct judge *judge)
{
    const struct segment_header *next = header_of(judge, judge->newest);
    uint64_t ordinal = judge->newest - 1;
    uint64_t offset = next != NULL ? next->previous_seal_offset : 0;
    if (next == NULL || offset < FORMAT_SEGMENT_HEADER_BYTES ||
        offset >= judge->control->segment_bytes) {
        return 0;
    }
    int rc = scan_open(&judge->scan, ordinal);
    if (rc < 0) {
        return rc;
    }
    judge->scan.likely_end = 0; /* no more than the piece that it is in */
    const uint8_t *bytes;
    struct group_header seal;
    bool there = false;
    rc = scan_bytes(&judge->scan, offset, FORMAT_GROUP_HEADER_BYTES, &bytes);
    if (rc == 0) {
        uint64_t address = ordinal * judge->control->segment_bytes + offset;
        there = group_decode(bytes, address, next->seed, judge->scan.uuid_seed,
                             judge->scan.segment_bytes, &seal) == GROUP_OK &&
                seal.kind == FORMAT_GROUP_SEAL && seal.crc == next->chain &&
                seal.first_lsn == next->base_lsn && seal.time_ns == next->base_time_ns &&
                seal.epoch == (uint32_t)next->epoch;
    }
    scan_close(&judge->scan);
    bool says_nothing = rc < 0 && rc != WEIR_E_CUT_SHORT && !scan_is_medium_error(rc);
    return says_nothing ? rc : there;
}

void judge_forget_walk(struct judge *judge)
{
    scan_close(&judge->scan);
    scan_directory_clear(&judge->directory);
    *judge = (struct judge){
        .medium = judge->medium,
        .control = judge->control,
        .inventory = judge->inventory,
        .scan = judge->scan,
        .submitted = judge->submitted,
        .directory = judge->directory,
        .window = judge->window,
        .witness = judge->witness,
        .newest = judge->newest,
    };
}

/* A record of this segment was durable, and durable moves in order of address; or CONTROL's witness
 * lies here, and this is the log that it is of. A durable LSN right in front of the segment's first
 * does not do: the seal, an epoch or a witness may have been in flight behind that record. */
bool judge_proves_start(const struct judge *judge)
{
    bool sound = judge->newer_epoch == 0 && !judge->foreign && !judge->input.file_short;
    bool by_control =
        judge->passed_witness && judge->witness >= judge->start * judge->control->segment_bytes;
    return sound && (judge->start_is_proven || by_control);
}

/* ---- behind x ---- */

static uint64_t lesser(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* Where the walk has ended its segment is open, and what comes next in it is under way. */
static int open_to_search(struct judge *judge, uint64_t ordinal, uint64_t end)
{
    int rc = 0;
    if (judge->scan.file == NULL || judge->scan.ordinal != ordinal) {
        scan_close(&judge->scan);
        rc = scan_open(&judge->scan, ordinal);
    }
    judge->scan.likely_end = end;
    return rc;
}

/* Behind what address there can be no evidence: the writer that CONTROL names wrote nothing there
 * (docs/adr/0024). Believed where all else is as that writer has left it. */
static uint64_t end_of_evidence(const struct judge *judge)
{
    bool plain = judge->walk.end == SCAN_INVALID && !judge->foreign && judge->newer_epoch == 0;
    return plain && judge_address(judge) <= judge->submitted ? judge->submitted : UINT64_MAX;
}

/* Segments as far as W reaches and as headers are valid. */
static int search(struct judge *judge, const struct scan_epoch *epoch)
{
    uint64_t bytes = judge->control->segment_bytes;
    uint64_t limit = judge_address(judge) + judge->control->run_ahead_bytes;
    uint64_t last = end_of_evidence(judge);
    int rc = 0;
    for (uint64_t ordinal = judge->ordinal; rc == 0; ordinal++) {
        const struct segment_header *header = header_of(judge, ordinal);
        bool is_tail = ordinal == judge->ordinal;
        if ((!is_tail && header == NULL && ordinal > judge->newest && ordinal * bytes >= limit) ||
            inventory_find(&judge->inventory, ordinal) == NULL) {
            return 0;
        }
        if (header != NULL && !(is_tail && judge->has_header)) {
            scan_evidence_header(header, bytes, epoch, &judge->evidence);
        }
        bool whole = is_tail || ordinal <= judge->newest;
        uint64_t end = whole ? bytes : lesser(bytes, limit - ordinal * bytes);
        uint64_t from = is_tail ? judge->walk.offset : FORMAT_SEGMENT_HEADER_BYTES;
        end = lesser(end, last > ordinal * bytes ? last - ordinal * bytes : 0);
        rc = from < end ? open_to_search(judge, ordinal, end) : 0;
        if (rc == 0 && from < end) {
            rc = scan_evidence(&judge->scan, from, end, epoch, &judge->evidence);
        }
    }
    return rc;
}

static void weigh(struct judge *judge)
{
    const struct control *control = judge->control;
    const struct scan_evidence *evidence = &judge->evidence;
    const struct scan_walk *walk = &judge->walk;
    uint64_t x = judge_address(judge);
    bool any = evidence->durable_address != 0;
    struct verdict_input *input = &judge->input;
    judge->known_durable = control->witness_lsn;
    if (any && evidence->durable_lsn > judge->known_durable) {
        judge->known_durable = evidence->durable_lsn;
    }
    if (evidence->newer_epoch > judge->newer_epoch) {
        judge->newer_epoch = evidence->newer_epoch;
        judge->newer_address = evidence->newer_address;
    }
    input->newer_epoch = judge->newer_epoch != 0 || judge->foreign;
    input->unreadable = walk->end == SCAN_UNREADABLE;
    input->later_durable = judge->known_durable >= walk->chain.next_lsn;
    input->below_witness = x < judge->witness;
    input->beyond_run_ahead = evidence->newest_address > x + control->run_ahead_bytes;
    input->later_group = any;
    input->clean = control->clean;
    input->at_witness = is_at_witness(judge) && agrees_with_witness(judge);
}

int judge_evidence(struct judge *judge)
{
    const struct control *control = judge->control;
    bool exact = control->clean && is_at_witness(judge) && agrees_with_witness(judge);
    struct scan_epoch epoch = {
        .epoch = control->epoch,
        .seed = control->seed,
        .walk_seed = judge->walk.chain.seed,
        .walk_epoch = judge->walk.chain.epoch,
    };
    int rc = exact ? 0 : search(judge, &epoch); /* a clean end has nothing in flight behind it */
    weigh(judge);
    return rc;
}

int judge_headers_only(struct judge *judge)
{
    const struct control *control = judge->control;
    judge->known_durable = control->witness_lsn;
    judge->walk.chain = chain_from_control(control);
    judge->ordinal = judge->bad_ordinal;
    for (uint32_t i = 0; i < judge->inventory.count; i++) {
        const struct inventory_segment *segment = &judge->inventory.segments[i];
        if (segment->header_result == 0 && segment->header.epoch > control->epoch) {
            judge->newer_epoch = segment->header.epoch;
            judge->newer_address = segment->ordinal * control->segment_bytes;
        }
    }
    judge->input.newer_epoch = judge->newer_epoch != 0;
    return 0;
}
