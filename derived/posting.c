/*
 * A set of ordinals in 8 bytes and what they need.
 *
 *   the 8 bytes   | empty 0 | one: ordinal, 1 | few: block, capacity, count, 2 | many: block, 3 |
 *   few           a block with the ordinals, ascending
 *   many          a block with a CRoaring bitmap and its count
 *
 *   add:    into the block; into a larger one; more than POSTING_FEW_MAX become a bitmap
 *   remove: a block that is more than half empty is exchanged for a smaller one, a bitmap with less
 *           than half of POSTING_FEW_MAX for a block: when there is memory, else later
 *
 * Failure: -ENOMEM with nothing changed; CRoaring's own allocations are made sure of before
 * (posting.h). WEIR_E_STATE for what no posting_encode() wrote.
 *
 * Invariants: few are 2 at least, many 1 at least; a bitmap's count is its cardinality.
 */
#include "derived/posting.h"

#include "base/alloc.h"
#include "base/assert.h"

#include <errno.h>
#include <string.h>

#define FEW_BACK (POSTING_FEW_MAX / 2)
#define CHUNK 1024u /* ordinals that go into a bitmap at once */

/* What CRoaring can need for one ordinal: a container of 8 KiB with its head, and the list of
 * containers, of which each takes 11 bytes, grown to twice its size. */
#define CONTAINER_MOST ((size_t)8192 + 256)
#define LIST_ENTRY ((size_t)11)
#define MALLOC_HEAD 16u

enum kind {
    KIND_EMPTY = 0,
    KIND_ONE = 1,
    KIND_FEW = 2,
    KIND_MANY = 3,
};

struct many {
    roaring_bitmap_t *bitmap;
    uint64_t count;
    /* The bitmap's last container and the high bits of its ordinals, for those that come behind all
     * others: at most one of the two, see remember_last(). */
    struct array_container_s *last_array;
    struct bitset_container_s *last_bits;
    uint16_t last_key;
    uint16_t last_low; /* of an array: the low bits of its last ordinal, so that it is not read */
};

/* ---- the 8 bytes ---- */

static enum kind kind_of(const struct posting *posting)
{
    return (enum kind)(posting->word & 3);
}

static uint32_t high_of(const struct posting *posting)
{
    return (uint32_t)(posting->word >> 32);
}

static uint32_t few_count(const struct posting *posting)
{
    return (uint32_t)(posting->word >> 2) & 0x3ff;
}

static uint32_t few_capacity(const struct posting *posting)
{
    return (uint32_t)posting->word >> 12;
}

static uint32_t *few_at(const struct slab *slab, const struct posting *posting)
{
    return slab_at(slab, high_of(posting));
}

static struct many *many_at(const struct slab *slab, const struct posting *posting)
{
    return slab_at(slab, high_of(posting));
}

static uint64_t one_word(uint32_t ordinal)
{
    return (uint64_t)ordinal << 32 | KIND_ONE;
}

static uint64_t few_word(uint32_t block, uint32_t capacity, uint32_t count)
{
    return (uint64_t)block << 32 | (uint64_t)capacity << 12 | (uint64_t)count << 2 | KIND_FEW;
}

_Static_assert(POSTING_FEW_MAX < 0x3ff, "the count of few has 10 bits");

/* ---- memory ---- */

static int make_sure_of(size_t size)
{
    void *room = base_alloc(size);
    base_free(room);
    return room == NULL ? -ENOMEM : 0;
}

/* Room for so many more containers in a bitmap. */
static int make_sure_of_containers(const roaring_bitmap_t *bitmap, size_t count)
{
    size_t list = ((size_t)bitmap->high_low_container.allocation_size + count) * 2 * LIST_ENTRY;
    return make_sure_of(count * CONTAINER_MOST + list);
}

roaring_bitmap_t *posting_bitmap_create(void)
{
    return make_sure_of(sizeof(roaring_bitmap_t) + CONTAINER_MOST) < 0 ? NULL
                                                                       : roaring_bitmap_create();
}

static size_t few_bytes(uint32_t capacity)
{
    return capacity * sizeof(uint32_t);
}

