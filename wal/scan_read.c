/*
 * How a scan gets the bytes of a segment: pieces of 1 MiB, under way while the ones before are
 * checked.
 *
 * The memory is a headroom and SCAN_PIECES slots. Piece n of the file goes to slot n modulo
 * SCAN_PIECES, so pieces lie one behind the other and a group that crosses from one to the next is
 * whole where it lies; only from the last slot to the first is what has come of a group copied, to
 * right in front of slot 0:
 *
 *     | headroom   [rest]| slot 0 | slot 1 | ...                          | slot 15 [rest]|
 *
 * A segment that is no larger than the slots needs no headroom, and no more memory than it has
 * bytes. Where the caller wants to keep the bytes, they go to memory of his, each to its offset,
 * and the slots are used only when something is odd.
 *
 * Happy path: start the pieces that there are free slots for; take the first; let the caller check
 * what lies in it; a slot is free when the caller asks for what lies behind it.
 *
 * Failure modes, which all go on one careful read at a time, each right behind the one before:
 *   - a piece cannot be read: smaller ones are tried, down to the block, so that one bad block
 *     costs one block; they grow again behind it
 *   - a piece is short although the file is not: reading goes on where it ended
 *   - a group is larger than the headroom: the memory grows (its size was checked before)
 * A medium that reads nothing ahead, and a piece that lies in the page cache, are read when taken.
 *
 * Invariants: freed <= taken <= started <= freed + SCAN_PIECES; memory of a piece that is under way
 * is neither lent nor given back.
 */
#include "wal/scan.h"

#include "base/alloc.h"
#include "base/assert.h"

#include <weir/error.h>

#include <errno.h>
#include <string.h>

#define HEADROOM_BYTES ((size_t)6 << 20) /* more than the largest group by default */
#define SLOTS_BYTES (SCAN_PIECES * SCAN_PIECE_BYTES)

static unsigned memory_flags(size_t bytes)
{
    return bytes >= SCAN_PIECE_BYTES ? BASE_PAGES_HUGE : 0;
}

int scan_init(struct scan *scan, struct weir_medium *medium, uint64_t segment_bytes,
              uint32_t block_bytes, uint32_t uuid_seed)
{
    bool wraps = segment_bytes > SLOTS_BYTES;
    *scan = (struct scan){
        .medium = medium,
        .segment_bytes = segment_bytes,
        .block_bytes = block_bytes,
        .log_block_bytes = block_bytes,
        .uuid_seed = uuid_seed,
        .headroom = wraps ? HEADROOM_BYTES : 0,
        .memory_bytes = wraps ? HEADROOM_BYTES + SLOTS_BYTES : (size_t)segment_bytes,
        .piece = SCAN_PIECE_BYTES,
    };
    scan->memory = base_pages_alloc(scan->memory_bytes, memory_flags(scan->memory_bytes));
    return scan->memory == NULL ? -ENOMEM : 0;
}

void scan_free(struct scan *scan)
{
    scan_close(scan);
    base_pages_free(scan->memory, scan->memory_bytes);
    scan->memory = NULL;
}

static uint8_t *slot_of(const struct scan *scan, uint64_t piece)
{
    if (scan->target != NULL) {
        return scan->target + scan->origin + piece * SCAN_PIECE_BYTES;
    }
    return scan->memory + scan->headroom + piece % SCAN_PIECES * SCAN_PIECE_BYTES;
}

/* Nothing is held, nothing is under way; the next piece begins at offset. */
static void begin_at(struct scan *scan, uint64_t offset)
{
    WEIR_ASSERT(scan->taken == scan->started);
    scan->origin = offset & ~(uint64_t)(FORMAT_BLOCK - 1);
    scan->spoilt = scan->spoilt || scan->origin != 0;
    scan->freed = scan->taken = scan->started = 0;
    scan->bytes = slot_of(scan, 0);
    scan->start = scan->origin;
    scan->size = 0;
    scan->careful = false;
}

int scan_open(struct scan *scan, uint64_t ordinal)
{
    return scan_open_into(scan, ordinal, NULL);
}

int scan_open_into(struct scan *scan, uint64_t ordinal, uint8_t *target)
{
    WEIR_ASSERT(scan->file == NULL);
    const struct weir_medium_ops *ops = scan->medium->ops;
    char name[FORMAT_NAME_BYTES];
    format_segment_name(ordinal, name);
    struct weir_file *file;
    int rc = ops->open(scan->medium, name,
                       scan->may_be_cached ? WEIR_FILE_READ_CACHED : WEIR_FILE_READ, &file);
    if (rc < 0) {
        return rc;
    }
    uint64_t bytes;
    rc = ops->size(file, &bytes);
    if (rc < 0) {
        ops->close(file);
        return rc;
    }
    scan->file = file;
    scan->ordinal = ordinal;
    scan->block_bytes =
        format_is_compacted(ordinal) ? FORMAT_COMPACTED_BLOCK : scan->log_block_bytes;
    scan->file_bytes = bytes < scan->segment_bytes ? bytes : scan->segment_bytes;
    scan->likely_end = UINT64_MAX;
    scan->piece = SCAN_PIECE_BYTES;
    scan->target = target;
    scan->spoilt = false;
    begin_at(scan, 0);
    return 0;
}

