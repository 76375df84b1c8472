/*
 * Many short CRC-32C at once: four chains side by side.
 *
 * The crc32 instruction takes 8 bytes a cycle but has a latency of 3, and the processor looks only
 * some 24 of them ahead: what keeps it busy has to stand next to each other in the program.
 *
 *   1. all four run as far as the longest needs, over whatever lies behind the shorter ones, and
 *      leave their state behind at every word: no branch depends on any single size;
 *   2. each one's state is picked up where its words ended. That is the checksum of the input and
 *      its zeros, so the expected one is moved over as many zeros before the two are compared.
 *
 * Whatever four chains cannot take goes one by one: an empty input, one so long that ISA-L is as
 * fast, the last ones in front of `end`, and all on a CPU without the instruction.
 */
#include "base/crc32c_padded.h"

#include "base/crc32c.h"

#define WORD 8u
#define CACHE_LINE 64u

static bool matches(const struct base_crc32c_padded *input)
{
    uint8_t wrong = 0;
    for (size_t at = input->size; at % WORD != 0; at++) {
        wrong |= input->data[at];
    }
    return base_crc32c(0, input->data, input->size) == input->crc && wrong == 0;
}

/* What is fetched meanwhile, a share with each input: the processor itself fetches ahead in what is
 * long, but begins anew behind every header. */
#define AHEAD_MAX ((size_t)4096)

struct ahead {
    const uint8_t *at;
    size_t share;
};

static struct ahead behind(const struct base_crc32c_padded *inputs, size_t count)
{
    if (count == 0) {
        return (struct ahead){NULL, 0};
    }
    const struct base_crc32c_padded *last = &inputs[count - 1];
    const uint8_t *at = last->data + last->size;
    size_t share = (size_t)(at - inputs[0].data) / count;
    return (struct ahead){at, share < AHEAD_MAX ? share : AHEAD_MAX};
}

static inline void prefetch(struct ahead *ahead, size_t inputs)
{
    const uint8_t *end = ahead->at + ahead->share * inputs;
    for (; ahead->at < end; ahead->at += CACHE_LINE) {
        __builtin_prefetch(ahead->at);
    }
}

static bool each_matches(const struct base_crc32c_padded *inputs, size_t count, struct ahead *ahead)
{
    bool right = true;
    for (size_t index = 0; index < count; index++) {
        prefetch(ahead, 1);
        right = matches(&inputs[index]) && right;
    }
    return right;
}

#if defined(__x86_64__)

#define CHAINS 4u

/* Longer ones gain little, and what a short one beside them costs is bounded. */
#define WORDS_MAX 64u

static inline uint64_t load(const uint8_t *from)
{
    uint64_t word;
    memcpy(&word, from, sizeof word);
    return word;
}

static inline uint32_t larger(uint32_t a, uint32_t b)
{
    return a > b ? a : b;
}

/* Words of the longest of four; of an empty one that is more than any. */
static inline size_t most_words(const struct base_crc32c_padded *inputs)
{
    uint32_t size = larger(larger(inputs[0].size - 1, inputs[1].size - 1),
                           larger(inputs[2].size - 1, inputs[3].size - 1));
    return size / WORD + 1;
}

/* 0 when the input, whose words left `state`, has its checksum and its zeros. */
static inline uint64_t difference(const struct base_crc32c_padded *input, uint32_t state)
{
    unsigned last = (input->size - 1) % WORD; /* of the payload in its last word */
    uint64_t zeros = load(input->data + (input->size - 1 - last)) >> WORD >> WORD * last;
    uint64_t expected = ~input->crc;
    /* Over 7 - last bytes of zeros: these push as many bytes of the state through the division, and
     * the others move up. */
    uint64_t moved = base_crc32c_step8(0, expected << WORD << WORD * last);
    moved ^= expected >> WORD * (WORD - 1 - last);
    return zeros | (moved ^ state);
}

static inline uint64_t difference_at(const struct base_crc32c_padded *input, const uint32_t *states)
{
    return difference(input, states[(input->size - 1) / WORD]);
}

/* @param words  of the longest; that many can be read from the start of each. */
static inline uint64_t differences(const struct base_crc32c_padded *inputs, size_t words)
{
    const uint8_t *a = inputs[0].data, *b = inputs[1].data;
    const uint8_t *c = inputs[2].data, *d = inputs[3].data;
    uint64_t crc_a = UINT32_MAX, crc_b = UINT32_MAX, crc_c = UINT32_MAX, crc_d = UINT32_MAX;
    uint32_t states[CHAINS][WORDS_MAX];
    for (size_t word = 0; word < words; word++) {
        crc_a = base_crc32c_step8(crc_a, load(a + WORD * word));
        crc_b = base_crc32c_step8(crc_b, load(b + WORD * word));
        crc_c = base_crc32c_step8(crc_c, load(c + WORD * word));
        crc_d = base_crc32c_step8(crc_d, load(d + WORD * word));
        states[0][word] = (uint32_t)crc_a;
        states[1][word] = (uint32_t)crc_b;
        states[2][word] = (uint32_t)crc_c;
        states[3][word] = (uint32_t)crc_d;
    }
    return difference_at(&inputs[0], states[0]) | difference_at(&inputs[1], states[1]) |
           difference_at(&inputs[2], states[2]) | difference_at(&inputs[3], states[3]);
}

bool base_crc32c_all_match(const struct base_crc32c_padded *inputs, size_t count, const void *end)
{
    struct ahead ahead = behind(inputs, count);
    uint64_t different = 0;
    for (; count >= CHAINS; inputs += CHAINS, count -= CHAINS) {
        size_t words = most_words(inputs);
        size_t room = (size_t)((const uint8_t *)end - inputs[CHAINS - 1].data);
        if (words <= WORDS_MAX && WORD * words <= room && base_crc32c_hardware) {
            prefetch(&ahead, CHAINS);
            different |= differences(inputs, words);
        } else {
            different |= each_matches(inputs, CHAINS, &ahead) ? 0 : 1;
        }
    }
    return each_matches(inputs, count, &ahead) && different == 0;
}

#else

bool base_crc32c_all_match(const struct base_crc32c_padded *inputs, size_t count, const void *end)
{
    (void)end;
    struct ahead ahead = behind(inputs, count);
    return each_matches(inputs, count, &ahead);
}

#endif
