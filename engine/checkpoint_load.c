/*
 * Loading a checkpoint.
 *
 * Happy path: read the head, hold it against the log (uuid, layout, and the very group that holds
 * Q), read tables and CRCs, put the image at the start of the arena, check it, piece by piece, by
 * as many threads as there are, and let each table take over its root.
 *
 * Where the engine is opened together with its log, all but the comparison with the log is done
 * beside the opening of the log, which mostly waits for the disk. Then the image is always read
 * into large pages of our own: a writer will write to it, the copy costs no time that is waited
 * for, and looking keys up is faster in large pages. Unless the copy would be most of the memory
 * that is left: pages of a mapping that nobody writes to are the system's to take back, ours are
 * not, and who asks for too many of them is killed.
 *
 * Otherwise the image is mapped: then opening costs its checksums, and each of its pages a fault
 * and a copy when it is first written. Replaying what lies behind the checkpoint writes to about as
 * many pages as there are records, so behind a long rest it is read, too.
 *
 * Failure modes: whatever does not fit is a reason not to use it, and never an error: the log has
 * everything. Nothing of the file is used before the CRC over it was right. Memory that the medium
 * cannot take its hands off (-ENOTRECOVERABLE) is not given back, since it may be written to later,
 * whatever is there then.
 *
 * Invariant: when it is not used, the engine is as it was: an empty arena, the default table.
 */
#include "engine/checkpoint.h"

#include "base/assert.h"
#include "base/crc32c.h"
#include "base/memory.h"
#include "base/thread.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <weir/append.h>

#define TABLES_BYTES_MAX ((uint64_t)WEIR_TABLES_MAX * sizeof(struct checkpoint_table))
#define LOAD_THREADS_MAX 8u
/* What is copied in the time that a page takes which is copied when it is first written: 3.4 us
 * against 5 GB/s, on the machine of docs/PERFORMANCE.md. */
#define BYTES_PER_FAULT ((uint64_t)16 << 10)
/* What a copy leaves of the memory that is available: as much again. */
#define MEMORY_SHARE 2u
#define PIECES_PER_LARGE_PAGE (CHECKPOINT_LARGE_PAGE / CHECKPOINT_PIECE_BYTES)

struct loading {
    struct weir_engine *engine;
    struct weir_medium *medium;
    struct weir_file *file;
    struct checkpoint_head head;
    uint8_t *parts; /* tables and CRCs */
    uint64_t parts_bytes, image_offset, image_bytes;
    bool beside;           /* the opening of the log: that is not there yet */
    bool placed;           /* the arena holds bytes of the file */
    bool copied;           /* as they are read, not mapped */
    int head_rc, image_rc; /* 1; 0 (refused, or there is none); -ENOMEM */
    char reason[sizeof((struct weir_engine *)0)->upkeep.reason];
};

/* What is read beside the opening of the log. */
struct checkpoint_ahead {
    struct loading loading;
    struct base_thread thread;
};

static int refuse(struct loading *loading, const char *why)
{
    snprintf(loading->reason, sizeof loading->reason, "%s", why);
    return 0;
}

/* ---- the head ---- */

static int read_head(struct loading *loading)
{
    uint8_t *block = base_alloc_aligned(CHECKPOINT_BLOCK, CHECKPOINT_BLOCK);
    if (block == NULL) {
        return -ENOMEM;
    }
    size_t got = 0;
    int rc = loading->medium->ops->read(loading->file, 0, block, CHECKPOINT_BLOCK, &got);
    size_t start = offsetof(struct checkpoint_head, version);
    memcpy(&loading->head, block, sizeof loading->head);
    const struct checkpoint_head *head = &loading->head;
    bool whole = rc == 0 && got == CHECKPOINT_BLOCK &&
                 memcmp(head->magic, checkpoint_magic, sizeof head->magic) == 0 &&
                 base_crc32c(0, block + start, CHECKPOINT_BLOCK - start) == le32_load(&head->crc);
    if (rc != -ENOTRECOVERABLE) {
        base_free(block);
    }
    if (!whole) {
        return refuse(loading, "the checkpoint's head is damaged");
    }
    if (le32_load(&head->version) != CHECKPOINT_VERSION || head->native != CHECKPOINT_NATIVE) {
        return refuse(loading, "the checkpoint is of another version or machine");
    }
    return 1;
}

