/*
 * State files in memory, in place of those of the library: what is written can be looked at, cut
 * and changed before it is read. The rest of <weir/state.h> is not for these tests.
 */
#include "tests/derived/support.h"

#include <errno.h>

struct weir_state_reader {
    const uint8_t *data;
    size_t left;
};

struct weir_state_writer *memory_state_writer(struct memory_state *state)
{
    return (struct weir_state_writer *)state;
}

struct weir_state_reader *memory_state_reader(const struct memory_state *state)
{
    struct weir_state_reader *reader = malloc(sizeof *reader);
    assert_non_null(reader);
    *reader = (struct weir_state_reader){.data = state->data, .left = state->size};
    return reader;
}

void memory_state_free(struct memory_state *state)
{
    free(state->data);
    *state = (struct memory_state){0};
}

int weir_state_write(struct weir_state_writer *writer, const void *data, size_t size)
{
    struct memory_state *state = (struct memory_state *)writer;
    if (state->write_error < 0) {
        return state->write_error;
    }
    if (state->size + size > state->room) {
        state->room = (state->size + size) * 2;
        state->data = realloc(state->data, state->room);
        assert_non_null(state->data);
    }
    if (size > 0) {
        memcpy(state->data + state->size, data, size);
    }
    state->size += size;
    return 0;
}

int weir_state_read(struct weir_state_reader *reader, void *ret_data, size_t size)
{
    if (size > reader->left) {
        return WEIR_E_STATE;
    }
    memcpy(ret_data, reader->data, size);
    reader->data += size;
    reader->left -= size;
    return 0;
}

uint64_t weir_state_left(const struct weir_state_reader *reader)
{
    return reader->left;
}

void weir_state_close(struct weir_state_reader *reader)
{
    free(reader);
}
