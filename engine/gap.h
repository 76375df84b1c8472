/*
 * Gaps: what a salvage could not copy of the log, and that somebody knows of it (docs/adr/0018).
 */
#ifndef ENGINE_GAP_H
#define ENGINE_GAP_H

#include <weir/engine.h>

struct weir_engine;

/* LSNs that gap records stand for, each counted once. */
struct gap_count {
    uint64_t lsns, ranges;
    weir_lsn first, last; /* 0, 0: none */
};

struct engine_gaps {
    struct gap_count found; /* in the part of the log that was walked, or as the checkpoint says */
    uint64_t accepted_lsns; /* the newest acceptance says so many */
    _Atomic uint64_t horizon; /* what it says: history is complete above it */
    bool unrecorded;          /* accepted by this open alone so far */
};

/* A gap record, in the order of the log. */
void gap_note(struct gap_count *count, const struct weir_record *record);

/* Adds what was counted of the part of the log behind. */
void gap_add(struct gap_count *count, const struct gap_count *behind);

/* A record of type WEIR_TYPE_ACCEPTANCE. 0; WEIR_E_RECORD. */
int gap_learn(struct engine_gaps *gaps, const struct weir_record *record);

/* May the engine be opened with what is missing? 0; WEIR_E_GAP with the detail. */
int gap_judge(struct weir_engine *engine, struct weir_error *why);

/* Finds the horizon of gaps that nobody has accepted before. The index is built. 0; errors of
 * reading. */
int gap_find_horizon(struct weir_engine *engine, struct weir_error *why);

/* Makes the acceptance durable. 0; errors of appending. */
int gap_record(struct weir_engine *engine, struct weir_error *why);

#endif
