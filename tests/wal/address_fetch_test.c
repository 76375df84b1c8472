/*
 * Fetching single records from segments that nobody has made readable.
 */
#include "support.h"

#include "wal/address_fetch.h"
#include "wal/log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define TYPE WEIR_TYPE_RESERVED
#define RECORDS_MAX 150000
#define FILES_MAX 64u /* segments that are open at a time */

/* Records of growing sizes, in three segments and more; the log was opened again since. */
struct world {
    struct test_disk disk;
    struct weir_log *log;
    uint64_t addresses[RECORDS_MAX];
    size_t count;
    struct weir_medium_ops ops; /* in place of the medium's own, where a test has changed them */
};

static uint32_t size_of(size_t index)
{
    return (uint32_t)(index % 97 == 96 ? 6000 : 20 + index % 200);
}

static void note(void *context, size_t index, weir_lsn lsn, uint64_t address)
{
    struct world *world = context;
    assert_int_equal(index, 0);
    assert_int_equal(lsn, world->count + 1);
    world->addresses[world->count++] = address;
}

static void append_one(struct world *world)
{
    static uint8_t bytes[8192];
    assert_true(world->count < RECORDS_MAX);
    memset(bytes, (int)world->count, sizeof bytes);
    struct weir_part part = {bytes, size_of(world->count)};
    struct weir_entry entry = {.parts = &part, .part_count = 1, .type = TYPE};
    struct wal_address_batch batch = {
        .entries = &entry, .count = 1, .stamp = note, .context = world};
    assert_int_equal(wal_address_append(world->log, &batch, WEIR_NONE, NULL), 0);
}

static uint64_t ordinal_of(const struct world *world, size_t index)
{
    return wal_address_ordinal(world->log, world->addresses[index]);
}

static struct world *world_of(uint64_t segments)
{
    struct world *world = calloc(1, sizeof *world);
    assert_non_null(world);
    world->disk = disk_new();
    world->log = open_log(&world->disk, NULL);
    do {
        append_one(world);
    } while (ordinal_of(world, world->count - 1) < segments);
    close_log(world->log);
    world->log = open_log(&world->disk, NULL);
    return world;
}

static struct world *world_new(void)
{
    return world_of(4);
}

static void world_free(struct world *world)
{
    close_log(world->log);
    disk_free(&world->disk);
    free(world);
}

static struct wal_address_fetch *open_fetch(struct world *world)
{
    struct wal_address_fetch *fetch;
    assert_int_equal(wal_address_fetch_open(world->log, NULL, &fetch), 0);
    return fetch;
}

static bool take(struct world *world, struct wal_address_fetch *fetch, size_t index)
{
    struct weir_record record;
    if (!wal_address_fetch_take(fetch, world->addresses[index], &record)) {
        return false;
    }
    assert_int_equal(record.lsn, index + 1);
    assert_int_equal(record.type, TYPE);
    assert_int_equal(record.flags, 0);
    assert_int_equal(record.size, size_of(index));
    for (size_t i = 0; i < record.size; i++) {
        assert_int_equal(((const uint8_t *)record.data)[i], (uint8_t)index);
    }
    return true;
}

static bool fetch_one(struct world *world, struct wal_address_fetch *fetch, size_t index)
{
    wal_address_fetch_begin(fetch, world->addresses[index]);
    bool fetched = take(world, fetch, index);
    wal_address_fetch_clear(fetch);
    return fetched;
}

static uint64_t mapped_bytes(const struct world *world)
{
    return atomic_load(&world->log->segments.mapped_bytes);
}

static void records_of_sealed_segments_are_fetched_and_nothing_is_mapped(void **state)
{
    (void)state;
    struct world *world = world_new();
    struct wal_address_fetch *fetch = open_fetch(world);
    uint64_t mapped = mapped_bytes(world);
    size_t fetched = 0, asked = 0;
    for (size_t from = 0; from < world->count; from += 64 * 7) {
        size_t end = from + 64 < world->count ? from + 64 : world->count;
        for (size_t i = from; i < end; i++) {
            wal_address_fetch_begin(fetch, world->addresses[i]);
            wal_address_fetch_begin(fetch, world->addresses[i]); /* counts once */
        }
        for (size_t i = end; i-- > from;) {
            bool sealed = ordinal_of(world, i) < 4;
            bool fits = world->addresses[i] % 4096 + size_of(i) + 24 <= 8192;
            assert_int_equal(take(world, fetch, i), sealed && fits);
            fetched += sealed && fits;
            asked += sealed;
        }
        wal_address_fetch_clear(fetch);
        assert_false(take(world, fetch, from));
    }
    assert_true(fetched > 200 && asked > fetched); /* some are too long */
    assert_int_equal(mapped_bytes(world), mapped);
    wal_address_fetch_close(fetch);
    world_free(world);
}

