/*
 * Recovery, exhaustively: every crash image of small logs opens with all that was durable; every
 * damage to what is witnessed is refused; every step of recovery may crash.
 */
#include "tests/wal/image.h"

#include "base/random.h"
#include "wal/repair.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define IN_FLIGHT_MAX 24u
#define SEGMENT_1 "segment-0000000000000001"

static const uint32_t block_sizes[] = {4096, 64};

/* ---- torn tails ---- */

static void expect_cut_at(struct image *image, const struct image_group *group)
{
    struct recovery found;
    struct weir_error why;
    if (image_judge(image, &found, &why) < 0) {
        fail_msg("refused: %s", why.text);
    }
    assert_int_equal(found.tail.address, group->address);
    assert_int_equal(found.tail.chain.next_lsn, group->first_lsn);
    recover_free(&found);
}

/* From `cut` on, the group keeps what was there before: zeros, or the bytes of an earlier life. */
static void tear_at_every(uint64_t step, uint32_t block_bytes, uint8_t before)
{
    struct image image;
    image_begin(&image, block_bytes);
    memset(image_file(&image, 1) + FORMAT_SEGMENT_HEADER_BYTES, before, 65536);
    image_new_epoch(&image);
    image_data(&image, 3, 200);
    image.durable = 3;
    struct image_group last = *image_data(&image, 4, 301);
    uint8_t *bytes = image_at(&image, last.address);
    uint8_t whole[8192];
    assert_in_range(last.bytes, 0, sizeof whole);
    memcpy(whole, bytes, last.bytes);
    for (uint64_t cut = 0; cut < last.bytes; cut += step) {
        memcpy(bytes, whole, last.bytes);
        memset(bytes + cut, before, last.bytes - cut);
        bool differs = memcmp(bytes, whole, last.bytes) != 0;
        if (differs) {
            expect_cut_at(&image, &last);
        }
        memset(bytes, before, last.bytes); /* and the other half: the front is what is missing */
        memcpy(bytes + cut, whole + cut, last.bytes - cut);
        if (memcmp(bytes, whole, last.bytes) != 0) {
            expect_cut_at(&image, &last);
        }
    }
    image_end(&image);
}

static void wl_08_a_group_torn_at_any_8_bytes_is_cut_and_nothing_before_it(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        tear_at_every(8, block_sizes[i], 0);
        tear_at_every(8, block_sizes[i], 0x99);
        tear_at_every(512, block_sizes[i], 0);
    }
}

/* ---- every bit ---- */

/* Every bit of a small log that is not in the first segment's header. What is flipped must be
 * refused or cut in front of the group it is in. */
static void flip_every_bit(uint32_t block_bytes, bool witnessed)
{
    struct image image;
    image_begin(&image, block_bytes);
    image_new_epoch(&image);
    image_data(&image, 2, 20);
    image_data(&image, 1, 0);
    image_witness(&image);
    image_data(&image, 1, 33);
    if (witnessed) {
        image_close_clean(&image);
    }
    for (uint32_t g = 0; g < image.group_count; g++) {
        const struct image_group *group = &image.groups[g];
        uint8_t *bytes = image_at(&image, group->address);
        uint64_t size = group->bytes < 512 ? group->bytes : 512;
        for (uint64_t bit = 0; bit < 8 * size; bit++) {
            bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
            struct recovery found;
            struct weir_error why;
            int rc = image_judge(&image, &found, &why);
            if (witnessed) {
                assert_true(rc == WEIR_E_LOST || rc == WEIR_E_DAMAGED);
            } else if (rc == 0) {
                assert_int_equal(found.tail.address, group->address);
                recover_free(&found);
            }
            bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
    }
    image_end(&image);
}

static void wl_09_no_flipped_bit_of_any_group_goes_unnoticed(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        flip_every_bit(block_sizes[i], true);
        flip_every_bit(block_sizes[i], false);
    }
}

