/*
 * Verification behind a damaged group header: the next group that is valid by itself.
 *
 * Every block is tried as a header, under each seed that groups of this segment can have.
 */
#include "wal/verify.h"

#include <string.h>

const struct segment_header *verify_header_of(const struct verify *verify, uint64_t place)
{
    const struct inventory_segment *segment = inventory_at(&verify->inventory, place);
    bool ours = segment != NULL && segment->header_result == 0 &&
                memcmp(segment->header.uuid, verify->control.uuid, FORMAT_UUID_BYTES) == 0;
    return ours ? &segment->header : NULL;
}

const struct segment_header *verify_header_behind(const struct verify *verify)
{
    const struct inventory_segment *here = inventory_at(&verify->inventory, verify->place);
    uint64_t next = here != NULL ? inventory_last(here) + 1 : verify->place + 1;
    for (; next <= verify->last_place; next++) {
        const struct segment_header *header = verify_header_of(verify, next);
        if (header != NULL) {
            return header;
        }
    }
    return NULL;
}

struct seeds {
    uint32_t seed[3];
    uint64_t epoch[3];
    uint32_t count;
};

static void add_seed(struct seeds *seeds, uint32_t seed, uint64_t epoch)
{
    seeds->seed[seeds->count] = seed;
    seeds->epoch[seeds->count++] = epoch;
}

/* What groups of this segment can be under: where the walk is, or what a later place says. */
static struct seeds possible_seeds(const struct verify *verify)
{
    struct seeds seeds = {.count = 0};
    add_seed(&seeds, verify->chain.seed, verify->chain.epoch);
    const struct segment_header *behind = verify_header_behind(verify);
    if (behind != NULL) {
        add_seed(&seeds, behind->seed, behind->epoch);
    }
    if (verify->has_control) {
        add_seed(&seeds, verify->control.seed, verify->control.epoch);
    }
    return seeds;
}

static bool decode_under(const struct verify *verify, const uint8_t *bytes, uint64_t address,
                         const struct seeds *seeds, struct group_chain *ret_chain)
{
    const struct format_group *raw = (const struct format_group *)bytes;
    if (le64_load(&raw->address) != address) {
        return false;
    }
    for (uint32_t i = 0; i < seeds->count; i++) {
        struct group_header header;
        if (group_decode(bytes, address, seeds->seed[i], verify->scan.uuid_seed,
                         verify->control.segment_bytes, &header) == GROUP_OK) {
            bool epoch = header.kind == FORMAT_GROUP_EPOCH;
            *ret_chain = (struct group_chain){
                .next_lsn = header.first_lsn,
                .time_ns = header.time_ns,
                .epoch = epoch && header.epoch > 0 ? header.epoch - 1 : seeds->epoch[i],
                .seed = seeds->seed[i],
                .crc = header.chain,
            };
            return true;
        }
    }
    return false;
}

/* VERIFY_FOUND with walk at the next group whose header is valid by itself; 0: there is none in
 * this file; -errno. It must not go back, unless nothing was met yet: the first retained LSN may
 * lie in the middle of a group. */
int verify_find_group(struct verify *verify, struct scan_walk *walk, uint64_t from)
{
    struct seeds seeds = possible_seeds(verify);
    uint64_t base = verify->ordinal * verify->control.segment_bytes;
    for (uint64_t offset = from; offset < verify->control.segment_bytes;
         offset += verify->scan.block_bytes) {
        const uint8_t *bytes;
        int rc = scan_bytes(&verify->scan, offset, FORMAT_GROUP_HEADER_BYTES, &bytes);
        if (rc == WEIR_E_CUT_SHORT) {
            return 0;
        }
        if (rc < 0 && !scan_is_medium_error(rc)) {
            return rc;
        }
        struct group_chain chain;
        if (rc == 0 && decode_under(verify, bytes, base + offset, &seeds, &chain) &&
            (chain.next_lsn >= verify->chain.next_lsn || verify->latest == WEIR_LSN_NONE)) {
            *walk = (struct scan_walk){.chain = chain, .offset = (uint32_t)offset};
            return VERIFY_FOUND;
        }
    }
    return 0;
}
