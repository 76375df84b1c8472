/*
 * Making records and knowing them again: 8 bytes of origin, then numbers from a generator that is
 * seeded with it. The size is drawn from the same generator.
 */
#include "cli/crash_record.h"

#include "base/le.h"
#include "base/random.h"

#include <string.h>

size_t crash_record_make(struct crash_origin origin, const struct crash_sizes *sizes,
                         uint8_t *payload)
{
    struct base_prng prng;
    base_prng_seed(&prng, (uint64_t)origin.writer << 32 | origin.number);
    size_t size = sizes->min + base_prng_below(&prng, sizes->max - sizes->min + 1);
    struct le32 words[2];
    le32_store(&words[0], origin.writer);
    le32_store(&words[1], origin.number);
    memcpy(payload, words, sizeof words);
    base_prng_fill(&prng, payload + sizeof words, size - sizeof words);
    return size;
}

bool crash_record_read(const struct weir_record *record, const struct crash_sizes *sizes,
                       uint8_t *scratch, struct crash_origin *ret_origin)
{
    struct le32 words[2];
    if (record->flags != 0 || record->size < CRASH_SIZE_MIN || record->size > sizes->max) {
        return false;
    }
    memcpy(words, record->data, sizeof words);
    struct crash_origin origin = {le32_load(&words[0]), le32_load(&words[1])};
    size_t size = crash_record_make(origin, sizes, scratch);
    if (record->size != size || memcmp(record->data, scratch, size) != 0) {
        return false;
    }
    *ret_origin = origin;
    return true;
}
