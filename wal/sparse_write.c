/*
 * Writing a compacted segment.
 *
 * Happy path: groups are made in memory of their own, since a group's header is known last, and go
 * out through one buffer in large writes; then the seal with the directory, then the segment's
 * header, then one sync. Nothing of it counts before CONTROL says so, so no order matters here.
 *
 * Groups begin at multiples of 64 on every medium: none of them is ever written beside one that is
 * durable, and padding is what compaction is there to get rid of. So each group of the source can
 * stay a group, with its time.
 *
 * Failure modes: those of the medium; what does not fit any more (-E2BIG).
 *
 * Invariants: all groups are under the seed and epoch in which the run ends; their chain begins
 * with the one in front of the run and leads to no other segment.
 */
#include "wal/sparse_write.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "base/crc32c.h"

#include <weir/types.h>

#include <errno.h>
#include <string.h>

#define BUFFER_BYTES ((size_t)1 << 20)

/* ---- bytes ---- */

static int write_buffered(struct sparse_writer *writer)
{
    size_t size = (size_t)format_align(writer->buffered, FORMAT_BLOCK);
    if (size == 0) {
        return 0;
    }
    memset(writer->buffer + writer->buffered, 0, size - writer->buffered);
    int rc = writer->medium->ops->write(writer->file, writer->buffer_start, writer->buffer, size);
    writer->failed |= rc < 0;
    writer->buffer_start += size;
    writer->buffered = 0;
    return rc;
}