/* Waits for what is under way, and forgets it. */
static int drop_started(struct scan *scan)
{
    int failed = 0;
    for (; scan->taken < scan->started; scan->taken++) {
        const struct scan_piece *piece = &scan->pieces[scan->taken % SCAN_PIECES];
        size_t got;
        int rc = piece->begun ? scan->medium->ops->read_end(scan->file, piece->ticket, &got) : 0;
        failed = rc == -ENOTRECOVERABLE ? rc : failed;
    }
    return failed;
}

void scan_close(struct scan *scan)
{
    if (scan->file != NULL) {
        (void)drop_started(scan);
        scan->medium->ops->close(scan->file);
        scan->file = NULL;
        scan->target = NULL;
    }
}

bool scan_is_medium_error(int rc)
{
    return rc == -EIO || rc == -ENODATA || rc == -EBADMSG || rc == -EUCLEAN || rc == -EILSEQ ||
           rc == -EREMOTEIO || rc == -EFAULT;
}

bool scan_is_zero(const uint8_t *bytes, size_t size)
{
    return size == 0 || (bytes[0] == 0 && memcmp(bytes, bytes + 1, size - 1) == 0);
}

static uint64_t end_of_file(const struct scan *scan)
{
    return format_align(scan->file_bytes, FORMAT_BLOCK);
}

static size_t smaller(size_t a, uint64_t b)
{
    return a < b ? a : (size_t)b;
}

/* ---- careful ---- */

/* What is held moves to the front of the memory; what was under way is read again, and so is what
 * is held in the caller's memory. */
static int become_careful(struct scan *scan)
{
    int rc = drop_started(scan);
    scan->spoilt = true;
    if (scan->target != NULL) {
        scan->size = 0;
    } else if (scan->size > 0) {
        memmove(scan->memory, scan->bytes, scan->size);
    }
    scan->bytes = scan->memory;
    scan->careful = true;
    return rc;
}

/* Room for `needed` bytes and one piece behind them; keeps what is there. */
static int grow_memory(struct scan *scan, size_t needed)
{
    size_t bytes = (size_t)format_align(needed, FORMAT_BLOCK) + SCAN_PIECE_BYTES;
    if (bytes <= scan->memory_bytes) {
        return 0;
    }
    uint8_t *memory = base_pages_alloc(bytes, memory_flags(bytes));
    if (memory == NULL) {
        return -ENOMEM;
    }
    memcpy(memory, scan->bytes, scan->size);
    base_pages_free(scan->memory, scan->memory_bytes);
    scan->memory = scan->bytes = memory;
    scan->memory_bytes = bytes;
    return 0;
}

/* Forgets what lies before offset (which is moved to the front) or everything. */
static void drop_before(struct scan *scan, uint64_t offset)
{
    uint64_t base = offset & ~(uint64_t)(FORMAT_BLOCK - 1);
    bool inside = base >= scan->start && base < scan->start + scan->size;
    size_t keep = inside ? (size_t)(scan->start + scan->size - base) : 0;
    if (keep > 0) {
        memmove(scan->memory, scan->memory + (base - scan->start), keep);
    }
    scan->start = base;
    scan->size = keep;
}

/* Reads one more piece behind what is there. 1: some came; 0: end of file. Reads are of whole
 * blocks: where a file was cut within one, this one is read again. */
static int read_piece(struct scan *scan)
{
    size_t held = scan->size & ~((size_t)FORMAT_BLOCK - 1);
    uint64_t at = scan->start + held;
    uint64_t end = end_of_file(scan);
    size_t got = 0;
    for (;;) {
        size_t want = smaller(scan->piece, scan->memory_bytes - held);
        if (at >= end) {
            return 0;
        }
        want = smaller(want, end - at);
        int rc = scan->medium->ops->read(scan->file, at, scan->memory + held, want, &got);
        if (rc >= 0) {
            break;
        }
        if (!scan_is_medium_error(rc)) {
            return rc;
        }
        if (want <= FORMAT_BLOCK) {
            return -EIO;
        }
        scan->piece = (size_t)format_align(want / 4, FORMAT_BLOCK);
    }
    if (scan->piece < SCAN_PIECE_BYTES) {
        scan->piece *= 2;
    }
    size_t before = scan->size;
    scan->read_bytes += got;
    scan->size = held + got;
    return scan->size > before ? 1 : 0;
}

static int read_carefully(struct scan *scan, uint64_t offset, size_t size)
{
    drop_before(scan, offset);
    int rc = grow_memory(scan, size + FORMAT_BLOCK);
    while (rc == 0 && offset + size > scan->start + scan->size) {
        int more = read_piece(scan);
        rc = more > 0 ? 0 : (more == 0 ? WEIR_E_CUT_SHORT : more);
    }
    return rc;
}

/* ---- ahead ---- */