static int check_log(struct loading *loading)
{
    const struct checkpoint_head *head = &loading->head;
    struct wal_address_identity identity;
    weir_lsn until = le64_load(&head->until_lsn);
    if (wal_address_identify(loading->engine->log, WEIR_LSN_NONE, &identity) < 0 ||
        memcmp(identity.uuid, head->uuid, sizeof identity.uuid) != 0) {
        return refuse(loading, "the checkpoint belongs to another log");
    }
    if (identity.layout != le64_load(&head->layout)) {
        return refuse(loading, "the log was truncated or compacted since the checkpoint was made");
    }
    if (wal_address_identify(loading->engine->log, until, &identity) < 0) {
        return refuse(loading, "the log ends before the checkpoint does: it is an older copy");
    }
    if (identity.epoch != le64_load(&head->epoch) || identity.chain != le32_load(&head->chain)) {
        return refuse(loading, "the log has other records than the checkpoint was made from");
    }
    return 1;
}

/* Lengths, which the head's CRC vouches for, against the file; then against the arena. */
static int check_sizes(struct loading *loading)
{
    const struct checkpoint_head *head = &loading->head;
    uint64_t tables = (uint64_t)le32_load(&head->table_count) * sizeof(struct checkpoint_table);
    loading->image_offset = le64_load(&head->image_offset);
    loading->image_bytes = le64_load(&head->image_bytes);
    loading->parts_bytes = tables + checkpoint_pieces(loading->image_bytes) * sizeof(struct le32);
    uint64_t size = 0;
    int rc = loading->medium->ops->size(loading->file, &size);
    if (rc < 0 || tables > TABLES_BYTES_MAX ||
        loading->image_offset !=
            checkpoint_image_offset(loading->parts_bytes, loading->image_bytes) ||
        size != loading->image_offset + checkpoint_round(loading->image_bytes)) {
        return refuse(loading, "the checkpoint's file does not have the length that it says");
    }
    return 1;
}

static int check_room(struct loading *loading)
{
    if (checkpoint_round(loading->image_bytes) > loading->engine->arena.limit) {
        return refuse(loading, "the checkpoint is larger than the index may be (index_bytes)");
    }
    return 1;
}

static int read_parts(struct loading *loading)
{
    uint64_t bytes = checkpoint_round(loading->parts_bytes);
    loading->parts = base_alloc_aligned(CHECKPOINT_BLOCK, bytes);
    if (loading->parts == NULL) {
        return -ENOMEM;
    }
    size_t got = 0;
    int rc =
        loading->medium->ops->read(loading->file, CHECKPOINT_BLOCK, loading->parts, bytes, &got);
    if (rc < 0 || got != bytes ||
        base_crc32c(0, loading->parts, loading->parts_bytes) !=
            le32_load(&loading->head.tables_crc)) {
        loading->parts = rc == -ENOTRECOVERABLE ? NULL : loading->parts;
        return refuse(loading, "the checkpoint's tables are damaged");
    }
    return 1;
}

/* ---- the image ---- */

/* Work for several threads: each takes the next large page, so that none is done long before the
 * others, whichever of them share a CPU with the opening of the log. */
struct check {
    const struct loading *loading;
    uint64_t pieces;
    _Atomic uint64_t next;  /* piece: the first that nobody has taken */
    _Atomic bool bad, lost; /* a piece that is not what it was; memory that the medium has kept */
};

static int read_piece(const struct loading *loading, uint64_t index, uint8_t *target)
{
    uint64_t offset = index * CHECKPOINT_PIECE_BYTES;
    uint64_t left = checkpoint_round(loading->image_bytes) - offset;
    size_t bytes = left < CHECKPOINT_PIECE_BYTES ? left : CHECKPOINT_PIECE_BYTES, got = 0;
    int rc = loading->medium->ops->read(loading->file, loading->image_offset + offset, target,
                                        bytes, &got);
    return rc == 0 && got != bytes ? -EIO : rc;
}

