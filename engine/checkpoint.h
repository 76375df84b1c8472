/*
 * Checkpoints: the index as of an LSN, in a file beside the log (docs/FORMAT.md, 10).
 *
 *   0       head: what it is bound to, how long its parts are; one block with its own CRC
 *   4096    tables, then a CRC for each piece of the image
 *   image   the arena, aligned to blocks: used in place
 */
#ifndef ENGINE_CHECKPOINT_H
#define ENGINE_CHECKPOINT_H

#include "engine/engine.h"

#define CHECKPOINT_DIRECTORY "derived/engine"
#define CHECKPOINT_NAME "derived/engine/checkpoint"
#define CHECKPOINT_NEW_NAME "derived/engine/checkpoint.new"

#define CHECKPOINT_BLOCK 4096u
#define CHECKPOINT_PIECE_BYTES ((uint64_t)1 << 20) /* of the image, for one CRC */
#define CHECKPOINT_LARGE_PAGE ((uint64_t)2 << 20)
#define CHECKPOINT_VERSION 4u /* 1 knew nothing of gaps, 2 and 3 had other words: word.h */
#define CHECKPOINT_NATIVE UINT64_C(0x0102030405060708)

struct checkpoint_head {
    uint8_t magic[8];
    struct le32 crc; /* of the block behind this field */
    struct le32 version;
    uint64_t native; /* CHECKPOINT_NATIVE in the byte order of the image */
    uint8_t uuid[16];
    struct le64 layout;
    struct le64 epoch;
    struct le64 replay_lsn; /* P: all up to here is inside */
    struct le64 until_lsn;  /* Q: nothing behind it is inside */
    struct le32 chain;      /* of the group that holds Q */
    struct le32 table_count;
    struct le64 image_offset;
    struct le64 image_bytes; /* used ones; the file is padded to blocks */
    struct le64 keys;
    struct le32 tables_crc; /* of tables and piece CRCs together */
    struct le32 zero;
    struct le64 gap_horizon; /* what the acceptance of gaps says; 0 without one */
    struct le64 gap_lsns, gaps;
    struct le64 gap_from, gap_to;
};

struct checkpoint_table {
    struct le32 number;
    struct le32 zero;
    struct le64 root;
    struct le64 keys;
    struct le64 deleted;
    struct le64 created;
    uint8_t name[WEIR_TABLE_NAME_MAX + 1];
};

_Static_assert(sizeof(struct checkpoint_head) == 152, "as in FORMAT.md");
_Static_assert(sizeof(struct checkpoint_table) == 104, "as in FORMAT.md");

extern const uint8_t checkpoint_magic[8];

static inline uint64_t checkpoint_round(uint64_t bytes)
{
    return (bytes + CHECKPOINT_BLOCK - 1) & ~(uint64_t)(CHECKPOINT_BLOCK - 1);
}

/* Where the image begins: behind the parts; a large one where a large page can begin, so that it is
 * mapped by large entries. */
static inline uint64_t checkpoint_image_offset(uint64_t parts_bytes, uint64_t image_bytes)
{
    uint64_t alignment =
        image_bytes >= CHECKPOINT_LARGE_PAGE ? CHECKPOINT_LARGE_PAGE : CHECKPOINT_BLOCK;
    return (CHECKPOINT_BLOCK + parts_bytes + alignment - 1) & ~(alignment - 1);
}

static inline uint64_t checkpoint_pieces(uint64_t image_bytes)
{
    return (image_bytes + CHECKPOINT_PIECE_BYTES - 1) / CHECKPOINT_PIECE_BYTES;
}

/* The CRC of piece `index` of an image. */
uint32_t checkpoint_piece_crc(const uint8_t *image, uint64_t image_bytes, uint64_t index);

/* Starts to read and check the checkpoint into the arena of an engine that has no log yet, in a
 * thread of its own: checkpoint_load() takes what came of it. Without a thread nothing is done. */
void checkpoint_begin(struct weir_engine *engine, struct weir_medium *medium);

/* Waits for that and forgets it; also when nothing was begun. The arena is not used again. */
void checkpoint_end(struct weir_engine *engine);

/* Loads the checkpoint into an engine that has nothing but its default table: 1, and *ret_lsn is P;
 * 0, and upkeep.reason says why not ("" when there is none), and the engine is as it was; or an
 * error of the engine itself (-ENOMEM). */
int checkpoint_load(struct weir_engine *engine, weir_lsn *ret_lsn);

/* Makes one. The caller holds compacting: addresses must not move meanwhile. */
int checkpoint_make(struct weir_engine *engine, struct weir_checkpoint_report *report);

/* Makes one by the policy of the options, unless a compaction is under way, which renews it. */
int checkpoint_make_if_due(struct weir_engine *engine, struct weir_error *why);

/* Bytes of the log that the next open would replay now. */
uint64_t checkpoint_behind_bytes(struct weir_engine *engine);

#endif