static void of_one_segment_so_many_are_fetched_and_no_more(void **state)
{
    (void)state;
    struct world *world = world_new();
    struct wal_address_fetch *fetch = open_fetch(world);
    size_t fetched = 0;
    for (size_t i = 0; i < 1000; i++) {
        fetched += fetch_one(world, fetch, 1);
    }
    assert_int_equal(fetched, 512);
    size_t second = 1;
    while (ordinal_of(world, second) == 1) {
        second++;
    }
    assert_true(fetch_one(world, fetch, second)); /* that one's are counted apart */
    for (size_t i = second; i < second + WAL_ADDRESS_FETCHES + 1; i++) {
        wal_address_fetch_begin(fetch, world->addresses[i]);
    }
    assert_true(take(world, fetch, second + WAL_ADDRESS_FETCHES - 1));
    assert_false(take(world, fetch, second + WAL_ADDRESS_FETCHES));
    wal_address_fetch_close(fetch);
    world_free(world);
}

static void so_many_segments_are_opened_and_no_more(void **state)
{
    (void)state;
    struct world *world = world_of(FILES_MAX + 3);
    struct wal_address_fetch *fetch = open_fetch(world);
    for (int round = 0; round < 2; round++) {
        uint64_t ordinal = 0;
        for (size_t i = 0; i + 1 < world->count; i++) {
            if (ordinal_of(world, i) > ordinal && size_of(i) < 4000) {
                ordinal = ordinal_of(world, i);
                assert_int_equal(fetch_one(world, fetch, i), ordinal <= FILES_MAX);
            }
        }
        assert_true(ordinal > FILES_MAX + 1);
    }
    wal_address_fetch_close(fetch);
    world_free(world);
}

/* What one has opened, the other one reads from, and both together open no more. */
static void fetches_beside_each_other_open_each_segment_once(void **state)
{
    (void)state;
    struct world *world = world_of(FILES_MAX + 3);
    struct wal_address_fetch *fetches[2] = {open_fetch(world), NULL};
    uint64_t ordinal = 0;
    assert_int_equal(wal_address_fetch_open(world->log, fetches[0], &fetches[1]), 0);
    for (size_t i = 0; i + 1 < world->count; i++) {
        if (ordinal_of(world, i) > ordinal && size_of(i) < 4000) {
            ordinal = ordinal_of(world, i);
            for (int one = 0; one < 2; one++) {
                struct wal_address_fetch *fetch = fetches[(ordinal + (uint64_t)one) % 2];
                assert_int_equal(fetch_one(world, fetch, i), ordinal <= FILES_MAX);
            }
        }
    }
    assert_true(ordinal > FILES_MAX + 1);
    wal_address_fetch_close(fetches[1]);
    assert_true(fetch_one(world, fetches[0], 1));
    wal_address_fetch_close(fetches[0]);
    world_free(world);
}

static void segments_that_are_readable_or_not_there_are_left_alone(void **state)
{
    (void)state;
    struct world *world = world_new();
    struct wal_address_fetch *fetch = open_fetch(world);
    struct wal_segment *segment;
    assert_int_equal(wal_address_pin(world->log, 1, &segment, NULL), 0);
    assert_false(fetch_one(world, fetch, 1));
    assert_false(fetch_one(world, fetch, world->count - 1)); /* of the open one */
    struct weir_record record;
    uint64_t beyond = 77 * world->log->limits.segment_bytes + 8192;
    wal_address_fetch_begin(fetch, beyond);
    assert_false(wal_address_fetch_take(fetch, beyond, &record));
    wal_address_unpin(world->log, segment);
    wal_address_fetch_close(fetch);
    world_free(world);
}

/* ---- damage ---- */

