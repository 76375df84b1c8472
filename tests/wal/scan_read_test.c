/*
 * How a scan gets its bytes: pieces that are under way while others are checked, and everything
 * that makes it read carefully instead. A medium in memory that reads ahead stands in for the real
 * ones: what was begun shows nothing before it is ended.
 */
#include "tests/wal/image.h"

#include "base/random.h"
#include "wal/recover.h"
#include "wal/scan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SEGMENT ((uint64_t)32 << 20)
#define BLOCK ((size_t)4096)
#define MIB ((uint64_t)1 << 20)
#define AHEAD_MAX 64u

static struct {
    const struct weir_medium_ops *plain;
    struct weir_medium_ops ops;
    struct {
        struct weir_file *file;
        uint64_t offset;
        uint8_t *buffer;
        size_t size;
    } reads[AHEAD_MAX];
    unsigned depth; /* -EBUSY beyond it */
    unsigned under_way, most_under_way;
    unsigned begun;
    unsigned refuse_every; /* -EOPNOTSUPP for every n-th; 0: none */
    unsigned shorten;      /* the n-th read that is ended is cut in half; 0: none */
    size_t odd;            /* it is so much shorter than that */
    unsigned ended;
    struct weir_file *cached; /* the last one that was opened so */
    unsigned cached_opens;
    uint64_t stale_offset; /* what the page cache holds there is not what the medium holds */
} ahead;

static int begin(struct weir_file *file, uint64_t offset, void *buffer, size_t size,
                 uint64_t *ret_ticket)
{
    ahead.begun++;
    if (ahead.refuse_every != 0 && ahead.begun % ahead.refuse_every == 0) {
        return -EOPNOTSUPP;
    }
    if (ahead.under_way == ahead.depth) {
        return -EBUSY;
    }
    uint64_t ticket = 0;
    while (ahead.reads[ticket].file != NULL) {
        ticket++;
    }
    memset(buffer, 0xee, size);
    ahead.reads[ticket].file = file;
    ahead.reads[ticket].offset = offset;
    ahead.reads[ticket].buffer = buffer;
    ahead.reads[ticket].size = size;
    ahead.under_way++;
    ahead.most_under_way =
        ahead.under_way > ahead.most_under_way ? ahead.under_way : ahead.most_under_way;
    *ret_ticket = ticket;
    return 0;
}

static int end(struct weir_file *file, uint64_t ticket, size_t *ret_size)
{
    assert_ptr_equal(ahead.reads[ticket].file, file);
    ahead.reads[ticket].file = NULL;
    ahead.under_way--;
    size_t size = ahead.reads[ticket].size;
    if (++ahead.ended == ahead.shorten) {
        size_t got = 0;
        int rc = ahead.plain->read(file, ahead.reads[ticket].offset, ahead.reads[ticket].buffer,
                                   size / 2, &got);
        *ret_size = got - ahead.odd;
        return rc;
    }
    return ahead.plain->read(file, ahead.reads[ticket].offset, ahead.reads[ticket].buffer, size,
                             ret_size);
}

static void close_file(struct weir_file *file)
{
    for (unsigned i = 0; i < AHEAD_MAX; i++) {
        assert_ptr_not_equal(ahead.reads[i].file, file);
    }
    ahead.cached = ahead.cached == file ? NULL : ahead.cached;
    ahead.plain->close(file);
}

static int open_file(struct weir_medium *medium, const char *name, enum weir_open_mode mode,
                     struct weir_file **ret_file)
{
    int rc = ahead.plain->open(medium, name, mode, ret_file);
    if (rc == 0 && mode == WEIR_FILE_READ_CACHED) {
        ahead.cached = *ret_file;
        ahead.cached_opens++;
    }
    return rc;
}

static int read_file(struct weir_file *file, uint64_t offset, void *buffer, size_t size,
                     size_t *ret_size)
{
    assert_int_equal(offset % BLOCK, 0); /* as O_DIRECT wants it */
    int rc = ahead.plain->read(file, offset, buffer, size, ret_size);
    if (rc == 0 && file == ahead.cached && ahead.stale_offset >= offset &&
        ahead.stale_offset < offset + *ret_size) {
        ((uint8_t *)buffer)[ahead.stale_offset - offset] ^= 1;
    }
    return rc;
}

