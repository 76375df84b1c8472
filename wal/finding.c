/*
 * The table of reason codes: meaning, advice, and the number that a gap record carries.
 */
#include "wal/finding.h"

#include <string.h>

#define ROW(code, number, meaning, advice) {code, meaning, advice, number},

static const struct row {
    const char *code, *meaning, *advice;
    uint16_t number;
} rows[] = {WEIR_FINDINGS(ROW)};

#define ROWS (sizeof rows / sizeof rows[0])

static const struct row *find(const char *code)
{
    for (size_t i = 0; i < ROWS; i++) {
        if (strcmp(rows[i].code, code) == 0) {
            return &rows[i];
        }
    }
    return NULL;
}

const char *finding_code(const char *code)
{
    const struct row *row = find(code);
    return row != NULL ? row->code : "";
}

uint16_t finding_gap_type(const char *code)
{
    const struct row *row = find(code);
    return (uint16_t)(WEIR_TYPE_RESERVED + (row != NULL ? row->number : 0));
}

const char *finding_gap_code(uint16_t type)
{
    for (size_t i = 0; i < ROWS; i++) {
        if (WEIR_TYPE_RESERVED + rows[i].number == type) {
            return rows[i].code;
        }
    }
    return "";
}

const char *weir_finding_meaning(const char *code)
{
    const struct row *row = code != NULL ? find(code) : NULL;
    return row != NULL ? row->meaning : "";
}

const char *weir_finding_advice(const char *code)
{
    const struct row *row = code != NULL ? find(code) : NULL;
    return row != NULL ? row->advice : "";
}

const char *weir_gap_code(const struct weir_record *record)
{
    bool gap = record != NULL && (record->flags & WEIR_RECORD_GAP) != 0;
    return gap ? finding_gap_code(record->type) : "";
}
