/*
 * Reading a state file: all of it verified before any of it is handed out.
 *
 * Happy path of opening one: read the header, see that it fits this log, read every block and check
 * it. Then the bytes come out of one buffer, which is read again block by block; a block is checked
 * again as it comes. A file of one block is read once.
 *
 * Failure modes: no file (-ENOENT); a file that is shorter or longer than its header says, bytes
 * that fail a checksum, a file that does not fit the log (WEIR_E_STATE); the medium's errors.
 *
 * Invariants: a file is never changed once it has its name, only replaced; then the reader keeps
 * the old one.
 */
#include "base/alloc.h"
#include "base/assert.h"
#include "wal/state.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define NOT_LOADED UINT64_MAX

struct weir_state_reader {
    struct weir_log *log; /* NULL: whether it fits one is not asked */
    struct weir_medium *medium;
    struct weir_file *file;
    uint8_t *buffer; /* a block, and behind it the header */
    struct state_head head;
    uint64_t offset; /* in the body */
    uint64_t loaded; /* index of the block in the buffer */
    char path[STATE_PATH_BYTES];
};

static int damaged(const struct weir_state_reader *reader, uint64_t offset, struct weir_error *why)
{
    return log_error(why, WEIR_E_STATE, reader->path, offset,
                     "%s is damaged: the block at offset %" PRIu64 " fails its checksum",
                     reader->path, offset);
}

static int load_block(struct weir_state_reader *reader, uint64_t index, uint32_t *blocks_crc,
                      struct weir_error *why)
{
    uint64_t offset = state_block_offset(index);
    uint32_t used = state_block_used(reader->head.about.bytes, index);
    size_t size = (size_t)state_round(sizeof(struct state_block) + used);
    size_t got = 0;
    reader->loaded = NOT_LOADED;
    int rc = reader->medium->ops->read(reader->file, offset, reader->buffer, size, &got);
    if (rc < 0) {
        return log_error(why, rc, reader->path, offset, "%s cannot be read: %s", reader->path,
                         weir_error_text(rc));
    }
    if (got != size || !state_block_is_valid(reader->buffer, used, index, blocks_crc)) {
        return damaged(reader, offset, why);
    }
    reader->loaded = index;
    return 0;
}

/* ---- opening ---- */

static int load_header(struct weir_state_reader *reader, const char *name, const char *file,
                       struct weir_error *why)
{
    const struct weir_medium_ops *ops = reader->medium->ops;
    uint8_t *block = reader->buffer + STATE_BLOCK_BYTES;
    size_t got = 0;
    int rc = ops->read(reader->file, 0, block, FORMAT_BLOCK, &got);
    if (rc < 0) {
        return log_error(why, rc, reader->path, 0, "%s cannot be read: %s", reader->path,
                         weir_error_text(rc));
    }
    if (got != FORMAT_BLOCK) {
        return log_error(why, WEIR_E_STATE, reader->path, got, "%s is cut short: %zu bytes",
                         reader->path, got);
    }
    return state_header_decode(block, name, file, &reader->head, why);
}

static int check_size(struct weir_state_reader *reader, struct weir_error *why)
{
    uint64_t expected = state_file_bytes(reader->head.about.bytes);
    uint64_t size = 0;
    int rc = reader->medium->ops->size(reader->file, &size);
    if (rc == 0 && size != expected) {
        return log_error(why, WEIR_E_STATE, reader->path, size < expected ? size : expected,
                         "%s has %" PRIu64 " bytes and should have %" PRIu64, reader->path, size,
                         expected);
    }
    return rc;
}

static int check_blocks(struct weir_state_reader *reader, struct weir_error *why)
{
    uint64_t count = state_block_count(reader->head.about.bytes);
    uint32_t crc = 0;
    int rc = 0;
    for (uint64_t i = 0; i < count && rc == 0; i++) {
        rc = load_block(reader, i, &crc, why);
    }
    if (rc == 0 && crc != reader->head.blocks_crc) {
        return log_error(why, WEIR_E_STATE, reader->path, 64,
                         "%s is damaged: its blocks are not those of its header", reader->path);
    }
    return rc;
}

static int verify_header(struct weir_state_reader *reader, const char *name, const char *file,
                         struct weir_error *why)
{
    int rc = load_header(reader, name, file, why);
    if (rc == 0 && reader->log != NULL) {
        rc = state_check(reader->log, &reader->head, reader->path, why);
    }
    return rc < 0 ? rc : check_size(reader, why);
}

static void free_reader(struct weir_state_reader *reader)
{
    if (reader->file != NULL) {
        reader->medium->ops->close(reader->file);
    }
    base_pages_free(reader->buffer, STATE_BUFFER_BYTES);
    base_free(reader);
}

