/*
 * Stripes: the locks of keys, and how far the index has got.
 *
 * Happy path of a writer: lock the stripe of its key, announce, append, bring the record into the
 * index, retract, unlock. Whoever wants to know what is applied reads the last LSN that was given
 * out, then looks who has announced himself: an LSN at or below it belongs to somebody who had
 * announced before he got it, and either still stands there or has finished.
 *
 * Invariants: a batch announces once, on its lowest stripe, and retracts when all of it is in the
 * index, so that applied passes it in one step; announced is at most the first LSN that its holder
 * gets.
 */
#include "engine/engine.h"

#include "base/assert.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

uint64_t stripe_hash(weir_table table, struct weir_bytes key)
{
    return XXH3_64bits_withSeed(key.data, key.size, table);
}

void stripe_lock(struct weir_engine *engine, uint32_t stripe)
{
    base_lock_acquire(&engine->stripes[stripe].lock);
}

void stripe_unlock(struct weir_engine *engine, uint32_t stripe)
{
    base_lock_release(&engine->stripes[stripe].lock);
}

void stripe_announce(struct weir_engine *engine, uint32_t stripe)
{
    struct engine_stripe *own = &engine->stripes[stripe];
    WEIR_ASSERT(atomic_load_explicit(&own->announced, memory_order_relaxed) == 0);
    /* Sequentially consistent, as the load in stripe_applied(): whoever sees an LSN of this writer
     * as given out sees the announcement, too. */
    atomic_store_explicit(&own->announced, wal_address_reserved(engine->log) + 1,
                          memory_order_seq_cst);
}

void stripe_retract(struct weir_engine *engine, uint32_t stripe)
{
    /* Release pairs with the load in stripe_applied(): the index has it all. */
    atomic_store_explicit(&engine->stripes[stripe].announced, 0, memory_order_release);
}

/* What was found to be applied stays so, whatever is found later: a writer that stops between its
 * look at the log and its announcement announces less than others have brought into the index. */
static weir_lsn remember(struct weir_engine *engine, weir_lsn applied)
{
    _Atomic uint64_t *known = &engine->follow.found;
    /* Acquire pairs with the release here: who learns it from another sees that index. */
    uint64_t before = atomic_load_explicit(known, memory_order_acquire);
    while (before < applied &&
           !atomic_compare_exchange_weak_explicit(known, &before, applied, memory_order_acq_rel,
                                                  memory_order_acquire)) {
    }
    return before < applied ? applied : before;
}

weir_lsn stripe_applied(struct weir_engine *engine)
{
    if (engine->read_only) {
        /* Acquire pairs with the releases in replay.c. */
        return atomic_load_explicit(&engine->follow.replayed, memory_order_acquire);
    }
    weir_lsn applied = wal_address_reserved(engine->log);
    for (unsigned i = 0; i < STRIPES; i++) {
        uint64_t announced =
            atomic_load_explicit(&engine->stripes[i].announced, memory_order_seq_cst);
        if (announced != 0 && announced - 1 < applied) {
            applied = announced - 1;
        }
    }
    return remember(engine, applied);
}

weir_lsn engine_settled(struct weir_engine *engine)
{
    weir_lsn applied = stripe_applied(engine);
    weir_lsn durable = weir_durable_lsn(engine->log);
    return applied < durable ? applied : durable;
}
