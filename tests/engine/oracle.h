/* What the engine must be: a plain list of versions for each key, by LSN, and checks of everything
 * that can be read against it.
 *
 *     oracle_begin(&oracle, &prng);
 *     oracle.log = log, oracle.engine = engine;          set again after each opening
 *     oracle_add_change(&oracle, table, key, lsn, deleted, value);
 *     if (!oracle_check(&oracle, as_of)) puts(oracle.failure);
 *
 * Keys come from a set that is drawn once: prefixes of each other, bytes 0 and 255, long ones.
 * Nothing here asserts, so that a seed can be run again, shorter.
 */
#ifndef TESTS_ENGINE_ORACLE_H
#define TESTS_ENGINE_ORACLE_H

#include "base/random.h"

#include <stdbool.h>

#include <weir/weir.h>

#define ORACLE_KEYS 48u
#define ORACLE_KEY_BYTES 320u
#define ORACLE_TABLES 4u

struct oracle_version {
    weir_lsn lsn, previous;
    bool deleted;
    enum weir_operation operation;
    struct weir_bytes value; /* the oracle's own copy */
};

struct oracle_chain {
    struct oracle_version *versions; /* oldest first */
    uint32_t count, capacity;
};

struct oracle_key {
    uint8_t bytes[ORACLE_KEY_BYTES];
    uint32_t size;
};

enum oracle_kind {
    ORACLE_NOTHING = 0,
    ORACLE_APPLICATION, /* a record of the application, or a void one */
    ORACLE_TABLE,
    ORACLE_CHANGE,
};

/* What a record of the log is. */
struct oracle_record {
    uint8_t kind, table;
    uint8_t key;
    bool ends_batch; /* 1 alone, or the last one of a batch */
};

struct oracle {
    struct weir_log *log;
    struct weir_engine *engine;
    struct oracle_key keys[ORACLE_KEYS]; /* ascending */
    uint32_t key_count;
    weir_table tables[ORACLE_TABLES];
    uint32_t table_count;
    struct oracle_chain chains[ORACLE_TABLES][ORACLE_KEYS];
    struct oracle_record *records; /* by LSN */
    uint64_t records_capacity;
    weir_lsn last;    /* that was given out */
    weir_lsn horizon; /* of the engine, when it was asked last */
    bool failed;
    char failure[600];
};

void oracle_begin(struct oracle *oracle, struct base_prng *prng);
void oracle_end(struct oracle *oracle);

struct weir_bytes oracle_key(const struct oracle *oracle, uint32_t key);

/* The LSNs that the log gives out next, in its order. */
void oracle_add_other(struct oracle *oracle, enum oracle_kind kind);
void oracle_add_change(struct oracle *oracle, uint32_t table, uint32_t key, bool deleted,
                       struct weir_bytes value, bool ends_batch);

/* The log ends here: what came later was lost. */
void oracle_cut(struct oracle *oracle, weir_lsn latest);

/* One of its own, as of that LSN, for a log that may go on differently. */
void oracle_copy(const struct oracle *oracle, weir_lsn latest, struct oracle *ret_copy);

/* The version that counts as of an LSN, perhaps a delete; NULL when there is none. */
const struct oracle_version *oracle_version(const struct oracle *oracle, uint32_t table,
                                            uint32_t key, weir_lsn as_of);
/* The same, NULL also when it is a delete. */
const struct oracle_version *oracle_live(const struct oracle *oracle, uint32_t table, uint32_t key,
                                         weir_lsn as_of);

/* As docs/FORMAT.md and <weir/maintain.h> define it. */
void oracle_fingerprint(const struct oracle *oracle, weir_lsn as_of, uint8_t ret_bytes[16],
                        uint64_t *ret_keys);

/* Takes everything from the log instead, checking how its records are linked. For an oracle that
 * knows of no record yet; false: oracle->failure. */
bool oracle_learn(struct oracle *oracle);

#define ORACLE_NEWEST UINT64_MAX

/* Each of these compares what the engine says; false: oracle->failure says what is wrong. */
bool oracle_check_horizon(struct oracle *oracle);
bool oracle_check_gets(struct oracle *oracle, weir_lsn as_of);
bool oracle_check_scan(struct oracle *oracle, weir_lsn as_of,
                       const struct weir_scan_options *options, uint32_t table_index, int batch);
bool oracle_check_scans(struct oracle *oracle, weir_lsn as_of); /* all of each table, both ways */
bool oracle_check_history(struct oracle *oracle, uint32_t table, uint32_t key, weir_lsn as_of);
bool oracle_check_fingerprint(struct oracle *oracle, weir_lsn as_of);
bool oracle_check_stat(struct oracle *oracle);
bool oracle_check_log(struct oracle *oracle); /* the records themselves, and their links */
bool oracle_check(struct oracle *oracle);     /* everything, of the newest state */

/* Returns false. */
bool oracle_fail(struct oracle *oracle, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
