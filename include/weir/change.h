/* Changes: what the engine writes into the log, for whoever reads the log with a cursor.
 *
 *     while (weir_cursor_next(cursor, &record) == 1) {
 *         struct weir_change change;
 *         if (weir_change_decode(&record, &change) == 1)
 *             apply(change.operation, change.table, change.key, change.value);
 *     }
 *
 * A record of type WEIR_TYPE_CHANGE is one put or delete, one of type WEIR_TYPE_TABLE names a
 * table. Their bytes are in docs/FORMAT.md, 9. The version before a change is the record
 * `previous`: its value is the before-image.
 *
 * Threads: any.
 */
#ifndef WEIR_CHANGE_H
#define WEIR_CHANGE_H

#include <weir/engine.h>

#ifdef __cplusplus
extern "C" {
#endif

#define WEIR_TYPE_CHANGE ((uint16_t)0xff01)
#define WEIR_TYPE_TABLE ((uint16_t)0xff02)
#define WEIR_TYPE_ACCEPTANCE ((uint16_t)0xff03) /* of gaps: see WEIR_ENGINE_ACCEPT_GAPS */

enum weir_operation {
    WEIR_INSERT = 1, /* the key was absent */
    WEIR_UPDATE = 2,
    WEIR_REMOVE = 3, /* a delete */
};

struct weir_change {
    enum weir_operation operation;
    weir_table table;
    struct weir_bytes key;
    struct weir_bytes value; /* of a delete: empty */
    weir_lsn previous;       /* the key's version before, a delete included; 0 = none */
};

/* Reads a record as a change. The bytes that it gives are the record's.
 *
 * @param record      as a cursor lends it
 * @param ret_change  filled when it returns 1
 * Returns: 1; 0 (a record of another type); WEIR_E_RECORD (of that type, and no engine wrote it).
 * Durability: none.
 * Threads: any.
 * Blocks: never.
 * Allocates: nothing.
 */
WEIR_EXPORT int weir_change_decode(const struct weir_record *record,
                                   struct weir_change *ret_change);

/* Reads a record as the naming of a table.
 *
 * @param record     as a cursor lends it
 * @param ret_table  its number
 * @param ret_name   room for WEIR_TABLE_NAME_MAX + 1
 * Returns: 1; 0 (a record of another type); WEIR_E_RECORD.
 * Durability: none.
 * Threads: any.
 * Blocks: never.
 * Allocates: nothing.
 */
WEIR_EXPORT int weir_table_decode(const struct weir_record *record, weir_table *ret_table,
                                  char *ret_name);

#ifdef __cplusplus
}
#endif
#endif
