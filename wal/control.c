/*
 * CONTROL: encoding, choosing, storing.
 *
 * An update writes copies 0 and 1, syncs, writes copies 2 and 3, syncs. A crash
 *   before the first sync   leaves 2 and 3 equal and old: the old generation counts (or, had both
 *                           new ones landed whole, the new one, which is complete)
 *   before the second sync  leaves 0 and 1 equal and new: the new generation counts
 * so one of the two is always there twice, and nobody was told of the new one before it was.
 *
 * After a crash before the second sync 0 and 1 hold what counts, alone: the next update begins with
 * 2 and 3. Were it to begin with 0 and 1 and crash as well, a generation would count again that is
 * older than one that was acted upon.
 *
 * Failure modes: no two equal copies (WEIR_E_CONTROL); a format or feature that is newer
 * (WEIR_E_NEWER_FORMAT); values that no writer writes under a right CRC (WEIR_E_DAMAGED).
 */
#include "wal/control.h"

#include "base/assert.h"
#include "base/clock.h"
#include "base/crc32c.h"
#include "wal/log.h"
#include "wal/scan.h"

#include <errno.h>
#include <string.h>

#define PAIR_BYTES (2u * FORMAT_BLOCK)

static uint32_t block_crc(const uint8_t *block)
{
    size_t start = offsetof(struct format_control, version);
    return base_crc32c(0, block + start, FORMAT_BLOCK - start);
}

void control_encode(uint8_t *block, const struct control *control)
{
    struct format_control *copy = (struct format_control *)block;
    memset(block, 0, FORMAT_BLOCK);
    memcpy(copy->magic, FORMAT_CONTROL_MAGIC, FORMAT_MAGIC_BYTES);
    le32_store(&copy->version, FORMAT_VERSION);
    memcpy(copy->uuid, control->uuid, FORMAT_UUID_BYTES);
    le64_store(&copy->generation, control->generation);
    le64_store(&copy->epoch, control->epoch);
    le64_store(&copy->layout, control->layout);
    le64_store(&copy->first_lsn, control->first_lsn);
    le64_store(&copy->first_ordinal, control->first_ordinal);
    le64_store(&copy->horizon, control->horizon);
    le64_store(&copy->witness_lsn, control->witness_lsn);
    le64_store(&copy->witness_address, control->witness_address);
    le32_store(&copy->witness_chain, control->witness_chain);
    le32_store(&copy->seed, control->seed);
    le32_store(&copy->flags, control->clean ? FORMAT_CONTROL_CLEAN : 0);
    le32_store(&copy->block_bytes, control->block_bytes);
    le64_store(&copy->segment_bytes, control->segment_bytes);
    le64_store(&copy->run_ahead_bytes, control->run_ahead_bytes);
    le64_store(&copy->group_bytes, control->group_bytes);
    le64_store(&copy->record_bytes, control->record_bytes);
    le64_store(&copy->created_ns, control->created_ns);
    le64_store(&copy->written_ns, control->written_ns);
    if (control->compact_next > 0) {
        le64_store(&copy->incompatible, FORMAT_FEATURE_COMPACTED);
        le64_store(&copy->compact_next, control->compact_next);
        le64_store(&copy->compact_first, control->compact_first);
        le64_store(&copy->compact_last, control->compact_last);
    }
    le32_store(&copy->crc, block_crc(block));
}

static void load_fields(const struct format_control *copy, struct control *control)
{
    memcpy(control->uuid, copy->uuid, FORMAT_UUID_BYTES);
    control->generation = le64_load(&copy->generation);
    control->epoch = le64_load(&copy->epoch);
    control->layout = le64_load(&copy->layout);
    control->first_lsn = le64_load(&copy->first_lsn);
    control->first_ordinal = le64_load(&copy->first_ordinal);
    control->horizon = le64_load(&copy->horizon);
    control->witness_lsn = le64_load(&copy->witness_lsn);
    control->witness_address = le64_load(&copy->witness_address);
    control->witness_chain = le32_load(&copy->witness_chain);
    control->seed = le32_load(&copy->seed);
    control->clean = (le32_load(&copy->flags) & FORMAT_CONTROL_CLEAN) != 0;
    control->block_bytes = le32_load(&copy->block_bytes);
    control->segment_bytes = le64_load(&copy->segment_bytes);
    control->run_ahead_bytes = le64_load(&copy->run_ahead_bytes);
    control->group_bytes = le64_load(&copy->group_bytes);
    control->record_bytes = le64_load(&copy->record_bytes);
    control->created_ns = le64_load(&copy->created_ns);
    control->written_ns = le64_load(&copy->written_ns);
    control->compact_next = le64_load(&copy->compact_next);
    control->compact_first = le64_load(&copy->compact_first);
    control->compact_last = le64_load(&copy->compact_last);
}

static bool is_power_of_two(uint64_t value)
{
    return value != 0 && (value & (value - 1)) == 0;
}

