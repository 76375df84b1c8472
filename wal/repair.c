/*
 * Repair: flushing the tail that is kept, and zeroing what was cut.
 *
 * Happy path of zeroing: as far as recovery has met something in the window, read it piece by piece
 * and write zeros over each run of blocks that hold something; flush. What recovery has read to be
 * zero is not read again: nobody has written since, as no writer lives and its I/O has ended.
 *
 * What a crash leaves
 *   before the flush of the tail    the same tail: it was read from the medium; or a shorter one,
 * if the device lost what nobody had flushed, which nobody was told of before CONTROL's new epoch
 * the same as before, with a tail that is durable now while zeroing                   some of what
 * was cut is still there. It is of an older epoch than CONTROL's and at or behind its witness, so
 * it neither continues the log nor proves anything; the next open zeroes it again
 *
 * Invariant: bytes in front of the tail keep their value. Where a block holds both (groups aligned
 * to 64), what is in front is written again as it was.
 */
#include "wal/repair.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "wal/log.h"
#include "wal/scan.h"

#include <errno.h>
#include <string.h>

#define PIECE_BYTES ((size_t)4 << 20) /* one request costs a device as much as its first MiB */

static int open_segment(struct weir_medium *medium, uint64_t ordinal, enum weir_open_mode mode,
                        struct weir_file **ret_file)
{
    char name[FORMAT_NAME_BYTES];
    format_segment_name(ordinal, name);
    return medium->ops->open(medium, name, mode, ret_file);
}

static int explain(struct weir_error *why, int rc, uint64_t ordinal, const char *what)
{
    if (rc < 0) {
        char name[FORMAT_NAME_BYTES];
        format_segment_name(ordinal, name);
        log_error(why, rc, name, UINT64_MAX, "%s cannot be %s: %s", name, what,
                  weir_error_text(rc));
    }
    return rc;
}

/* ---- what is kept ---- */

static int flush_file(struct weir_medium *medium, const char *name)
{
    struct weir_file *file;
    int rc = medium->ops->open(medium, name, WEIR_FILE_READ, &file);
    if (rc < 0) {
        return rc;
    }
    rc = medium->ops->sync(file);
    medium->ops->close(file);
    return rc;
}

static int flush_segments(struct weir_medium *medium, const struct control *control,
                          const struct recovery *recovery, struct weir_error *why)
{
    /* Everything further in front than W was durable before the last byte here was written; and
     * what is compacted was before it counted. */
    const struct recovery_tail *tail = &recovery->tail;
    uint64_t ordinal = (tail->address - control->run_ahead_bytes) / control->segment_bytes;
    for (uint32_t i = 0; i < recovery->segment_count; i++) {
        const struct recovery_segment *segment = &recovery->segments[i];
        if (segment->ordinal < ordinal || format_is_compacted(segment->ordinal) ||
            (segment->ordinal == tail->ordinal && !tail->has_file)) {
            continue;
        }
        char name[FORMAT_NAME_BYTES];
        format_segment_name(segment->ordinal, name);
        int rc = flush_file(medium, name);
        if (rc < 0) {
            return explain(why, rc, segment->ordinal, "flushed");
        }
    }
    return 0;
}

int repair_flush_tail(struct weir_medium *medium, const struct control *control,
                      const struct recovery *recovery, struct weir_error *why)
{
    return recovery->clean ? 0 : flush_segments(medium, control, recovery, why);
}

int repair_flush_control(struct weir_medium *medium, struct weir_error *why)
{
    int rc = flush_file(medium, "CONTROL");
    rc = rc < 0 ? rc : medium->ops->sync_directory(medium, "");
    return rc == 0 ? 0
                   : log_error(why, rc, "CONTROL", UINT64_MAX, "CONTROL cannot be flushed: %s",
                               weir_error_text(rc));
}

/* ---- what is cut ---- */

struct eraser {
    struct weir_medium *medium;
    struct weir_file *file;
    size_t piece;    /* bytes at a time: PIECE_BYTES, or a small segment */
    uint8_t *buffer; /* as many */
    uint8_t *zeros;  /* as many */
    bool wrote;
};

/* The bytes in front of `keep` in this block stay. */
static int zero_block_behind(struct eraser *eraser, uint64_t block, size_t keep)
{
    size_t got = 0;
    int rc = eraser->medium->ops->read(eraser->file, block, eraser->buffer, FORMAT_BLOCK, &got);
    if (rc < 0 || got < FORMAT_BLOCK) {
        return rc < 0 ? rc : -EIO;
    }
    if (scan_is_zero(eraser->buffer + keep, FORMAT_BLOCK - keep)) {
        return 0;
    }
    memset(eraser->buffer + keep, 0, FORMAT_BLOCK - keep);
    eraser->wrote = true;
    return eraser->medium->ops->write(eraser->file, block, eraser->buffer, FORMAT_BLOCK);
}

static int write_zeros(struct eraser *eraser, uint64_t offset, size_t size)
{
    eraser->wrote = eraser->wrote || size > 0;
    return size == 0 ? 0 : eraser->medium->ops->write(eraser->file, offset, eraser->zeros, size);
}

/* Writes zeros over each run of blocks in the buffer that are not zero. */
static int zero_runs(struct eraser *eraser, uint64_t offset, size_t size)
{
    size_t run = 0;
    for (size_t at = 0; at < size; at += FORMAT_BLOCK) {
        if (!scan_is_zero(eraser->buffer + at, FORMAT_BLOCK)) {
            run += FORMAT_BLOCK;
            continue;
        }
        int rc = write_zeros(eraser, offset + at - run, run);
        if (rc < 0) {
            return rc;
        }
        run = 0;
    }
    return write_zeros(eraser, offset + size - run, run);
}

