/*
 * Writing the new log of a salvage: groups into segments, CONTROL last.
 *
 * Happy path: a segment's file is made and its header, groups and seal go out through one buffer,
 * in large writes; a group is made in memory of its own, since its header is known last and it may
 * have to go to the next segment. finish() syncs the last segment, the directory, makes holds/ and
 * puts CONTROL in place.
 *
 * Why not through weir_append(): records keep their times, types that are not for callers, VOID
 * flags and groups, and the first LSN is not 1.
 *
 * Failure modes: those of the medium, -ENOSPC when a segment is made among them; nothing is tried
 * again. What a crash leaves has no CONTROL.
 *
 * Invariants: every header says that all before it is durable, which holds as soon as there is a
 * CONTROL: so any later damage to any group is told from a torn tail.
 */
#include "wal/salvage.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "base/crc32c.h"
#include "wal/hold.h"

#include <errno.h>
#include <string.h>

#define BUFFER_BYTES ((size_t)4 << 20)

/* ---- bytes ---- */

static int write_buffered(struct salvage_writer *writer)
{
    size_t size = (size_t)format_align(writer->buffered, FORMAT_BLOCK);
    if (size == 0) {
        return 0;
    }
    memset(writer->buffer + writer->buffered, 0, size - writer->buffered);
    int rc = writer->medium->ops->write(writer->file, writer->buffer_start, writer->buffer, size);
    writer->buffer_start += size;
    writer->buffered = 0;
    return rc;
}

/* Appends to the segment. */
static int put(struct salvage_writer *writer, const uint8_t *bytes, size_t size)
{
    int rc = 0;
    writer->offset += size;
    writer->written_bytes += size;
    while (size > 0 && rc == 0) {
        size_t room = BUFFER_BYTES - writer->buffered;
        size_t piece = size < room ? size : room;
        memcpy(writer->buffer + writer->buffered, bytes, piece);
        writer->buffered += piece;
        bytes += piece;
        size -= piece;
        if (writer->buffered == BUFFER_BYTES) {
            rc = write_buffered(writer);
        }
    }
    return rc;
}

/* ---- segments ---- */

static int begin_segment(struct salvage_writer *writer)
{
    char name[FORMAT_NAME_BYTES];
    uint8_t bytes[FORMAT_SEGMENT_HEADER_BYTES];
    const struct control *control = &writer->control;
    struct segment_header header = {
        .ordinal = writer->ordinal + 1,
        .base_lsn = writer->chain.next_lsn,
        .base_time_ns = writer->chain.time_ns,
        .epoch = writer->chain.epoch,
        .seed = writer->chain.seed,
        .chain = writer->chain.crc,
        .previous_seal_offset = writer->previous_seal_offset,
        .durable_lsn = writer->chain.next_lsn - 1,
        .block_bytes = control->block_bytes,
    };
    format_segment_name(header.ordinal, name);
    int rc =
        writer->medium->ops->create(writer->medium, name, control->segment_bytes, &writer->file);
    if (rc < 0) {
        return rc;
    }
    writer->ordinal = header.ordinal;
    writer->offset = writer->buffer_start = 0;
    scan_directory_clear(&writer->directory);
    memcpy(header.uuid, control->uuid, FORMAT_UUID_BYTES);
    segment_header_encode(bytes, &header, writer->uuid_seed);
    return put(writer, bytes, sizeof bytes);
}

static int end_segment(struct salvage_writer *writer)
{
    int rc = write_buffered(writer);
    rc = rc < 0 ? rc : writer->medium->ops->sync(writer->file);
    writer->medium->ops->close(writer->file);
    writer->file = NULL;
    return rc;
}

/* Completes a header, whose body lies behind `bytes`, and puts the group where the writer stands.
 */
