/*
 * Scan: the keys of a table in order, both ways.
 *
 * Happy path: the bounds (prefix, from, to) become one half-open interval; the index gives
 * addresses in order, a batch at a time, and the records of a batch are fetched while the ones
 * before are read. Each key is held against the far end of the interval until one lies beyond it.
 *
 * Failure modes: as of a get, for one row: the next call goes on behind it.
 *
 * Invariant: what is shown is what the view shows; keys that the view does not have are passed
 * over.
 */
#include "engine/engine.h"
#include "engine/place_row.h"

#include <errno.h>
#include <string.h>

#define SCAN_BATCH 64u             /* addresses that the index is asked for at a time */
#define SCAN_RING (2 * SCAN_BATCH) /* and that are kept */
#define SCAN_AHEAD 24u             /* records that are being fetched at a time, */
#define SCAN_RUN 8u                /* and that are read before more are asked for */

struct weir_scan {
    struct weir_read *read;
    struct weir_scan_options options;
    struct index_iterator iterator;
    uint64_t addresses[SCAN_RING];
    struct place_slot *slots[SCAN_RING]; /* of those that were asked for; NULL: not known */
    uint32_t next, fetched, known;       /* addresses that were read, asked for, and got; in all */
    bool exhausted;                      /* the index has no more, */
    bool ended;                          /* and what it had was read, or lies beyond the far end */
    bool unbounded;                      /* neither prefix nor ends: every key is shown */
    int error;                           /* of the index, told once, behind what it gave before */
    int pending;                         /* of a row, told when the rows before it were taken */
};

static int compare(struct weir_bytes a, struct weir_bytes b)
{
    size_t size = a.size < b.size ? a.size : b.size;
    int order = size > 0 ? memcmp(a.data, b.data, size) : 0;
    return order != 0 ? order : (a.size > b.size) - (a.size < b.size);
}

static bool has_prefix(struct weir_bytes key, struct weir_bytes prefix)
{
    return key.size >= prefix.size &&
           (prefix.size == 0 || memcmp(key.data, prefix.data, prefix.size) == 0);
}

/* Is the key on this side of the lower end? */
static bool is_above(const struct weir_scan *scan, struct weir_bytes key)
{
    return compare(key, scan->options.from) >= 0 && compare(key, scan->options.prefix) >= 0;
}

/* Is the key on this side of the upper end? Keys behind the prefix are greater than it, and do not
 * begin with it. */
static bool is_below(const struct weir_scan *scan, struct weir_bytes key)
{
    const struct weir_scan_options *options = &scan->options;
    return (!options->bounded || compare(key, options->to) < 0) &&
           (has_prefix(key, options->prefix) || compare(key, options->prefix) < 0);
}

static struct index_key as_key(struct weir_bytes bytes)
{
    return (struct index_key){bytes.data, (uint32_t)bytes.size};
}

static int seek_first(struct weir_scan *scan)
{
    const struct weir_scan_options *options = &scan->options;
    struct weir_bytes low =
        compare(options->from, options->prefix) > 0 ? options->from : options->prefix;
    return index_seek(&scan->iterator, as_key(low), low.size > 0 ? INDEX_GE : INDEX_FIRST);
}

/* The least key that is greater than all that begin with the prefix is the prefix without its last
 * bytes of 255, and one more in the last that is left. Its bytes are put into `end`. */
static bool end_of_prefix(struct weir_bytes prefix, uint8_t *end, size_t *ret_size)
{
    size_t size = prefix.size;
    memcpy(end, prefix.data, size);
    while (size > 0 && end[size - 1] == UINT8_MAX) {
        size--;
    }
    if (size == 0) {
        return false;
    }
    end[size - 1]++;
    *ret_size = size;
    return true;
}

static int seek_last(struct weir_scan *scan)
{
    const struct weir_scan_options *options = &scan->options;
    struct weir_bytes high = options->bounded ? options->to : (struct weir_bytes){NULL, 0};
    bool is_open = !options->bounded;
    uint8_t *end = NULL;
    size_t size;
    if (options->prefix.size > 0) {
        end = base_alloc(options->prefix.size);
        if (end == NULL) {
            return -ENOMEM;
        }
        if (end_of_prefix(options->prefix, end, &size) &&
            (is_open || compare((struct weir_bytes){end, size}, high) < 0)) {
            high = (struct weir_bytes){end, size};
            is_open = false;
        }
    }
    int rc = is_open ? index_seek(&scan->iterator, (struct index_key){NULL, 0}, INDEX_LAST)
                     : index_seek(&scan->iterator, as_key(high), INDEX_LT);
    base_free(end);
    return rc;
}

