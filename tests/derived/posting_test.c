/* The posting: a set is a set, whatever form its size gives it. */
#include "derived/posting.h"

#include "base/alloc.h"
#include "base/random.h"
#include "tests/derived/support.h"

#include <errno.h>

#define ORDINALS 200000u
#define STEPS 3000u

/* A posting and a plain list of flags. */
struct fixture {
    struct slab slab;
    struct posting posting;
    uint8_t *present;
    uint64_t count;
};

static void set_up(struct fixture *fixture)
{
    slab_init(&fixture->slab);
    fixture->posting.word = 0;
    fixture->present = calloc(ORDINALS, 1);
    assert_non_null(fixture->present);
    fixture->count = 0;
}

static void tear_down(struct fixture *fixture)
{
    posting_free(&fixture->slab, &fixture->posting);
    assert_true(posting_is_empty(&fixture->posting));
    slab_free_all(&fixture->slab);
    free(fixture->present);
}

static void add(struct fixture *fixture, uint32_t ordinal)
{
    bool present = fixture->present[ordinal];
    assert_int_equal(posting_add(&fixture->slab, &fixture->posting, ordinal), !present);
    fixture->present[ordinal] = 1;
    fixture->count += !present;
}

static void remove_one(struct fixture *fixture, uint32_t ordinal)
{
    bool present = fixture->present[ordinal];
    assert_int_equal(posting_remove(&fixture->slab, &fixture->posting, ordinal), present);
    fixture->present[ordinal] = 0;
    fixture->count -= present;
}

static void expect_ascending(const struct fixture *fixture, const struct posting *posting)
{
    struct posting_walk walk;
    bool more = posting_first(&fixture->slab, posting, &walk);
    for (uint32_t ordinal = 0; ordinal < ORDINALS; ordinal++) {
        if (fixture->present[ordinal]) {
            assert_true(more);
            assert_int_equal(walk.ordinal, ordinal);
            more = posting_next(&walk);
        }
    }
    assert_false(more);
}

static void expect_same(const struct fixture *fixture)
{
    assert_int_equal(posting_count(&fixture->slab, &fixture->posting), fixture->count);
    assert_int_equal(posting_is_empty(&fixture->posting), fixture->count == 0);
    expect_ascending(fixture, &fixture->posting);
}

/* Sizes around which the form changes, and the room that ordinals are spread over. */
static const struct {
    uint32_t most, spread;
} shapes[] = {{3, 10},      {20, 1000},    {300, 500},       {300, ORDINALS},
              {2000, 4000}, {9000, 20000}, {20000, ORDINALS}};

/* Fills up to about `most`, then down to nothing, some steps in the other direction. */
static void wander(struct fixture *fixture, size_t shape, struct base_prng *prng)
{
    uint32_t spread = shapes[shape].spread;
    for (uint32_t step = 0; fixture->count < shapes[shape].most; step++) {
        uint32_t ordinal = (uint32_t)base_prng_below(prng, spread);
        if (base_prng_below(prng, 4) == 0) {
            remove_one(fixture, ordinal);
        } else {
            add(fixture, ordinal);
        }
        if (step % (1 + shapes[shape].most / 3) == 0) {
            expect_same(fixture);
        }
    }
    expect_same(fixture);
    for (uint32_t step = 0; fixture->count > 0; step++) {
        uint32_t ordinal = (uint32_t)base_prng_below(prng, spread);
        for (; !fixture->present[ordinal]; ordinal = (ordinal + 1) % spread) {
        }
        assert_true(posting_contains(&fixture->slab, &fixture->posting, ordinal));
        remove_one(fixture, ordinal);
        assert_false(posting_contains(&fixture->slab, &fixture->posting, ordinal));
        if (step % (1 + shapes[shape].most / 3) == 0 || fixture->count < 4) {
            expect_same(fixture);
        }
    }
}