static const struct le32 *piece_crcs(const struct loading *loading)
{
    size_t tables = le32_load(&loading->head.table_count) * sizeof(struct checkpoint_table);
    return (const struct le32 *)(loading->parts + tables);
}

static bool check_piece(const struct loading *loading, uint64_t index, bool *ret_lost)
{
    uint8_t *image = loading->engine->arena.memory;
    int rc =
        loading->copied ? read_piece(loading, index, image + index * CHECKPOINT_PIECE_BYTES) : 0;
    *ret_lost = rc == -ENOTRECOVERABLE;
    return rc == 0 && checkpoint_piece_crc(image, loading->image_bytes, index) ==
                          le32_load(&piece_crcs(loading)[index]);
}

static bool is_bad(struct check *check)
{
    return atomic_load_explicit(&check->bad, memory_order_relaxed);
}

static void check_pieces(void *context)
{
    struct check *check = context;
    uint64_t first;
    while (!is_bad(check) &&
           (first = atomic_fetch_add_explicit(&check->next, PIECES_PER_LARGE_PAGE,
                                              memory_order_relaxed)) < check->pieces) {
        uint64_t end = first + PIECES_PER_LARGE_PAGE;
        for (uint64_t i = first; i < end && i < check->pieces && !is_bad(check); i++) {
            bool lost;
            if (!check_piece(check->loading, i, &lost)) {
                atomic_store_explicit(&check->bad, true, memory_order_relaxed);
            }
            if (lost) {
                atomic_store_explicit(&check->lost, true, memory_order_relaxed);
            }
        }
    }
}

static bool image_is_whole(const struct loading *loading)
{
    struct base_thread threads[LOAD_THREADS_MAX];
    struct check check = {.loading = loading, .pieces = checkpoint_pieces(loading->image_bytes)};
    uint64_t large_pages = (check.pieces + PIECES_PER_LARGE_PAGE - 1) / PIECES_PER_LARGE_PAGE;
    uint64_t wanted = loading->engine->options.threads;
    wanted = wanted < large_pages ? wanted : large_pages;
    wanted = wanted < LOAD_THREADS_MAX ? wanted : LOAD_THREADS_MAX;
    unsigned started = 0;
    while (started + 1 < wanted &&
           base_thread_start_beside(&threads[started], "weir-load", check_pieces, &check) == 0) {
        started++;
    }
    check_pieces(&check);
    for (unsigned i = 0; i < started; i++) {
        base_thread_join(&threads[i]);
    }
    if (atomic_load_explicit(&check.lost, memory_order_relaxed)) {
        loading->engine->arena.lost = true;
    }
    return !is_bad(&check);
}

/* Each record behind the checkpoint writes to a page of the image, more or less. */
static bool is_worth_a_copy(const struct loading *loading)
{
    weir_lsn durable = weir_durable_lsn(loading->engine->log);
    weir_lsn replay = le64_load(&loading->head.replay_lsn);
    uint64_t behind = durable > replay ? durable - replay : 0;
    return behind >= loading->image_bytes / BYTES_PER_FAULT;
}

static bool is_room_for_a_copy(const struct loading *loading)
{
    return loading->image_bytes <= base_memory_available() / MEMORY_SHARE;
}

static int place_image(struct loading *loading)
{
    struct engine_arena *arena = &loading->engine->arena;
    loading->placed = true;
    loading->copied = (loading->beside || is_worth_a_copy(loading)) && is_room_for_a_copy(loading);
    int rc =
        loading->copied
            ? 0
            : loading->medium->ops->map_private(loading->file, loading->image_offset, arena->memory,
                                                checkpoint_round(loading->image_bytes));
    if (rc < 0) {
        arena->lost = rc == -ENOTRECOVERABLE;
        return refuse(loading, "the checkpoint's image cannot be read");
    }
    return image_is_whole(loading) ? 1 : refuse(loading, "the checkpoint's image is damaged");
}

