/*
 * Definitions: which derived systems a log has, and what each is made of, as the command keeps them
 * beside the log (LOG/derived/NAME/definition). A definition is a few lines of text, in a state
 * file of its own, so it is checksummed and belongs to one log:
 *
 *     table packages
 *     field section
 *     aggregate count
 */
#ifndef CLI_DEFINITION_H
#define CLI_DEFINITION_H

#include <weir/engine.h>
#include <weir/state.h>

#define DEFINITION_FIELDS_MAX 8
#define DEFINITION_FIELD_SIZE 256 /* of a path, with the zero behind it */

enum definition_kind {
    DEFINITION_INDEX = 0,
    DEFINITION_VIEW,
    DEFINITION_TEXT,
};

struct definition {
    char name[WEIR_STATE_NAME_MAX + 1];
    enum definition_kind kind;
    char table[WEIR_TABLE_NAME_MAX + 1]; /* "" is the default table */
    char fields[DEFINITION_FIELDS_MAX][DEFINITION_FIELD_SIZE];
    uint32_t field_count;
    uint32_t aggregates;    /* WEIR_VIEW_*, of a view */
    char stemmer[32];       /* "" = none, of a text */
    uint64_t max_lag_bytes; /* see struct weir_system; 0 = none */
    bool unreadable;        /* its file is damaged: there is nothing but the name */
};

/* "index", "view", "text". */
const char *definition_kind_name(enum definition_kind kind);

/* "count", "sum", ...: the name of one WEIR_VIEW_* bit, and back; 0 when there is none. */
const char *definition_aggregate_name(uint32_t aggregate);
uint32_t definition_aggregate(const char *name);

/* A number that differs where definitions do: of table, fields, aggregates and stemmer. A state
 * that was made by another definition is then one of another version. */
uint32_t definition_digest(const struct definition *definition, uint32_t version);

/* 0; -ENOENT (no definition of that name); WEIR_E_STATE (damaged, or of a later version). */
int definition_load(struct weir_log *log, const char *name, struct definition *ret_definition,
                    struct weir_error *why);
int definition_store(struct weir_log *log, const struct definition *definition,
                     struct weir_error *why);

#define DEFINITIONS_MAX 1024

/* All of a log, in order of name, unreadable ones too. *ret_count of them, base_free() gives them
 * back. 0; -E2BIG (more than DEFINITIONS_MAX); errors of weir_state_list(). */
int definition_list(struct weir_log *log, struct definition **ret_definitions, size_t *ret_count,
                    struct weir_error *why);

#endif