static void read_ahead_on(struct weir_medium *medium, unsigned depth)
{
    memset(&ahead, 0, sizeof ahead);
    ahead.plain = medium->ops;
    ahead.ops = *medium->ops;
    ahead.ops.open = open_file;
    ahead.ops.close = close_file;
    ahead.ops.read = read_file;
    ahead.ops.read_begin = depth > 0 ? begin : NULL;
    ahead.ops.read_end = depth > 0 ? end : NULL;
    ahead.depth = depth;
    medium->ops = &ahead.ops;
}

static void read_ahead_off(struct weir_medium *medium)
{
    assert_int_equal(ahead.under_way, 0);
    medium->ops = ahead.plain;
}

/* ---- one file without a log in it ---- */

struct bed {
    struct weir_medium *medium;
    struct scan scan;
    uint8_t *bytes; /* what the file holds */
};

static void make_bed(struct bed *bed, unsigned depth)
{
    struct sim_memory_options options = {.block_bytes = 4096};
    char name[FORMAT_NAME_BYTES];
    struct weir_file *file;
    struct base_prng prng;
    assert_int_equal(sim_memory_open(&options, &bed->medium), 0);
    bed->bytes = malloc(SEGMENT);
    assert_non_null(bed->bytes);
    base_prng_seed(&prng, 1);
    for (size_t at = 0; at < SEGMENT; at += 8) {
        uint64_t word = base_prng_next(&prng);
        memcpy(bed->bytes + at, &word, sizeof word);
    }
    format_segment_name(1, name);
    assert_int_equal(bed->medium->ops->create(bed->medium, name, SEGMENT, &file), 0);
    assert_int_equal(bed->medium->ops->write(file, 0, bed->bytes, SEGMENT), 0);
    bed->medium->ops->close(file);
    read_ahead_on(bed->medium, depth);
    assert_int_equal(scan_init(&bed->scan, bed->medium, SEGMENT, 4096, 0), 0);
    assert_int_equal(scan_open(&bed->scan, 1), 0);
}

static void clear_bed(struct bed *bed)
{
    scan_free(&bed->scan);
    read_ahead_off(bed->medium);
    bed->medium->ops->destroy(bed->medium);
    free(bed->bytes);
}

static void expect_bytes(struct bed *bed, uint64_t offset, size_t size)
{
    const uint8_t *bytes = NULL;
    assert_int_equal(scan_bytes(&bed->scan, offset, size, &bytes), 0);
    if (memcmp(bytes, bed->bytes + offset, size) != 0) {
        fail_msg("%zu bytes at %llu differ", size, (unsigned long long)offset);
    }
}

static void walk_bed(struct bed *bed, uint64_t seed, size_t most)
{
    struct base_prng prng;
    base_prng_seed(&prng, seed);
    for (uint64_t offset = 0; offset < SEGMENT;) {
        expect_bytes(bed, offset, 64); /* a header, then what it says */
        uint64_t left = SEGMENT - offset;
        size_t size = 64 * (1 + (size_t)base_prng_below(&prng, most / 64));
        size = size < left ? size : (size_t)left;
        expect_bytes(bed, offset, size);
        offset += size;
    }
}

static void bytes_are_those_of_the_file_wherever_pieces_meet(void **state)
{
    (void)state;
    static const struct {
        unsigned depth, refuse_every;
        size_t most;
    } rows[] = {
        {0, 0, 100 << 10}, {0, 0, 9 << 20},  {1, 0, 3 << 20},  {2, 0, 700 << 10}, {32, 0, 64 << 10},
        {32, 0, 5 << 20},  {32, 0, 6 << 20}, {32, 3, 2 << 20}, {32, 1, 1 << 20},  {32, 0, 20 << 20},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct bed bed;
        make_bed(&bed, rows[i].depth);
        ahead.refuse_every = rows[i].refuse_every;
        walk_bed(&bed, i, rows[i].most);
        assert_true(ahead.most_under_way <= rows[i].depth);
        assert_true(rows[i].depth != 32 || rows[i].refuse_every != 0 || ahead.most_under_way > 4);
        clear_bed(&bed);
    }
}

