/* What a log has promised, kept where a crash does not reach it, and whether a log keeps it.
 *
 *     model_begin(&model, 1, 55, false);               about to append one record of 55 bytes
 *     rc = weir_append(..., &entry, WEIR_EACH, &lsn);
 *     model_end(&model, rc, lsn, true);
 *     ...a crash...
 *     ok = model_judge(&model, log, &verdict);
 *
 * A record's bytes follow from its number, which no two appends share, so each shows whether it was
 * ever appended, as which LSN, and whether it is whole.
 */
#ifndef TESTS_CRASH_MODEL_H
#define TESTS_CRASH_MODEL_H

#include <stdbool.h>
#include <weir/weir.h>

#define MODEL_RECORDS_MAX 512u
#define MODEL_BATCH_MAX 8u
#define MODEL_HOLD "keep"

/* By LSN, whatever was handed to append last under it. */
struct model_record {
    uint32_t number;
    uint32_t size;
    uint32_t batch_index, batch_count;
    bool sparse; /* zeros between its ends: a long record with little to tear; of the engine */
    bool going;  /* a compaction that is under way drops it */
    bool gone;   /* a compaction has */
};

struct model {
    uint32_t next_number;
    weir_lsn last;         /* of the last append that returned */
    weir_lsn tried;        /* of the last append that was begun */
    weir_lsn acknowledged; /* reported durable, or shown */
    weir_lsn cut_done, cut_tried;
    weir_lsn hold_done, hold_tried; /* floor of the one hold; 0: none */
    weir_lsn horizon_done, horizon_tried;
    struct model_record records[MODEL_RECORDS_MAX];
};

/* What a log showed. */
struct model_sight {
    weir_lsn earliest, latest; /* latest + 1 = earliest: nothing */
    weir_lsn hold;             /* 0: none */
    weir_lsn horizon;
    char failure[300];
};

void model_reset(struct model *model);

/* Fills entries for `count` records of this size, the next that will be appended. payload: room for
 * count * size bytes. */
void model_begin(struct model *model, uint32_t count, uint32_t size, bool sparse, uint8_t *payload,
                 struct weir_part *parts, struct weir_entry *entries);

/* The append has returned. durable: it was WEIR_EACH. */
void model_end(struct model *model, int rc, weir_lsn first, bool durable);

void model_promise(struct model *model, weir_lsn durable);

/* A compaction up to a horizon begins, which drops all sparse records that it meets; it meets one;
 * it has returned. */
void model_compact(struct model *model, weir_lsn horizon);
void model_drop(struct model *model, weir_lsn lsn);
void model_compacted(struct model *model, int rc);
void model_forget_drops(struct model *model); /* it had nothing to do after all */

/* Reads the log from its beginning: all that was promised, a prefix of what was appended, nothing
 * else. False: sight->failure says what is wrong. */
bool model_judge(const struct model *model, struct weir_log *log, struct model_sight *sight);

/* The log goes on behind what it has shown: the rest is gone for good, and its LSNs are free. */
void model_settle(struct model *model, const struct model_sight *sight);

/* Two models with equal digests demand the same of a log. */
uint64_t model_digest(const struct model *model);

#endif