static void wl_09_no_flipped_bit_of_a_segment_header_is_believed(void **state)
{
    (void)state;
    struct image image;
    image_begin(&image, 4096);
    image_new_epoch(&image);
    image_data(&image, 2, 20);
    uint8_t *file = image_file(&image, 1);
    struct segment_header header;
    uint8_t good[FORMAT_SEGMENT_HEADER_BYTES], again[FORMAT_SEGMENT_HEADER_BYTES];
    memcpy(good, file, sizeof good);
    for (uint64_t bit = 0; bit < 8 * FORMAT_BLOCK; bit++) {
        uint8_t mask = (uint8_t)(1u << bit % 8);
        file[bit / 8] ^= mask;
        assert_int_equal(segment_header_decode(file, image.control.uuid, 1, &header), 0);
        segment_header_encode(again, &header, image.uuid_seed);
        assert_memory_equal(again, good, sizeof good);
        file[FORMAT_BLOCK + bit / 8] ^= mask;
        assert_true(segment_header_decode(file, image.control.uuid, 1, &header) < 0);
        file[bit / 8] ^= mask;
        file[FORMAT_BLOCK + bit / 8] ^= mask;
    }
    image_end(&image);
}

/* ---- crash images: any subset of what was in flight ---- */

struct piece {
    uint64_t address;
    uint64_t bytes;
};

struct flight {
    struct piece pieces[IN_FLIGHT_MAX];
    uint32_t count;
    uint8_t *whole; /* the bytes of each piece, one behind the other */
};

static void add_pieces(struct flight *flight, uint64_t address, uint64_t bytes, uint64_t unit)
{
    for (uint64_t at = 0; at < bytes; at += unit) {
        assert_in_range(flight->count, 0, IN_FLIGHT_MAX - 1);
        flight->pieces[flight->count++] = (struct piece){address + at, unit};
    }
}

static void save_pieces(struct image *image, struct flight *flight)
{
    flight->whole = malloc(flight->count * flight->pieces[0].bytes);
    assert_non_null(flight->whole);
    for (uint32_t i = 0; i < flight->count; i++) {
        const struct piece *piece = &flight->pieces[i];
        memcpy(flight->whole + i * piece->bytes, image_at(image, piece->address), piece->bytes);
    }
}

static void land_subset(struct image *image, const struct flight *flight, uint64_t subset)
{
    for (uint32_t i = 0; i < flight->count; i++) {
        const struct piece *piece = &flight->pieces[i];
        uint8_t *target = image_at(image, piece->address);
        if ((subset >> i & 1) != 0) {
            memcpy(target, flight->whole + i * piece->bytes, piece->bytes);
        } else {
            memset(target, 0, piece->bytes);
        }
    }
}

/* Opens; keeps all that was durable; keeps a run of whole groups; the same when judged twice. */
static void expect_prefix(struct image *image, uint32_t durable_groups)
{
    struct recovery found;
    struct weir_error why;
    if (image_judge(image, &found, &why) < 0) {
        fail_msg("a clean crash was refused: %s", why.text);
    }
    bool is_boundary = false;
    for (uint32_t g = durable_groups; g <= image->group_count; g++) {
        weir_lsn next = g < image->group_count ? image->groups[g].first_lsn : image->chain.next_lsn;
        uint64_t address = g < image->group_count ? image->groups[g].address : image_address(image);
        is_boundary =
            is_boundary || (found.tail.address == address && found.tail.chain.next_lsn == next);
    }
    assert_true(is_boundary);
    recover_free(&found);
}

/* Groups from `durable_groups` on were in flight, with the header of a segment that they begin. */
static void crash_everywhere(struct image *image, uint32_t durable_groups, uint64_t unit)
{
    struct flight flight = {.count = 0};
    for (uint32_t g = durable_groups; g < image->group_count; g++) {
        const struct image_group *group = &image->groups[g];
        if (group->address % IMAGE_SEGMENT == FORMAT_SEGMENT_HEADER_BYTES) {
            uint64_t header = group->address - FORMAT_SEGMENT_HEADER_BYTES;
            add_pieces(&flight, header, 4096, 4096);
            add_pieces(&flight, header + 4096, 4096, 4096);
        }
        add_pieces(&flight, group->address, group->bytes, unit);
    }
    save_pieces(image, &flight);
    for (uint64_t subset = 0; subset < UINT64_C(1) << flight.count; subset++) {
        land_subset(image, &flight, subset);
        expect_prefix(image, durable_groups);
    }
    free(flight.whole);
}

