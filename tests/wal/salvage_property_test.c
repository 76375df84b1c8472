/*
 * Salvage of random logs with random damage, and with each call of either medium failing: it keeps
 * every record whose group is whole, never one that has changed, and gaps and records together are
 * exactly what was retained and acknowledged. WEIR_DEEP_ROUNDS runs more, WEIR_SEED one again.
 */
#include "tests/wal/salvage_support.h"

#include "base/alloc.h"
#include "base/random.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROUNDS 300u
#define SEGMENTS_MAX 8u

static struct memory_of_log was;
static uint64_t seed_now; /* WEIR_SEED runs it alone */
static uint8_t saved[SEGMENTS_MAX][IMAGE_SEGMENT];

/* ---- random logs ---- */

static void add_group(struct image *image, struct base_prng *prng)
{
    uint32_t records = 1 + (uint32_t)base_prng_below(prng, 5);
    image_data(image, records, (uint32_t)base_prng_below(prng, 3000));
    if (base_prng_below(prng, 3) > 0) {
        image->durable = image->chain.next_lsn - 1;
    }
}

static void make_random_log(struct image *image, struct base_prng *prng)
{
    image_begin(image, base_prng_below(prng, 2) == 0 ? 4096 : 64);
    image_new_epoch(image);
    for (uint64_t steps = 20 + base_prng_below(prng, 60); steps > 0; steps--) {
        add_group(image, prng);
        if (image->offset > IMAGE_SEGMENT - 32768 || base_prng_below(prng, 25) == 0) {
            if (image->ordinal < SEGMENTS_MAX - 1) {
                image_seal(image);
            }
        }
        if (image->offset > IMAGE_SEGMENT - 49152 && image->ordinal >= SEGMENTS_MAX - 1) {
            break;
        }
        if (base_prng_below(prng, 30) == 0) {
            image_recover(image);
        }
    }
    image_close_clean(image); /* all of it is acknowledged */
    remember(image, &was);
    image->control.first_lsn = 1 + base_prng_below(prng, 5); /* as truncated */
    image_store_control(image);
    for (uint64_t ordinal = 1; ordinal <= image->ordinal; ordinal++) {
        memcpy(saved[ordinal - 1], image_file(image, ordinal), IMAGE_SEGMENT);
    }
}

/* ---- random damage ---- */

static void damage_bytes(struct image *image, struct base_prng *prng)
{
    uint64_t ordinal = 1 + base_prng_below(prng, image->ordinal);
    uint64_t sectors = 1 + base_prng_below(prng, 12);
    uint64_t at = base_prng_below(prng, IMAGE_SEGMENT / 512 - sectors) * 512;
    uint8_t *bytes = image_file(image, ordinal);
    if (bytes == NULL) {
        return;
    }
    switch (base_prng_below(prng, 4)) {
    case 0:
        bytes[at + base_prng_below(prng, 512)] ^= (uint8_t)(1 + base_prng_below(prng, 255));
        break;
    case 1:
        memset(bytes + at, 0, sectors * 512);
        break;
    case 2:
        base_prng_fill(prng, bytes + at, sectors * 512);
        break;
    default: /* misdirected */
        memmove(bytes + at,
                saved[base_prng_below(prng, image->ordinal)] +
                    base_prng_below(prng, IMAGE_SEGMENT / 512 - sectors) * 512,
                sectors * 512);
        break;
    }
}

static void damage_file(struct image *image, struct base_prng *prng)
{
    uint64_t ordinal = 1 + base_prng_below(prng, image->ordinal);
    char name[FORMAT_NAME_BYTES];
    if (image_file(image, ordinal) == NULL) {
        return;
    }
    format_segment_name(ordinal, name);
    assert_int_equal(image->medium->ops->remove(image->medium, name), 0);
    if (base_prng_below(prng, 2) == 0) {
        struct weir_file *file;
        uint64_t size = base_prng_below(prng, IMAGE_SEGMENT / 4096) * 4096;
        assert_int_equal(image->medium->ops->create(image->medium, name, size, &file), 0);
        if (size > 0) {
            assert_int_equal(image->medium->ops->write(file, 0, saved[ordinal - 1], size), 0);
        }
        image->medium->ops->close(file);
    }
}