/* What a block for so many has room for. */
static uint32_t few_room(uint32_t count)
{
    return (uint32_t)(slab_room(few_bytes(count)) / sizeof(uint32_t));
}

static void free_few(struct slab *slab, const struct posting *posting)
{
    slab_free(slab, high_of(posting), few_bytes(few_capacity(posting)));
}

static void free_many(struct slab *slab, const struct posting *posting)
{
    roaring_bitmap_free(many_at(slab, posting)->bitmap);
    slab_free(slab, high_of(posting), sizeof(struct many));
}

void posting_free(struct slab *slab, struct posting *posting)
{
    if (kind_of(posting) == KIND_FEW) {
        free_few(slab, posting);
    } else if (kind_of(posting) == KIND_MANY) {
        free_many(slab, posting);
    }
    posting->word = 0;
}

/* ---- few ---- */

/* The first index whose ordinal is not less. */
static uint32_t find_few(const uint32_t *few, uint32_t count, uint32_t ordinal)
{
    uint32_t low = 0;
    while (count > 0) {
        uint32_t half = count / 2;
        bool less = few[low + half] < ordinal;
        low += less ? half + 1 : 0;
        count = less ? count - half - 1 : half;
    }
    return low;
}

static bool few_contains(const uint32_t *few, uint32_t count, uint32_t ordinal)
{
    uint32_t at = find_few(few, count, ordinal);
    return at < count && few[at] == ordinal;
}

static int one_to_few(struct slab *slab, struct posting *posting, uint32_t ordinal)
{
    uint32_t first = high_of(posting);
    uint32_t block;
    uint32_t capacity = few_room(2);
    int rc = slab_alloc(slab, few_bytes(capacity), &block);
    if (rc < 0) {
        return rc;
    }
    uint32_t *few = slab_at(slab, block);
    few[0] = first < ordinal ? first : ordinal;
    few[1] = first < ordinal ? ordinal : first;
    posting->word = few_word(block, capacity, 2);
    return 1;
}

/* A block for `room` ordinals in exchange. */
static int exchange_few(struct slab *slab, struct posting *posting, uint32_t room)
{
    uint32_t count = few_count(posting);
    uint32_t block;
    uint32_t capacity = few_room(room);
    int rc = slab_alloc(slab, few_bytes(capacity), &block);
    if (rc < 0) {
        return rc;
    }
    memcpy(slab_at(slab, block), few_at(slab, posting), few_bytes(count));
    free_few(slab, posting);
    posting->word = few_word(block, capacity, count);
    return 0;
}

/* After each call that can have exchanged containers. */
static void remember_last(struct many *many)
{
    const roaring_array_t *list = &many->bitmap->high_low_container;
    many->last_array = NULL;
    many->last_bits = NULL;
    if (list->size == 0) {
        return;
    }
    int32_t last = list->size - 1;
    many->last_key = list->keys[last];
    if (list->typecodes[last] == ARRAY_CONTAINER_TYPE_CODE) {
        many->last_array = list->containers[last];
        const struct array_container_s *array = many->last_array;
        many->last_low = array->cardinality > 0 ? array->array[array->cardinality - 1] : UINT16_MAX;
    } else if (list->typecodes[last] == BITSET_CONTAINER_TYPE_CODE) {
        many->last_bits = list->containers[last];
    }
}

static int few_to_many(struct slab *slab, struct posting *posting)
{
    uint32_t count = few_count(posting);
    if (make_sure_of(count * (CONTAINER_MOST / 64 + LIST_ENTRY) + sizeof(roaring_bitmap_t) +
                     CONTAINER_MOST) < 0) {
        return -ENOMEM;
    }
    uint32_t block;
    int rc = slab_alloc(slab, sizeof(struct many), &block);
    if (rc < 0) {
        return rc;
    }
    struct many *many = slab_at(slab, block);
    many->bitmap = roaring_bitmap_create();
    if (many->bitmap == NULL) {
        slab_free(slab, block, sizeof(struct many));
        return -ENOMEM;
    }
    roaring_bitmap_add_many(many->bitmap, count, few_at(slab, posting));
    many->count = count;
    remember_last(many);
    free_few(slab, posting);
    posting->word = (uint64_t)block << 32 | KIND_MANY;
    return 0;
}