static void every_subset_of_the_blocks_in_flight_opens_with_all_that_was_durable(void **state)
{
    (void)state;
    struct image image;
    image_begin(&image, 4096);
    image_new_epoch(&image);
    image_data(&image, 2, 100);
    image_data(&image, 3, 100);
    image.durable = 5;
    image_data(&image, 1, 6000);
    image_data(&image, 2, 100);
    image_witness(&image);
    image_data(&image, 3, 3000);
    image_data(&image, 1, 100);
    crash_everywhere(&image, 3, 4096);
    image_end(&image);
}

static void every_subset_in_flight_across_a_segment_boundary_opens(void **state)
{
    (void)state;
    struct image image;
    image_begin(&image, 4096);
    image_new_epoch(&image);
    image_fill_to(&image, IMAGE_SEGMENT - 24576);
    uint32_t durable = image.group_count;
    image_data(&image, 1, 100);
    image_seal(&image);
    image_data(&image, 1, 100);
    image_data(&image, 2, 3000);
    image_data(&image, 1, 100);
    /* The first header of segment 2 is block 2 of its two: 3 + 2 + 4 pieces. */
    crash_everywhere(&image, durable, 4096);
    image_end(&image);
}

static void every_subset_of_a_new_writers_first_groups_opens(void **state)
{
    (void)state;
    struct image image;
    image_begin(&image, 4096);
    image_new_epoch(&image);
    image_data(&image, 2, 100);
    image_recover(&image);
    uint32_t durable = image.group_count - 1; /* its epoch group is in flight, too */
    image_data(&image, 2, 100);
    image_data(&image, 1, 5000);
    image_data(&image, 1, 100);
    crash_everywhere(&image, durable, 4096);
    image_end(&image);
}

static void every_subset_of_lines_in_flight_opens_where_groups_are_aligned_to_64(void **state)
{
    (void)state;
    struct image image;
    image_begin(&image, 64);
    image_new_epoch(&image);
    image_data(&image, 2, 40);
    image.durable = 2;
    uint32_t durable = image.group_count;
    image_data(&image, 1, 100);
    image_data(&image, 2, 17);
    image_data(&image, 1, 0);
    image_data(&image, 3, 60);
    crash_everywhere(&image, durable, 64);
    image_end(&image);
}

/* ---- damage: every block of every group, of each kind ---- */

enum damage {
    DAMAGE_FLIP,
    DAMAGE_ZERO,
    DAMAGE_OLD_BLOCK,   /* what an earlier life left there: a lost write */
    DAMAGE_MISDIRECTED, /* another group of the same log */
    DAMAGE_KINDS,
};

static void do_damage(struct image *image, const struct image_group *group, uint64_t block,
                      enum damage kind, unsigned seed)
{
    uint8_t *bytes = image_at(image, group->address) + block;
    uint32_t unit = image->control.block_bytes;
    const struct image_group *other = &image->groups[group == image->groups ? 1 : 0];
    switch (kind) {
    case DAMAGE_FLIP: /* of the header or records, as far as they reach into this block */
        bytes[(seed * 7919) % 64] ^= (uint8_t)(1u << seed % 8);
        break;
    case DAMAGE_ZERO:
        memset(bytes, 0, unit);
        break;
    case DAMAGE_OLD_BLOCK:
        memset(bytes, 0x5a, unit);
        break;
    case DAMAGE_MISDIRECTED:
        memcpy(bytes, image_at(image, other->address), unit);
        break;
    case DAMAGE_KINDS:
        break;
    }
}

/* What the groups behind a damaged one, and CONTROL, prove. */
static bool is_witnessed(const struct image *image, uint32_t damaged)
{
    const struct image_group *group = &image->groups[damaged];
    bool by_group = false;
    for (uint32_t g = damaged + 1; g < image->group_count; g++) {
        by_group = by_group || image->groups[g].durable_lsn >= group->first_lsn;
    }
    return by_group || image->control.witness_address > group->address;
}

