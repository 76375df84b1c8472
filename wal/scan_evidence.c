/*
 * Evidence: what lies behind the first group that is not valid.
 *
 * Happy path: every block is zero. Else each block is tried as a header: under the seed of
 * CONTROL's epoch (what it says counts), under the seed in force where the walk ended when that is
 * older (leftovers of a tail that was cut, only counted), and as an epoch group (its seed is the
 * log's). A group that is whole is stepped over; behind anything else the next block is tried.
 *
 * A segment may have had an earlier life. Its groups carry addresses of that life: with the same
 * offset in an older segment. They prove nothing, and are not counted as a tail that was cut.
 *
 * Invariant: a payload cannot forge evidence. Headers are believed under a random seed that no
 * payload knows, or only for being newer than CONTROL.
 */
#include "wal/scan.h"

#include <weir/error.h>

#include <errno.h>

static void note_newer(struct scan_evidence *evidence, uint64_t epoch, uint64_t address)
{
    if (epoch > evidence->newer_epoch) {
        evidence->newer_epoch = epoch;
        evidence->newer_address = address;
    }
}

static void note_header(struct scan_evidence *evidence, uint64_t address, weir_lsn durable_lsn)
{
    if (address > evidence->newest_address) {
        evidence->newest_address = address;
    }
    if (durable_lsn > evidence->durable_lsn || evidence->durable_address == 0) {
        evidence->durable_lsn = durable_lsn;
        evidence->durable_address = address;
    }
}

void scan_evidence_header(const struct segment_header *header, uint64_t segment_bytes,
                          const struct scan_epoch *epoch, struct scan_evidence *evidence)
{
    uint64_t address = header->ordinal * segment_bytes;
    if (header->epoch > epoch->epoch) {
        note_newer(evidence, header->epoch, address);
    } else if (header->epoch == epoch->epoch && header->seed == epoch->seed) {
        note_header(evidence, address, header->durable_lsn);
    }
}

/* A header of the epoch, of an older one, or of a newer one, at this address? */
static bool find_header(const struct scan *scan, const uint8_t *bytes, uint64_t address,
                        const struct scan_epoch *epoch, struct group_header *ret_header)
{
    const struct format_group *raw = (const struct format_group *)bytes;
    if (le64_load(&raw->address) != address) {
        return false;
    }
    return group_decode(bytes, address, epoch->seed, scan->uuid_seed, scan->segment_bytes,
                        ret_header) == GROUP_OK ||
           group_decode(bytes, address, epoch->walk_seed, scan->uuid_seed, scan->segment_bytes,
                        ret_header) == GROUP_OK;
}

/* Bytes that a group of the segment's earlier life takes from here; 0: there is none. */
static uint64_t earlier_life(const struct scan *scan, const uint8_t *bytes, uint64_t address)
{
    const struct format_group *raw = (const struct format_group *)bytes;
    uint64_t claimed = le64_load(&raw->address);
    uint64_t mask = scan->segment_bytes - 1;
    uint64_t size = format_align(le32_load(&raw->size_bytes), scan->block_bytes);
    bool plausible =
        claimed != 0 && (claimed & mask) == (address & mask) &&
        (claimed < address || format_is_compacted(claimed / scan->segment_bytes)) &&
        le16_load(&raw->kind) >= FORMAT_GROUP_DATA && le16_load(&raw->kind) <= FORMAT_GROUP_SEAL &&
        size >= FORMAT_GROUP_HEADER_BYTES && size <= scan->segment_bytes - (address & mask);
    return plausible ? size : 0;
}

/* An epoch group's number is 64 bits wide only in its body. */
static uint64_t epoch_of(const struct group_header *header, const uint8_t *group, bool whole,
                         const struct scan_epoch *epoch)
{
    if (whole && header->kind == FORMAT_GROUP_EPOCH) {
        const struct format_epoch *body =
            (const struct format_epoch *)(group + FORMAT_GROUP_HEADER_BYTES);
        return le64_load(&body->epoch);
    }
    return (epoch->epoch & ~(uint64_t)UINT32_MAX) | header->epoch;
}

static void weigh(struct scan_evidence *evidence, const struct group_header *header,
                  const uint8_t *group, bool whole, const struct scan_epoch *epoch)
{
    uint64_t number = epoch_of(header, group, whole, epoch);
    if (number > epoch->epoch) {
        note_newer(evidence, number, header->address);
    } else if (number == epoch->epoch) {
        note_header(evidence, header->address, header->durable_lsn);
    }
    if (!whole) {
        return;
    }
    evidence->groups++;
    evidence->records += header->record_count;
    if (evidence->first_address == 0) {
        evidence->first_address = header->address;
        evidence->first_lsn = header->first_lsn;
    }
}

/* Looks at one block; *ret_step is how far the next one is. */
static int look(struct scan *scan, uint64_t offset, const struct scan_epoch *epoch,
                struct scan_evidence *evidence, uint64_t *ret_step)
{
    uint64_t address = scan->ordinal * scan->segment_bytes + offset;
    const uint8_t *bytes;
    *ret_step = scan->block_bytes;
    int rc = scan_bytes(scan, offset, scan->block_bytes, &bytes);
    if (rc < 0) {
        return rc;
    }
    if (scan_is_zero(bytes, scan->block_bytes)) {
        return 0;
    }
    evidence->zero_from = address + scan->block_bytes;
    struct group_header header;
    if (!find_header(scan, bytes, address, epoch, &header)) {
        uint64_t stale = earlier_life(scan, bytes, address);
        if (stale != 0) {
            evidence->stale_until = address + stale;
        }
        /* Inside an old group every block is still looked at: a newer one may lie there. */
        evidence->held_bytes += address < evidence->stale_until ? 0 : scan->block_bytes;
        return 0;
    }
    evidence->stale_until = 0;
    uint32_t record;
    uint64_t padded = format_align(header.size_bytes, scan->block_bytes);
    rc = scan_bytes(scan, offset, (size_t)padded, &bytes);
    if (rc < 0 && rc != WEIR_E_CUT_SHORT && !scan_is_medium_error(rc)) {
        return rc;
    }
    bool whole =
        rc == 0 && group_check_body(bytes, &header, scan->block_bytes, &record) == GROUP_OK;
    weigh(evidence, &header, bytes, whole, epoch);
    *ret_step = whole ? padded : scan->block_bytes;
    evidence->zero_from = address + *ret_step;
    evidence->held_bytes += *ret_step;
    return 0;
}

int scan_evidence(struct scan *scan, uint64_t offset, uint64_t end, const struct scan_epoch *epoch,
                  struct scan_evidence *evidence)
{
    uint64_t start = scan->ordinal * scan->segment_bytes;
    while (offset < end) {
        uint64_t step;
        int rc = look(scan, offset, epoch, evidence, &step);
        if (rc == WEIR_E_CUT_SHORT) {
            evidence->zero_from = start + end;
            return 0;
        }
        if (rc < 0 && !scan_is_medium_error(rc)) {
            return rc;
        }
        if (rc < 0) {
            step = format_align(offset + 1, FORMAT_BLOCK) - offset;
            evidence->unreadable_bytes += step;
            evidence->zero_from = start + offset + step;
        }
        offset += step;
    }
    return 0;
}