/* Behind the last ordinal, into the last container, when it has room: what most calls are, without
 * a search and without anything that allocates. False: another way, please. */
static bool append_to_array(struct many *many, uint32_t ordinal)
{
    struct array_container_s *last = many->last_array;
    uint16_t low = (uint16_t)ordinal;
    if (many->last_key != ordinal >> 16 || many->last_low >= low ||
        last->cardinality == last->capacity || last->cardinality == DEFAULT_MAX_SIZE) {
        return false;
    }
    many->last_low = low;
    last->array[last->cardinality++] = low;
    many->count++;
    return true;
}

/* Into a last container that is a set of bits: it has room for all. 1 (added); 0 (was there). */
static int add_to_bits(struct many *many, uint32_t ordinal)
{
    uint64_t *word = &many->last_bits->array[(ordinal & 0xffff) / 64];
    uint64_t bit = UINT64_C(1) << ordinal % 64;
    int added = (*word & bit) == 0;
    *word |= bit;
    many->last_bits->cardinality += added;
    many->count += (uint64_t)added;
    return added;
}

static int add_to_many(struct slab *slab, struct posting *posting, uint32_t ordinal)
{
    struct many *many = many_at(slab, posting);
    if (many->last_array != NULL && append_to_array(many, ordinal)) {
        return 1;
    }
    if (many->last_bits != NULL && many->last_key == ordinal >> 16) {
        return add_to_bits(many, ordinal);
    }
    if (make_sure_of_containers(many->bitmap, 1) < 0) {
        return -ENOMEM;
    }
    bool added = roaring_bitmap_add_checked(many->bitmap, ordinal);
    many->count += added;
    remember_last(many);
    return added;
}

static int add_to_few(struct slab *slab, struct posting *posting, uint32_t ordinal)
{
    uint32_t count = few_count(posting);
    uint32_t *few = few_at(slab, posting);
    uint32_t at = few[count - 1] < ordinal ? count : find_few(few, count, ordinal);
    if (at < count && few[at] == ordinal) {
        return 0;
    }
    if (count == POSTING_FEW_MAX) {
        int rc = few_to_many(slab, posting);
        return rc < 0 ? rc : add_to_many(slab, posting, ordinal);
    }
    if (count == few_capacity(posting)) {
        int rc = exchange_few(slab, posting, count + 1 + count / 4);
        if (rc < 0) {
            return rc;
        }
        few = few_at(slab, posting);
    }
    memmove(few + at + 1, few + at, few_bytes(count - at));
    few[at] = ordinal;
    posting->word += 1u << 2;
    return 1;
}

int posting_add(struct slab *slab, struct posting *posting, uint32_t ordinal)
{
    switch (kind_of(posting)) {
    case KIND_EMPTY:
        posting->word = one_word(ordinal);
        return 1;
    case KIND_ONE:
        return high_of(posting) == ordinal ? 0 : one_to_few(slab, posting, ordinal);
    case KIND_FEW:
        return add_to_few(slab, posting, ordinal);
    case KIND_MANY:
        return add_to_many(slab, posting, ordinal);
    }
    WEIR_UNREACHABLE();
}

void posting_prefetch(const struct slab *slab, const struct posting *posting)
{
    if (kind_of(posting) == KIND_FEW) {
        __builtin_prefetch(few_at(slab, posting) + few_count(posting), 1);
    } else if (kind_of(posting) == KIND_MANY) {
        __builtin_prefetch(many_at(slab, posting), 1);
    }
}

void posting_prefetch_more(const struct slab *slab, const struct posting *posting)
{
    if (kind_of(posting) == KIND_MANY) {
        const struct many *many = many_at(slab, posting);
        __builtin_prefetch(many->last_array, 1);
        __builtin_prefetch(many->last_bits, 1);
    }
}

/* ---- removing ---- */