static bool compaction_is_possible(const struct control *control, bool compacted)
{
    if (!compacted) {
        return control->compact_next == 0 && control->compact_first == 0 &&
               control->compact_last == 0 && control->horizon == 0;
    }
    return control->compact_next > 0 && control->compact_next < FORMAT_COMPACTED_ORDINAL &&
           control->compact_first >= FORMAT_FIRST_ORDINAL &&
           control->compact_last >= control->compact_first &&
           control->compact_last < control->witness_address / control->segment_bytes;
}

/* Everything that other code relies on without asking again. */
static bool values_are_possible(const struct control *control)
{
    return is_power_of_two(control->segment_bytes) &&
           control->segment_bytes >= WEIR_SEGMENT_BYTES_MIN &&
           control->segment_bytes <= WEIR_SEGMENT_BYTES_MAX &&
           (control->block_bytes == 64 || control->block_bytes == FORMAT_BLOCK) &&
           control->run_ahead_bytes <= control->segment_bytes &&
           control->run_ahead_bytes >= control->segment_bytes / FORMAT_RUN_AHEAD_SHARE &&
           control->group_bytes >= WEIR_GROUP_BYTES_MIN &&
           control->group_bytes <= control->run_ahead_bytes / 4 &&
           control->record_bytes <=
               control->group_bytes - FORMAT_GROUP_HEADER_BYTES - 2 * FORMAT_RECORD_HEADER_BYTES &&
           control->generation != 0 && control->first_lsn != 0 &&
           control->first_ordinal >= FORMAT_FIRST_ORDINAL &&
           control->witness_lsn + 1 >= control->first_lsn &&
           control->witness_address / control->segment_bytes >= control->first_ordinal &&
           control->witness_address / control->segment_bytes < FORMAT_COMPACTED_ORDINAL;
}

int control_decode(const uint8_t *block, struct control *ret_control)
{
    const struct format_control *copy = (const struct format_control *)block;
    if (memcmp(copy->magic, FORMAT_CONTROL_MAGIC, FORMAT_MAGIC_BYTES) != 0 ||
        le32_load(&copy->crc) != block_crc(block)) {
        return WEIR_E_CONTROL;
    }
    uint64_t features = le64_load(&copy->incompatible);
    if (le32_load(&copy->version) != FORMAT_VERSION ||
        (features & ~(uint64_t)FORMAT_FEATURE_COMPACTED) != 0) {
        return WEIR_E_NEWER_FORMAT;
    }
    struct control control;
    load_fields(copy, &control);
    bool more = le64_load(&copy->compatible) != 0; /* a feature may use what is zero today */
    if (!values_are_possible(&control) ||
        !compaction_is_possible(&control, (features & FORMAT_FEATURE_COMPACTED) != 0) ||
        (!more && !scan_is_zero(block + sizeof *copy, FORMAT_BLOCK - sizeof *copy))) {
        return WEIR_E_DAMAGED;
    }
    *ret_control = control;
    return 0;
}

int control_choose(const uint8_t *bytes, size_t size, struct control *ret_control, int *ret_valid)
{
    int result = WEIR_E_CONTROL;
    struct control best = {0};
    int valid = 0;
    for (size_t i = 0; (i + 1) * FORMAT_BLOCK <= size && i < FORMAT_CONTROL_COPIES; i++) {
        const uint8_t *copy = bytes + i * FORMAT_BLOCK;
        struct control control;
        int rc = control_decode(copy, &control);
        if (rc == WEIR_E_CONTROL) {
            continue;
        }
        valid++;
        bool again = false;
        for (size_t k = 0; k < i; k++) {
            again = again || memcmp(copy, bytes + k * FORMAT_BLOCK, FORMAT_BLOCK) == 0;
        }
        if (!again) {
            continue;
        }
        if (rc < 0) {
            result = result == 0 ? 0 : rc;
        } else if (result != 0 || control.generation > best.generation) {
            best = control;
            result = 0;
        }
    }
    *ret_valid = valid;
    if (result == 0) {
        *ret_control = best;
    }
    return result;
}

/* Version and features where every version has them; of the first copy that carries the magic. */
static int explain_newer(struct weir_error *why, const uint8_t *bytes, size_t size)
{
    for (size_t at = 0; at + FORMAT_BLOCK <= size; at += FORMAT_BLOCK) {
        const struct format_control *copy = (const struct format_control *)(bytes + at);
        if (memcmp(copy->magic, FORMAT_CONTROL_MAGIC, FORMAT_MAGIC_BYTES) == 0) {
            return log_error(why, WEIR_E_NEWER_FORMAT, CONTROL_NAME, at + 12,
                             "CONTROL is of format version %u with features %#llx; this program "
                             "knows version %u and features %#x",
                             le32_load(&copy->version),
                             (unsigned long long)le64_load(&copy->incompatible), FORMAT_VERSION,
                             FORMAT_FEATURE_COMPACTED);
        }
    }
    return WEIR_E_NEWER_FORMAT;
}

