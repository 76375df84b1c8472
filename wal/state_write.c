/*
 * Writing a state file: a new one, then in place of the old one in one step.
 *
 * Happy path: make .FILE.new; fill a block, seal it, write it, block after block; at the end write
 * the header, sync, rename over FILE, sync the directory. The first file of a name makes the
 * directories durable before it is written at all.
 *
 * What a crash leaves: the old FILE or the new one; .FILE.new, which is no FILE, and which the next
 * writer of FILE removes.
 *
 * Failure modes: an error of writing is kept, and commit tells it; then .FILE.new is removed and
 * the old FILE stays. When the last sync of the directory fails, it may be the new one. Somebody
 * else writes the same FILE (-EBUSY): .FILE.new is locked as long as it is written.
 *
 * Invariants: a header is written behind all that it covers; the position is durable in the log
 * before FILE exists.
 */
#include "base/alloc.h"
#include "base/assert.h"
#include "wal/state.h"

#include <errno.h>
#include <string.h>

struct weir_state_writer {
    struct weir_log *log;
    struct weir_file *file;
    uint8_t *buffer; /* a block, and behind it the header */
    uint32_t used;   /* of the block's room */
    uint64_t index;  /* of the block */
    uint32_t blocks_crc;
    int error; /* the first one of writing */
    char name[WEIR_STATE_NAME_MAX + 1];
    char file_name[WEIR_STATE_NAME_MAX + 1];
};

/* ---- beginning ---- */

/* Once a FILE is there, what is above it is durable. */
static int flush_above(struct weir_log *log, const char *name, const char *file)
{
    const struct weir_medium_ops *ops = log->medium->ops;
    char path[STATE_PATH_BYTES];
    struct weir_file *old;
    state_path(name, file, path);
    int rc = ops->open(log->medium, path, WEIR_FILE_READ, &old);
    if (rc == 0) {
        ops->close(old);
        return 0;
    }
    rc = rc == -ENOENT ? ops->sync_directory(log->medium, "") : rc;
    return rc < 0 ? rc : ops->sync_directory(log->medium, STATE_DIRECTORY);
}

/* A file of that name that nobody has locked is left over from a crash. */
static int remove_leftover(struct weir_medium *medium, const char *path)
{
    struct weir_file *file;
    int rc = medium->ops->open(medium, path, WEIR_FILE_WRITE, &file);
    if (rc < 0) {
        return rc == -ENOENT ? 0 : rc;
    }
    rc = medium->ops->lock(file, WEIR_LOCK_EXCLUSIVE);
    if (rc == 0) {
        rc = medium->ops->remove(medium, path);
    }
    medium->ops->close(file);
    return rc == -EAGAIN ? -EBUSY : rc;
}

/* Under the guard. */
static int create_file(struct weir_log *log, const char *name, const char *file,
                       struct weir_file **ret_file)
{
    struct weir_medium *medium = log->medium;
    char path[STATE_PATH_BYTES];
    state_new_path(name, file, path);
    int rc = state_make_directory(log, name);
    rc = rc < 0 ? rc : flush_above(log, name, file);
    rc = rc < 0 ? rc : remove_leftover(medium, path);
    rc = rc < 0 ? rc : medium->ops->create(medium, path, 0, ret_file);
    if (rc < 0) {
        return rc;
    }
    rc = medium->ops->lock(*ret_file, WEIR_LOCK_EXCLUSIVE);
    if (rc < 0) {
        medium->ops->close(*ret_file);
        (void)medium->ops->remove(medium, path);
    }
    return rc;
}

static void free_writer(struct weir_state_writer *writer)
{
    base_pages_free(writer->buffer, STATE_BUFFER_BYTES);
    base_free(writer);
}

static int begin(struct weir_state_writer *writer)
{
    struct weir_file *guard;
    int rc = state_guard(writer->log, &guard);
    if (rc == 0) {
        rc = create_file(writer->log, writer->name, writer->file_name, &writer->file);
        state_unguard(writer->log, guard);
    }
    return rc;
}

int weir_state_create(struct weir_log *log, const char *name, const char *file,
                      struct weir_state_writer **ret_writer)
{
    if (log == NULL || !state_name_is_valid(name) || !state_file_is_valid(file) ||
        ret_writer == NULL) {
        return -EINVAL;
    }
    int rc = log_check(log);
    if (rc < 0) {
        return rc;
    }
    struct weir_state_writer *writer = base_alloc_zero(sizeof *writer);
    if (writer == NULL) {
        return -ENOMEM;
    }
    writer->log = log;
    strcpy(writer->name, name);
    strcpy(writer->file_name, file);
    writer->buffer = base_pages_alloc(STATE_BUFFER_BYTES, 0);
    rc = writer->buffer != NULL ? begin(writer) : -ENOMEM;
    if (rc < 0) {
        free_writer(writer);
        return rc;
    }
    state_enter(log);
    *ret_writer = writer;
    return 0;
}

