/*
 * Reading a run of sealed segments record by record.
 *
 * Failure modes: a group is damaged: that is said with file and offset, and nothing behind it is
 * read.
 */
#include "wal/run_reader.h"

static int explain_damage(const struct run_reader *reader, enum group_fault fault,
                          struct weir_error *why)
{
    const struct segment_walk *walk = &reader->walk;
    char name[FORMAT_NAME_BYTES];
    format_segment_name(walk->segment->ordinal, name);
    int rc = log_error(why, WEIR_E_DAMAGED, name, walk->offset, "%s, offset %u: %s", name,
                       walk->offset, group_fault_text(fault));
    return log_error_range(why, rc, walk->chain.next_lsn, walk->segment->last_lsn);
}

/* Stands in front of the first record of the next group that holds any. 1; 0: the segment is done.
 */
static int enter_group(struct run_reader *reader, struct weir_error *why)
{
    struct segment_walk *walk = &reader->walk;
    while (!walk_at_seal(walk)) {
        struct group_header header;
        enum group_fault fault = walk_look(walk, &header);
        if (fault == GROUP_OK && header.kind == FORMAT_GROUP_SEAL) {
            fault = GROUP_HEADER_FIELDS; /* the next header says that it lies further behind */
        }
        if (fault != GROUP_OK) {
            return explain_damage(reader, fault, why);
        }
        reader->record =
            (const struct format_record *)(walk_bytes(walk) + FORMAT_GROUP_HEADER_BYTES);
        reader->left = header.record_count;
        reader->group = header;
        walk_pass(walk, &header);
        if (reader->left > 0) {
            return 1;
        }
    }
    return 0;
}

static const struct format_record *record_behind(const struct format_record *record)
{
    uint64_t stride = format_align(le32_load(&record->size), FORMAT_RECORD_ALIGN);
    return (const struct format_record *)((const uint8_t *)record + stride);
}

static void take(struct run_reader *reader, bool begins)
{
    const struct wal_segment *segment = reader->walk.segment;
    uint32_t index = reader->group.record_count - reader->left;
    reader->left--;
    reader->begins_group = begins;
    reader->ends_group = reader->left == 0;
    reader->lsn = group_record_lsn(&reader->group, index, reader->record);
    reader->address = log_address(reader->log, segment,
                                  (uint64_t)((const uint8_t *)reader->record - segment->base));
}

int run_read(struct run_reader *reader, struct weir_error *why)
{
    if (reader->left > 0) {
        reader->record = record_behind(reader->record);
        take(reader, false);
        return 1;
    }
    while (reader->index < reader->count) {
        int rc = 0;
        if (reader->walk.segment == NULL) {
            rc = walk_start(&reader->walk, reader->log, reader->segments[reader->index], why);
        }
        rc = rc < 0 ? rc : enter_group(reader, why);
        if (rc != 0) {
            if (rc == 1) {
                take(reader, true);
            }
            return rc;
        }
        reader->walk.segment = NULL;
        reader->index++;
    }
    return 0;
}

struct weir_record run_record(const struct run_reader *reader)
{
    const struct format_record *record = reader->record;
    uint16_t flags = le16_load(&record->flags);
    uint32_t number = (flags & FORMAT_RECORD_NUMBERED) != 0 ? FORMAT_RECORD_NUMBER_BYTES : 0;
    return (struct weir_record){
        .lsn = reader->lsn,
        .time_ns = reader->group.time_ns,
        .data = (const uint8_t *)(record + 1) + number,
        .size = le32_load(&record->size) - FORMAT_RECORD_HEADER_BYTES - number,
        .user = le32_load(&record->user),
        .type = le16_load(&record->type),
        .flags = (uint16_t)(flags & ~FORMAT_RECORD_NUMBERED),
    };
}