static int put_group(struct salvage_writer *writer, uint8_t *bytes, struct group_header *header)
{
    struct group_chain *chain = &writer->chain;
    bool epoch = header->kind == FORMAT_GROUP_EPOCH;
    uint64_t padded = format_align(header->size_bytes, writer->control.block_bytes);
    WEIR_ASSERT(writer->offset + padded <= writer->control.segment_bytes);
    header->address = writer->ordinal * writer->control.segment_bytes + writer->offset;
    header->first_lsn = chain->next_lsn;
    header->time_ns = header->time_ns > chain->time_ns ? header->time_ns : chain->time_ns;
    header->durable_lsn = chain->next_lsn - 1;
    header->chain = chain->crc;
    header->epoch = (uint32_t)(epoch ? writer->control.epoch : chain->epoch);
    group_encode(bytes, header, epoch ? writer->uuid_seed : chain->seed);
    memset(bytes + header->size_bytes, 0, padded - header->size_bytes);
    struct scan_group group = {
        .header = *header,
        .bytes = bytes,
        .offset = (uint32_t)writer->offset,
        .chain = chain,
    };
    WEIR_ASSERT(group_check_place(header, chain) == GROUP_OK);
    if (header->kind != FORMAT_GROUP_SEAL && scan_directory_add(&writer->directory, &group) < 0) {
        return -ENOMEM;
    }
    group_chain_advance(chain, bytes, header);
    return put(writer, bytes, padded);
}

static int put_epoch(struct salvage_writer *writer)
{
    uint8_t bytes[FORMAT_BLOCK] = {0};
    struct format_epoch *body = (struct format_epoch *)(bytes + FORMAT_GROUP_HEADER_BYTES);
    le64_store(&body->epoch, writer->control.epoch);
    le32_store(&body->seed, writer->control.seed);
    struct group_header header = {
        .kind = FORMAT_GROUP_EPOCH,
        .size_bytes = FORMAT_GROUP_HEADER_BYTES + sizeof *body,
        .body_crc = base_crc32c(0, body, sizeof *body),
    };
    return put_group(writer, bytes, &header);
}

static void build_seal(const struct salvage_writer *writer, struct format_seal *seal)
{
    const struct scan_directory *directory = &writer->directory;
    weir_lsn last = writer->chain.next_lsn - 1;
    memset(seal, 0, sizeof *seal);
    le64_store(&seal->record_count, directory->records);
    le64_store(&seal->group_count, directory->groups);
    le64_store(&seal->first_lsn, directory->records > 0 ? last - directory->records + 1 : 0);
    le64_store(&seal->last_lsn, directory->records > 0 ? last : 0);
    le64_store(&seal->first_time_ns, directory->first_time_ns);
    le64_store(&seal->last_time_ns, writer->chain.time_ns);
    le64_store(&seal->payload_bytes, directory->payload_bytes);
    le32_store(&seal->entry_count, directory->count);
    if (directory->count > 0) {
        memcpy(seal + 1, directory->entries, directory->count * sizeof directory->entries[0]);
    }
}

static int put_seal(struct salvage_writer *writer)
{
    uint64_t body = format_seal_body_bytes(writer->directory.records);
    uint64_t capacity = format_align(FORMAT_GROUP_HEADER_BYTES + body, FORMAT_BLOCK);
    uint8_t *bytes = base_alloc_zero((size_t)capacity);
    if (bytes == NULL) {
        return -ENOMEM;
    }
    struct format_seal *seal = (struct format_seal *)(bytes + FORMAT_GROUP_HEADER_BYTES);
    build_seal(writer, seal);
    struct group_header header = {
        .kind = FORMAT_GROUP_SEAL,
        .size_bytes = (uint32_t)(FORMAT_GROUP_HEADER_BYTES + body),
        .body_crc = base_crc32c(0, seal, (size_t)body),
    };
    writer->previous_seal_offset = writer->offset;
    int rc = put_group(writer, bytes, &header);
    base_free(bytes);
    return rc;
}