static void random_work_gives_what_a_list_of_flags_gives(void **state)
{
    (void)state;
    uint64_t blocks = base_alloc_in_use();
    for (size_t shape = 0; shape < COUNT_OF(shapes); shape++) {
        struct base_prng prng;
        struct fixture fixture;
        base_prng_seed(&prng, shape);
        set_up(&fixture);
        wander(&fixture, shape, &prng);
        wander(&fixture, shape, &prng);
        tear_down(&fixture);
    }
    assert_int_equal(base_alloc_in_use(), blocks);
}

static void the_greatest_ordinals_have_their_place(void **state)
{
    (void)state;
    struct slab slab;
    struct posting posting = {0};
    struct posting_walk walk;
    slab_init(&slab);
    for (uint32_t index = 0; index < 1000; index++) {
        assert_int_equal(posting_add(&slab, &posting, UINT32_MAX - index * 70000), 1);
        assert_true(posting_contains(&slab, &posting, UINT32_MAX));
    }
    bool more = posting_first(&slab, &posting, &walk);
    for (uint32_t index = 1000; index-- > 0; more = posting_next(&walk)) {
        assert_true(more);
        assert_int_equal(walk.ordinal, UINT32_MAX - index * 70000);
    }
    assert_false(more);
    posting_free(&slab, &posting);
    slab_free_all(&slab);
}

static void one_and_few_take_no_more_than_their_bytes(void **state)
{
    (void)state;
    struct slab slab;
    struct posting posting = {0};
    slab_init(&slab);
    assert_int_equal(posting_add(&slab, &posting, 77), 1);
    assert_int_equal(slab.bytes, 0);
    for (uint32_t ordinal = 0; ordinal < POSTING_FEW_MAX - 1; ordinal++) {
        assert_int_equal(posting_add(&slab, &posting, 1000 + ordinal), 1);
        assert_int_equal(posting_bytes(&slab, &posting), 0);
    }
    assert_int_equal(posting_add(&slab, &posting, 5000), 1);
    assert_true(posting_bytes(&slab, &posting) > 0);
    assert_true(posting_bytes(&slab, &posting) < 4 * POSTING_FEW_MAX);
    posting_free(&slab, &posting);
    slab_free_all(&slab);
}

/* ---- with bitmaps ---- */

static void fill(struct fixture *fixture, uint32_t count, uint32_t spread, struct base_prng *prng)
{
    while (fixture->count < count) {
        add(fixture, (uint32_t)base_prng_below(prng, spread));
    }
}

static void expect_bitmap(const roaring_bitmap_t *bitmap, const struct fixture *left,
                          const struct fixture *right, bool both)
{
    uint64_t expected = 0;
    for (uint32_t ordinal = 0; ordinal < ORDINALS; ordinal++) {
        bool in = both ? left->present[ordinal] && right->present[ordinal]
                       : left->present[ordinal] || right->present[ordinal];
        expected += in;
        assert_int_equal(roaring_bitmap_contains(bitmap, ordinal), in);
    }
    assert_int_equal(roaring_bitmap_get_cardinality(bitmap), expected);
}

static void or_and_and_give_unions_and_intersections(void **state)
{
    (void)state;
    static const uint32_t counts[] = {0, 1, 5, 200, 257, 6000, 50000};
    struct base_prng prng;
    base_prng_seed(&prng, 5);
    for (size_t left = 0; left < COUNT_OF(counts); left++) {
        for (size_t right = 0; right < COUNT_OF(counts); right++) {
            struct fixture first;
            struct fixture second;
            set_up(&first);
            set_up(&second);
            fill(&first, counts[left], ORDINALS, &prng);
            fill(&second, counts[right], ORDINALS, &prng);
            roaring_bitmap_t *either = posting_bitmap_create();
            assert_int_equal(posting_or_into(&first.slab, &first.posting, either), 0);
            roaring_bitmap_t *both = roaring_bitmap_copy(either);
            assert_int_equal(posting_or_into(&second.slab, &second.posting, either), 0);
            assert_int_equal(posting_and_into(&second.slab, &second.posting, both), 0);
            expect_bitmap(either, &first, &second, false);
            expect_bitmap(both, &first, &second, true);
            roaring_bitmap_free(either);
            roaring_bitmap_free(both);
            expect_ascending(&second, &second.posting);
            tear_down(&first);
            tear_down(&second);
        }
    }
}