static void the_places_may_come_in_any_order(void **state)
{
    (void)state;
    struct base_prng prng;
    struct bed bed;
    make_bed(&bed, 32);
    base_prng_seed(&prng, 7);
    for (unsigned i = 0; i < 200; i++) {
        uint64_t offset = 64 * base_prng_below(&prng, SEGMENT / 64);
        uint64_t left = SEGMENT - offset;
        uint64_t size = 1 + base_prng_below(&prng, 2 * MIB);
        expect_bytes(&bed, offset, (size_t)(size < left ? size : left));
    }
    clear_bed(&bed);
}

static void a_read_ahead_that_is_cut_short_goes_on_where_it_ended(void **state)
{
    (void)state;
    for (unsigned shorten = 1; shorten < 30; shorten += 4) {
        struct bed bed;
        make_bed(&bed, 32);
        ahead.shorten = shorten;
        ahead.odd = shorten % 8 == 1 ? 100 : 0; /* also within a block */
        walk_bed(&bed, shorten, ahead.odd > 0 ? 3 * MIB : 300 << 10);
        clear_bed(&bed);
    }
}

/* Reads the bed again, from its start on, into memory of the caller's; true when it was spoilt. */
static bool walk_into(struct bed *bed, uint8_t *target, uint64_t seed, size_t most)
{
    memset(target, 0x5a, SEGMENT);
    scan_close(&bed->scan);
    assert_int_equal(scan_open_into(&bed->scan, 1, target), 0);
    walk_bed(bed, seed, most);
    bool spoilt = bed->scan.spoilt;
    scan_close(&bed->scan);
    return spoilt;
}

static void what_is_read_into_the_callers_memory_stays_there(void **state)
{
    (void)state;
    static const struct {
        unsigned depth, refuse_every;
        size_t most;
    } rows[] = {
        {0, 0, 100 << 10}, {1, 0, 3 << 20},  {32, 0, 64 << 10},
        {32, 0, 9 << 20},  {32, 3, 2 << 20}, {32, 0, 20 << 20},
    };
    uint8_t *target = aligned_alloc(BLOCK, SEGMENT);
    assert_non_null(target);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct bed bed;
        make_bed(&bed, rows[i].depth);
        ahead.refuse_every = rows[i].refuse_every;
        assert_false(walk_into(&bed, target, i, rows[i].most));
        assert_memory_equal(target, bed.bytes, SEGMENT);
        clear_bed(&bed);
    }
    free(target);
}

static void memory_that_may_lack_something_is_said_to_be_spoilt(void **state)
{
    (void)state;
    uint8_t *target = aligned_alloc(BLOCK, SEGMENT);
    assert_non_null(target);
    for (unsigned shorten = 2; shorten < 30; shorten += 4) {
        struct bed bed;
        make_bed(&bed, 32);
        ahead.shorten = shorten;
        ahead.odd = shorten % 8 == 2 ? 100 : 0;
        assert_true(walk_into(&bed, target, shorten, 3 * MIB)); /* and what it lends is right */
        clear_bed(&bed);
    }
    struct bed bed;
    make_bed(&bed, 32);
    scan_close(&bed.scan);
    assert_int_equal(scan_open_into(&bed.scan, 1, target), 0);
    expect_bytes(&bed, 2 * MIB, 4096); /* what lies before that was never read */
    assert_true(bed.scan.spoilt);
    clear_bed(&bed);
    free(target);
}

static void a_scan_that_is_closed_in_the_middle_leaves_nothing_under_way(void **state)
{
    (void)state;
    struct bed bed;
    make_bed(&bed, 32);
    expect_bytes(&bed, 0, 4096);
    assert_true(ahead.under_way > 0);
    scan_close(&bed.scan);
    assert_int_equal(ahead.under_way, 0);
    assert_int_equal(scan_open(&bed.scan, 1), 0);
    expect_bytes(&bed, 20 * MIB, 4096);
    clear_bed(&bed);
}