static bool bytes_are_valid(struct weir_bytes bytes)
{
    return bytes.size == 0 || (bytes.data != NULL && bytes.size <= WEIR_KEY_BYTES_MAX);
}

static bool options_are_valid(const struct weir_scan_options *options)
{
    return options->size == sizeof *options && options->reserved[0] == 0 &&
           options->reserved[1] == 0 && bytes_are_valid(options->prefix) &&
           bytes_are_valid(options->from) && bytes_are_valid(options->to);
}

int weir_scan_open(struct weir_read *read, const struct weir_scan_options *options,
                   struct weir_scan **ret_scan)
{
    static const struct weir_scan_options defaults = WEIR_SCAN_OPTIONS_INIT;
    options = options != NULL ? options : &defaults;
    if (read == NULL || read->engine == NULL || ret_scan == NULL || !options_are_valid(options)) {
        return -EINVAL;
    }
    struct engine_table *table = table_of(read->engine, options->table);
    if (table == NULL) {
        return WEIR_E_NO_TABLE;
    }
    struct weir_scan *scan = base_alloc_zero(sizeof *scan);
    if (scan == NULL) {
        return -ENOMEM;
    }
    scan->read = read;
    scan->options = *options;
    scan->unbounded = options->prefix.size == 0 && options->from.size == 0 && !options->bounded;
    index_iterator_init(&scan->iterator, &table->index);
    if (options->bounded && options->to.size == 0) {
        scan->ended = true; /* no key is less than the empty one */
    } else {
        scan->error = options->reverse ? seek_last(scan) : seek_first(scan);
    }
    if (scan->error == -ENOMEM) {
        base_free(scan);
        return -ENOMEM;
    }
    read->scans++;
    *ret_scan = scan;
    return 0;
}

void weir_scan_close(struct weir_scan *scan)
{
    if (scan != NULL) {
        scan->read->scans--;
        base_free(scan);
    }
}

/* Gets the next addresses from the index, before the last ones are used up: so that the records
 * that are on their way arrive meanwhile. */
static void refill(struct weir_scan *scan)
{
    uint64_t *addresses = &scan->addresses[scan->known % SCAN_RING];
    int rc = scan->error;
    if (rc == 0) {
        rc = scan->options.reverse
                 ? index_previous_batch(&scan->iterator, addresses, (int)SCAN_BATCH)
                 : index_next_batch(&scan->iterator, addresses, (int)SCAN_BATCH);
    }
    scan->error = rc < 0 ? rc : 0;
    scan->exhausted = rc < (int)SCAN_BATCH;
    scan->known += rc > 0 ? (uint32_t)rc : 0;
}

/* Sees to it that the next records are on their way: how many are, at most a run; 0 at the end. */
static uint32_t fetch_ahead(struct weir_scan *scan)
{
    struct engine_places *places = &scan->read->engine->places;
    uint32_t next = scan->next, at = scan->fetched;
    if (at - next <= SCAN_AHEAD - SCAN_RUN) {
        if (scan->known - next <= SCAN_AHEAD && !scan->exhausted) {
            refill(scan);
        }
        uint32_t end = scan->known - next < SCAN_AHEAD ? scan->known : next + SCAN_AHEAD;
        for (; at != end; at++) {
            uint64_t address = scan->addresses[at % SCAN_RING];
            struct place_slot *slot = place_slot_of(places, address);
            scan->slots[at % SCAN_RING] = slot;
            place_prefetch_at(slot, place_offset(places, address));
        }
        scan->fetched = end;
    }
    return at - next < SCAN_RUN ? at - next : SCAN_RUN;
}