static void damage(struct image *image, struct base_prng *prng)
{
    for (uint64_t edits = base_prng_below(prng, 7); edits > 0; edits--) {
        damage_bytes(image, prng);
    }
    if (base_prng_below(prng, 4) == 0) {
        damage_file(image, prng);
    }
}

/* One copy of CONTROL; it stays usable. */
static void damage_one_control(struct image *image, struct base_prng *prng)
{
    uint64_t size;
    uint8_t *control = sim_memory_bytes(image->medium, "CONTROL", false, &size);
    control[base_prng_below(prng, 4) * 4096 + base_prng_below(prng, 4096)] ^= 1;
}

/* ---- what must be kept ---- */

static bool bytes_are_whole(struct image *image, const struct image_group *group)
{
    uint64_t ordinal = group->address / IMAGE_SEGMENT, offset = group->address % IMAGE_SEGMENT;
    char name[FORMAT_NAME_BYTES];
    uint64_t size = 0;
    format_segment_name(ordinal, name);
    const uint8_t *bytes = sim_memory_bytes(image->medium, name, false, &size);
    return bytes != NULL && offset + group->bytes <= size &&
           memcmp(bytes + offset, saved[ordinal - 1] + offset, group->bytes) == 0;
}

static bool header_is_whole(struct image *image, uint64_t ordinal)
{
    struct segment_header header;
    char name[FORMAT_NAME_BYTES];
    uint64_t size = 0;
    format_segment_name(ordinal, name);
    const uint8_t *bytes = sim_memory_bytes(image->medium, name, false, &size);
    return bytes != NULL && size >= FORMAT_SEGMENT_HEADER_BYTES &&
           segment_header_decode(bytes, image->control.uuid, ordinal, &header) == 0;
}

/* The seed of an epoch is in its epoch group, in the headers of segments that begin in it, and, of
 * the newest, in CONTROL. Where none of them is left in this segment or right behind it, its groups
 * cannot be checked by anybody. Coarse: asks for the epoch group, or for this header. */
static bool seed_is_known(struct image *image, uint32_t index)
{
    uint64_t ordinal = image->groups[index].address / IMAGE_SEGMENT;
    for (uint32_t g = index + 1; g-- > 0;) {
        const struct image_group *group = &image->groups[g];
        if (group->kind == FORMAT_GROUP_EPOCH) {
            return bytes_are_whole(image, group) && group->address / IMAGE_SEGMENT == ordinal;
        }
        if (group->address / IMAGE_SEGMENT < ordinal) {
            return header_is_whole(image, ordinal);
        }
    }
    return false;
}

static void expect_whole_groups(struct image *image, const struct salvaged *salvaged)
{
    for (uint32_t g = 0; g < image->group_count; g++) {
        const struct image_group *group = &image->groups[g];
        if (group->records == 0 || !bytes_are_whole(image, group) || !seed_is_known(image, g)) {
            continue;
        }
        for (weir_lsn lsn = group->first_lsn; lsn < group->first_lsn + group->records; lsn++) {
            if (in_gap(salvaged, lsn)) {
                fail_msg("seed %lu: LSN %lu is whole, and a gap stands for it",
                         (unsigned long)seed_now, (unsigned long)lsn);
            }
        }
    }
}

/* ---- rounds ---- */

static uint64_t number_from(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text != NULL ? strtoull(text, NULL, 10) : otherwise;
}

static uint64_t rounds_done;