static void expect_right_answer(struct image *image, uint32_t damaged)
{
    const struct image_group *group = &image->groups[damaged];
    struct recovery found;
    struct weir_error why;
    int rc = image_judge(image, &found, &why);
    if (is_witnessed(image, damaged)) {
        assert_true(rc == WEIR_E_LOST || rc == WEIR_E_DAMAGED);
        assert_true(rc != WEIR_E_LOST || why.from_lsn == group->first_lsn);
    } else {
        assert_int_equal(rc, 0);
        assert_int_equal(found.tail.address, group->address);
        recover_free(&found);
    }
}

static void damage_everything(struct image *image)
{
    uint32_t unit = image->control.block_bytes;
    static uint8_t saved[65536];
    for (uint32_t g = 0; g < image->group_count; g++) {
        const struct image_group *group = &image->groups[g];
        assert_in_range(group->bytes, 0, sizeof saved);
        uint8_t *bytes = image_at(image, group->address);
        memcpy(saved, bytes, group->bytes);
        for (uint64_t block = 0; block < group->bytes; block += unit) {
            for (int kind = 0; kind < DAMAGE_KINDS; kind++) {
                do_damage(image, group, block, (enum damage)kind, g);
                if (memcmp(saved, bytes, group->bytes) != 0) {
                    expect_right_answer(image, g);
                }
                memcpy(bytes, saved, group->bytes);
            }
        }
    }
}

static void wl_10_damage_to_any_block_is_refused_exactly_where_it_is_witnessed(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct image image;
        image_begin(&image, block_sizes[i]);
        image_new_epoch(&image);
        weir_lsn lag[3] = {0, 0, 0};
        for (unsigned n = 0; n < 12; n++) { /* each header knows what was durable 3 groups ago */
            image.durable = lag[n % 3];
            image_data(&image, 1 + n % 4, 300 * (n % 5));
            lag[n % 3] = image.chain.next_lsn - 1;
        }
        damage_everything(&image);
        image_close_clean(&image);
        damage_everything(&image);
        image_recover(&image);
        image_data(&image, 2, 100);
        image_data(&image, 2, 100);
        damage_everything(&image);
        image_end(&image);
    }
}

static void a_log_cut_to_any_number_of_groups_opens_or_is_refused_for_a_reason(void **state)
{
    (void)state;
    struct image image;
    image_begin(&image, 4096);
    image_new_epoch(&image);
    for (unsigned n = 0; n < 10; n++) {
        image_data(&image, 2, 500);
    }
    image.control.witness_lsn = 8;
    image.control.witness_address = image.groups[5].address;
    struct group_header header;
    assert_int_equal(group_decode(image_at(&image, image.groups[4].address),
                                  image.groups[4].address, image.control.seed, image.uuid_seed,
                                  IMAGE_SEGMENT, &header),
                     GROUP_OK);
    image.control.witness_chain = header.crc;
    for (uint32_t g = image.group_count; g-- > 0;) {
        memset(image_at(&image, image.groups[g].address), 0, image.groups[g].bytes);
        struct recovery found;
        struct weir_error why;
        int rc = image_judge(&image, &found, &why);
        if (g >= 5) {
            assert_int_equal(rc, 0);
            assert_int_equal(found.tail.address, image.groups[g].address);
            recover_free(&found);
        } else {
            assert_int_equal(rc, WEIR_E_LOST);
            assert_int_equal(why.from_lsn, image.groups[g].first_lsn);
            assert_int_equal(why.to_lsn, 8);
        }
    }
    image_end(&image);
}

/* ---- a crash during recovery ---- */

struct countdown {
    unsigned left;
};

static int stop_after(void *context, const char *call, const char *name, uint64_t offset,
                      size_t size)
{
    (void)name;
    (void)offset;
    (void)size;
    struct countdown *countdown = context;
    if (strcmp(call, "write") != 0 && strcmp(call, "sync") != 0) {
        return 0;
    }
    if (countdown->left == 0) {
        return -EIO;
    }
    countdown->left--;
    return 0;
}

