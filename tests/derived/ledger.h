/*
 * A derived system for tests: the live rows by table and key, as its events tell them, and a
 * referee: it knows when an event comes twice, is missing or has another before-image than the row
 * that it holds.
 */
#ifndef TESTS_DERIVED_LEDGER_H
#define TESTS_DERIVED_LEDGER_H

#include <weir/host.h>

#include <stdatomic.h>

struct ledger_row {
    weir_table table;
    weir_lsn lsn;
    uint32_t key_size, value_size;
    uint8_t *bytes; /* key, then value */
};

struct ledger {
    struct ledger_row *rows; /* by table and key */
    size_t count, room;
    weir_lsn last;   /* of the last event of the stream */
    uint64_t events; /* since it was reset */
    uint64_t states; /* among them: rows of a state */
    uint64_t resets, saves, loads;
    uint64_t wrong; /* events that do not fit */
    char why[200];  /* the first of them */

    /* In. */
    bool partial;                  /* does not see all: an update of an unknown row is an insert */
    const char *refuse;            /* the key whose events it refuses, while it is set */
    int refuse_with;               /* 0: -EIO */
    int save_with, load_with;      /* what save and load answer, when not 0 */
    struct weir_engine *writes_to; /* apply tries to write; what it is told: */
    struct weir_host *calls;       /* apply tries to flush; */
    int write_rc, call_rc;
    void (*on_event)(void *context, const struct weir_event *event);
    void *context;
};

extern const struct weir_system_ops ledger_ops;         /* kind "ledger", version 1 */
extern const struct weir_system_ops ledger_outside_ops; /* apply alone: effects are outside */

void ledger_free(struct ledger *ledger);

/* "a=1 b=2": table 0, in order of key. */
void ledger_tell(const struct ledger *ledger, char *ret_text, size_t size);
const struct ledger_row *ledger_find(const struct ledger *ledger, weir_table table,
                                     struct weir_bytes key);
/* Changes a value behind the events' back. */
void ledger_spoil(struct ledger *ledger, const char *key);
void ledger_drop(struct ledger *ledger, const char *key);

#endif