static int adopt_tables(struct loading *loading)
{
    struct weir_engine *engine = loading->engine;
    const struct checkpoint_table *tables = (const struct checkpoint_table *)loading->parts;
    uint32_t count = le32_load(&loading->head.table_count);
    for (weir_table i = 0, least = 0; i < count; i++) {
        char name[WEIR_TABLE_NAME_MAX + 1];
        weir_table number = le32_load(&tables[i].number);
        memcpy(name, tables[i].name, sizeof name);
        name[WEIR_TABLE_NAME_MAX] = '\0';
        if (number < least || number >= WEIR_TABLES_MAX) {
            return refuse(loading, "the checkpoint's tables are damaged");
        }
        int rc = table_add(engine, number, name, le64_load(&tables[i].created));
        if (rc < 0) {
            return rc;
        }
        least = number + 1;
        struct engine_table *table = table_of(engine, number);
        index_adopt(&table->index, le64_load(&tables[i].root), le64_load(&tables[i].keys));
        atomic_store_explicit(&table->deleted, le64_load(&tables[i].deleted), memory_order_relaxed);
    }
    return 1;
}

/* ---- the steps ---- */

static int open_head(struct loading *loading)
{
    /* From a page cache, too: whatever is read has to have the right checksum. */
    int rc = loading->medium->ops->open(loading->medium, CHECKPOINT_NAME, WEIR_FILE_READ_CACHED,
                                        &loading->file);
    if (rc < 0) {
        loading->file = NULL;
        return rc == -ENOENT ? 0 : refuse(loading, "the checkpoint cannot be opened");
    }
    return read_head(loading);
}

static int bring_image(struct loading *loading)
{
    int rc = check_sizes(loading);
    rc = rc == 1 ? check_room(loading) : rc;
    rc = rc == 1 ? read_parts(loading) : rc;
    return rc == 1 ? place_image(loading) : rc;
}

static int adopt(struct loading *loading)
{
    if (arena_adopt(&loading->engine->arena, loading->image_bytes) < 0) {
        return refuse(loading, "the checkpoint's image is damaged");
    }
    return adopt_tables(loading);
}

static void close_file(struct loading *loading)
{
    if (loading->file != NULL) {
        loading->medium->ops->close(loading->file);
    }
    base_free(loading->parts);
}

static int load(struct loading *loading)
{
    loading->head_rc = loading->beside ? loading->head_rc : open_head(loading);
    int rc = loading->head_rc == 1 ? check_log(loading) : loading->head_rc;
    if (rc == 1 && !loading->beside) {
        loading->image_rc = bring_image(loading);
    }
    rc = rc == 1 ? loading->image_rc : rc;
    if (rc == 1) {
        place_learn(
            loading->engine); /* the log is there, though it was not, perhaps, for a reader */
        rc = adopt(loading);
    }
    if (rc != 1 && loading->placed) {
        int afresh = engine_start_afresh(loading->engine);
        rc = afresh < 0 ? afresh : rc;
    }
    return rc;
}

/* ---- beside the opening of the log ---- */

static void bring_ahead(void *context)
{
    struct loading *loading = context;
    loading->head_rc = open_head(loading);
    loading->image_rc = loading->head_rc == 1 ? bring_image(loading) : 0;
}

void checkpoint_begin(struct weir_engine *engine, struct weir_medium *medium)
{
    struct checkpoint_ahead *ahead = base_alloc_zero(sizeof *ahead);
    if (ahead == NULL) {
        return; /* it is loaded when the log is there */
    }
    ahead->loading.beside = true;
    ahead->loading.engine = engine;
    ahead->loading.medium = medium;
    if (base_thread_start_beside(&ahead->thread, "weir-load", bring_ahead, &ahead->loading) == 0) {
        engine->upkeep.ahead = ahead;
    } else {
        base_free(ahead);
    }
}