/* ---- writing ---- */

static int write_block(struct weir_state_writer *writer)
{
    uint64_t offset = state_block_offset(writer->index);
    uint32_t size =
        state_block_seal(writer->buffer, writer->used, writer->index, &writer->blocks_crc);
    writer->index++;
    writer->used = 0;
    return writer->log->medium->ops->write(writer->file, offset, writer->buffer, size);
}

int weir_state_write(struct weir_state_writer *writer, const void *data, size_t size)
{
    if (writer == NULL || (data == NULL && size > 0)) {
        return -EINVAL;
    }
    int rc = log_check(writer->log);
    if (rc < 0) {
        return rc;
    }
    const uint8_t *from = data;
    while (size > 0 && writer->error == 0) {
        uint32_t room = STATE_BLOCK_ROOM - writer->used;
        uint32_t part = size < room ? (uint32_t)size : room;
        memcpy(writer->buffer + sizeof(struct state_block) + writer->used, from, part);
        writer->used += part;
        from += part;
        size -= part;
        if (writer->used == STATE_BLOCK_ROOM) {
            writer->error = write_block(writer);
        }
    }
    return writer->error;
}

/* ---- the end ---- */

/* Frees the writer. Unless the file has its name, it is removed. */
static void end(struct weir_state_writer *writer, bool in_place)
{
    struct weir_log *log = writer->log;
    if (log_check(log) == 0) { /* in a child of fork() the file is the parent's */
        char path[STATE_PATH_BYTES];
        state_new_path(writer->name, writer->file_name, path);
        if (!in_place) { /* while it is locked: it is ours */
            (void)log->medium->ops->remove(log->medium, path);
        }
        (void)log->medium->ops->lock(writer->file, WEIR_LOCK_NONE);
    }
    log->medium->ops->close(writer->file);
    free_writer(writer);
    state_leave(log);
}

static int write_header(struct weir_state_writer *writer, const struct state_head *head)
{
    const struct weir_medium_ops *ops = writer->log->medium->ops;
    uint8_t *block = writer->buffer + STATE_BLOCK_BYTES;
    state_header_encode(block, writer->name, writer->file_name, head);
    int rc = ops->write(writer->file, 0, block, FORMAT_BLOCK);
    return rc < 0 ? rc : ops->sync(writer->file);
}

static int put_in_place(struct weir_state_writer *writer, bool *ret_in_place)
{
    struct weir_medium *medium = writer->log->medium;
    char path[STATE_PATH_BYTES];
    char new_path[STATE_PATH_BYTES];
    state_path(writer->name, writer->file_name, path);
    state_new_path(writer->name, writer->file_name, new_path);
    int rc = medium->ops->rename(medium, new_path, path);
    if (rc < 0) {
        return rc;
    }
    *ret_in_place = true;
    *strrchr(path, '/') = '\0';
    return medium->ops->sync_directory(medium, path);
}

static int finish(struct weir_state_writer *writer, struct state_head *head, bool *ret_in_place,
                  struct weir_error *why)
{
    head->about.bytes = writer->index * STATE_BLOCK_ROOM + writer->used;
    if (writer->error == 0 && writer->used > 0) {
        writer->error = write_block(writer);
    }
    head->blocks_crc = writer->blocks_crc;
    int rc = writer->error;
    rc = rc < 0 ? rc : state_bind(writer->log, head->about.position, &head->binding, why);
    rc = rc < 0 ? rc : write_header(writer, head);
    return rc < 0 ? rc : put_in_place(writer, ret_in_place);
}

static int explain(struct weir_state_writer *writer, int rc, struct weir_error *why)
{
    if (rc == 0 || (why != NULL && why->size >= sizeof *why && why->code == rc)) {
        return rc;
    }
    char path[STATE_PATH_BYTES];
    state_path(writer->name, writer->file_name, path);
    return log_error(why, rc, path, UINT64_MAX, "%s was not written: %s", path,
                     weir_error_text(rc));
}

int weir_state_commit(struct weir_state_writer *writer, const char *kind, uint32_t version,
                      weir_lsn position, struct weir_error *ret_error)
{
    if (writer == NULL) {
        return -EINVAL;
    }
    struct state_head head = {.about = WEIR_STATE_ABOUT_INIT};
    bool in_place = false;
    int rc = log_check(writer->log);
    state_forget_error(ret_error);
    if (rc == 0 && (kind == NULL || strnlen(kind, sizeof head.about.kind) > WEIR_STATE_KIND_MAX)) {
        rc = -EINVAL;
    }
    if (rc == 0) {
        strcpy(head.about.kind, kind);
        head.about.version = version;
        head.about.position = position;
        rc = finish(writer, &head, &in_place, ret_error);
    }
    rc = explain(writer, rc, ret_error);
    end(writer, in_place);
    return rc;
}

void weir_state_abandon(struct weir_state_writer *writer)
{
    if (writer != NULL) {
        end(writer, false);
    }
}
