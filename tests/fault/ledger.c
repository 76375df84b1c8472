#include "tests/fault/ledger.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void ledger_violation(struct ledger *ledger, const char *format, ...)
{
    char text[300];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (ledger->violations++ == 0) {
        ledger->violated(text);
    }
}

uint32_t ledger_add(struct ledger *ledger, uint32_t size, uint16_t batch_index,
                    uint16_t batch_count)
{
    if (ledger->count + 1 >= LEDGER_MAX) {
        ledger_violation(ledger, "the ledger is full");
        return LEDGER_MAX - 1;
    }
    ledger->entries[++ledger->count] =
        (struct ledger_entry){.size = size, .batch_index = batch_index, .batch_count = batch_count};
    return ledger->count;
}

static uint8_t byte_of(uint32_t number, uint32_t index)
{
    return (uint8_t)(number * 31 + index * 7 + (index >> 8));
}

void ledger_fill(uint32_t number, uint8_t *bytes, uint32_t size)
{
    for (uint32_t i = sizeof number; i < size; i++) {
        bytes[i] = byte_of(number, i);
    }
    memcpy(bytes, &number, sizeof number);
}

static bool is_filled(uint32_t number, const uint8_t *bytes, uint32_t size)
{
    for (uint32_t i = sizeof number; i < size; i++) {
        if (bytes[i] != byte_of(number, i)) {
            return false;
        }
    }
    return true;
}

void ledger_acknowledge(struct ledger *ledger, weir_lsn lsn)
{
    ledger->acknowledged = lsn > ledger->acknowledged ? lsn : ledger->acknowledged;
}

void ledger_reopened(struct ledger *ledger, weir_lsn latest)
{
    if (latest < ledger->acknowledged) {
        ledger_violation(ledger, "opened up to LSN %ju, and %ju was acknowledged",
                         (uintmax_t)latest, (uintmax_t)ledger->acknowledged);
    }
    for (uint32_t i = 1; i <= ledger->count; i++) {
        struct ledger_entry *entry = &ledger->entries[i];
        if (entry->lsn > latest) {
            entry->outcome = LEDGER_ABSENT;
        }
    }
}

static uint32_t number_of_void(const struct ledger *ledger, weir_lsn lsn)
{
    for (uint32_t i = ledger->count; i > 0; i--) {
        const struct ledger_entry *entry = &ledger->entries[i];
        if (entry->lsn == lsn && entry->outcome == LEDGER_VOID) {
            return i;
        }
    }
    return 0;
}

static uint32_t number_of(const struct ledger *ledger, const struct weir_record *record)
{
    uint32_t number = 0;
    if ((record->flags & WEIR_RECORD_VOID) != 0) {
        return number_of_void(ledger, record->lsn);
    }
    if (record->size < sizeof number) {
        return 0;
    }
    memcpy(&number, record->data, sizeof number);
    bool known = number != 0 && number <= ledger->count &&
                 ledger->entries[number].size == record->size &&
                 is_filled(number, record->data, record->size);
    return known ? number : 0;
}

void ledger_see(struct ledger *ledger, struct ledger_walk *walk, const struct weir_record *record)
{
    uintmax_t lsn = record->lsn;
    if (walk->last != 0 && record->lsn != walk->last + 1) {
        ledger_violation(ledger, "LSN %ju behind %ju", lsn, (uintmax_t)walk->last);
    }
    bool first = walk->last == 0;
    walk->first = first ? record->lsn : walk->first;
    walk->last = record->lsn;
    uint32_t number = number_of(ledger, record);
    if (number == 0) {
        ledger_violation(ledger, "LSN %ju holds what nobody appended", lsn);
        return;
    }
    const struct ledger_entry *entry = &ledger->entries[number];
    if (entry->outcome == LEDGER_ABSENT) {
        ledger_violation(ledger, "LSN %ju: record %u was refused or cut, and is there", lsn,
                         number);
    }
    if (entry->lsn != 0 && entry->lsn != record->lsn) {
        ledger_violation(ledger, "LSN %ju: record %u was given LSN %ju", lsn, number,
                         (uintmax_t)entry->lsn);
    }
    if (number <= walk->number) {
        ledger_violation(ledger, "LSN %ju: record %u behind %u", lsn, number, walk->number);
    }
    bool begins = walk->batch_left == 0
                      ? entry->batch_index == 0 || first
                      : entry->batch_index + walk->batch_left == entry->batch_count;
    if (!begins) {
        ledger_violation(ledger, "LSN %ju: %u of %u of a batch, %u were left", lsn,
                         entry->batch_index, entry->batch_count, walk->batch_left);
    }
    walk->number = number;
    walk->batch_left = (uint16_t)(entry->batch_count - entry->batch_index - 1);
}

void ledger_seen_all(struct ledger *ledger, const struct ledger_walk *walk)
{
    if (walk->batch_left != 0) {
        ledger_violation(ledger, "the log ends within a batch, at %ju", (uintmax_t)walk->last);
    }
    bool empty = walk->last == 0;
    weir_lsn next = empty ? ledger->acknowledged + 1 : walk->last + 1;
    if (next <= ledger->acknowledged) {
        ledger_violation(ledger, "ends at %ju, and %ju was acknowledged", (uintmax_t)walk->last,
                         (uintmax_t)ledger->acknowledged);
    }
    if (empty ? ledger->cut_tried <= ledger->acknowledged && ledger->acknowledged != 0
              : walk->first < ledger->cut_done ||
                    (walk->first > 1 && walk->first > ledger->cut_tried)) {
        ledger_violation(ledger, "begins at %ju; truncated to %ju, %ju was tried",
                         (uintmax_t)walk->first, (uintmax_t)ledger->cut_done,
                         (uintmax_t)ledger->cut_tried);
    }
}