static int put(struct sparse_writer *writer, const uint8_t *bytes, size_t size)
{
    int rc = 0;
    writer->offset += size;
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

/* ---- groups ---- */

uint64_t sparse_write_seal_bytes(uint64_t records)
{
    return format_align(FORMAT_GROUP_HEADER_BYTES + format_sparse_seal_body_bytes(records),
                        FORMAT_COMPACTED_BLOCK);
}

static bool carries_lsn(const struct format_record *record)
{
    return (le16_load(&record->flags) & FORMAT_RECORD_NUMBERED) != 0;
}

void sparse_plan_group(struct sparse_plan *plan)
{
    *plan = (struct sparse_plan){.group_bytes = plan->group_bytes,
                                 .size_bytes = FORMAT_GROUP_HEADER_BYTES};
}

uint64_t sparse_plan_record(struct sparse_plan *plan, const struct format_record *record,
                            weir_lsn lsn)
{
    bool consecutive = plan->records == 0 || lsn == plan->next_lsn;
    bool plain = !carries_lsn(record);
    bool numbered = plan->numbered || !consecutive;
    if (numbered && !plan->numbered && plan->plain) {
        return 0;
    }
    uint64_t size = le32_load(&record->size) + (numbered && plain ? FORMAT_RECORD_NUMBER_BYTES : 0);
    uint64_t stride = format_align(size, FORMAT_RECORD_ALIGN);
    if (plan->records > 0 && plan->size_bytes + stride > plan->group_bytes) {
        return 0;
    }
    plan->numbered = numbered;
    plan->plain |= plain && !numbered;
    plan->size_bytes += stride;
    plan->records++;
    plan->next_lsn = lsn + 1;
    return stride;
}

int sparse_write_begin(struct sparse_writer *writer, struct weir_medium *medium,
                       struct weir_file *file, const struct segment_header *header,
                       const struct sparse_limits *limits)
{
    uint64_t most = limits->group_bytes + FORMAT_RECORD_NUMBER_BYTES;
    *writer = (struct sparse_writer){
        .medium = medium,
        .file = file,
        .header = *header,
        .limits = *limits,
        .offset = FORMAT_SEGMENT_HEADER_BYTES,
        .plan = {.group_bytes = limits->group_bytes},
        .buffer_start = FORMAT_SEGMENT_HEADER_BYTES,
        .chain = {.next_lsn = header->base_lsn,
                  .time_ns = header->base_time_ns,
                  .epoch = header->end_epoch,
                  .seed = header->end_seed,
                  .crc = header->chain},
        .group_capacity = format_align(most, FORMAT_BLOCK),
    };
    writer->buffer = base_pages_alloc(BUFFER_BYTES, 0);
    writer->group = base_pages_alloc((size_t)writer->group_capacity, 0);
    return writer->buffer == NULL || writer->group == NULL ? -ENOMEM : 0;
}

void sparse_write_free(struct sparse_writer *writer)
{
    scan_directory_free(&writer->directory);
    base_pages_free(writer->buffer, BUFFER_BYTES);
    base_pages_free(writer->group, (size_t)writer->group_capacity);
    *writer = (struct sparse_writer){0};
}

/* Completes a header, whose body lies behind `bytes`, and puts the group where the writer stands.
 * first_lsn and durable_lsn are set. */
static int put_group(struct sparse_writer *writer, uint8_t *bytes, struct group_header *header)
{
    struct group_chain *chain = &writer->chain;
    uint64_t padded = format_align(header->size_bytes, FORMAT_COMPACTED_BLOCK);
    header->flags |= FORMAT_GROUP_SPARSE;
    header->address = writer->header.ordinal * writer->limits.segment_bytes + writer->offset;
    header->time_ns = header->time_ns > chain->time_ns ? header->time_ns : chain->time_ns;
    header->chain = chain->crc;
    header->epoch = (uint32_t)chain->epoch;
    group_encode(bytes, header, chain->seed);
    memset(bytes + header->size_bytes, 0, padded - header->size_bytes);
    WEIR_ASSERT(group_check_place(header, chain) == GROUP_OK);
    struct scan_group group = {
        .header = *header, .bytes = bytes, .offset = (uint32_t)writer->offset, .chain = chain};
    if (header->kind != FORMAT_GROUP_SEAL && scan_directory_add(&writer->directory, &group) < 0) {
        return -ENOMEM;
    }
    group_chain_advance(chain, bytes, header);
    return put(writer, bytes, padded);
}

void sparse_write_group(struct sparse_writer *writer, uint64_t time_ns)
{
    WEIR_ASSERT(writer->group_header.record_count == 0);
    sparse_plan_group(&writer->plan);
    writer->group_header = (struct group_header){
        .kind = FORMAT_GROUP_DATA,
        .time_ns = time_ns,
        .size_bytes = FORMAT_GROUP_HEADER_BYTES,
    };
}

int sparse_write_end_group(struct sparse_writer *writer)
{
    struct group_header *header = &writer->group_header;
    if (header->record_count == 0) {
        return 0;
    }
    header->flags = writer->plan.numbered ? 0 : FORMAT_GROUP_CONSECUTIVE;
    int rc = put_group(writer, writer->group, header);
    header->record_count = 0;
    return rc;
}

/* The group with `stride` more, and the seal behind it. */
static bool has_room(const struct sparse_writer *writer, uint64_t stride)
{
    const struct group_header *header = &writer->group_header;
    uint64_t records = writer->directory.records + header->record_count + 1;
    return writer->offset + format_align(header->size_bytes + stride, FORMAT_COMPACTED_BLOCK) +
               sparse_write_seal_bytes(records) <=
           writer->limits.segment_bytes;
}

/* Copies a record, in a numbered group with its LSN in front of the payload. */
static void fill_record(uint8_t *target, const struct format_record *record, weir_lsn lsn,
                        uint64_t stride, bool numbered)
{
    uint32_t size = le32_load(&record->size);
    struct format_record *copy = (struct format_record *)target;
    memset(target + stride - FORMAT_RECORD_ALIGN, 0, FORMAT_RECORD_ALIGN);
    if (!numbered || carries_lsn(record)) {
        memcpy(target, record, size);
        return;
    }
    uint32_t payload = size - FORMAT_RECORD_HEADER_BYTES;
    uint8_t *body = target + FORMAT_RECORD_HEADER_BYTES;
    memcpy(target, record, FORMAT_RECORD_HEADER_BYTES);
    le64_store((struct le64 *)(void *)body, lsn);
    memcpy(body + FORMAT_RECORD_NUMBER_BYTES, record + 1, payload);
    le32_store(&copy->size, size + FORMAT_RECORD_NUMBER_BYTES);
    le32_store(&copy->crc, base_crc32c(0, body, payload + FORMAT_RECORD_NUMBER_BYTES));
    le16_store(&copy->flags, le16_load(&record->flags) | FORMAT_RECORD_NUMBERED);
}

int sparse_write_record(struct sparse_writer *writer, const struct format_record *record,
                        weir_lsn lsn)
{
    struct group_header *header = &writer->group_header;
    uint64_t stride = sparse_plan_record(&writer->plan, record, lsn);
    if (stride == 0) {
        uint64_t time_ns = header->time_ns;
        int rc = sparse_write_end_group(writer);
        if (rc < 0) {
            return rc;
        }
        sparse_write_group(writer, time_ns);
        stride = sparse_plan_record(&writer->plan, record, lsn);
    }
    if (!has_room(writer, stride)) {
        return -E2BIG;
    }
    WEIR_ASSERT(stride > 0 && header->size_bytes + stride <= writer->group_capacity);
    uint8_t *target = writer->group + header->size_bytes;
    fill_record(target, record, lsn, stride, writer->plan.numbered);
    if (header->record_count == 0) {
        header->first_lsn = lsn;
    }
    header->durable_lsn = lsn;
    header->body_crc = base_crc32c_16(header->body_crc, target);
    header->size_bytes += (uint32_t)stride;
    header->record_count++;
    return 0;
}

/* ---- the end ---- */

static void build_seal(const struct sparse_writer *writer, struct format_seal *seal)
{
    const struct scan_directory *directory = &writer->directory;
    bool any = directory->records > 0;
    le64_store(&seal->record_count, directory->records);
    le64_store(&seal->group_count, directory->groups);
    le64_store(&seal->first_lsn, any ? directory->first_lsn : 0);
    le64_store(&seal->last_lsn, any ? writer->chain.next_lsn - 1 : 0);
    le64_store(&seal->first_time_ns, directory->first_time_ns);
    le64_store(&seal->last_time_ns, writer->chain.time_ns);
    le64_store(&seal->payload_bytes, directory->payload_bytes);
    le32_store(&seal->entry_count, directory->count);
    if (directory->count > 0) {
        struct format_directory_entry *entries = (struct format_directory_entry *)(seal + 1);
        memcpy(entries, directory->entries, directory->count * sizeof *entries);
        memcpy(entries + directory->count, directory->lsns,
               directory->count * sizeof directory->lsns[0]);
    }
}

static int put_seal(struct sparse_writer *writer)
{
    uint64_t body = format_sparse_seal_body_bytes(writer->directory.records);
    uint8_t *bytes = base_alloc_zero((size_t)sparse_write_seal_bytes(writer->directory.records));
    if (bytes == NULL) {
        return -ENOMEM;
    }
    build_seal(writer, (struct format_seal *)(bytes + FORMAT_GROUP_HEADER_BYTES));
    struct group_header header = {
        .kind = FORMAT_GROUP_SEAL,
        .first_lsn = writer->header.last_lsn + 1,
        .durable_lsn = writer->header.last_lsn,
        .size_bytes = (uint32_t)(FORMAT_GROUP_HEADER_BYTES + body),
        .body_crc = base_crc32c(0, bytes + FORMAT_GROUP_HEADER_BYTES, (size_t)body),
    };
    writer->header.seal_offset = writer->offset;
    int rc = put_group(writer, bytes, &header);
    base_free(bytes);
    return rc;
}

static int put_header(struct sparse_writer *writer)
{
    uint8_t bytes[FORMAT_SEGMENT_HEADER_BYTES];
    segment_header_encode(bytes, &writer->header, group_uuid_seed(writer->header.uuid));
    struct segment_header check;
    WEIR_ASSERT(segment_header_decode(bytes, writer->header.uuid, writer->header.ordinal, &check) ==
                0);
    return writer->medium->ops->write(writer->file, 0, bytes, sizeof bytes);
}

int sparse_write_finish(struct sparse_writer *writer)
{
    WEIR_ASSERT(writer->group_header.record_count == 0);
    int rc = put_seal(writer);
    rc = rc < 0 ? rc : write_buffered(writer);
    if (writer->ends_itself) {
        writer->header.end_time_ns = writer->chain.time_ns;
        writer->header.end_chain = writer->chain.crc;
        writer->header.end_seal_offset = writer->header.seal_offset;
    }
    if (rc == 0) {
        rc = put_header(writer);
        rc = rc < 0 ? rc : writer->medium->ops->sync(writer->file);
        writer->failed |= rc < 0;
    }
    return rc;
}
