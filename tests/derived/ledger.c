#include "tests/derived/ledger.h"

#include "base/alloc.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <weir/write.h>

/* ---- rows ---- */

static int compare(const struct ledger_row *row, weir_table table, struct weir_bytes key)
{
    if (row->table != table) {
        return row->table < table ? -1 : 1;
    }
    size_t size = row->key_size < key.size ? row->key_size : key.size;
    int order = memcmp(row->bytes, key.data, size);
    return order != 0 ? order : (row->key_size > key.size) - (row->key_size < key.size);
}

/* Where it is, or belongs. */
static size_t place(const struct ledger *ledger, weir_table table, struct weir_bytes key,
                    bool *ret_found)
{
    size_t low = 0, high = ledger->count;
    *ret_found = false;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = compare(&ledger->rows[middle], table, key);
        if (order == 0) {
            *ret_found = true;
            return middle;
        }
        low = order < 0 ? middle + 1 : low;
        high = order < 0 ? high : middle;
    }
    return low;
}

const struct ledger_row *ledger_find(const struct ledger *ledger, weir_table table,
                                     struct weir_bytes key)
{
    bool found;
    size_t at = place(ledger, table, key, &found);
    return found ? &ledger->rows[at] : NULL;
}

static void remove_at(struct ledger *ledger, size_t at)
{
    base_free(ledger->rows[at].bytes);
    ledger->count--;
    memmove(&ledger->rows[at], &ledger->rows[at + 1], (ledger->count - at) * sizeof *ledger->rows);
}

static int set(struct ledger *ledger, weir_table table, struct weir_bytes key,
               struct weir_bytes value, weir_lsn lsn)
{
    bool found;
    size_t at = place(ledger, table, key, &found);
    uint8_t *bytes = base_alloc(key.size + value.size);
    if (bytes == NULL) {
        return -ENOMEM;
    }
    memcpy(bytes, key.data, key.size);
    if (value.size > 0) {
        memcpy(bytes + key.size, value.data, value.size);
    }
    if (found) {
        base_free(ledger->rows[at].bytes);
    } else {
        if (ledger->count == ledger->room) {
            size_t room = ledger->room == 0 ? 16 : 2 * ledger->room;
            struct ledger_row *rows = base_alloc_array(room, sizeof *rows);
            if (rows == NULL) {
                base_free(bytes);
                return -ENOMEM;
            }
            if (ledger->count > 0) {
                memcpy(rows, ledger->rows, ledger->count * sizeof *rows);
            }
            base_free(ledger->rows);
            ledger->rows = rows;
            ledger->room = room;
        }
        memmove(&ledger->rows[at + 1], &ledger->rows[at],
                (ledger->count - at) * sizeof *ledger->rows);
        ledger->count++;
    }
    ledger->rows[at] =
        (struct ledger_row){table, lsn, (uint32_t)key.size, (uint32_t)value.size, bytes};
    return 0;
}

void ledger_spoil(struct ledger *ledger, const char *key)
{
    bool found;
    size_t at = place(ledger, 0, (struct weir_bytes){key, strlen(key)}, &found);
    if (found && ledger->rows[at].value_size > 0) {
        ledger->rows[at].bytes[ledger->rows[at].key_size] ^= 1;
    }
}

void ledger_drop(struct ledger *ledger, const char *key)
{
    bool found;
    size_t at = place(ledger, 0, (struct weir_bytes){key, strlen(key)}, &found);
    if (found) {
        remove_at(ledger, at);
    }
}

/* ---- the referee ---- */

__attribute__((format(printf, 2, 3))) static void object(struct ledger *ledger, const char *format,
                                                         ...)
{
    if (ledger->wrong++ == 0) {
        va_list arguments;
        va_start(arguments, format);
        (void)vsnprintf(ledger->why, sizeof ledger->why, format, arguments);
        va_end(arguments);
    }
}

