/*
 * Making records and knowing them again: 8 bytes of origin, then numbers from a generator that is
 * seeded with it. The size is drawn from the same generator. A put carries them as its value.
 */
#include "cli/crash_record.h"

#include "cli/crash_engine.h"

#include "base/le.h"
#include "base/random.h"

#include <weir/change.h>

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

static bool read_payload(const struct weir_record *record, const struct crash_sizes *sizes,
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

static bool read_put(const struct weir_record *record, const struct crash_sizes *sizes,
                     uint8_t *scratch, struct crash_origin *ret_origin)
{
    struct weir_change change;
    uint8_t key[CRASH_KEY_BYTES];
    if (weir_change_decode(record, &change) != 1 || change.operation == WEIR_REMOVE) {
        return false;
    }
    struct weir_record payload = {.lsn = record->lsn,
                                  .flags = record->flags,
                                  .data = change.value.data,
                                  .size = (uint32_t)change.value.size};
    if (!read_payload(&payload, sizes, scratch, ret_origin)) {
        return false;
    }
    crash_engine_key(*ret_origin, key);
    return change.key.size == sizeof key && memcmp(change.key.data, key, sizeof key) == 0;
}

bool crash_record_read(const struct weir_record *record, const struct crash_sizes *sizes,
                       uint8_t *scratch, struct crash_origin *ret_origin)
{
    return record->type == WEIR_TYPE_CHANGE ? read_put(record, sizes, scratch, ret_origin)
                                            : read_payload(record, sizes, scratch, ret_origin);
}