static uint8_t *bytes_at(struct world *world, size_t index)
{
    char name[FORMAT_NAME_BYTES];
    uint64_t size;
    format_segment_name(ordinal_of(world, index), name);
    uint8_t *bytes = sim_memory_bytes(world->disk.keeper, name, false, &size);
    assert_non_null(bytes);
    return bytes + (world->addresses[index] & (world->log->limits.segment_bytes - 1));
}

static void what_is_no_whole_record_of_its_segment_is_not_lent(void **state)
{
    (void)state;
    struct world *world = world_new();
    struct wal_address_fetch *fetch = open_fetch(world);
    size_t second = 1;
    while (ordinal_of(world, second) == 1) {
        second++;
    }
    size_t size = FORMAT_RECORD_HEADER_BYTES + FORMAT_RECORD_NUMBER_BYTES + size_of(1);
    assert_true(fetch_one(world, fetch, 1));
    for (size_t at = 0; at < size; at++) {
        bool covered = at < 8 || at >= FORMAT_RECORD_HEADER_BYTES; /* size and CRC; the payload */
        bytes_at(world, 1)[at] ^= 0x81;
        assert_true(!covered || !fetch_one(world, fetch, 1));
        bytes_at(world, 1)[at] ^= 0x81;
    }
    assert_true(fetch_one(world, fetch, 1));
    /* A whole record that belongs into another segment. */
    size_t other = second;
    while (size_of(other) != size_of(1)) {
        other++;
    }
    uint8_t kept[512];
    memcpy(kept, bytes_at(world, 1), size);
    memcpy(bytes_at(world, 1), bytes_at(world, other), size);
    struct weir_record record;
    wal_address_fetch_begin(fetch, world->addresses[1]);
    assert_false(wal_address_fetch_take(fetch, world->addresses[1], &record));
    wal_address_fetch_clear(fetch);
    memcpy(bytes_at(world, other), kept, size);
    wal_address_fetch_begin(fetch, world->addresses[other]);
    assert_false(wal_address_fetch_take(fetch, world->addresses[other], &record));
    memcpy(bytes_at(world, 1), kept, size);
    wal_address_fetch_close(fetch);
    world_free(world);
}

static int fail_reads(void *context, const char *call, const char *name, uint64_t offset,
                      size_t size)
{
    (void)name, (void)offset, (void)size;
    return strcmp(call, (const char *)context) == 0 ? -EIO : 0;
}

static void a_disk_that_errs_makes_no_record(void **state)
{
    (void)state;
    struct world *world = world_new();
    static const char *const calls[] = {"open", "read"};
    for (size_t i = 0; i < 2; i++) {
        struct wal_address_fetch *fetch = open_fetch(world);
        struct sim_memory_faults faults = {fail_reads, (void *)(uintptr_t)calls[i]};
        sim_memory_faults_set(world->log->medium, &faults);
        assert_false(fetch_one(world, fetch, 1));
        faults = (struct sim_memory_faults){0};
        sim_memory_faults_set(world->log->medium, &faults);
        assert_true(fetch_one(world, fetch, 1));
        wal_address_fetch_close(fetch);
    }
    world_free(world);
}

/* ---- reads that are under way ---- */

static struct {
    uint64_t offsets[4];
    void *buffers[4];
    size_t sizes[4];
    bool used[4];
    int begun, ended, result;
    size_t most; /* 0: all; bytes that a read brings */
} rail;

static int begin_read(struct weir_file *file, uint64_t offset, void *buffer, size_t size_bytes,
                      uint64_t *ret_ticket)
{
    (void)file;
    for (uint64_t i = 0; i < 4; i++) {
        if (!rail.used[i]) {
            rail.used[i] = true;
            rail.offsets[i] = offset;
            rail.buffers[i] = buffer;
            rail.sizes[i] = size_bytes;
            rail.begun++;
            *ret_ticket = i;
            return 0;
        }
    }
    return -EBUSY;
}

static const struct weir_medium_ops *real_ops;

static int end_read(struct weir_file *file, uint64_t ticket, size_t *ret_size_bytes)
{
    assert_true(ticket < 4 && rail.used[ticket]);
    rail.used[ticket] = false;
    rail.ended++;
    int rc = rail.result < 0 ? rail.result
                             : real_ops->read(file, rail.offsets[ticket], rail.buffers[ticket],
                                              rail.sizes[ticket], ret_size_bytes);
    *ret_size_bytes = rc == 0 && rail.most != 0 ? rail.most : *ret_size_bytes;
    return rc;
}

