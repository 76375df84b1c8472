/*
 * Which tables and operations a stream is asked for, and how tables are called.
 *
 * Happy path: filters become a mask and a bit for each table. Names come from the records that give
 * them, as the stream passes those, and else from the engine; a copy is kept, since a reader's
 * engine may be built anew.
 *
 * Failure modes: bits that are no operation, a number that no table can have (-EINVAL); -ENOMEM.
 */
#include "engine/changes.h"

#include <errno.h>
#include <string.h>

#define ALL_OPERATIONS (WEIR_ON_INSERT | WEIR_ON_UPDATE | WEIR_ON_REMOVE)

_Static_assert(WEIR_ON_INSERT == 1u << (WEIR_INSERT - 1) &&
                   WEIR_ON_UPDATE == 1u << (WEIR_UPDATE - 1) &&
                   WEIR_ON_REMOVE == 1u << (WEIR_REMOVE - 1),
               "changes_has_operation() shifts");

int changes_take_filters(struct weir_changes *changes, const struct weir_changes_options *options)
{
    if ((options->operations & ~ALL_OPERATIONS) != 0) {
        return -EINVAL;
    }
    changes->operations = options->operations != 0 ? options->operations : ALL_OPERATIONS;
    if (options->table_count == 0) {
        return 0;
    }
    changes->tables = base_alloc_zero(WEIR_TABLES_MAX / 8);
    if (changes->tables == NULL) {
        return -ENOMEM;
    }
    for (size_t i = 0; i < options->table_count; i++) {
        weir_table table = options->tables[i];
        if (table >= WEIR_TABLES_MAX) {
            return -EINVAL;
        }
        changes->tables[table / 64] |= UINT64_C(1) << table % 64;
    }
    return 0;
}

void changes_free_tables(struct weir_changes *changes)
{
    base_free(changes->tables);
    for (unsigned i = 0; i < WEIR_TABLES_MAX; i++) {
        base_free(changes->names[i]);
    }
}

int changes_learn_table(struct weir_changes *changes, weir_table table, const char *name)
{
    if (changes->names[table] != NULL) {
        return 0;
    }
    size_t size = strlen(name) + 1;
    char *copy = base_alloc(size);
    if (copy == NULL) {
        return -ENOMEM;
    }
    memcpy(copy, name, size);
    changes->names[table] = copy;
    return 0;
}

/* The engine's table, if it has it: a section keeps it where it is. */
static void ask_engine(struct weir_changes *changes, weir_table number)
{
    uint32_t slot;
    if (engine_check(changes->engine) < 0 || section_enter(changes->engine, &slot) < 0) {
        return;
    }
    const struct engine_table *table = table_of(changes->engine, number);
    if (table != NULL) {
        (void)changes_learn_table(changes, number, table->name); /* else it is not known */
    }
    epoch_leave(&changes->engine->epochs, slot);
}

const char *weir_changes_table_name(struct weir_changes *changes, weir_table table)
{
    if (changes == NULL || table >= WEIR_TABLES_MAX) {
        return NULL;
    }
    if (changes->names[table] == NULL) {
        ask_engine(changes, table);
    }
    return changes->names[table];
}