static bool remove_from_few(struct slab *slab, struct posting *posting, uint32_t ordinal)
{
    uint32_t count = few_count(posting);
    uint32_t *few = few_at(slab, posting);
    uint32_t at = find_few(few, count, ordinal);
    if (at == count || few[at] != ordinal) {
        return false;
    }
    if (count == 2) {
        uint32_t other = few[1 - at];
        free_few(slab, posting);
        posting->word = one_word(other);
        return true;
    }
    memmove(few + at, few + at + 1, few_bytes(count - at - 1));
    posting->word -= 1u << 2;
    if (count - 1 < few_capacity(posting) / 2) {
        (void)exchange_few(slab, posting, count - 1 + count / 4);
    }
    return true;
}

/* Not done when there is no memory: the bitmap serves as well. */
static void many_to_few(struct slab *slab, struct posting *posting)
{
    struct many *many = many_at(slab, posting);
    uint32_t count = (uint32_t)many->count;
    if (count >= 2) {
        uint32_t block;
        uint32_t capacity = few_room(count);
        if (slab_alloc(slab, few_bytes(capacity), &block) < 0) {
            return;
        }
        roaring_bitmap_to_uint32_array(many->bitmap, slab_at(slab, block));
        free_many(slab, posting);
        posting->word = few_word(block, capacity, count);
        return;
    }
    uint32_t last = roaring_bitmap_minimum(many->bitmap);
    free_many(slab, posting);
    posting->word = count == 1 ? one_word(last) : 0;
}

static bool remove_from_many(struct slab *slab, struct posting *posting, uint32_t ordinal)
{
    struct many *many = many_at(slab, posting);
    if (!roaring_bitmap_remove_checked(many->bitmap, ordinal)) {
        return false;
    }
    many->count--;
    remember_last(many);
    if (many->count < FEW_BACK) {
        many_to_few(slab, posting);
    }
    return true;
}

bool posting_remove(struct slab *slab, struct posting *posting, uint32_t ordinal)
{
    switch (kind_of(posting)) {
    case KIND_EMPTY:
        return false;
    case KIND_ONE:
        if (high_of(posting) != ordinal) {
            return false;
        }
        posting->word = 0;
        return true;
    case KIND_FEW:
        return remove_from_few(slab, posting, ordinal);
    case KIND_MANY:
        return remove_from_many(slab, posting, ordinal);
    }
    WEIR_UNREACHABLE();
}

/* ---- asking ---- */

bool posting_contains(const struct slab *slab, const struct posting *posting, uint32_t ordinal)
{
    switch (kind_of(posting)) {
    case KIND_EMPTY:
        return false;
    case KIND_ONE:
        return high_of(posting) == ordinal;
    case KIND_FEW:
        return few_contains(few_at(slab, posting), few_count(posting), ordinal);
    case KIND_MANY:
        return roaring_bitmap_contains(many_at(slab, posting)->bitmap, ordinal);
    }
    WEIR_UNREACHABLE();
}

uint64_t posting_count(const struct slab *slab, const struct posting *posting)
{
    switch (kind_of(posting)) {
    case KIND_EMPTY:
        return 0;
    case KIND_ONE:
        return 1;
    case KIND_FEW:
        return few_count(posting);
    case KIND_MANY:
        return many_at(slab, posting)->count;
    }
    WEIR_UNREACHABLE();
}

bool posting_is_empty(const struct posting *posting)
{
    return posting->word == 0;
}

uint64_t posting_bytes(const struct slab *slab, const struct posting *posting)
{
    if (kind_of(posting) != KIND_MANY) {
        return 0;
    }
    const roaring_bitmap_t *bitmap = many_at(slab, posting)->bitmap;
    roaring_statistics_t statistics;
    roaring_bitmap_statistics(bitmap, &statistics);
    uint64_t containers = statistics.n_containers;
    return sizeof *bitmap + MALLOC_HEAD +
           (uint64_t)bitmap->high_low_container.allocation_size * LIST_ENTRY + MALLOC_HEAD +
           containers * (sizeof(struct array_container_s) + 2 * (uint64_t)MALLOC_HEAD) +
           statistics.n_bytes_array_containers + statistics.n_bytes_run_containers +
           statistics.n_bytes_bitset_containers;
}

