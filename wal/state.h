/*
 * State files: derived/NAME/FILE, what a derived system keeps beside the log (docs/FORMAT.md, 11).
 * The public calls are in <weir/state.h> and <weir/state_lock.h>.
 *
 *   state_format.c  names and paths, header and blocks
 *   state_bind.c    does a file fit this log, as it is now?
 *   state_write.c   a new file in place of the old one
 *   state_read.c    verified first, then handed out
 *   state_names.c   which names there are, the guard, removing
 *   state_lock.c    who feeds a name
 *
 *   0       header: one block with its own CRC
 *   4096    blocks of STATE_BLOCK_BYTES, the last one as long as it has to be: a head, then bytes
 */
#ifndef WAL_STATE_H
#define WAL_STATE_H

#include "wal/format.h"
#include "wal/log.h"

#include <weir/state.h>

#define STATE_DIRECTORY "derived"
#define STATE_LOCK_FILE "lock" /* no FILE may be called that */
#define STATE_MAGIC "WEIRSTA1"
#define STATE_FORMAT_VERSION 1u
#define STATE_BLOCK_BYTES (256u << 10)
#define STATE_BLOCK_ROOM (STATE_BLOCK_BYTES - (uint32_t)sizeof(struct state_block))
#define STATE_BUFFER_BYTES (FORMAT_BLOCK + STATE_BLOCK_BYTES) /* a header and a block */
#define STATE_PATH_BYTES 160u

struct state_header {
    uint8_t magic[8];
    struct le32 crc; /* of the block behind this field */
    struct le32 format_version;
    uint8_t uuid[16];
    struct le64 position;
    struct le64 epoch;      /* of the group that holds the position: low 32 bits */
    struct le32 chain;      /* CRC of that group's header */
    struct le32 bound;      /* 1: epoch and chain are known */
    struct le64 bytes;      /* of the body */
    struct le32 blocks_crc; /* of the CRC fields of all blocks, in order */
    struct le32 version;    /* of what the system writes */
    struct le64 log_epoch, log_layout, log_horizon, log_first_lsn; /* of CONTROL, when written */
    uint8_t kind[WEIR_STATE_KIND_MAX + 1];
    uint8_t name[WEIR_STATE_NAME_MAX + 1];
    uint8_t file[WEIR_STATE_NAME_MAX + 1];
};

struct state_block {
    struct le32 crc; /* of the block behind this field, padding included */
    struct le32 bytes;
    struct le64 index;
};

_Static_assert(sizeof(struct state_header) == 264, "as in FORMAT.md");
_Static_assert(sizeof(struct state_block) == 16, "as in FORMAT.md");

/* What a file is bound to: numbers of CONTROL that never go back, and the group of the position. */
struct state_binding {
    uint8_t uuid[16];
    uint64_t epoch;
    uint32_t chain;
    bool bound;
    uint64_t log_epoch, log_layout;
    weir_lsn log_horizon, log_first_lsn;
};

struct state_head {
    struct weir_state_about about;
    struct state_binding binding;
    uint32_t blocks_crc;
};

/* ---- state_format.c ---- */

bool state_name_is_valid(const char *name); /* NULL is not */
bool state_file_is_valid(const char *file);

void state_path(const char *name, const char *file, char ret_path[STATE_PATH_BYTES]);
void state_new_path(const char *name, const char *file, char ret_path[STATE_PATH_BYTES]);

static inline uint64_t state_round(uint64_t bytes)
{
    return format_align(bytes, FORMAT_BLOCK);
}

static inline uint64_t state_block_count(uint64_t bytes)
{
    return bytes / STATE_BLOCK_ROOM + (bytes % STATE_BLOCK_ROOM != 0);
}

static inline uint64_t state_block_offset(uint64_t index)
{
    return FORMAT_BLOCK + index * STATE_BLOCK_BYTES;
}

/* Body bytes of block `index` of a body of `bytes`. */
uint32_t state_block_used(uint64_t bytes, uint64_t index);

/* Of a whole file. */
uint64_t state_file_bytes(uint64_t bytes);

void state_header_encode(uint8_t *block, const char *name, const char *file,
                         const struct state_head *head);
/* 0; WEIR_E_STATE, *why says what is wrong. `path` names the file. */
int state_header_decode(const uint8_t *block, const char *name, const char *file,
                        struct state_head *ret_head, struct weir_error *why);

/* Completes a block that holds `used` bytes of the body: its head, zeros behind. How long it is on
 * the medium; *blocks_crc goes on over it. */
uint32_t state_block_seal(uint8_t *block, uint32_t used, uint64_t index, uint32_t *blocks_crc);

/* Is this block `index`, whole? *blocks_crc goes on over it. */
bool state_block_is_valid(const uint8_t *block, uint32_t used, uint64_t index,
                          uint32_t *blocks_crc);

/* ---- state_bind.c ---- */

/* What a state as of this position is bound to now: 0; -EINVAL (not durable); -errno; errors of the
 * log. */
int state_bind(struct weir_log *log, weir_lsn position, struct state_binding *ret_binding,
               struct weir_error *why);

/* 0; WEIR_E_STATE (another log, or one that was taken back); errors of the log. */
int state_check(struct weir_log *log, const struct state_head *head, const char *path,
                struct weir_error *why);

/* ---- state_read.c ---- */

/* Is all of a file as it was written? Without a log, so not whether it fits one. 0; WEIR_E_STATE;
 * -ENOENT; -ENOMEM; -errno. */
int state_verify(struct weir_medium *medium, const char *name, const char *file,
                 struct weir_error *why);

/* ---- state_names.c ---- */

/* Takes derived/.lock, making it and the directory: nobody makes or removes a name's directory, its
 * lock, or a file that is being written, until state_unguard(). 0; -ETIMEDOUT; -errno. */
int state_guard(struct weir_log *log, struct weir_file **ret_file);
void state_unguard(struct weir_log *log, struct weir_file *file);

/* Makes the directory of a name. Not durable before what is above it is synced. */
int state_make_directory(struct weir_log *log, const char *name);

/* The detail of an earlier failure is not one of this call. */
static inline void state_forget_error(struct weir_error *why)
{
    if (why != NULL && why->size >= sizeof *why) {
        why->code = 0;
    }
}

/* A handle that the log must not be closed under. */
static inline void state_enter(struct weir_log *log)
{
    atomic_fetch_add_explicit(&log->cursors, 1, memory_order_relaxed);
}

static inline void state_leave(struct weir_log *log)
{
    /* Release pairs with the acquire in weir_log_close(): the handle is gone. */
    atomic_fetch_sub_explicit(&log->cursors, 1, memory_order_release);
}

#endif