/* Goes to the next segment unless the group fits, with a seal behind it. */
static int make_room(struct salvage_writer *writer, uint32_t size_bytes, uint32_t records)
{
    uint32_t block = writer->control.block_bytes;
    uint64_t seal =
        FORMAT_GROUP_HEADER_BYTES + format_seal_body_bytes(writer->directory.records + records);
    uint64_t end = writer->offset + format_align(size_bytes, block) + format_align(seal, block);
    if (end <= writer->control.segment_bytes) {
        return 0;
    }
    int rc = put_seal(writer);
    rc = rc < 0 ? rc : end_segment(writer);
    return rc < 0 ? rc : begin_segment(writer);
}

/* ---- compacted segments ---- */

/* Of the open segment, so that another one can begin. */
static int end_ordinary(struct salvage_writer *writer)
{
    if (writer->file == NULL) {
        return 0;
    }
    int rc = put_seal(writer);
    return rc < 0 ? rc : end_segment(writer);
}

/* What follows goes to an ordinary segment. */
static int ensure_ordinary(struct salvage_writer *writer)
{
    if (writer->file != NULL) {
        return 0;
    }
    int rc = begin_segment(writer);
    return rc < 0 || writer->chain.epoch != 0 ? rc : put_epoch(writer);
}

int salvage_write_compacted(struct salvage_writer *writer, weir_lsn last_lsn)
{
    const struct weir_medium_ops *ops = writer->medium->ops;
    struct control *control = &writer->control;
    struct sparse_limits limits = {control->segment_bytes, control->group_bytes};
    char name[FORMAT_NAME_BYTES];
    WEIR_ASSERT(!writer->is_sparse);
    int rc = end_ordinary(writer);
    struct segment_header header = {
        .ordinal = FORMAT_COMPACTED_ORDINAL + control->compact_next,
        .base_lsn = writer->chain.next_lsn,
        .base_time_ns = writer->chain.time_ns,
        .epoch = writer->chain.epoch,
        .seed = writer->chain.seed,
        .chain = writer->chain.crc,
        .previous_seal_offset = writer->previous_seal_offset,
        .durable_lsn = writer->chain.next_lsn - 1,
        .block_bytes = FORMAT_COMPACTED_BLOCK,
        .compacted = true,
        .first_ordinal = writer->ordinal + 1,
        .last_ordinal = writer->ordinal + 1,
        .last_lsn = last_lsn,
        .end_epoch = control->epoch,
        .end_seed = control->seed,
        .horizon = control->horizon > last_lsn ? control->horizon : last_lsn,
    };
    memcpy(header.uuid, control->uuid, FORMAT_UUID_BYTES);
    format_segment_name(header.ordinal, name);
    rc = rc < 0 ? rc : ops->create(writer->medium, name, control->segment_bytes, &writer->file);
    if (rc < 0) {
        return rc;
    }
    writer->ordinal++;
    writer->is_sparse = true;
    control->compact_next++;
    control->compact_first = control->compact_last = writer->ordinal;
    control->horizon = header.horizon;
    rc = sparse_write_begin(&writer->sparse, writer->medium, writer->file, &header, &limits);
    writer->sparse.ends_itself = true;
    return rc;
}

void salvage_write_skip(struct salvage_writer *writer, weir_lsn lsn)
{
    WEIR_ASSERT(writer->is_sparse && lsn >= writer->next_lsn);
    writer->next_lsn = lsn;
}

int salvage_write_leave(struct salvage_writer *writer)
{
    int rc = sparse_write_finish(&writer->sparse);
    const struct segment_header *header = &writer->sparse.header;
    writer->next_lsn = header->last_lsn + 1;
    writer->chain = (struct group_chain){
        .next_lsn = writer->next_lsn,
        .time_ns = header->end_time_ns,
        .epoch = header->end_epoch,
        .seed = header->end_seed,
        .crc = header->end_chain,
    };
    writer->previous_seal_offset = header->end_seal_offset;
    writer->written_bytes += header->seal_offset;
    sparse_write_free(&writer->sparse);
    writer->medium->ops->close(writer->file);
    writer->file = NULL;
    writer->is_sparse = false;
    return rc;
}