/* ---- to a state and back ---- */

static void encode_one(const struct fixture *fixture, struct memory_state *state)
{
    static struct encoder encoder;
    encoder_init(&encoder, memory_state_writer(state));
    posting_encode(&fixture->slab, &fixture->posting, &encoder);
    assert_int_equal(encoder_finish(&encoder), 0);
}

/* Decodes it as the only thing in a state. */
static int decode_one(struct slab *slab, struct posting *posting, uint32_t end,
                      const struct memory_state *state)
{
    static struct decoder decoder;
    struct weir_state_reader *reader = memory_state_reader(state);
    posting->word = 0;
    decoder_init(&decoder, reader);
    int rc = posting_decode(slab, posting, end, &decoder);
    int finished = decoder_finish(&decoder);
    weir_state_close(reader);
    if (rc == 0 && finished < 0) {
        posting_free(slab, posting);
    }
    return rc < 0 ? rc : finished;
}

static void what_is_encoded_is_decoded_and_less_or_more_is_not(void **state)
{
    (void)state;
    static const uint32_t counts[] = {0, 1, 2, 200, 256, 257, 5000, 100000};
    struct base_prng prng;
    base_prng_seed(&prng, 6);
    for (size_t index = 0; index < COUNT_OF(counts); index++) {
        struct fixture fixture;
        struct memory_state saved = {0};
        struct posting posting;
        set_up(&fixture);
        fill(&fixture, counts[index], ORDINALS, &prng);
        encode_one(&fixture, &saved);
        assert_int_equal(decode_one(&fixture.slab, &posting, ORDINALS, &saved), 0);
        assert_int_equal(posting_count(&fixture.slab, &posting), counts[index]);
        expect_ascending(&fixture, &posting);
        posting_free(&fixture.slab, &posting);
        size_t whole = saved.size;
        for (size_t size = 0; size < whole; size += 1 + whole / 100) {
            saved.size = size;
            assert_int_equal(decode_one(&fixture.slab, &posting, ORDINALS, &saved), WEIR_E_STATE);
            assert_true(posting_is_empty(&posting));
        }
        saved.size = whole;
        assert_int_equal(weir_state_write(memory_state_writer(&saved), "", 1), 0);
        assert_int_equal(decode_one(&fixture.slab, &posting, ORDINALS, &saved), WEIR_E_STATE);
        memory_state_free(&saved);
        tear_down(&fixture);
    }
}

static void ordinals_that_are_out_of_range_are_no_posting(void **state)
{
    (void)state;
    struct slab slab;
    slab_init(&slab);
    for (uint32_t count = 1; count < 2000; count += 37) {
        struct memory_state saved = {0};
        struct posting posting = {0};
        static struct encoder encoder;
        for (uint32_t ordinal = 0; ordinal < count; ordinal++) {
            assert_int_equal(posting_add(&slab, &posting, ordinal * 3), 1);
        }
        encoder_init(&encoder, memory_state_writer(&saved));
        posting_encode(&slab, &posting, &encoder);
        assert_int_equal(encoder_finish(&encoder), 0);
        posting_free(&slab, &posting);
        assert_int_equal(decode_one(&slab, &posting, count * 3 - 3, &saved), WEIR_E_STATE);
        assert_int_equal(decode_one(&slab, &posting, 0, &saved), WEIR_E_STATE);
        assert_int_equal(decode_one(&slab, &posting, count * 3 - 2, &saved), 0);
        posting_free(&slab, &posting);
        memory_state_free(&saved);
    }
    slab_free_all(&slab);
}