static bool keep_by_chance(void *context, const char *name, uint64_t offset)
{
    (void)name;
    (void)offset;
    return base_prng_below(context, 2) == 0;
}

static bool keep_all(void *context, const char *name, uint64_t offset)
{
    (void)context;
    (void)name;
    (void)offset;
    return true;
}

/* The steps of a writer until its epoch group; 0 when none of them failed. */
static int recover_steps(struct weir_medium *medium, uint32_t new_seed)
{
    struct control control;
    struct recovery found;
    struct weir_error why = WEIR_ERROR_INIT;
    int rc = control_load(medium, &control, &why);
    assert_int_equal(rc, 0);
    rc = recover_judge(medium, &control, &found, &why);
    if (rc < 0) {
        fail_msg("%s", why.text);
    }
    rc = repair_flush_tail(medium, &control, &found, &why);
    if (rc == 0) {
        control.epoch++;
        control.seed = new_seed;
        control.clean = false;
        control.witness_lsn = found.tail.chain.next_lsn - 1;
        control.witness_address = found.tail.address;
        control.witness_chain = found.tail.chain.crc;
        rc = control_store(medium, &control);
    }
    rc = rc < 0 ? rc : repair_zero_window(medium, &control, &found, &why);
    recover_free(&found);
    return rc;
}

static struct recovery judge_medium(struct weir_medium *medium)
{
    struct control control;
    struct recovery found;
    struct weir_error why = WEIR_ERROR_INIT;
    assert_int_equal(control_load(medium, &control, &why), 0);
    if (recover_judge(medium, &control, &found, &why) < 0) {
        fail_msg("%s", why.text);
    }
    return found;
}

static void make_torn_log(struct image *image)
{
    image_begin(image, 4096);
    image_new_epoch(image);
    image_fill_to(image, IMAGE_SEGMENT - 32768);
    image_data(image, 1, 100);
    uint64_t torn = image_address(image);
    image_data(image, 2, 3000);
    image_data(image, 1, 100);
    image_seal(image);
    image_data(image, 3, 1000);
    memset(image_at(image, torn + 4096), 0, 4096);
    struct weir_file *file;
    for (uint64_t ordinal = 1; ordinal <= 2; ordinal++) { /* what is on the medium at the crash */
        char name[FORMAT_NAME_BYTES];
        format_segment_name(ordinal, name);
        uint64_t size;
        assert_int_equal(image->medium->ops->open(image->medium, name, WEIR_FILE_WRITE, &file), 0);
        uint8_t *copy = malloc(IMAGE_SEGMENT);
        assert_non_null(copy);
        memcpy(copy, sim_memory_bytes(image->medium, name, false, &size), IMAGE_SEGMENT);
        assert_int_equal(image->medium->ops->write(file, 0, copy, IMAGE_SEGMENT), 0);
        assert_int_equal(image->medium->ops->sync(file), 0);
        free(copy);
        image->medium->ops->close(file);
    }
    assert_int_equal(image->medium->ops->sync_directory(image->medium, ""), 0);
}

static void a_crash_at_any_step_of_recovery_leads_to_the_same_tail(void **state)
{
    (void)state;
    struct base_prng random;
    base_prng_seed(&random, 20);
    for (unsigned policy = 0; policy < 8; policy++) {
        for (unsigned steps = 0, failed = 1; failed != 0; steps++) {
            struct image image;
            make_torn_log(&image);
            struct recovery before = judge_medium(image.medium);
            struct countdown countdown = {steps};
            struct sim_memory_faults faults = {.before = stop_after, .context = &countdown};
            sim_memory_faults_set(image.medium, &faults);
            failed = recover_steps(image.medium, 1000 + steps) < 0;
            sim_memory_keep_fn keep = policy == 0 ? NULL : policy == 1 ? keep_all : keep_by_chance;
            struct weir_medium *after;
            assert_int_equal(sim_memory_crash(image.medium, keep, &random, &after), 0);
            struct recovery again = judge_medium(after);
            assert_int_equal(again.tail.address, before.tail.address);
            assert_int_equal(again.tail.chain.next_lsn, before.tail.chain.next_lsn);
            recover_free(&again);
            assert_int_equal(recover_steps(after, 2000 + steps), 0);
            again = judge_medium(after);
            assert_int_equal(again.tail.address, before.tail.address);
            assert_int_equal(again.cut_bytes, 0);
            recover_free(&again);
            recover_free(&before);
            after->ops->destroy(after);
            image_end(&image);
        }
    }
}