/* Offsets of the file; `from` at a multiple of 64, `end` of FORMAT_BLOCK. */
static int zero_range(struct eraser *eraser, uint64_t from, uint64_t end)
{
    uint64_t at = format_align(from, FORMAT_BLOCK);
    if (at != from) {
        uint64_t block = at - FORMAT_BLOCK;
        int rc = zero_block_behind(eraser, block, (size_t)(from - block));
        if (rc < 0) {
            return rc;
        }
    }
    while (at < end) {
        size_t size = end - at < eraser->piece ? (size_t)(end - at) : eraser->piece;
        size_t got = 0;
        int rc = eraser->medium->ops->read(eraser->file, at, eraser->buffer, size, &got);
        if (scan_is_medium_error(rc)) {
            rc = write_zeros(eraser, at, size); /* nothing durable is here, and writing heals */
        } else if (rc == 0) {
            rc = got == 0 ? WEIR_E_CUT_SHORT : zero_runs(eraser, at, got);
            size = got;
        }
        if (rc < 0) {
            return rc;
        }
        at += size;
    }
    return 0;
}

/* A crash may have left one of the header's two copies: the other one is written again. */
static int restore_header(struct eraser *eraser, const struct control *control, uint64_t ordinal)
{
    uint8_t *blocks = eraser->buffer;
    uint8_t *fresh = eraser->buffer + FORMAT_SEGMENT_HEADER_BYTES;
    struct segment_header header;
    size_t got = 0;
    int rc = eraser->medium->ops->read(eraser->file, 0, blocks, FORMAT_SEGMENT_HEADER_BYTES, &got);
    if (rc < 0 || got < FORMAT_SEGMENT_HEADER_BYTES) {
        return scan_is_medium_error(rc) ? 0 : rc; /* one copy was readable: verification says so */
    }
    rc = segment_header_decode(blocks, control->uuid, ordinal, &header);
    if (rc < 0) {
        return rc;
    }
    segment_header_encode(fresh, &header, group_uuid_seed(control->uuid));
    for (uint64_t offset = 0; rc == 0 && offset < FORMAT_SEGMENT_HEADER_BYTES;
         offset += FORMAT_BLOCK) {
        if (memcmp(blocks + offset, fresh + offset, FORMAT_BLOCK) != 0) {
            eraser->wrote = true;
            rc = eraser->medium->ops->write(eraser->file, offset, fresh + offset, FORMAT_BLOCK);
        }
    }
    return rc;
}

/* Where in a segment to stop: at the limit, not before the header's end. */
static uint64_t end_in_segment(uint64_t limit, uint64_t start, uint64_t segment_bytes)
{
    uint64_t end = limit > start ? format_align(limit - start, FORMAT_BLOCK) : 0;
    end = end < segment_bytes ? end : segment_bytes;
    return end > FORMAT_SEGMENT_HEADER_BYTES ? end : FORMAT_SEGMENT_HEADER_BYTES;
}

static int erase_segment(struct eraser *eraser, const struct control *control,
                         const struct recovery *recovery, uint64_t ordinal)
{
    const struct recovery_tail *tail = &recovery->tail;
    bool is_tail = ordinal == tail->ordinal;
    uint64_t limit = tail->address + control->run_ahead_bytes;
    uint64_t held = recovery->zero_from < limit ? recovery->zero_from : limit;
    uint64_t end = end_in_segment(held, ordinal * control->segment_bytes, control->segment_bytes);
    int rc = open_segment(eraser->medium, ordinal, WEIR_FILE_WRITE, &eraser->file);
    if (rc < 0) {
        return rc;
    }
    eraser->wrote = false;
    if (is_tail && tail->has_header) {
        rc = restore_header(eraser, control, ordinal);
        rc = rc < 0 ? rc : zero_range(eraser, tail->offset, end);
    } else {
        rc = zero_range(eraser, 0, end);
    }
    if (rc == 0 && eraser->wrote) {
        rc = eraser->medium->ops->sync(eraser->file);
    }
    eraser->medium->ops->close(eraser->file);
    return rc;
}

int repair_zero_window(struct weir_medium *medium, const struct control *control,
                       const struct recovery *recovery, struct weir_error *why)
{
    if (recovery->clean) {
        return 0;
    }
    struct eraser eraser = {.medium = medium, .piece = PIECE_BYTES};
    if (control->segment_bytes < eraser.piece) {
        eraser.piece = (size_t)control->segment_bytes;
    }
    unsigned flags = eraser.piece == PIECE_BYTES ? BASE_PAGES_HUGE : 0;
    eraser.buffer = base_pages_alloc(2 * eraser.piece, flags);
    if (eraser.buffer == NULL) {
        return -ENOMEM;
    }
    eraser.zeros = eraser.buffer + eraser.piece;
    const struct recovery_tail *tail = &recovery->tail;
    uint64_t limit = tail->address + control->run_ahead_bytes;
    uint64_t spares = recovery->spare_count;
    int rc = 0;
    /* The next header goes even when W does not reach it: a spare has none. */
    for (uint64_t ordinal = tail->ordinal;
         rc == 0 && (ordinal <= tail->ordinal + 1 || ordinal * control->segment_bytes < limit);
         ordinal++) {
        bool exists = ordinal == tail->ordinal ? tail->has_file : ordinal - tail->ordinal <= spares;
        if (exists) {
            rc = explain(why, erase_segment(&eraser, control, recovery, ordinal), ordinal,
                         "cleared of the torn tail");
        }
    }
    base_pages_free(eraser.buffer, 2 * eraser.piece);
    return rc;
}