static int begin(struct weir_state_reader *reader, const char *name, const char *file,
                 struct weir_error *why)
{
    struct weir_medium *medium = reader->medium;
    reader->loaded = NOT_LOADED;
    state_path(name, file, reader->path);
    reader->buffer = base_pages_alloc(STATE_BUFFER_BYTES, 0);
    if (reader->buffer == NULL) {
        return -ENOMEM;
    }
    int rc = medium->ops->open(medium, reader->path, WEIR_FILE_READ, &reader->file);
    if (rc < 0) {
        reader->file = NULL;
        return log_error(why, rc, reader->path, UINT64_MAX, "%s cannot be opened: %s", reader->path,
                         weir_error_text(rc));
    }
    return verify_header(reader, name, file, why);
}

/* A reader whose header is right. */
static int open_reader(struct weir_log *log, const char *name, const char *file,
                       struct weir_state_reader **ret_reader, struct weir_error *why)
{
    if (log == NULL || !state_name_is_valid(name) || !state_file_is_valid(file)) {
        return log_error(why, -EINVAL, NULL, UINT64_MAX, "that is no name of a state");
    }
    int rc = log_check(log);
    if (rc < 0) {
        return log_error(why, rc, NULL, UINT64_MAX, "%s", weir_error_text(rc));
    }
    struct weir_state_reader *reader = base_alloc_zero(sizeof *reader);
    if (reader == NULL) {
        return log_error(why, -ENOMEM, NULL, UINT64_MAX, "%s", weir_error_text(-ENOMEM));
    }
    reader->log = log;
    reader->medium = log->medium;
    state_forget_error(why);
    rc = begin(reader, name, file, why);
    if (rc < 0) {
        log_error_explain(why, rc, reader->path);
        free_reader(reader);
        return rc;
    }
    *ret_reader = reader;
    return 0;
}

int weir_state_open(struct weir_log *log, const char *name, const char *file,
                    struct weir_state_reader **ret_reader, struct weir_error *ret_error)
{
    struct weir_state_reader *reader;
    if (ret_reader == NULL) {
        return -EINVAL;
    }
    int rc = open_reader(log, name, file, &reader, ret_error);
    if (rc < 0) {
        return rc;
    }
    rc = check_blocks(reader, ret_error);
    if (rc < 0) {
        free_reader(reader);
        return rc;
    }
    state_enter(log);
    *ret_reader = reader;
    return 0;
}

int weir_state_peek(struct weir_log *log, const char *name, const char *file,
                    struct weir_state_about *ret_about, struct weir_error *ret_error)
{
    struct weir_state_reader *reader;
    if (ret_about == NULL || ret_about->size < sizeof *ret_about) {
        return -EINVAL;
    }
    int rc = open_reader(log, name, file, &reader, ret_error);
    if (rc == 0) {
        rc = weir_state_about(reader, ret_about);
        free_reader(reader);
    }
    return rc;
}

int state_verify(struct weir_medium *medium, const char *name, const char *file,
                 struct weir_error *why)
{
    struct weir_state_reader *reader = base_alloc_zero(sizeof *reader);
    if (reader == NULL) {
        return -ENOMEM;
    }
    reader->medium = medium;
    int rc = begin(reader, name, file, why);
    rc = rc < 0 ? rc : check_blocks(reader, why);
    log_error_explain(why, rc, reader->path);
    free_reader(reader);
    return rc;
}

void weir_state_close(struct weir_state_reader *reader)
{
    if (reader != NULL) {
        struct weir_log *log = reader->log;
        free_reader(reader);
        state_leave(log);
    }
}

/* ---- what is in it ---- */

int weir_state_about(const struct weir_state_reader *reader, struct weir_state_about *ret_about)
{
    if (reader == NULL || ret_about == NULL || ret_about->size < sizeof *ret_about) {
        return -EINVAL;
    }
    size_t size = ret_about->size;
    *ret_about = reader->head.about;
    ret_about->size = size;
    return 0;
}

uint64_t weir_state_left(const struct weir_state_reader *reader)
{
    return reader->head.about.bytes - reader->offset;
}

int weir_state_read(struct weir_state_reader *reader, void *ret_data, size_t size)
{
    if (reader == NULL || (ret_data == NULL && size > 0)) {
        return -EINVAL;
    }
    int rc = log_check(reader->log);
    if (rc == 0 && size > weir_state_left(reader)) {
        rc = WEIR_E_STATE;
    }
    uint8_t *to = ret_data;
    while (size > 0 && rc == 0) {
        uint64_t index = reader->offset / STATE_BLOCK_ROOM;
        uint32_t at = (uint32_t)(reader->offset % STATE_BLOCK_ROOM);
        uint32_t crc = 0;
        rc = index != reader->loaded ? load_block(reader, index, &crc, NULL) : 0;
        if (rc == 0) {
            uint32_t room = state_block_used(reader->head.about.bytes, index) - at;
            uint32_t part = size < room ? (uint32_t)size : room;
            memcpy(to, reader->buffer + sizeof(struct state_block) + at, part);
            to += part;
            size -= part;
            reader->offset += part;
        }
    }
    return rc;
}