static int explain(struct weir_error *why, int code, const uint8_t *bytes, size_t size, int valid)
{
    switch (code) {
    case WEIR_E_CONTROL:
        return log_error(why, code, CONTROL_NAME, 0,
                         "CONTROL (%zu bytes) holds %d valid copies of 4 and no two that are equal",
                         size, valid);
    case WEIR_E_NEWER_FORMAT:
        return explain_newer(why, bytes, size);
    default:
        return log_error(why, code, CONTROL_NAME, 0,
                         "CONTROL passes its checksum and holds values that Weir never writes");
    }
}

int control_load(struct weir_medium *medium, struct control *ret_control, struct weir_error *why)
{
    uint8_t bytes[FORMAT_CONTROL_BYTES];
    struct weir_file *file;
    int rc = medium->ops->open(medium, CONTROL_NAME, WEIR_FILE_READ, &file);
    if (rc < 0) {
        return rc;
    }
    size_t size = 0;
    rc = medium->ops->read(file, 0, bytes, sizeof bytes, &size);
    medium->ops->close(file);
    if (rc < 0) {
        return log_error(why, rc, CONTROL_NAME, 0, "CONTROL cannot be read: %s",
                         weir_error_text(rc));
    }
    int valid = 0;
    rc = control_choose(bytes, size, ret_control, &valid);
    return rc < 0 ? explain(why, rc, bytes, size, valid) : 0;
}

int control_check_there(struct weir_medium *medium)
{
    struct weir_file *file;
    int rc = medium->ops->open(medium, CONTROL_NAME, WEIR_FILE_READ, &file);
    if (rc == 0) {
        medium->ops->close(file);
    }
    return rc == -ENOENT ? WEIR_E_NOT_A_LOG : rc;
}

static int write_pair(struct weir_medium *medium, struct weir_file *file, unsigned which,
                      const uint8_t *pair)
{
    int rc = medium->ops->write(file, which * PAIR_BYTES, pair, PAIR_BYTES);
    return rc < 0 ? rc : medium->ops->sync(file);
}

/* The pair to write first, since losing it loses nothing: 1 when what counts is in 0 only. */
static int choose_first(struct weir_medium *medium, struct weir_file *file, unsigned *ret_first)
{
    uint8_t bytes[FORMAT_CONTROL_BYTES] = {0};
    size_t size = 0;
    int rc = medium->ops->read(file, 0, bytes, sizeof bytes, &size);
    if (rc < 0) {
        return rc;
    }
    struct control counts, copy;
    int valid;
    bool in_first = control_choose(bytes, size, &counts, &valid) == 0 &&
                    memcmp(bytes, bytes + FORMAT_BLOCK, FORMAT_BLOCK) == 0 &&
                    control_decode(bytes, &copy) == 0 && copy.generation == counts.generation;
    *ret_first = in_first && memcmp(bytes, bytes + PAIR_BYTES, PAIR_BYTES) != 0 ? 1 : 0;
    return 0;
}

static int write_copies(struct weir_medium *medium, struct weir_file *file, unsigned first,
                        const struct control *control)
{
    uint8_t pair[PAIR_BYTES];
    control_encode(pair, control);
    memcpy(pair + FORMAT_BLOCK, pair, FORMAT_BLOCK);
    struct control check;
    WEIR_ASSERT(control_decode(pair, &check) == 0);
    int rc = write_pair(medium, file, first, pair);
    return rc < 0 ? rc : write_pair(medium, file, 1 - first, pair);
}

int control_store(struct weir_medium *medium, struct control *control)
{
    struct weir_file *file;
    int rc = medium->ops->open(medium, CONTROL_NAME, WEIR_FILE_WRITE, &file);
    if (rc < 0) {
        return rc;
    }
    unsigned first;
    rc = choose_first(medium, file, &first);
    if (rc == 0) {
        control->generation++;
        control->written_ns = base_clock_realtime_ns();
        rc = write_copies(medium, file, first, control);
    }
    medium->ops->close(file);
    return rc;
}

int control_create(struct weir_medium *medium, struct control *control)
{
    struct weir_file *file;
    int rc = medium->ops->remove(medium, CONTROL_NEW_NAME);
    if (rc < 0 && rc != -ENOENT) {
        return rc;
    }
    rc = medium->ops->create(medium, CONTROL_NEW_NAME, FORMAT_CONTROL_BYTES, &file);
    if (rc < 0) {
        return rc;
    }
    control->generation++;
    control->created_ns = control->written_ns = base_clock_realtime_ns();
    rc = write_copies(medium, file, 0, control);
    medium->ops->close(file);
    if (rc == 0) {
        rc = medium->ops->rename(medium, CONTROL_NEW_NAME, CONTROL_NAME);
    }
    return rc < 0 ? rc : medium->ops->sync_directory(medium, "");
}
