/*
 * The bytes of a state file, and its name.
 *
 * Happy path: a header that says what it is bound to, blocks that say which they are; every byte of
 * the file lies under one of their CRCs, and the header's covers the CRCs of all blocks.
 *
 * Failure modes: anything else than what was written is WEIR_E_STATE with the reason; a file that
 * was copied to another name, too.
 *
 * Invariant: no length is used before the header's checksum is right.
 */
#include "base/assert.h"
#include "base/crc32c.h"
#include "wal/hold.h"
#include "wal/scan.h"
#include "wal/state.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define BYTES_MAX ((uint64_t)1 << 60)

/* ---- names ---- */

bool state_name_is_valid(const char *name)
{
    return name != NULL && hold_name_is_valid(name) && strcmp(name, WEIR_HOLD_ENGINE) != 0;
}

bool state_file_is_valid(const char *file)
{
    return file != NULL && hold_name_is_valid(file) && strcmp(file, STATE_LOCK_FILE) != 0;
}

void state_path(const char *name, const char *file, char ret_path[STATE_PATH_BYTES])
{
    (void)snprintf(ret_path, STATE_PATH_BYTES, STATE_DIRECTORY "/%s/%s", name, file);
}

/* The leading dot keeps it apart from every FILE. */
void state_new_path(const char *name, const char *file, char ret_path[STATE_PATH_BYTES])
{
    (void)snprintf(ret_path, STATE_PATH_BYTES, STATE_DIRECTORY "/%s/.%s.new", name, file);
}

/* ---- blocks ---- */

uint32_t state_block_used(uint64_t bytes, uint64_t index)
{
    uint64_t left = bytes - index * STATE_BLOCK_ROOM;
    return left < STATE_BLOCK_ROOM ? (uint32_t)left : STATE_BLOCK_ROOM;
}

uint64_t state_file_bytes(uint64_t bytes)
{
    uint64_t blocks = state_block_count(bytes);
    if (blocks == 0) {
        return FORMAT_BLOCK;
    }
    uint32_t last = state_block_used(bytes, blocks - 1);
    return state_block_offset(blocks - 1) + state_round(sizeof(struct state_block) + last);
}

static uint32_t block_crc(const uint8_t *block, uint32_t used)
{
    size_t start = offsetof(struct state_block, bytes);
    size_t size = (size_t)state_round(sizeof(struct state_block) + used);
    return base_crc32c(0, block + start, size - start);
}

uint32_t state_block_seal(uint8_t *block, uint32_t used, uint64_t index, uint32_t *blocks_crc)
{
    struct state_block *head = (struct state_block *)block;
    uint32_t size = (uint32_t)state_round(sizeof *head + used);
    WEIR_ASSERT(used > 0 && used <= STATE_BLOCK_ROOM);
    le32_store(&head->bytes, used);
    le64_store(&head->index, index);
    memset(block + sizeof *head + used, 0, size - sizeof *head - used);
    le32_store(&head->crc, block_crc(block, used));
    *blocks_crc = base_crc32c(*blocks_crc, &head->crc, sizeof head->crc);
    return size;
}

bool state_block_is_valid(const uint8_t *block, uint32_t used, uint64_t index, uint32_t *blocks_crc)
{
    const struct state_block *head = (const struct state_block *)block;
    *blocks_crc = base_crc32c(*blocks_crc, &head->crc, sizeof head->crc);
    return le32_load(&head->crc) == block_crc(block, used) && le32_load(&head->bytes) == used &&
           le64_load(&head->index) == index;
}

/* ---- the header ---- */

static uint32_t header_crc(const uint8_t *block)
{
    size_t start = offsetof(struct state_header, format_version);
    return base_crc32c(0, block + start, FORMAT_BLOCK - start);
}

