/* Hand-made logs: see image.h. */
#include "tests/wal/image.h"

#include "base/crc32c.h"
#include "wal/repair.h"

#include <errno.h>
#include <string.h>

uint8_t *image_file(struct image *image, uint64_t ordinal)
{
    char name[FORMAT_NAME_BYTES];
    format_segment_name(ordinal, name);
    uint64_t size;
    return sim_memory_bytes(image->medium, name, false, &size);
}

uint8_t *image_at(struct image *image, uint64_t address)
{
    return image_file(image, address / IMAGE_SEGMENT) + address % IMAGE_SEGMENT;
}

uint64_t image_address(const struct image *image)
{
    return image->ordinal * IMAGE_SEGMENT + image->offset;
}

void image_make_file(struct image *image, uint64_t ordinal)
{
    char name[FORMAT_NAME_BYTES];
    struct weir_file *file;
    format_segment_name(ordinal, name);
    assert_int_equal(image->medium->ops->create(image->medium, name, IMAGE_SEGMENT, &file), 0);
    image->medium->ops->close(file);
}

/* The medium cannot shorten files: a shorter one takes the name. */
void image_cut_file(struct image *image, uint64_t ordinal, uint64_t bytes)
{
    char name[FORMAT_NAME_BYTES];
    format_segment_name(ordinal, name);
    static uint8_t copy[IMAGE_SEGMENT];
    memcpy(copy, image_file(image, ordinal), IMAGE_SEGMENT);
    struct weir_file *file;
    assert_int_equal(image->medium->ops->remove(image->medium, name), 0);
    uint64_t size = format_align(bytes, FORMAT_BLOCK);
    assert_int_equal(image->medium->ops->create(image->medium, name, size, &file), 0);
    if (size > 0) {
        assert_int_equal(image->medium->ops->write(file, 0, copy, size), 0);
    }
    image->medium->ops->close(file);
}

void image_begin(struct image *image, uint32_t block_bytes)
{
    memset(image, 0, sizeof *image);
    struct sim_memory_options options = {
        .block_bytes = block_bytes,
        .window_is_file = block_bytes < FORMAT_BLOCK,
    };
    assert_int_equal(sim_memory_open(&options, &image->medium), 0);
    struct control *control = &image->control;
    memset(control->uuid, 0xa5, sizeof control->uuid);
    control->layout = 1;
    control->first_lsn = 1;
    control->first_ordinal = 1;
    control->block_bytes = block_bytes;
    control->segment_bytes = IMAGE_SEGMENT;
    control->run_ahead_bytes = IMAGE_WINDOW;
    control->group_bytes = IMAGE_WINDOW / 4;
    control->record_bytes = 8192;
    control->witness_address = IMAGE_SEGMENT + FORMAT_SEGMENT_HEADER_BYTES;
    control->seed = 0x5eed;
    image->uuid_seed = group_uuid_seed(control->uuid);
    image->ordinal = 1;
    image->offset = FORMAT_SEGMENT_HEADER_BYTES;
    image->chain.next_lsn = 1;
    image->start = image->chain;
    image_make_file(image, 1);
    image_make_file(image, 2);
    assert_int_equal(control_create(image->medium, control), 0);
}

void image_end(struct image *image)
{
    image->medium->ops->destroy(image->medium);
}

void image_store_control(struct image *image)
{
    assert_int_equal(control_store(image->medium, &image->control), 0);
}

static void set_witness(struct image *image)
{
    image->control.witness_lsn = image->chain.next_lsn - 1;
    image->control.witness_address = image_address(image);
    image->control.witness_chain = image->chain.crc;
}

void image_close_clean(struct image *image)
{
    set_witness(image);
    image->control.clean = true;
    image_store_control(image);
}

static void put_segment_header(struct image *image)
{
    struct segment_header header = {
        .ordinal = image->ordinal,
        .base_lsn = image->chain.next_lsn,
        .base_time_ns = image->chain.time_ns,
        .epoch = image->chain.epoch,
        .seed = image->chain.seed,
        .chain = image->chain.crc,
        .previous_seal_offset = image->last_seal_offset,
        .durable_lsn = image->durable,
        .block_bytes = image->control.block_bytes,
    };
    memcpy(header.uuid, image->control.uuid, sizeof header.uuid);
    segment_header_encode(image_file(image, image->ordinal), &header, image->uuid_seed);
}

