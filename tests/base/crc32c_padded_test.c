/* Many CRC-32C at once: against the plain definition, at every length, beside any others. */
#include "base/crc32c_padded.h"

#include "base/crc32c.h"
#include "base/random.h"
#include "tests/base/crc32c_define.h"
#include "tests/base/support.h"

#include <sys/mman.h>

#define AREA_BYTES ((size_t)64 << 10)
#define INPUTS_MAX 40
#define SIZE_MAX_BYTES 600
#define HEADER_BYTES 16 /* what lies between two inputs: never zeros */

/* Inputs in memory that ends where a page that nobody may touch begins. */
struct scene {
    uint8_t *end;
    uint8_t *area;
    size_t used; /* from the end of the area backwards */
    size_t count;
    struct base_crc32c_padded inputs[INPUTS_MAX];
    struct base_prng prng;
};

static int make_scene(void **state)
{
    static struct scene scene;
    scene.area =
        mmap(NULL, AREA_BYTES + 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(scene.area != MAP_FAILED);
    assert_int_equal(mprotect(scene.area + AREA_BYTES, 4096, PROT_NONE), 0);
    scene.end = scene.area + AREA_BYTES;
    base_prng_seed(&scene.prng, 8192);
    *state = &scene;
    return 0;
}

static int free_scene(void **state)
{
    struct scene *scene = *state;
    return munmap(scene->area, AREA_BYTES + 4096);
}

/* One behind the other, the last one's padding `gap` bytes in front of the end. */
static void place(struct scene *scene, const uint32_t *sizes, size_t count, size_t gap)
{
    size_t total = 0;
    for (size_t i = 0; i < count; i++) {
        total += HEADER_BYTES + (((size_t)sizes[i] + 7) & ~(size_t)7);
    }
    assert_true(total + gap <= AREA_BYTES && count <= INPUTS_MAX);
    uint8_t *at = scene->end - gap - total;
    base_prng_fill(&scene->prng, at, total + gap);
    for (size_t i = 0; i < count; i++) {
        at += HEADER_BYTES;
        memset(at + sizes[i], 0, -(size_t)sizes[i] & 7);
        scene->inputs[i] = (struct base_crc32c_padded){at, sizes[i], define_crc32c(at, sizes[i])};
        at += ((size_t)sizes[i] + 7) & ~(size_t)7;
    }
    scene->count = count;
}

static bool all_match(const struct scene *scene)
{
    return base_crc32c_all_match(scene->inputs, scene->count, scene->end);
}

static void every_length_matches_at_every_alignment_and_only_its_own_checksum(void **state)
{
    struct scene *scene = *state;
    for (uint32_t size = 0; size <= SIZE_MAX_BYTES; size++) {
        uint32_t sizes[4] = {size, size, size, size};
        place(scene, sizes, 4, size % 9);
        assert_true(all_match(scene));
        for (size_t i = 0; i < 4; i++) {
            scene->inputs[i].crc ^= 1u << (size + i) % 32;
            assert_false(all_match(scene));
            scene->inputs[i].crc ^= 1u << (size + i) % 32;
        }
    }
}

static void any_number_of_any_lengths_matches(void **state)
{
    struct scene *scene = *state;
    for (int round = 0; round < 4000; round++) {
        uint32_t sizes[INPUTS_MAX];
        size_t count = base_prng_below(&scene->prng, INPUTS_MAX + 1);
        uint64_t bound = round % 3 == 0 ? 24 : round % 3 == 1 ? 130 : SIZE_MAX_BYTES + 1;
        for (size_t i = 0; i < count; i++) {
            sizes[i] = (uint32_t)base_prng_below(&scene->prng, bound);
        }
        place(scene, sizes, count, base_prng_below(&scene->prng, 2) * 40);
        assert_true(all_match(scene));
        for (size_t i = 0; i < count; i++) {
            scene->inputs[i].crc ^= 0x80000000u;
            assert_false(all_match(scene));
            scene->inputs[i].crc ^= 0x80000000u;
        }
    }
}

/* In the middle of others of other lengths, and in its zeros; what lies between them is not theirs.
 */
static void every_flipped_bit_of_an_input_and_of_its_zeros_is_found(void **state)
{
    struct scene *scene = *state;
    static const uint32_t sizes[] = {20, 100, 7, 333, 64, 1, 200, 129};
    place(scene, sizes, COUNT_OF(sizes), 0);
    for (size_t i = 0; i < scene->count; i++) {
        uint8_t *data = (uint8_t *)(uintptr_t)scene->inputs[i].data;
        size_t padded = ((size_t)sizes[i] + 7) & ~(size_t)7;
        for (size_t bit = 0; bit < 8 * padded; bit++) {
            data[bit / 8] ^= (uint8_t)(1u << bit % 8);
            assert_false(all_match(scene));
            data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
        data[-1] ^= 0x10;
        assert_true(all_match(scene));
    }
}

/* A multiple of the polynomial where zeros should be leaves the checksum of the words as it was. */
static void bytes_that_no_checksum_sees_are_no_zeros(void **state)
{
    struct scene *scene = *state;
    static const uint32_t sizes[] = {9, 41, 65, 201};
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        place(scene, sizes, COUNT_OF(sizes), 0);
        assert_true(all_match(scene));
        uint8_t *zeros = (uint8_t *)(uintptr_t)scene->inputs[i].data + sizes[i];
        uint32_t rest = ~base_crc32c(UINT32_MAX, "\x01\0\0", 3); /* from 0, without the last xor */
        memcpy(zeros, "\x01\0\0", 3);
        memcpy(zeros + 3, &rest, sizeof rest);
        assert_int_equal(base_crc32c(scene->inputs[i].crc, zeros, 7),
                         base_crc32c(scene->inputs[i].crc, "\0\0\0\0\0\0", 7));
        assert_false(all_match(scene));
    }
}

static void a_cpu_without_the_instruction_gets_the_same_answers(void **state)
{
    bool before = base_crc32c_hardware;
    base_crc32c_hardware = false;
    any_number_of_any_lengths_matches(state);
    every_flipped_bit_of_an_input_and_of_its_zeros_is_found(state);
    base_crc32c_hardware = before;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            every_length_matches_at_every_alignment_and_only_its_own_checksum, make_scene,
            free_scene),
        cmocka_unit_test_setup_teardown(any_number_of_any_lengths_matches, make_scene, free_scene),
        cmocka_unit_test_setup_teardown(every_flipped_bit_of_an_input_and_of_its_zeros_is_found,
                                        make_scene, free_scene),
        cmocka_unit_test_setup_teardown(bytes_that_no_checksum_sees_are_no_zeros, make_scene,
                                        free_scene),
        cmocka_unit_test_setup_teardown(a_cpu_without_the_instruction_gets_the_same_answers,
                                        make_scene, free_scene),
    };
    return RUN_TESTS(tests, argc, argv);
}