/* Gap records may take more room than what they stand for: then the rest goes to another one. */
static int write_sparse(struct salvage_writer *writer, const struct format_record *record)
{
    int rc = sparse_write_record(&writer->sparse, record, writer->next_lsn);
    if (rc != -E2BIG) {
        return rc;
    }
    uint64_t time_ns = writer->sparse.group_header.time_ns;
    weir_lsn lsn = writer->next_lsn, last_lsn = writer->sparse.header.last_lsn;
    rc = sparse_write_end_group(&writer->sparse);
    writer->sparse.header.last_lsn = lsn - 1;
    int left = salvage_write_leave(writer);
    rc = rc < 0 ? rc : left;
    rc = rc < 0 ? rc : salvage_write_compacted(writer, last_lsn);
    if (rc == 0) {
        sparse_write_group(&writer->sparse, time_ns);
        rc = sparse_write_record(&writer->sparse, record, lsn);
    }
    return rc;
}

/* ---- groups ---- */

int salvage_write_start(struct salvage_writer *writer, struct weir_medium *medium,
                        const struct control *control, weir_lsn base_lsn)
{
    *writer = (struct salvage_writer){
        .started = true,
        .medium = medium,
        .control = *control,
        .uuid_seed = group_uuid_seed(control->uuid),
        .chain = {.next_lsn = base_lsn},
        .next_lsn = base_lsn,
        .group_capacity = format_align(control->group_bytes, FORMAT_BLOCK),
    };
    writer->buffer = base_pages_alloc(BUFFER_BYTES, 0);
    writer->group = base_pages_alloc((size_t)writer->group_capacity, 0);
    return writer->buffer == NULL || writer->group == NULL ? -ENOMEM : 0;
}

void salvage_write_free(struct salvage_writer *writer)
{
    if (writer->file != NULL) {
        writer->medium->ops->close(writer->file);
    }
    sparse_write_free(&writer->sparse);
    scan_directory_free(&writer->directory);
    base_pages_free(writer->buffer, BUFFER_BYTES);
    base_pages_free(writer->group, (size_t)writer->group_capacity);
    writer->file = NULL;
    writer->buffer = writer->group = NULL;
}

bool salvage_write_fits(const struct salvage_writer *writer, uint64_t payload_bytes)
{
    uint64_t number = writer->is_sparse ? FORMAT_RECORD_NUMBER_BYTES : 0; /* it may have got one */
    return FORMAT_GROUP_HEADER_BYTES + format_record_stride(payload_bytes) <=
           writer->control.group_bytes + number;
}

void salvage_write_group(struct salvage_writer *writer, uint64_t time_ns)
{
    if (writer->is_sparse) {
        sparse_write_group(&writer->sparse, time_ns);
        return;
    }
    WEIR_ASSERT(writer->header.record_count == 0);
    writer->header = (struct group_header){
        .kind = FORMAT_GROUP_DATA,
        .time_ns = time_ns,
        .size_bytes = FORMAT_GROUP_HEADER_BYTES,
    };
}

int salvage_write_end_group(struct salvage_writer *writer)
{
    struct group_header *header = &writer->header;
    if (writer->is_sparse) {
        return sparse_write_end_group(&writer->sparse);
    }
    if (header->record_count == 0) {
        return 0;
    }
    int rc = ensure_ordinary(writer);
    rc = rc < 0 ? rc : make_room(writer, header->size_bytes, header->record_count);
    rc = rc < 0 ? rc : put_group(writer, writer->group, header);
    header->record_count = 0;
    return rc;
}

