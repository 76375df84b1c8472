/* Is a crash image a log from which the engine comes back as it must?
 *
 * The engine is opened on the image, with the checkpoint that is there: all that was promised is in
 * it, batches whole, and its state is what the records that survived add up to (O8). It takes one
 * more write; opened again without a checkpoint it has the same fingerprint. While all this goes
 * on, the power is cut again at every call, `depth` times over.
 */
#ifndef TESTS_CRASH_ENGINE_JUDGE_H
#define TESTS_CRASH_ENGINE_JUDGE_H

#include "tests/crash/explore.h"
#include "tests/engine/oracle.h"

#define ENGINE_INDEX_BYTES ((uint64_t)256 << 10)

struct engine_moment {
    const struct oracle *oracle; /* all that may be there */
    weir_lsn acknowledged;       /* what must be */
    bool may_be_absent;          /* the log is being created */
    bool is_first;               /* the process may be killed here as well */
    const char *call, *name;
};

/* Cuts the power now, in all ways, and judges every image; and what a killed process leaves. */
void engine_cut(struct explorer *explorer, struct weir_medium *medium,
                const struct engine_moment *moment, unsigned depth);

struct weir_engine_options engine_judge_options(void);

#endif