static void bytes_that_nobody_encoded_are_refused_or_are_a_set(void **state)
{
    (void)state;
    struct base_prng prng;
    struct slab slab;
    base_prng_seed(&prng, 7);
    slab_init(&slab);
    for (uint32_t step = 0; step < STEPS; step++) {
        uint8_t bytes[400];
        struct posting posting;
        struct memory_state saved = {.data = bytes, .size = base_prng_below(&prng, sizeof bytes)};
        base_prng_fill(&prng, bytes, sizeof bytes);
        for (size_t at = 0; at < sizeof bytes; at++) { /* mostly of one byte each */
            bytes[at] &= base_prng_below(&prng, 20) == 0 ? 0xff : 0x7f;
        }
        if (decode_one(&slab, &posting, 50000, &saved) == 0) {
            posting_free(&slab, &posting);
        }
        assert_true(posting_is_empty(&posting));
    }
    slab_free_all(&slab);
}

/* ---- no memory ---- */

static void memory_that_is_refused_changes_nothing(void **state)
{
    (void)state;
    struct fixture fixture;
    uint32_t refused = 0;
    set_up(&fixture);
    for (uint32_t index = 0; index < 9000; index++) {
        uint32_t ordinal = index * 7919u % ORDINALS;
        for (uint64_t nth = 1;; nth++) {
            fail_allocation(nth, false);
            int rc = posting_add(&fixture.slab, &fixture.posting, ordinal);
            stop_failing();
            if (rc == 1) {
                break;
            }
            assert_int_equal(rc, -ENOMEM);
            assert_int_equal(posting_count(&fixture.slab, &fixture.posting), fixture.count);
            assert_false(posting_contains(&fixture.slab, &fixture.posting, ordinal));
            refused++;
        }
        fixture.present[ordinal] = 1;
        fixture.count++;
        if (index % 500 == 0) {
            expect_same(&fixture);
        }
    }
    assert_true(refused > 50);
    tear_down(&fixture);
}

static void removing_needs_no_memory(void **state)
{
    (void)state;
    struct fixture fixture;
    struct base_prng prng;
    base_prng_seed(&prng, 8);
    set_up(&fixture);
    fill(&fixture, 20000, ORDINALS, &prng);
    fail_allocation(1, true);
    for (uint32_t ordinal = 0; ordinal < ORDINALS; ordinal++) {
        remove_one(&fixture, ordinal);
    }
    stop_failing();
    assert_true(posting_is_empty(&fixture.posting));
    tear_down(&fixture);
}

static void a_bitmap_that_finds_no_memory_is_as_it_was(void **state)
{
    (void)state;
    struct fixture fixture;
    struct fixture none;
    struct base_prng prng;
    base_prng_seed(&prng, 9);
    set_up(&fixture);
    set_up(&none);
    fill(&fixture, 3000, ORDINALS, &prng);
    roaring_bitmap_t *bitmap = posting_bitmap_create();
    assert_int_equal(posting_or_into(&fixture.slab, &fixture.posting, bitmap), 0);
    fail_allocation(1, true);
    int united = posting_or_into(&fixture.slab, &fixture.posting, bitmap);
    int cut = posting_and_into(&none.slab, &none.posting, bitmap);
    roaring_bitmap_t *created = posting_bitmap_create();
    stop_failing();
    assert_int_equal(united, -ENOMEM);
    assert_int_equal(cut, -ENOMEM);
    assert_null(created);
    expect_bitmap(bitmap, &fixture, &none, false);
    roaring_bitmap_free(bitmap);
    tear_down(&fixture);
    tear_down(&none);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_work_gives_what_a_list_of_flags_gives),
        cmocka_unit_test(the_greatest_ordinals_have_their_place),
        cmocka_unit_test(one_and_few_take_no_more_than_their_bytes),
        cmocka_unit_test(or_and_and_give_unions_and_intersections),
        cmocka_unit_test(what_is_encoded_is_decoded_and_less_or_more_is_not),
        cmocka_unit_test(ordinals_that_are_out_of_range_are_no_posting),
        cmocka_unit_test(bytes_that_nobody_encoded_are_refused_or_are_a_set),
        cmocka_unit_test(memory_that_is_refused_changes_nothing),
        cmocka_unit_test(removing_needs_no_memory),
        cmocka_unit_test(a_bitmap_that_finds_no_memory_is_as_it_was),
    };
    return RUN_TESTS(tests, argc, argv);
}