static bool is_value(const struct ledger_row *row, struct weir_bytes value)
{
    return row->value_size == value.size &&
           (value.size == 0 || memcmp(row->bytes + row->key_size, value.data, value.size) == 0);
}

static void judge(struct ledger *ledger, const struct weir_event *event)
{
    const struct ledger_row *row = ledger_find(ledger, event->table, event->key);
    if (!event->state && event->lsn <= ledger->last) {
        object(ledger, "LSN %" PRIu64 " behind %" PRIu64, event->lsn, ledger->last);
    }
    if (event->operation == WEIR_INSERT && (row != NULL || event->before.size > 0)) {
        object(ledger, "LSN %" PRIu64 " inserts what is there", event->lsn);
    }
    if (event->operation != WEIR_INSERT && row == NULL && !ledger->partial) {
        object(ledger, "LSN %" PRIu64 " changes what is not there", event->lsn);
    }
    if (event->operation != WEIR_INSERT && row != NULL &&
        (!is_value(row, event->before) || row->lsn != event->before_lsn)) {
        object(ledger, "LSN %" PRIu64 " has another before-image", event->lsn);
    }
}

static int apply(void *self, const struct weir_event *event)
{
    struct ledger *ledger = self;
    bool found;
    if (ledger->refuse != NULL && event->key.size == strlen(ledger->refuse) &&
        memcmp(event->key.data, ledger->refuse, event->key.size) == 0) {
        return ledger->refuse_with != 0 ? ledger->refuse_with : -EIO;
    }
    if (ledger->writes_to != NULL) {
        ledger->write_rc = weir_put(ledger->writes_to, 0, WEIR_TEXT("from within"), WEIR_TEXT("x"),
                                    WEIR_NONE, NULL);
    }
    if (ledger->calls != NULL) {
        ledger->call_rc = weir_host_flush(ledger->calls, NULL, 0);
    }
    if (ledger->on_event != NULL) {
        ledger->on_event(ledger->context, event);
    }
    judge(ledger, event);
    if (event->operation != WEIR_REMOVE) {
        int rc = set(ledger, event->table, event->key, event->after, event->lsn);
        if (rc < 0) {
            return rc;
        }
    } else {
        size_t at = place(ledger, event->table, event->key, &found);
        if (found) {
            remove_at(ledger, at);
        }
    }
    ledger->last = event->state ? ledger->last : event->lsn;
    ledger->events++;
    ledger->states += event->state;
    return 0;
}

/* ---- the rest of a system ---- */

static void clear(struct ledger *ledger)
{
    while (ledger->count > 0) {
        base_free(ledger->rows[--ledger->count].bytes);
    }
    base_free(ledger->rows);
    ledger->rows = NULL;
    ledger->room = 0;
}

static void reset(void *self)
{
    struct ledger *ledger = self;
    clear(ledger);
    ledger->last = WEIR_LSN_NONE;
    ledger->events = 0;
    ledger->states = 0;
    ledger->resets++;
}

static int save(void *self, struct weir_state_writer *writer)
{
    struct ledger *ledger = self;
    uint64_t head[] = {ledger->count, ledger->last};
    if (ledger->save_with != 0) {
        return ledger->save_with;
    }
    (void)weir_state_write(writer, head, sizeof head);
    for (size_t i = 0; i < ledger->count; i++) {
        const struct ledger_row *row = &ledger->rows[i];
        uint64_t sizes[] = {row->table, row->lsn, row->key_size, row->value_size};
        (void)weir_state_write(writer, sizes, sizeof sizes);
        (void)weir_state_write(writer, row->bytes, row->key_size + row->value_size);
    }
    ledger->saves++;
    return 0; /* commit tells what went wrong */
}