static void one_round(uint64_t seed, bool with_control)
{
    struct image image;
    struct salvaged salvaged = {0};
    struct base_prng prng;
    base_prng_seed(&prng, seed);
    make_random_log(&image, &prng);
    damage(&image, &prng);
    uint32_t block_bytes = base_prng_below(&prng, 2) == 0 ? 4096 : 64; /* of another medium */
    struct sim_memory_options fresh = {
        .block_bytes = block_bytes,
        .window_is_file = block_bytes < FORMAT_BLOCK,
    };
    assert_int_equal(sim_memory_open(&fresh, &salvaged.keeper), 0);
    if (with_control) {
        damage_one_control(&image, &prng);
    } else {
        assert_int_equal(image.medium->ops->remove(image.medium, "CONTROL"), 0);
    }
    salvage(&image, &salvaged);
    if (!with_control && salvaged.rc == WEIR_E_NOT_A_LOG) {
        assert_int_equal(disk_files(salvaged.keeper), 0); /* no header was left either */
    } else {
        expect_consistent(&salvaged, &was);
        expect_whole_groups(&image, &salvaged);
        assert_int_equal(verify_image(&image).records, salvaged.report.records);
    }
    if (with_control) {
        assert_int_equal(salvaged.report.kept_from, image.control.first_lsn);
        assert_int_equal(salvaged.report.kept_to, was.latest);
        assert_int_equal(salvaged.report.records + salvaged.report.gap_lsns,
                         was.latest - image.control.first_lsn + 1);
    }
    salvaged_free(&salvaged);
    image_end(&image);
}

static void run_rounds(bool with_control)
{
    uint64_t only = number_from("WEIR_SEED", 0);
    uint64_t rounds = number_from("WEIR_DEEP_ROUNDS", ROUNDS);
    for (uint64_t seed = only > 0 ? only : 1; seed <= (only > 0 ? only : rounds); seed++) {
        seed_now = seed;
        one_round(seed, with_control);
        rounds_done++;
    }
}

static void o7_gaps_and_records_are_what_was_acknowledged(void **state)
{
    (void)state;
    run_rounds(true);
}

static void o7_without_control_what_is_whole_is_kept(void **state)
{
    (void)state;
    run_rounds(false);
}

/* ---- failing calls ---- */

struct fault {
    int countdown, error;
    uint32_t calls;
};

static int fail_call(void *context, const char *call, const char *name, uint64_t offset,
                     size_t size)
{
    struct fault *fault = context;
    (void)call;
    (void)name;
    (void)offset;
    (void)size;
    fault->calls++;
    return fault->countdown-- == 0 ? fault->error : 0;
}

static void make_damaged_log(struct image *image)
{
    image_begin(image, 4096);
    image_new_epoch(image);
    image_fill_segment(image);
    image_data(image, 3, 100);
    image->durable = image->chain.next_lsn - 1;
    image_data(image, 2, 100);
    image_close_clean(image);
    remember(image, &was);
    image_at(image, group_with(image, 20).address)[9] ^= 1;
}

static void fail_each_call(bool of_target, int error)
{
    struct image image;
    make_damaged_log(&image);
    bool went_through = false;
    for (int n = 0; !went_through; n++) {
        struct fault fault = {.countdown = n, .error = error};
        struct sim_memory_faults faults = {.before = fail_call, .context = &fault};
        struct salvaged salvaged = {0};
        uint64_t in_use = base_alloc_in_use(), pages = base_pages_in_use();
        if (of_target) {
            salvaged.target_faults = faults;
        } else {
            salvaged.source_faults = faults;
        }
        salvage(&image, &salvaged);
        went_through = fault.countdown >= 0;
        if (salvaged.rc == 0) {
            expect_consistent(&salvaged, &was);
        } else {
            assert_true(salvaged.rc == error || salvaged.rc == WEIR_E_LOCKED);
            /* One call failed, and with it perhaps the removal of one file: never is it a log. */
            uint64_t size;
            assert_null(sim_memory_bytes(salvaged.keeper, "CONTROL", false, &size));
        }
        salvaged_free(&salvaged);
        assert_int_equal(base_alloc_in_use(), in_use);
        assert_int_equal(base_pages_in_use(), pages);
        assert_in_range(n, 0, 2000);
    }
    image_end(&image);
}