/* The row as it was: 1; 0 (absent); errors. */
static int show_as_of(struct weir_scan *scan, uint64_t address, struct weir_row *ret_row)
{
    struct engine_version version;
    int rc = place_version(&scan->read->engine->places, address, &version);
    rc = rc == 0 ? version_as_of(scan->read->engine, scan->read->as_of, &version) : rc;
    if (rc <= 0 || version.operation == WEIR_REMOVE) {
        return rc < 0 ? rc : 0;
    }
    *ret_row = (struct weir_row){version.key, version.value, version.lsn};
    return 1;
}

/* The next entry of the index, as the view shows it: 1; 0 (nothing to be shown, or it lies beyond
 * the far end, which sets ended); errors. */
static int take(struct weir_scan *scan, struct weir_row *ret_row)
{
    uint32_t at = scan->next++ % SCAN_RING;
    uint64_t address = scan->addresses[at];
    int rc = place_row_in(&scan->read->engine->places, scan->slots[at], address, ret_row);
    if (rc < 0) {
        return rc;
    }
    if (!scan->unbounded) {
        bool above = is_above(scan, ret_row->key), below = is_below(scan, ret_row->key);
        if (!above || !below) {
            scan->ended = scan->options.reverse ? !above : !below;
            return 0;
        }
    }
    return scan->read->as_of == UINT64_MAX ? rc : show_as_of(scan, address, ret_row);
}

/* As take() for up to `run` entries, of a scan that shows every key in its newest version: only
 * records are left to be read. How many rows; *ret_error is of the entry behind them, or 0. */
static int take_plain(struct weir_scan *scan, uint32_t run, struct weir_row *ret_rows,
                      int *ret_error)
{
    struct engine_places *places = &scan->read->engine->places;
    uint32_t next = scan->next, end = next + run;
    struct weir_row *row = ret_rows;
    int rc = 0;
    while (next != end) {
        uint32_t at = next++ % SCAN_RING;
        struct place_slot *slot = scan->slots[at];
        uint64_t address = scan->addresses[at];
        struct weir_record record;
        bool plain =
            __builtin_expect(slot != NULL, 1) &&
            place_change_in(slot, place_offset(places, address), RECORD_CHANGE_BYTES, &record) &&
            record_read_put(&record, row);
        rc = __builtin_expect(plain, 1) ? 1 : place_row_in(places, slot, address, row);
        if (__builtin_expect(rc < 0, 0)) {
            break;
        }
        row += rc; /* a delete is written over */
    }
    scan->next = next;
    *ret_error = rc < 0 ? rc : 0;
    return (int)(row - ret_rows);
}

/* The next rows, at least one of them unless the end is reached; how many. An error ends it. */
static int take_rows(struct weir_scan *scan, struct weir_row *ret_rows, int max, int *ret_error)
{
    bool plain = scan->unbounded && scan->read->as_of == UINT64_MAX;
    int count = 0, rc = 0;
    while (rc >= 0 && count < max && !scan->ended) {
        uint32_t run = fetch_ahead(scan);
        if (run == 0) {
            scan->ended = true;
            rc = scan->error;
        } else if (plain) {
            uint32_t room = (uint32_t)(max - count);
            count += take_plain(scan, run < room ? run : room, ret_rows + count, &rc);
        } else {
            while (run-- > 0 && rc >= 0 && count < max && !scan->ended) {
                rc = take(scan, &ret_rows[count]);
                count += rc > 0 ? 1 : 0;
            }
        }
    }
    *ret_error = rc < 0 ? rc : 0;
    return count;
}

static int take_pending(struct weir_scan *scan)
{
    int rc = scan->pending;
    scan->pending = 0;
    return rc;
}

int weir_scan_next(struct weir_scan *scan, struct weir_row *ret_row)
{
    if (scan == NULL || ret_row == NULL) {
        return -EINVAL;
    }
    int rc = take_pending(scan);
    if (rc == 0) {
        int count = take_rows(scan, ret_row, 1, &rc);
        rc = rc < 0 ? rc : count;
    }
    return rc;
}

int weir_scan_next_batch(struct weir_scan *scan, struct weir_row *ret_rows, int max)
{
    if (scan == NULL || ret_rows == NULL || max < 1) {
        return -EINVAL;
    }
    int rc = take_pending(scan);
    int count = rc == 0 ? take_rows(scan, ret_rows, max, &rc) : 0;
    if (rc < 0 && count > 0) {
        scan->pending = rc;
        return count;
    }
    return rc < 0 ? rc : count;
}
