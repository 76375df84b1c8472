/*
 * The referee of the fault tests: every record that was handed to the log, with what the log said
 * about it.
 *
 * A record's payload begins with its number, which is never used twice; the rest is a function of
 * it. So each record that is found shows whether it was ever appended, and where it must lie.
 */
#ifndef TESTS_FAULT_LEDGER_H
#define TESTS_FAULT_LEDGER_H

#include <weir/weir.h>

#define LEDGER_MAX 2048u
#define LEDGER_PAYLOAD_MAX 15000u

enum ledger_outcome {
    LEDGER_DOUBTFUL, /* the call failed in a way that leaves it open */
    LEDGER_APPENDED,
    LEDGER_ABSENT, /* it was refused, or cut: it must never be seen */
    LEDGER_VOID,
};

struct ledger_entry {
    weir_lsn lsn; /* 0: nobody was told */
    uint32_t size;
    uint16_t batch_index, batch_count;
    enum ledger_outcome outcome;
};

struct ledger {
    struct ledger_entry entries[LEDGER_MAX]; /* by number, from 1 */
    uint32_t count;
    weir_lsn acknowledged;        /* the last that was reported durable */
    weir_lsn cut_tried, cut_done; /* floors of truncation */
    unsigned violations;
    void (*violated)(const char *text);
};

/* A new record of `size` payload bytes, at least 4; returns its number. */
uint32_t ledger_add(struct ledger *ledger, uint32_t size, uint16_t batch_index,
                    uint16_t batch_count);
void ledger_fill(uint32_t number, uint8_t *bytes, uint32_t size);

void ledger_acknowledge(struct ledger *ledger, weir_lsn lsn);
void ledger_violation(struct ledger *ledger, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* What the log ended at when it was opened: what lies behind is gone for good. */
void ledger_reopened(struct ledger *ledger, weir_lsn latest);

/* A walk over the log, record by record from the first. */
struct ledger_walk {
    weir_lsn first, last;
    uint32_t number; /* of the record before */
    uint16_t batch_left;
};

void ledger_see(struct ledger *ledger, struct ledger_walk *walk, const struct weir_record *record);

/* The walk came to the end: everything acknowledged was there. */
void ledger_seen_all(struct ledger *ledger, const struct ledger_walk *walk);

#endif