/* The body is in place behind `bytes`. */
static struct image_group *put_group(struct image *image, uint8_t *bytes, uint16_t kind,
                                     uint32_t records, uint32_t body_bytes, uint32_t body_crc)
{
    if (image->offset == FORMAT_SEGMENT_HEADER_BYTES) {
        put_segment_header(image);
    }
    struct group_header header = {
        .address = image_address(image),
        .first_lsn = image->chain.next_lsn,
        .time_ns = image->chain.time_ns + 1000,
        .durable_lsn = image->durable,
        .chain = image->chain.crc,
        .body_crc = body_crc,
        .record_count = records,
        .size_bytes = FORMAT_GROUP_HEADER_BYTES + body_bytes,
        .epoch = (uint32_t)(kind == FORMAT_GROUP_EPOCH ? image->control.epoch : image->chain.epoch),
        .kind = kind,
    };
    bool epoch = kind == FORMAT_GROUP_EPOCH;
    group_encode(bytes, &header, epoch ? image->uuid_seed : image->chain.seed);
    assert_int_equal(group_check_place(&header, &image->chain), GROUP_OK);
    group_chain_advance(&image->chain, bytes, &header);
    uint64_t padded = format_align(header.size_bytes, image->control.block_bytes);
    memset(bytes + header.size_bytes, 0, padded - header.size_bytes);
    assert_in_range(image->group_count, 0, IMAGE_GROUPS_MAX - 1);
    struct image_group *group = &image->groups[image->group_count++];
    *group = (struct image_group){
        .address = header.address,
        .bytes = padded,
        .first_lsn = header.first_lsn,
        .durable_lsn = header.durable_lsn,
        .records = records,
        .kind = kind,
    };
    image->offset += padded;
    image->segment_groups++;
    return group;
}

void image_new_epoch(struct image *image)
{
    image->control.epoch++;
    image->control.seed = image->control.seed * 69069 + 12345;
    image->control.clean = false;
    set_witness(image);
    image_store_control(image);
    uint8_t *bytes = image_at(image, image_address(image));
    struct format_epoch *body = (struct format_epoch *)(bytes + FORMAT_GROUP_HEADER_BYTES);
    memset(body, 0, sizeof *body);
    le64_store(&body->epoch, image->control.epoch);
    le64_store(&body->previous_epoch, image->chain.epoch);
    le32_store(&body->seed, image->control.seed);
    put_group(image, bytes, FORMAT_GROUP_EPOCH, 0, sizeof *body,
              base_crc32c(0, body, sizeof *body));
}

static void note_record(struct image *image, uint32_t record_offset, uint32_t payload_bytes)
{
    if (image->segment_records % FORMAT_DIRECTORY_STRIDE == 0) {
        struct format_directory_entry *entry = &image->entries[image->entry_count++];
        le32_store(&entry->record_offset, record_offset);
        le32_store(&entry->group_offset, (uint32_t)image->offset);
    }
    image->segment_records++;
    image->segment_payload += payload_bytes;
}

struct image_group *image_data(struct image *image, uint32_t records, uint32_t payload_bytes)
{
    uint8_t *bytes = image_at(image, image_address(image));
    uint32_t offset = FORMAT_GROUP_HEADER_BYTES;
    uint32_t crc = 0;
    if (image->segment_records == 0) {
        image->segment_first_time_ns = image->chain.time_ns + 1000;
    }
    for (uint32_t i = 0; i < records; i++) {
        uint32_t size = FORMAT_RECORD_HEADER_BYTES + payload_bytes;
        uint32_t stride = (uint32_t)format_align(size, FORMAT_RECORD_ALIGN);
        uint8_t *payload = bytes + offset + FORMAT_RECORD_HEADER_BYTES;
        memset(payload, 0, stride - FORMAT_RECORD_HEADER_BYTES);
        for (uint32_t k = 0; k < payload_bytes; k++) {
            payload[k] = (uint8_t)(image->chain.next_lsn + i + 7 * k + 1);
        }
        struct format_record *record = (struct format_record *)(bytes + offset);
        memset(record, 0, sizeof *record);
        le32_store(&record->crc, base_crc32c(0, payload, payload_bytes));
        le16_store(&record->type, 7);
        le32_store(&record->user, i);
        le32_store(&record->size, size);
        crc = base_crc32c_16(crc, record);
        note_record(image, (uint32_t)image->offset + offset, payload_bytes);
        offset += stride;
    }
    return put_group(image, bytes, FORMAT_GROUP_DATA, records, offset - FORMAT_GROUP_HEADER_BYTES,
                     crc);
}

struct image_group *image_witness(struct image *image)
{
    uint8_t *bytes = image_at(image, image_address(image));
    return put_group(image, bytes, FORMAT_GROUP_WITNESS, 0, 0, 0);
}

