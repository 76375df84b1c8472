/*
 * Fingerprint: a state in 16 bytes.
 *
 * Happy path: a snapshot, and a scan of each table; each live key gives a hash of (table, LSN of
 * its version, size of its key, key, value), and the hashes are added up, so that their order does
 * not count. Equal states have equal sums; that different ones have is as likely as two equal
 * hashes.
 *
 * Tables without live keys do not count: a state is what can be read.
 */
#include "engine/engine.h"

#include "base/assert.h"

#include <errno.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define FINGERPRINT_BATCH 64

struct sum {
    struct le64 low, high;
};

struct fingerprint_head {
    struct le32 table;
    struct le32 key_size;
    struct le64 lsn;
};

static void add_row(weir_table table, const struct weir_row *row, uint64_t sum[2])
{
    struct fingerprint_head head;
    le32_store(&head.table, table);
    le32_store(&head.key_size, (uint32_t)row->key.size);
    le64_store(&head.lsn, row->lsn);
    XXH3_state_t state;
    XXH3_INITSTATE(&state);
    XXH3_128bits_reset(&state);
    XXH3_128bits_update(&state, &head, sizeof head);
    XXH3_128bits_update(&state, row->key.data, row->key.size);
    XXH3_128bits_update(&state, row->value.data, row->value.size);
    XXH128_hash_t hash = XXH3_128bits_digest(&state);
    sum[0] += hash.low64;
    sum[1] += hash.high64 + (sum[0] < hash.low64 ? 1 : 0);
}

static int add_table(struct weir_read *read, weir_table table, uint64_t sum[2], uint64_t *keys)
{
    struct weir_scan_options options = WEIR_SCAN_OPTIONS_INIT;
    options.table = table;
    struct weir_scan *scan;
    struct weir_row rows[FINGERPRINT_BATCH];
    int rc = weir_scan_open(read, &options, &scan);
    if (rc < 0) {
        return rc;
    }
    while ((rc = weir_scan_next_batch(scan, rows, FINGERPRINT_BATCH)) > 0) {
        for (int i = 0; i < rc; i++) {
            add_row(table, &rows[i], sum);
        }
        *keys += (uint64_t)rc;
    }
    weir_scan_close(scan);
    return rc;
}

static int add_tables(struct weir_engine *engine, weir_lsn lsn, uint64_t sum[2], uint64_t *keys)
{
    struct weir_read_options options = WEIR_READ_OPTIONS_INIT;
    options.view = WEIR_VIEW_AS_OF;
    options.lsn = lsn;
    struct weir_read read;
    int rc = weir_read_begin(engine, &options, &read);
    if (rc < 0) {
        return rc;
    }
    uint32_t end = atomic_load_explicit(&engine->tables.end, memory_order_relaxed);
    for (uint32_t i = 0; i < end && rc == 0; i++) {
        rc = table_of(engine, i) != NULL ? add_table(&read, i, sum, keys) : 0;
    }
    weir_read_end(&read);
    return rc;
}

int weir_engine_fingerprint(struct weir_engine *engine, weir_lsn lsn, uint8_t ret_fingerprint[16],
                            uint64_t *ret_keys)
{
    if (engine == NULL || ret_fingerprint == NULL) {
        return -EINVAL;
    }
    struct weir_snapshot *snapshot;
    int rc = weir_snapshot_open(engine, lsn, &snapshot);
    if (rc < 0) {
        return rc;
    }
    uint64_t sum[2] = {0, 0}, keys = 0;
    rc = add_tables(engine, weir_snapshot_lsn(snapshot), sum, &keys);
    weir_snapshot_close(snapshot);
    if (rc < 0) {
        return rc;
    }
    struct sum result;
    le64_store(&result.low, sum[0]);
    le64_store(&result.high, sum[1]);
    memcpy(ret_fingerprint, &result, sizeof result);
    if (ret_keys != NULL) {
        *ret_keys = keys;
    }
    return 0;
}
