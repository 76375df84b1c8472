/*
 * Power cuts around the start of a segment, again and again: of what was not durable, any blocks
 * are on the medium. Wherever recovery starts to walk, it keeps what was durable, opens, and leaves
 * nothing behind the end.
 */
#include "tests/wal/image.h"

#include <string.h>

#define ROUNDS 1500u
#define CUTS 4

static uint64_t random_state;

static uint32_t below(uint32_t limit)
{
    random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(random_state >> 33) % limit;
}

/* Groups [0, done) are durable. */
struct writer {
    struct image image;
    uint32_t done;
};

static void advance(struct writer *writer)
{
    const struct image_group *group = &writer->image.groups[writer->done++];
    if (group->records > 0) {
        writer->image.durable = group->first_lsn + group->records - 1;
    }
}

static void append(struct writer *writer)
{
    struct image *image = &writer->image;
    uint64_t room = IMAGE_SEGMENT - image->offset;
    if (room < 40960 || (room < 73728 && below(6) == 0)) {
        image_seal(image);
    } else if (below(2) == 0) {
        image_witness(image);
    } else {
        image_data(image, 1 + below(3), 40 + below(4000));
    }
    while (writer->done < image->group_count &&
           (image_address(image) - image->groups[writer->done].address > IMAGE_WINDOW ||
            below(4) == 0)) {
        advance(writer);
    }
}

/* Whether it is still what it was. */
static bool lose_block(uint8_t *block)
{
    uint8_t before[4096];
    memcpy(before, block, sizeof before);
    switch (below(4)) {
    case 0:
        memset(block, 0, 4096);
        break;
    case 1: /* some sectors */
        for (int i = 0; i < 8; i++) {
            if (below(2) == 0) {
                memset(block + (size_t)512 * (size_t)i, 0, 512);
            }
        }
        break;
    default:
        break;
    }
    return memcmp(before, block, sizeof before) == 0;
}

/* Where the log ends now. */
static uint64_t cut_power(struct writer *writer)
{
    struct image *image = &writer->image;
    uint64_t end = UINT64_MAX;
    for (uint32_t i = writer->done; i < image->group_count; i++) {
        const struct image_group *group = &image->groups[i];
        bool whole = true;
        if (group->address % IMAGE_SEGMENT == FORMAT_SEGMENT_HEADER_BYTES) {
            bool first = lose_block(image_at(image, group->address - 8192));
            whole = lose_block(image_at(image, group->address - 4096)) || first;
        }
        for (uint64_t at = 0; at < group->bytes; at += 4096) {
            whole = lose_block(image_at(image, group->address + at)) && whole;
        }
        end = whole || end != UINT64_MAX ? end : group->address;
    }
    return end != UINT64_MAX ? end : image_address(image);
}

static void expect_zero_behind(struct image *image, uint64_t from)
{
    uint64_t end = from + IMAGE_WINDOW;
    for (; from < end && image_file(image, from / IMAGE_SEGMENT) != NULL; from += 64) {
        static const uint8_t zeros[64];
        if (memcmp(image_at(image, from), zeros, sizeof zeros) != 0) {
            fail_msg("something is left at %lx", (unsigned long)from);
        }
    }
}

/* A recovery that ends behind its second step. */
static void stop_before_zeroing(struct image *image)
{
    struct recovery found;
    struct weir_error why;
    if (image_judge(image, &found, &why) < 0) {
        fail_msg("%s", why.text);
    }
    image->control.epoch++;
    image->control.seed = image->control.seed * 69069 + 12345;
    image->control.witness_lsn = found.tail.chain.next_lsn - 1;
    image->control.witness_address = found.tail.address;
    image->control.witness_chain = found.tail.chain.crc;
    image_store_control(image);
    recover_free(&found);
}

static void one_round(struct writer *writer)
{
    struct image *image = &writer->image;
    image_begin(image, 4096);
    image_new_epoch(image);
    image_fill_segment(image);
    image_fill_to(image, IMAGE_SEGMENT - 32768 - 4096 * below(20));
    writer->done = image->group_count;
    image->durable = image->chain.next_lsn - 1;
    for (int cut = 0; cut < CUTS; cut++) {
        for (uint32_t n = 1 + below(24); n > 0; n--) {
            append(writer);
        }
        weir_lsn durable = image->durable;
        uint64_t end = cut_power(writer);
        if (below(2) == 0) {
            stop_before_zeroing(image);
        }
        image_recover(image);
        assert_true(image->chain.next_lsn > durable);
        assert_int_equal(image->groups[image->group_count - 1].address, end); /* its epoch group */
        expect_zero_behind(image, image_address(image));
        writer->done = image->group_count;
        image->durable = image->chain.next_lsn - 1;
    }
    image_end(image);
}

static void cuts_around_the_start_of_a_segment_lose_nothing_durable(void **state)
{
    (void)state;
    static struct writer writer;
    for (uint64_t seed = 0; seed < ROUNDS; seed++) {
        memset(&writer, 0, sizeof writer);
        random_state = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
        one_round(&writer);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cuts_around_the_start_of_a_segment_lose_nothing_durable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