/* A log whose last whole group is on the medium, and that nobody has flushed. */
static void make_unflushed_log(struct image *image)
{
    make_torn_log(image);
    struct recovery torn = judge_medium(image->medium);
    uint64_t last = torn.tail.offset - 4096;
    recover_free(&torn);
    uint8_t copy[4096];
    uint64_t size;
    memcpy(copy, image_file(image, 1) + last, sizeof copy);
    memset(sim_memory_bytes(image->medium, SEGMENT_1, true, &size) + last, 0, sizeof copy);
    struct weir_file *file;
    assert_int_equal(image->medium->ops->open(image->medium, SEGMENT_1, WEIR_FILE_WRITE, &file), 0);
    assert_int_equal(image->medium->ops->write(file, last, copy, sizeof copy), 0);
    image->medium->ops->close(file);
}

static void expect_after_power_loss(struct image *image, uint64_t address, bool zeroed)
{
    struct weir_medium *after;
    assert_int_equal(sim_memory_crash(image->medium, NULL, NULL, &after), 0);
    struct recovery found = judge_medium(after);
    assert_int_equal(found.tail.address, address);
    assert_int_equal(found.cut_bytes == 0, zeroed);
    recover_free(&found);
    after->ops->destroy(after);
}

static void what_recovery_keeps_is_durable_before_control_says_so(void **state)
{
    (void)state;
    struct image image;
    make_unflushed_log(&image);
    struct recovery found = judge_medium(image.medium);
    expect_after_power_loss(&image, found.tail.address - 4096, false); /* nobody was shown it */
    struct weir_error why = WEIR_ERROR_INIT;
    assert_int_equal(repair_flush_tail(image.medium, &image.control, &found, &why), 0);
    expect_after_power_loss(&image, found.tail.address, false);
    recover_free(&found);
    image_end(&image);
}

static void what_recovery_zeroes_is_zero_before_appends(void **state)
{
    (void)state;
    struct image image;
    make_unflushed_log(&image);
    struct recovery found = judge_medium(image.medium);
    assert_int_equal(recover_steps(image.medium, 5), 0);
    expect_after_power_loss(&image, found.tail.address, true);
    recover_free(&found);
    image_end(&image);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wl_08_a_group_torn_at_any_8_bytes_is_cut_and_nothing_before_it),
        cmocka_unit_test(wl_09_no_flipped_bit_of_any_group_goes_unnoticed),
        cmocka_unit_test(wl_09_no_flipped_bit_of_a_segment_header_is_believed),
        cmocka_unit_test(every_subset_of_the_blocks_in_flight_opens_with_all_that_was_durable),
        cmocka_unit_test(every_subset_in_flight_across_a_segment_boundary_opens),
        cmocka_unit_test(every_subset_of_a_new_writers_first_groups_opens),
        cmocka_unit_test(every_subset_of_lines_in_flight_opens_where_groups_are_aligned_to_64),
        cmocka_unit_test(wl_10_damage_to_any_block_is_refused_exactly_where_it_is_witnessed),
        cmocka_unit_test(a_log_cut_to_any_number_of_groups_opens_or_is_refused_for_a_reason),
        cmocka_unit_test(what_recovery_keeps_is_durable_before_control_says_so),
        cmocka_unit_test(what_recovery_zeroes_is_zero_before_appends),
        cmocka_unit_test(a_crash_at_any_step_of_recovery_leads_to_the_same_tail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