static int load_row(struct ledger *ledger, struct weir_state_reader *reader)
{
    uint64_t sizes[4];
    int rc = weir_state_read(reader, sizes, sizeof sizes);
    if (rc < 0) {
        return rc;
    }
    size_t size = (size_t)(sizes[2] + sizes[3]);
    if (size > weir_state_left(reader)) {
        return WEIR_E_STATE;
    }
    uint8_t *bytes = base_alloc(size);
    rc = bytes == NULL ? -ENOMEM : weir_state_read(reader, bytes, size);
    if (rc == 0) {
        rc = set(ledger, (weir_table)sizes[0], (struct weir_bytes){bytes, (size_t)sizes[2]},
                 (struct weir_bytes){bytes + sizes[2], (size_t)sizes[3]}, sizes[1]);
    }
    base_free(bytes);
    return rc;
}

static int load(void *self, struct weir_state_reader *reader)
{
    struct ledger *ledger = self;
    uint64_t head[2];
    int rc =
        ledger->load_with != 0 ? ledger->load_with : weir_state_read(reader, head, sizeof head);
    for (uint64_t i = 0; rc == 0 && i < head[0]; i++) {
        rc = load_row(ledger, reader);
    }
    if (rc == 0) {
        ledger->last = head[1];
        ledger->loads++;
    }
    return rc;
}

static uint64_t hash_bytes(uint64_t hash, const void *data, size_t size)
{
    const uint8_t *bytes = data;
    for (size_t i = 0; i < size; i++) {
        hash = (hash ^ bytes[i]) * UINT64_C(0x100000001b3);
    }
    return hash ^ hash >> 29;
}

static void hash_row(const struct ledger_row *row, uint64_t ret_hash[2])
{
    uint64_t head[] = {row->table, row->lsn, row->key_size};
    for (uint64_t i = 0; i < 2; i++) {
        uint64_t hash = hash_bytes(UINT64_C(0xcbf29ce484222325) + i, head, sizeof head);
        ret_hash[i] = hash_bytes(hash, row->bytes, row->key_size + row->value_size);
    }
}

static void fingerprint(void *self, uint8_t ret_fingerprint[16])
{
    const struct ledger *ledger = self;
    uint64_t sum[2] = {0, 0}, hash[2];
    for (size_t i = 0; i < ledger->count; i++) {
        hash_row(&ledger->rows[i], hash);
        sum[0] += hash[0];
        sum[1] += hash[1];
    }
    memcpy(ret_fingerprint, sum, sizeof sum);
}

static int entries(void *self, weir_system_entry_fn fn, void *context)
{
    const struct ledger *ledger = self;
    for (size_t i = 0; i < ledger->count; i++) {
        const struct ledger_row *row = &ledger->rows[i];
        struct weir_system_entry entry = {.text = {row->bytes, row->key_size},
                                          .table = row->table,
                                          .key = {row->bytes, row->key_size}};
        uint64_t hash[2];
        hash_row(row, hash);
        memcpy(entry.hash, hash, sizeof hash);
        int rc = fn(context, &entry);
        if (rc != 0) {
            return rc;
        }
    }
    return 0;
}

void ledger_free(struct ledger *ledger)
{
    clear(ledger);
}

void ledger_tell(const struct ledger *ledger, char *ret_text, size_t size)
{
    size_t used = 0;
    ret_text[0] = '\0';
    for (size_t i = 0; i < ledger->count && used < size; i++) {
        const struct ledger_row *row = &ledger->rows[i];
        used += (size_t)snprintf(ret_text + used, size - used, "%s%.*s=%.*s", i > 0 ? " " : "",
                                 (int)row->key_size, (const char *)row->bytes, (int)row->value_size,
                                 (const char *)row->bytes + row->key_size);
    }
}

const struct weir_system_ops ledger_ops = {
    .size = sizeof ledger_ops,
    .kind = "ledger",
    .version = 1,
    .apply = apply,
    .reset = reset,
    .save = save,
    .load = load,
    .fingerprint = fingerprint,
    .entries = entries,
};

const struct weir_system_ops ledger_outside_ops = {
    .size = sizeof ledger_outside_ops,
    .kind = "outside",
    .version = 1,
    .apply = apply,
};