struct image_group *image_seal(struct image *image)
{
    uint8_t *bytes = image_at(image, image_address(image));
    struct format_seal *seal = (struct format_seal *)(bytes + FORMAT_GROUP_HEADER_BYTES);
    uint64_t records = image->segment_records;
    memset(seal, 0, sizeof *seal);
    le64_store(&seal->record_count, records);
    le64_store(&seal->group_count, image->segment_groups);
    le64_store(&seal->first_lsn, records > 0 ? image->start.next_lsn : 0);
    le64_store(&seal->last_lsn, records > 0 ? image->chain.next_lsn - 1 : 0);
    le64_store(&seal->first_time_ns, image->segment_first_time_ns);
    le64_store(&seal->last_time_ns, image->chain.time_ns + 1000);
    le64_store(&seal->payload_bytes, image->segment_payload);
    le32_store(&seal->entry_count, image->entry_count);
    memcpy(seal + 1, image->entries, image->entry_count * sizeof image->entries[0]);
    uint32_t body = (uint32_t)format_seal_body_bytes(records);
    image->last_seal_offset = image->offset;
    struct image_group *group =
        put_group(image, bytes, FORMAT_GROUP_SEAL, 0, body, base_crc32c(0, seal, body));
    image->ordinal++;
    image->offset = FORMAT_SEGMENT_HEADER_BYTES;
    image->start = image->chain;
    image->segment_records = image->segment_groups = image->segment_payload = 0;
    image->segment_first_time_ns = 0;
    image->entry_count = 0;
    if (image_file(image, image->ordinal) == NULL) {
        image_make_file(image, image->ordinal);
    }
    return group;
}

void image_fill_to(struct image *image, uint64_t offset)
{
    while (image->offset + 16384 <= offset) {
        image_data(image, 3, 4000);
        image->durable = image->chain.next_lsn - 1;
    }
}

void image_fill_segment(struct image *image)
{
    image_fill_to(image, IMAGE_SEGMENT - 24576);
    image_seal(image);
}

static int fail_reads(void *context, const char *call, const char *name, uint64_t offset,
                      size_t size)
{
    struct image_bad *bad = context;
    if (strcmp(call, "read") != 0 || strncmp(name, "segment-", 8) != 0) {
        return 0;
    }
    bad->reads++;
    return offset < bad->to && offset + size > bad->from ? -EIO : 0;
}

void image_fail_reads(struct weir_medium *medium, struct image_bad *bad)
{
    struct sim_memory_faults faults = {.before = fail_reads, .context = bad};
    sim_memory_faults_set(medium, &faults);
}

void image_heal(struct weir_medium *medium)
{
    sim_memory_faults_set(medium, &(struct sim_memory_faults){0});
}

int image_judge(struct image *image, struct recovery *ret_found, struct weir_error *why)
{
    *why = (struct weir_error)WEIR_ERROR_INIT;
    return recover_judge(image->medium, &image->control, ret_found, why);
}

struct recovery image_judged(struct image *image)
{
    struct recovery found;
    struct weir_error why;
    if (image_judge(image, &found, &why) < 0) {
        fail_msg("refused: %s", why.text);
    }
    return found;
}

void image_expect_tail(struct image *image, uint64_t address, weir_lsn next_lsn)
{
    struct recovery found = image_judged(image);
    assert_int_equal(found.tail.address, address);
    assert_int_equal(found.tail.chain.next_lsn, next_lsn);
    recover_free(&found);
}

struct weir_error image_expect_refusal(struct image *image, int code)
{
    struct recovery found;
    struct weir_error why;
    int rc = image_judge(image, &found, &why);
    if (rc == 0) {
        fail_msg("opened with next LSN %lu; expected %s", (unsigned long)found.tail.chain.next_lsn,
                 weir_error_name(code));
    }
    if (rc != code) {
        fail_msg("%s, expected %s: %s", weir_error_name(rc), weir_error_name(code), why.text);
    }
    assert_int_equal(why.code, code);
    assert_true(strlen(why.text) > 20);
    return why;
}

static void go_to_tail(struct image *image, const struct recovery_tail *tail)
{
    image->ordinal = tail->ordinal;
    image->offset = tail->offset;
    image->chain = tail->chain;
    image->start = tail->start;
    image->segment_records = tail->records;
    image->segment_groups = tail->groups;
    image->segment_payload = tail->payload_bytes;
    image->segment_first_time_ns = tail->first_time_ns;
    image->entry_count = tail->entry_count;
    image->durable = tail->chain.next_lsn - 1;
    if (tail->entry_count > 0) {
        memcpy(image->entries, tail->entries, tail->entry_count * sizeof image->entries[0]);
    }
}

void image_recover(struct image *image)
{
    struct recovery found = image_judged(image);
    struct weir_error why;
    go_to_tail(image, &found.tail);
    if (found.segment_count > 1) {
        image->last_seal_offset = found.segments[found.segment_count - 2].seal_offset;
    }
    assert_int_equal(repair_flush_tail(image->medium, &image->control, &found, &why), 0);
    image->control.epoch++;
    image->control.seed = image->control.seed * 69069 + 12345;
    set_witness(image);
    image->control.clean = false;
    image_store_control(image);
    assert_int_equal(repair_zero_window(image->medium, &image->control, &found, &why), 0);
    recover_free(&found);
    image->control.epoch--; /* image_new_epoch() counts on */
    image_new_epoch(image);
}