int salvage_write_record(struct salvage_writer *writer, const struct format_record *record)
{
    uint32_t size = le32_load(&record->size);
    uint32_t stride = (uint32_t)format_align(size, FORMAT_RECORD_ALIGN);
    WEIR_ASSERT(salvage_write_fits(writer, size - FORMAT_RECORD_HEADER_BYTES));
    if (writer->is_sparse) {
        int rc = write_sparse(writer, record);
        writer->next_lsn++;
        return rc;
    }
    if (writer->header.size_bytes + stride > writer->control.group_bytes) {
        uint64_t time_ns = writer->header.time_ns;
        int rc = salvage_write_end_group(writer);
        if (rc < 0) {
            return rc;
        }
        salvage_write_group(writer, time_ns);
    }
    struct group_header *header = &writer->header;
    uint8_t *to = writer->group + header->size_bytes;
    memcpy(to, record, size);
    memset(to + size, 0, stride - size);
    header->body_crc = base_crc32c_16(header->body_crc, to);
    header->size_bytes += stride;
    header->record_count++;
    writer->next_lsn++;
    return 0;
}

int salvage_write_gap(struct salvage_writer *writer, weir_lsn to, uint16_t type)
{
    int rc = 0;
    while (rc == 0 && writer->next_lsn <= to) {
        uint64_t left = to - writer->next_lsn + 1;
        struct format_record record = {0};
        le32_store(&record.size, FORMAT_RECORD_HEADER_BYTES);
        le16_store(&record.type, type);
        le16_store(&record.flags, WEIR_RECORD_GAP);
        uint32_t user = left < UINT32_MAX ? (uint32_t)left : UINT32_MAX;
        le32_store(&record.user, user);
        rc = salvage_write_record(writer, &record); /* the CRC of no bytes is 0 */
        writer->next_lsn += writer->is_sparse ? user - 1 : 0;
    }
    return rc;
}

/* ---- the end ---- */

int salvage_write_finish(struct salvage_writer *writer)
{
    struct control *control = &writer->control;
    const struct weir_medium_ops *ops = writer->medium->ops;
    int rc = ensure_ordinary(writer);
    if (rc == 0 && writer->directory.groups == 0) { /* no segment is without a group */
        uint8_t bytes[FORMAT_BLOCK] = {0};
        struct group_header witness = {.kind = FORMAT_GROUP_WITNESS,
                                       .size_bytes = FORMAT_GROUP_HEADER_BYTES};
        rc = put_group(writer, bytes, &witness);
    }
    if (rc < 0) {
        return rc;
    }
    control->witness_lsn = writer->chain.next_lsn - 1;
    control->witness_address = writer->ordinal * control->segment_bytes + writer->offset;
    control->witness_chain = writer->chain.crc;
    control->clean = true;
    if (control->compact_next == 0) {
        control->horizon = 0;
    }
    rc = end_segment(writer);
    rc = rc < 0 ? rc : ops->sync_directory(writer->medium, "");
    return rc < 0 ? rc : control_create(writer->medium, control);
}

/* CONTROL first: without segments it must not be there for a moment. */
void salvage_write_undo(struct salvage_writer *writer, struct weir_medium *medium)
{
    if (writer->file != NULL) {
        medium->ops->close(writer->file);
        writer->file = NULL;
    }
    (void)medium->ops->remove(medium, CONTROL_NAME);
    (void)medium->ops->remove(medium, CONTROL_NEW_NAME);
    (void)medium->ops->sync_directory(medium, "");
    for (uint64_t ordinal = FORMAT_FIRST_ORDINAL; ordinal <= writer->ordinal; ordinal++) {
        char name[FORMAT_NAME_BYTES];
        format_segment_name(ordinal, name);
        (void)medium->ops->remove(medium, name);
        format_segment_name(FORMAT_COMPACTED_ORDINAL + ordinal - 1, name); /* at most as many */
        (void)medium->ops->remove(medium, name);
    }
    (void)medium->ops->sync_directory(medium, "");
}