void state_header_encode(uint8_t *block, const char *name, const char *file,
                         const struct state_head *head)
{
    struct state_header *fields = (struct state_header *)block;
    const struct state_binding *binding = &head->binding;
    memset(block, 0, FORMAT_BLOCK);
    memcpy(fields->magic, STATE_MAGIC, sizeof fields->magic);
    le32_store(&fields->format_version, STATE_FORMAT_VERSION);
    memcpy(fields->uuid, binding->uuid, sizeof fields->uuid);
    le64_store(&fields->position, head->about.position);
    le64_store(&fields->epoch, binding->epoch);
    le32_store(&fields->chain, binding->chain);
    le32_store(&fields->bound, binding->bound);
    le64_store(&fields->bytes, head->about.bytes);
    le32_store(&fields->blocks_crc, head->blocks_crc);
    le32_store(&fields->version, head->about.version);
    le64_store(&fields->log_epoch, binding->log_epoch);
    le64_store(&fields->log_layout, binding->log_layout);
    le64_store(&fields->log_horizon, binding->log_horizon);
    le64_store(&fields->log_first_lsn, binding->log_first_lsn);
    memcpy(fields->kind, head->about.kind, strlen(head->about.kind));
    memcpy(fields->name, name, strlen(name));
    memcpy(fields->file, file, strlen(file));
    le32_store(&fields->crc, header_crc(block));
}

static bool is_text(const uint8_t *field, size_t size)
{
    size_t length = strnlen((const char *)field, size);
    return length < size && scan_is_zero(field + length, size - length);
}

static bool is_plausible(const struct state_header *fields)
{
    return le32_load(&fields->bound) <= 1 && le64_load(&fields->bytes) <= BYTES_MAX &&
           is_text(fields->kind, sizeof fields->kind) &&
           is_text(fields->name, sizeof fields->name) &&
           is_text(fields->file, sizeof fields->file) &&
           scan_is_zero((const uint8_t *)(fields + 1), FORMAT_BLOCK - sizeof *fields);
}

static void decode(const struct state_header *fields, struct state_head *ret_head)
{
    struct state_head head = {.about = WEIR_STATE_ABOUT_INIT};
    struct state_binding *binding = &head.binding;
    memcpy(binding->uuid, fields->uuid, sizeof binding->uuid);
    head.about.position = le64_load(&fields->position);
    binding->epoch = le64_load(&fields->epoch);
    binding->chain = le32_load(&fields->chain);
    binding->bound = le32_load(&fields->bound) == 1;
    head.about.bytes = le64_load(&fields->bytes);
    head.blocks_crc = le32_load(&fields->blocks_crc);
    head.about.version = le32_load(&fields->version);
    binding->log_epoch = le64_load(&fields->log_epoch);
    binding->log_layout = le64_load(&fields->log_layout);
    binding->log_horizon = le64_load(&fields->log_horizon);
    binding->log_first_lsn = le64_load(&fields->log_first_lsn);
    memcpy(head.about.kind, fields->kind, sizeof head.about.kind);
    *ret_head = head;
}

int state_header_decode(const uint8_t *block, const char *name, const char *file,
                        struct state_head *ret_head, struct weir_error *why)
{
    const struct state_header *fields = (const struct state_header *)block;
    char path[STATE_PATH_BYTES];
    state_path(name, file, path);
    if (memcmp(fields->magic, STATE_MAGIC, sizeof fields->magic) != 0) {
        return log_error(why, WEIR_E_STATE, path, 0, "%s is not a state file", path);
    }
    if (le32_load(&fields->crc) != header_crc(block)) {
        return log_error(why, WEIR_E_STATE, path, 0, "%s is damaged: its header fails its checksum",
                         path);
    }
    uint32_t version = le32_load(&fields->format_version);
    if (version != STATE_FORMAT_VERSION) {
        return log_error(why, WEIR_E_STATE, path, 12,
                         "%s is of version %" PRIu32 " of the format, which is not known here",
                         path, version);
    }
    if (!is_plausible(fields)) {
        return log_error(why, WEIR_E_STATE, path, 0, "%s has a header that cannot be", path);
    }
    if (strcmp((const char *)fields->name, name) != 0 ||
        strcmp((const char *)fields->file, file) != 0) {
        return log_error(why, WEIR_E_STATE, path, 0, "%s was written as " STATE_DIRECTORY "/%s/%s",
                         path, (const char *)fields->name, (const char *)fields->file);
    }
    decode(fields, ret_head);
    return 0;
}