/* ---- walking ---- */

#define LEFT_OF_BITMAP UINT32_MAX

bool posting_first(const struct slab *slab, const struct posting *posting,
                   struct posting_walk *ret_walk)
{
    switch (kind_of(posting)) {
    case KIND_EMPTY:
        return false;
    case KIND_ONE:
        ret_walk->ordinal = high_of(posting);
        ret_walk->left = 0;
        return true;
    case KIND_FEW:
        ret_walk->few = few_at(slab, posting);
        ret_walk->ordinal = *ret_walk->few;
        ret_walk->left = few_count(posting) - 1;
        return true;
    case KIND_MANY:
        roaring_init_iterator(many_at(slab, posting)->bitmap, &ret_walk->iterator);
        ret_walk->ordinal = ret_walk->iterator.current_value;
        ret_walk->left = LEFT_OF_BITMAP;
        return ret_walk->iterator.has_value;
    }
    WEIR_UNREACHABLE();
}

bool posting_next(struct posting_walk *walk)
{
    if (walk->left == LEFT_OF_BITMAP) {
        bool more = roaring_advance_uint32_iterator(&walk->iterator);
        walk->ordinal = walk->iterator.current_value;
        return more;
    }
    if (walk->left == 0) {
        return false;
    }
    walk->left--;
    walk->ordinal = *++walk->few;
    return true;
}

/* ---- with bitmaps ---- */

/* One or few, as an array. */
static uint32_t as_array(const struct slab *slab, const struct posting *posting, uint32_t *one,
                         const uint32_t **ret_array)
{
    if (kind_of(posting) == KIND_FEW) {
        *ret_array = few_at(slab, posting);
        return few_count(posting);
    }
    *one = high_of(posting);
    *ret_array = one;
    return kind_of(posting) == KIND_ONE;
}

static size_t container_count(const roaring_bitmap_t *bitmap)
{
    return (size_t)bitmap->high_low_container.size;
}

int posting_or_into(const struct slab *slab, const struct posting *posting,
                    roaring_bitmap_t *bitmap)
{
    if (kind_of(posting) == KIND_MANY) {
        const roaring_bitmap_t *other = many_at(slab, posting)->bitmap;
        if (make_sure_of_containers(bitmap, 2 * container_count(other)) < 0) {
            return -ENOMEM;
        }
        roaring_bitmap_or_inplace(bitmap, other);
        return 0;
    }
    uint32_t one;
    const uint32_t *array;
    uint32_t count = as_array(slab, posting, &one, &array);
    if (make_sure_of_containers(bitmap, count) < 0) {
        return -ENOMEM;
    }
    if (count > 0) {
        roaring_bitmap_add_many(bitmap, count, array);
    }
    return 0;
}

int posting_and_into(const struct slab *slab, const struct posting *posting,
                     roaring_bitmap_t *bitmap)
{
    if (make_sure_of_containers(bitmap, container_count(bitmap) + 1) < 0) {
        return -ENOMEM;
    }
    if (kind_of(posting) == KIND_MANY) {
        roaring_bitmap_and_inplace(bitmap, many_at(slab, posting)->bitmap);
        return 0;
    }
    uint32_t one;
    const uint32_t *array;
    uint32_t kept[POSTING_FEW_MAX];
    uint32_t kept_count = 0;
    uint32_t count = as_array(slab, posting, &one, &array);
    for (uint32_t index = 0; index < count; index++) {
        if (roaring_bitmap_contains(bitmap, array[index])) {
            kept[kept_count++] = array[index];
        }
    }
    roaring_bitmap_clear(bitmap);
    if (kept_count > 0) {
        roaring_bitmap_add_many(bitmap, kept_count, kept);
    }
    return 0;
}

/* ---- to a state file and back ---- */