static size_t bytes_of(const struct scan *scan, uint64_t piece)
{
    return smaller(SCAN_PIECE_BYTES, end_of_file(scan) - scan->origin - piece * SCAN_PIECE_BYTES);
}

/* Is the piece that comes next to be read now? Where nobody is likely to ask for it, only when
 * there is no other. */
static bool is_wanted(const struct scan *scan)
{
    uint64_t at = scan->origin + scan->started * SCAN_PIECE_BYTES;
    return scan->started < scan->freed + SCAN_PIECES && at < end_of_file(scan) &&
           (at < scan->likely_end || scan->taken == scan->started);
}

/* One that cannot be under way is queued all the same, and is the last one for now. */
static void start_pieces(struct scan *scan)
{
    const struct weir_medium_ops *ops = scan->medium->ops;
    bool begun =
        scan->taken == scan->started || scan->pieces[(scan->started - 1) % SCAN_PIECES].begun;
    while (begun && is_wanted(scan)) {
        struct scan_piece *piece = &scan->pieces[scan->started % SCAN_PIECES];
        uint64_t at = scan->origin + scan->started * SCAN_PIECE_BYTES;
        begun = ops->read_begin != NULL &&
                ops->read_begin(scan->file, at, slot_of(scan, scan->started),
                                bytes_of(scan, scan->started), &piece->ticket) >= 0;
        piece->begun = begun;
        scan->started++;
    }
}

static int finish_piece(struct scan *scan, uint64_t number, size_t *ret_got)
{
    const struct weir_medium_ops *ops = scan->medium->ops;
    const struct scan_piece *piece = &scan->pieces[number % SCAN_PIECES];
    uint64_t at = scan->origin + number * SCAN_PIECE_BYTES;
    return piece->begun
               ? ops->read_end(scan->file, piece->ticket, ret_got)
               : ops->read(scan->file, at, slot_of(scan, number), bytes_of(scan, number), ret_got);
}

/* The next piece becomes part of what is held. 0, also when it turned out that care is needed;
 * WEIR_E_CUT_SHORT: the file has ended; -errno. */
static int take_piece(struct scan *scan)
{
    start_pieces(scan);
    WEIR_ASSERT(scan->taken <
                scan->freed + SCAN_PIECES); /* a request fits the headroom, or none wraps */
    if (scan->taken == scan->started) {
        return WEIR_E_CUT_SHORT;
    }
    uint64_t number = scan->taken++;
    size_t got = 0;
    int rc = finish_piece(scan, number, &got);
    if (rc < 0) {
        return scan_is_medium_error(rc) ? become_careful(scan) : rc;
    }
    if (scan->target != NULL) {
        scan->freed = scan->taken; /* no slot is used twice */
    } else if (number % SCAN_PIECES == 0 && number > 0) {
        uint8_t *front = slot_of(scan, 0) - scan->size;
        memcpy(front, scan->bytes, scan->size);
        scan->bytes = front;
        scan->freed = number;
    }
    scan->read_bytes += got;
    scan->size += got;
    return got < bytes_of(scan, number) ? become_careful(scan) : 0;
}

/* Gives up what lies before offset; slots that hold nothing else are free. */
static void pass_before(struct scan *scan, uint64_t offset)
{
    uint64_t base = offset & ~(uint64_t)(FORMAT_BLOCK - 1);
    scan->bytes += base - scan->start;
    scan->size -= (size_t)(base - scan->start);
    scan->start = base;
    uint64_t passed = (base - scan->origin) / SCAN_PIECE_BYTES;
    scan->freed = passed > scan->freed ? passed : scan->freed;
}

static int read_ahead(struct scan *scan, uint64_t offset, size_t size)
{
    uint64_t base = offset & ~(uint64_t)(FORMAT_BLOCK - 1);
    int rc = 0;
    if (scan->careful || base < scan->start || base > scan->start + scan->size) {
        rc = drop_started(scan);
        begin_at(scan, offset);
    } else {
        pass_before(scan, offset);
    }
    while (rc == 0 && !scan->careful && offset + size > scan->start + scan->size) {
        rc = take_piece(scan);
    }
    return rc;
}

int scan_bytes(struct scan *scan, uint64_t offset, size_t size, const uint8_t **ret_bytes)
{
    WEIR_ASSERT(scan->file != NULL);
    if (offset > scan->file_bytes || size > scan->file_bytes - offset) {
        return WEIR_E_CUT_SHORT;
    }
    if (offset < scan->start || offset + size > scan->start + scan->size) {
        int rc = 0;
        bool fits =
            scan->target != NULL || scan->headroom == 0 || size + FORMAT_BLOCK <= scan->headroom;
        if (fits && (!scan->careful || scan->piece == SCAN_PIECE_BYTES)) {
            rc = read_ahead(scan, offset, size);
        } else if (!scan->careful) {
            rc = become_careful(scan);
        }
        if (rc == 0 && scan->careful) {
            rc = read_carefully(scan, offset, size);
        }
        if (rc < 0) {
            return rc;
        }
    }
    *ret_bytes = scan->bytes + (offset - scan->start);
    return 0;
}