static void put_on_rails(struct world *world)
{
    memset(&rail, 0, sizeof rail);
    real_ops = world->log->medium->ops;
    world->ops = *real_ops;
    world->ops.read_begin = begin_read;
    world->ops.read_end = end_read;
    world->log->medium->ops = &world->ops;
}

static void take_off_rails(struct world *world)
{
    world->log->medium->ops = real_ops;
    assert_int_equal(rail.begun, rail.ended);
}

static void more_reads_than_the_medium_takes_wait_for_the_oldest(void **state)
{
    (void)state;
    struct world *world = world_new();
    put_on_rails(world);
    struct wal_address_fetch *fetch = open_fetch(world);
    for (size_t i = 0; i < 40; i++) {
        wal_address_fetch_begin(fetch, world->addresses[i]);
    }
    assert_int_equal(rail.begun, 40);
    assert_int_equal(rail.ended, 36);
    for (size_t i = 0; i < 40; i++) {
        assert_true(take(world, fetch, i));
    }
    wal_address_fetch_begin(fetch, world->addresses[41]);
    wal_address_fetch_close(fetch); /* waits for it */
    take_off_rails(world);
    world_free(world);
}

/* What a read before has left in the buffer is not lent. */
static void a_read_that_ends_early_brings_no_record_behind_its_end(void **state)
{
    (void)state;
    struct world *world = world_new();
    put_on_rails(world);
    struct wal_address_fetch *fetch = open_fetch(world);
    size_t i = 1; /* in the first block, not at its beginning */
    while (world->addresses[i] % FORMAT_BLOCK < 1000) {
        i++;
    }
    size_t at = world->addresses[i] % FORMAT_BLOCK;
    size_t end = at + FORMAT_RECORD_HEADER_BYTES + FORMAT_RECORD_NUMBER_BYTES + size_of(i);
    assert_true(fetch_one(world, fetch, i));
    for (rail.most = at - 9; rail.most < end + 8; rail.most++) {
        assert_int_equal(fetch_one(world, fetch, i), rail.most >= end);
    }
    rail.most = 0;
    rail.result = -EIO;
    assert_false(fetch_one(world, fetch, i));
    wal_address_fetch_close(fetch);
    take_off_rails(world);
    world_free(world);
}

static void buffers_that_the_medium_does_not_give_back_are_not_used_again(void **state)
{
    (void)state;
    struct world *world = world_new();
    put_on_rails(world);
    struct wal_address_fetch *fetch = open_fetch(world);
    wal_address_fetch_begin(fetch, world->addresses[1]);
    void *lost = rail.buffers[0];
    rail.result = -EIO;
    assert_false(take(world, fetch, 1));
    wal_address_fetch_clear(fetch);
    wal_address_fetch_begin(fetch, world->addresses[1]);
    assert_int_equal(rail.begun, 2); /* that was no more than an error */
    rail.result = -ENOTRECOVERABLE;
    wal_address_fetch_begin(fetch, world->addresses[2]);
    assert_false(take(world, fetch, 1));
    rail.result = 0;
    assert_true(take(world, fetch, 2)); /* this one came back */
    wal_address_fetch_clear(fetch);
    assert_false(fetch_one(world, fetch, 1));
    assert_int_equal(rail.begun, 3);
    wal_address_fetch_close(fetch);
    take_off_rails(world);
    free(lost); /* of this test, whose medium has it no more */
    world_free(world);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_of_sealed_segments_are_fetched_and_nothing_is_mapped),
        cmocka_unit_test(of_one_segment_so_many_are_fetched_and_no_more),
        cmocka_unit_test(so_many_segments_are_opened_and_no_more),
        cmocka_unit_test(fetches_beside_each_other_open_each_segment_once),
        cmocka_unit_test(segments_that_are_readable_or_not_there_are_left_alone),
        cmocka_unit_test(what_is_no_whole_record_of_its_segment_is_not_lent),
        cmocka_unit_test(a_disk_that_errs_makes_no_record),
        cmocka_unit_test(more_reads_than_the_medium_takes_wait_for_the_oldest),
        cmocka_unit_test(a_read_that_ends_early_brings_no_record_behind_its_end),
        cmocka_unit_test(buffers_that_the_medium_does_not_give_back_are_not_used_again),
    };
    if (argc > 1) {
        cmocka_set_test_filter(argv[1]);
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