static void what_lies_behind_the_likely_end_is_read_only_when_it_is_asked_for(void **state)
{
    (void)state;
    struct bed bed;
    make_bed(&bed, 32);
    bed.scan.likely_end = 2 * MIB + 5000;
    expect_bytes(&bed, 0, 4096);
    assert_int_equal(ahead.begun, 3);
    expect_bytes(&bed, MIB, 4096);
    expect_bytes(&bed, 2 * MIB, 4096);
    assert_int_equal(ahead.begun, 3);
    expect_bytes(&bed, 3 * MIB - 100, 4096); /* a group that reaches over it */
    assert_int_equal(ahead.begun, 4);
    walk_bed(&bed, 3, 5 * MIB);
    scan_close(&bed.scan);
    assert_int_equal(scan_open(&bed.scan, 1), 0); /* of that file only */
    expect_bytes(&bed, 0, 4096);
    assert_true(ahead.under_way > 3);
    clear_bed(&bed);
}

/* ---- blocks that cannot be read ---- */

static void one_block_that_cannot_be_read_ahead_costs_one_block(void **state)
{
    (void)state;
    static const uint64_t places[] = {0, 5 * MIB - BLOCK, 5 * MIB, 8 * MIB + 12 * BLOCK,
                                      SEGMENT - BLOCK};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        struct image_bad bad = {.from = places[i], .to = places[i] + BLOCK};
        struct bed bed;
        make_bed(&bed, 32);
        image_fail_reads(bed.medium, &bad);
        unsigned unreadable = 0;
        for (uint64_t at = 0; at < SEGMENT; at += BLOCK) {
            const uint8_t *bytes;
            int rc = scan_bytes(&bed.scan, at, BLOCK, &bytes);
            assert_int_equal(rc, at == bad.from ? -EIO : 0);
            unreadable += rc < 0;
            assert_true(rc < 0 || memcmp(bytes, bed.bytes + at, BLOCK) == 0);
        }
        assert_int_equal(unreadable, 1);
        assert_in_range(bad.reads, 32, 120);
        image_heal(bed.medium);
        clear_bed(&bed);
    }
}

/* ---- the page cache ---- */

static void a_stale_page_cache_refuses_no_log_that_is_whole_on_the_medium(void **state)
{
    (void)state;
    for (int damaged = 0; damaged < 2; damaged++) {
        struct image image;
        image_begin(&image, 4096);
        image_new_epoch(&image);
        for (int i = 0; i < 4; i++) {
            image_fill_segment(&image);
        }
        image_data(&image, 1, 100);
        struct recovery found;
        struct weir_error why = WEIR_ERROR_INIT;
        read_ahead_on(image.medium, 4);
        ahead.refuse_every = 1; /* as a medium does for what the page cache holds */
        ahead.stale_offset = FORMAT_SEGMENT_HEADER_BYTES + 90;
        if (damaged) {
            image_file(&image, 2)[ahead.stale_offset + 1] ^= 1;
        }
        assert_int_equal(recover_judge(image.medium, &image.control, &found, &why), 0);
        assert_int_equal(ahead.cached_opens, 0); /* the end is judged by the medium alone */
        int rc = recover_verify_all(image.medium, &image.control, &found, &why);
        assert_int_equal(rc, damaged ? WEIR_E_LOST : 0);
        assert_true(ahead.cached_opens > 0);
        recover_free(&found);
        read_ahead_off(image.medium);
        image_end(&image);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_are_those_of_the_file_wherever_pieces_meet),
        cmocka_unit_test(the_places_may_come_in_any_order),
        cmocka_unit_test(a_read_ahead_that_is_cut_short_goes_on_where_it_ended),
        cmocka_unit_test(what_lies_behind_the_likely_end_is_read_only_when_it_is_asked_for),
        cmocka_unit_test(what_is_read_into_the_callers_memory_stays_there),
        cmocka_unit_test(memory_that_may_lack_something_is_said_to_be_spoilt),
        cmocka_unit_test(a_scan_that_is_closed_in_the_middle_leaves_nothing_under_way),
        cmocka_unit_test(one_block_that_cannot_be_read_ahead_costs_one_block),
        cmocka_unit_test(a_stale_page_cache_refuses_no_log_that_is_whole_on_the_medium),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