static void o10_each_call_of_the_source_fails_once(void **state)
{
    (void)state;
    fail_each_call(false, -EIO);
}

static void o10_each_call_of_the_destination_fails_once(void **state)
{
    (void)state;
    fail_each_call(true, -EIO);
    fail_each_call(true, -ENOSPC);
}

static void wl_13_a_full_disk_leaves_nothing_behind(void **state)
{
    (void)state;
    struct image image;
    make_damaged_log(&image);
    for (uint64_t room = 0; room < 3 * IMAGE_SEGMENT; room += 65536) {
        struct salvaged salvaged = {0};
        struct sim_memory_options small = {.capacity_bytes = room + 4096};
        assert_int_equal(sim_memory_open(&small, &salvaged.keeper), 0);
        salvage(&image, &salvaged);
        if (salvaged.rc == 0) {
            expect_consistent(&salvaged, &was);
        } else {
            assert_int_equal(salvaged.rc, -ENOSPC);
            assert_int_equal(disk_files(salvaged.keeper), 0);
        }
        salvaged_free(&salvaged);
    }
    image_end(&image);
}

/* ---- power cuts ---- */

struct cut {
    struct weir_medium *medium; /* whose power is cut */
    int countdown;
    struct weir_medium *after;
    uint64_t seed;
};

static bool keep_some(void *context, const char *name, uint64_t offset)
{
    struct base_prng *prng = context;
    (void)name;
    (void)offset;
    return base_prng_below(prng, 2) == 0;
}

static int cut_power(void *context, const char *call, const char *name, uint64_t offset,
                     size_t size)
{
    struct cut *cut = context;
    (void)call;
    (void)name;
    (void)offset;
    (void)size;
    if (cut->countdown-- == 0) {
        struct base_prng prng;
        base_prng_seed(&prng, cut->seed);
        assert_int_equal(sim_memory_crash(cut->medium, keep_some, &prng, &cut->after), 0);
    }
    return 0;
}

static void a_power_cut_leaves_a_whole_log_or_none(void **state)
{
    (void)state;
    struct image image;
    make_damaged_log(&image);
    bool went_through = false;
    uint32_t whole = 0, none = 0;
    for (int n = 0; !went_through; n++) {
        struct salvaged salvaged = {0};
        assert_int_equal(sim_memory_open(&(struct sim_memory_options){0}, &salvaged.keeper), 0);
        struct cut cut = {.medium = salvaged.keeper, .countdown = n, .seed = (uint64_t)n + 1};
        salvaged.target_faults = (struct sim_memory_faults){.before = cut_power, .context = &cut};
        salvage(&image, &salvaged);
        went_through = cut.after == NULL;
        if (cut.after != NULL) {
            struct salvaged after = salvaged;
            uint64_t size;
            after.keeper = cut.after;
            if (sim_memory_bytes(cut.after, "CONTROL", false, &size) != NULL) {
                expect_consistent(&after, &was);
                whole++;
            } else {
                none++;
            }
            cut.after->ops->destroy(cut.after);
        }
        salvaged_free(&salvaged);
    }
    assert_true(whole > 0);
    assert_true(none > 0);
    image_end(&image);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(o7_gaps_and_records_are_what_was_acknowledged),
        cmocka_unit_test(o7_without_control_what_is_whole_is_kept),
        cmocka_unit_test(o10_each_call_of_the_source_fails_once),
        cmocka_unit_test(o10_each_call_of_the_destination_fails_once),
        cmocka_unit_test(wl_13_a_full_disk_leaves_nothing_behind),
        cmocka_unit_test(a_power_cut_leaves_a_whole_log_or_none),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    printf("layer=salvage medium=memory rounds=%lu violations=%d\n", (unsigned long)rounds_done,
           failed);
    return failed;
}