void checkpoint_end(struct weir_engine *engine)
{
    struct checkpoint_ahead *ahead = engine->upkeep.ahead;
    if (ahead != NULL) {
        base_thread_join(&ahead->thread);
        close_file(&ahead->loading);
        base_free(ahead);
        engine->upkeep.ahead = NULL;
    }
}

/* Gaps lie in front of a checkpoint: a log gets them when it is made, and there is none before they
 * are accepted. */
static void take_gaps(struct engine_gaps *gaps, const struct checkpoint_head *head)
{
    gaps->found = (struct gap_count){
        .lsns = le64_load(&head->gap_lsns),
        .ranges = le64_load(&head->gaps),
        .first = le64_load(&head->gap_from),
        .last = le64_load(&head->gap_to),
    };
    gaps->accepted_lsns = gaps->found.lsns;
    atomic_store_explicit(&gaps->horizon, le64_load(&head->gap_horizon), memory_order_relaxed);
}

int checkpoint_load(struct weir_engine *engine, weir_lsn *ret_lsn)
{
    struct checkpoint_ahead *ahead = engine->upkeep.ahead;
    struct loading loading = {.engine = engine, .medium = wal_address_medium(engine->log)};
    int rc;
    if (ahead != NULL) {
        base_thread_join(&ahead->thread);
        loading = ahead->loading;
        base_free(ahead);
        engine->upkeep.ahead = NULL;
        rc = load(&loading);
    } else if ((engine->options.flags & WEIR_ENGINE_NO_CHECKPOINT) != 0) {
        rc = refuse(&loading, "it was asked for to use none");
    } else {
        rc = load(&loading);
    }
    close_file(&loading);
    memcpy(engine->upkeep.reason, loading.reason, sizeof loading.reason);
    if (rc == 1) {
        engine->upkeep.reason[0] = '\0';
        *ret_lsn = le64_load(&loading.head.replay_lsn);
        take_gaps(&engine->gaps, &loading.head);
        engine->report.checkpoint_bytes =
            loading.image_offset + checkpoint_round(loading.image_bytes);
    }
    return rc;
}

/* ---- without an engine ---- */

/* One piece after the other: nothing is going to use them. */
static int check_image(struct loading *loading)
{
    uint8_t *piece = base_alloc_aligned(CHECKPOINT_BLOCK, CHECKPOINT_PIECE_BYTES);
    if (piece == NULL) {
        return -ENOMEM;
    }
    uint64_t pieces = checkpoint_pieces(loading->image_bytes);
    bool whole = true;
    int rc = 0;
    for (uint64_t i = 0; i < pieces && whole; i++) {
        uint64_t left = loading->image_bytes - i * CHECKPOINT_PIECE_BYTES;
        rc = read_piece(loading, i, piece);
        whole =
            rc == 0 && checkpoint_piece_crc(piece, left, 0) == le32_load(&piece_crcs(loading)[i]);
    }
    if (rc != -ENOTRECOVERABLE) { /* which says that the medium may still write there */
        base_free(piece);
    }
    return whole ? 1 : refuse(loading, "the checkpoint's image is damaged");
}

int weir_checkpoint_check(struct weir_log *log, struct weir_error *ret_error)
{
    if (log == NULL || (ret_error != NULL && ret_error->size < sizeof *ret_error)) {
        return -EINVAL;
    }
    struct wal_address_extent extent;
    int rc = wal_address_extent(log, &extent); /* is the handle good? */
    if (rc < 0) {
        return rc;
    }
    struct loading loading = {.medium = wal_address_medium(log)};
    rc = loading.medium->ops->open(loading.medium, CHECKPOINT_NAME, WEIR_FILE_READ, &loading.file);
    if (rc < 0) {
        return rc == -ENOENT ? 0 : rc;
    }
    rc = read_head(&loading);
    rc = rc == 1 ? check_sizes(&loading) : rc;
    rc = rc == 1 ? read_parts(&loading) : rc;
    rc = rc == 1 ? check_image(&loading) : rc;
    close_file(&loading);
    return rc != 0
               ? rc
               : engine_error(ret_error, WEIR_E_STATE, "%s: %s", CHECKPOINT_NAME, loading.reason);
}