void posting_encode_as(const struct slab *slab, const struct posting *posting,
                       const uint32_t *numbers, struct encoder *encoder)
{
    encode_number(encoder, posting_count(slab, posting));
    struct posting_walk walk;
    uint64_t least = 0; /* that can come next */
    for (bool more = posting_first(slab, posting, &walk); more; more = posting_next(&walk)) {
        uint32_t ordinal = numbers != NULL ? numbers[walk.ordinal] : walk.ordinal;
        WEIR_ASSERT(ordinal >= least);
        encode_number(encoder, ordinal - least);
        least = (uint64_t)ordinal + 1;
    }
}

void posting_encode(const struct slab *slab, const struct posting *posting, struct encoder *encoder)
{
    posting_encode_as(slab, posting, NULL, encoder);
}

static int decode_chunk(struct decoder *decoder, uint32_t *ordinals, uint32_t count,
                        uint64_t *least, uint32_t end)
{
    for (uint32_t index = 0; index < count; index++) {
        uint64_t difference;
        int rc = *least < end ? decode_number(decoder, end - 1 - *least, &difference)
                              : (decoder->error = WEIR_E_STATE);
        if (rc < 0) {
            return rc;
        }
        ordinals[index] = (uint32_t)(*least + difference);
        *least += difference + 1;
    }
    return 0;
}

static int decode_few(struct slab *slab, struct posting *posting, uint32_t count, uint32_t end,
                      struct decoder *decoder)
{
    uint32_t ordinals[POSTING_FEW_MAX];
    uint64_t least = 0;
    int rc = decode_chunk(decoder, ordinals, count, &least, end);
    if (rc < 0 || count == 0) {
        return rc;
    }
    if (count == 1) {
        posting->word = one_word(ordinals[0]);
        return 0;
    }
    uint32_t block;
    uint32_t capacity = few_room(count);
    rc = slab_alloc(slab, few_bytes(capacity), &block);
    if (rc < 0) {
        return rc;
    }
    memcpy(slab_at(slab, block), ordinals, few_bytes(count));
    posting->word = few_word(block, capacity, count);
    return 0;
}

static int decode_into_bitmap(roaring_bitmap_t *bitmap, uint64_t count, uint32_t end,
                              struct decoder *decoder)
{
    uint32_t ordinals[CHUNK];
    uint64_t least = 0;
    while (count > 0) {
        uint32_t chunk = count < CHUNK ? (uint32_t)count : CHUNK;
        int rc = decode_chunk(decoder, ordinals, chunk, &least, end);
        if (rc < 0) {
            return rc;
        }
        size_t containers = (ordinals[chunk - 1] >> 16) - (ordinals[0] >> 16) + (size_t)1;
        rc = make_sure_of_containers(bitmap, containers < chunk ? containers : chunk);
        if (rc < 0) {
            return rc;
        }
        roaring_bitmap_add_many(bitmap, chunk, ordinals);
        count -= chunk;
    }
    return 0;
}

int posting_decode(struct slab *slab, struct posting *posting, uint32_t end,
                   struct decoder *decoder)
{
    uint64_t count;
    WEIR_ASSERT(posting_is_empty(posting));
    int rc = decode_number(decoder, end, &count);
    if (rc < 0 || count <= POSTING_FEW_MAX) {
        return rc < 0 ? rc : decode_few(slab, posting, (uint32_t)count, end, decoder);
    }
    if (decoder_left(decoder) < count) {
        return decoder->error = WEIR_E_STATE;
    }
    uint32_t block;
    rc = slab_alloc(slab, sizeof(struct many), &block);
    if (rc < 0) {
        return rc;
    }
    roaring_bitmap_t *bitmap = posting_bitmap_create();
    rc = bitmap == NULL ? -ENOMEM : decode_into_bitmap(bitmap, count, end, decoder);
    if (rc < 0) {
        if (bitmap != NULL) {
            roaring_bitmap_free(bitmap);
        }
        slab_free(slab, block, sizeof(struct many));
        return rc;
    }
    struct many *many = slab_at(slab, block);
    *many = (struct many){.bitmap = bitmap, .count = count};
    remember_last(many);
    posting->word = (uint64_t)block << 32 | KIND_MANY;
    return 0;
}
