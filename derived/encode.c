/*
 * Numbers and byte strings through a buffer, to a state file and back.
 *
 *   encode: into the buffer; a full one goes to the writer; the first error stays
 *   decode: from the buffer, which is filled with what is left; a length is compared with that
 * first
 *
 * Failure: WEIR_E_STATE for what no encoder writes, -ENOMEM for a scratch that cannot grow.
 * Invariant: what the buffer holds and what the reader has left is what is still to be decoded.
 */
#include "derived/encode.h"

#include "base/alloc.h"

#include <errno.h>
#include <string.h>

/* ---- encode ---- */

void encoder_init(struct encoder *encoder, struct weir_state_writer *writer)
{
    encoder->writer = writer;
    encoder->error = 0;
    encoder->used = 0;
}

static void write_out(struct encoder *encoder, const void *data, size_t size)
{
    if (encoder->error == 0 && size > 0) {
        int rc = weir_state_write(encoder->writer, data, size);
        encoder->error = rc < 0 ? rc : 0;
    }
}

static void empty_buffer(struct encoder *encoder)
{
    write_out(encoder, encoder->buffer, encoder->used);
    encoder->used = 0;
}

void encode_number(struct encoder *encoder, uint64_t number)
{
    if (encoder->used + 10 > ENCODE_BUFFER) {
        empty_buffer(encoder);
    }
    while (number >= 0x80) {
        encoder->buffer[encoder->used++] = (uint8_t)(number | 0x80);
        number >>= 7;
    }
    encoder->buffer[encoder->used++] = (uint8_t)number;
}

void encode_raw(struct encoder *encoder, const void *data, size_t size)
{
    if (encoder->used + size > ENCODE_BUFFER) {
        empty_buffer(encoder);
    }
    if (size > ENCODE_BUFFER) {
        write_out(encoder, data, size);
    } else if (size > 0) {
        memcpy(encoder->buffer + encoder->used, data, size);
        encoder->used += size;
    }
}

void encode_bytes(struct encoder *encoder, struct weir_bytes bytes)
{
    encode_number(encoder, bytes.size);
    encode_raw(encoder, bytes.data, bytes.size);
}

int encoder_finish(struct encoder *encoder)
{
    empty_buffer(encoder);
    return encoder->error;
}

/* ---- decode ---- */

void decoder_init(struct decoder *decoder, struct weir_state_reader *reader)
{
    decoder->reader = reader;
    decoder->error = 0;
    decoder->at = 0;
    decoder->end = 0;
    decoder->scratch = NULL;
    decoder->scratch_size = 0;
}

void decoder_free(struct decoder *decoder)
{
    base_free(decoder->scratch);
    decoder->scratch = NULL;
    decoder->scratch_size = 0;
}

uint64_t decoder_left(const struct decoder *decoder)
{
    return decoder->end - decoder->at + weir_state_left(decoder->reader);
}

int decoder_finish(struct decoder *decoder)
{
    if (decoder->error == 0 && decoder_left(decoder) > 0) {
        decoder->error = WEIR_E_STATE;
    }
    decoder_free(decoder);
    return decoder->error;
}

static int fail(struct decoder *decoder, int rc)
{
    decoder->error = rc;
    return rc;
}

/* At least one byte in the buffer. */
static int fill_buffer(struct decoder *decoder)
{
    uint64_t left = weir_state_left(decoder->reader);
    size_t size = left < ENCODE_BUFFER ? (size_t)left : ENCODE_BUFFER;
    if (size == 0) {
        return fail(decoder, WEIR_E_STATE);
    }
    int rc = weir_state_read(decoder->reader, decoder->buffer, size);
    if (rc < 0) {
        return fail(decoder, rc);
    }
    decoder->at = 0;
    decoder->end = size;
    return 0;
}

static int decode_byte(struct decoder *decoder, uint8_t *ret_byte)
{
    if (decoder->at == decoder->end) {
        int rc = fill_buffer(decoder);
        if (rc < 0) {
            return rc;
        }
    }
    *ret_byte = decoder->buffer[decoder->at++];
    return 0;
}

int decode_number(struct decoder *decoder, uint64_t max, uint64_t *ret_number)
{
    if (decoder->error < 0) {
        return decoder->error;
    }
    uint64_t number = 0;
    for (unsigned shift = 0;; shift += 7) {
        uint8_t byte;
        int rc = decode_byte(decoder, &byte);
        if (rc < 0) {
            return rc;
        }
        if ((shift == 63 && byte > 1) || (shift > 0 && byte == 0)) {
            return fail(decoder, WEIR_E_STATE); /* beyond 64 bits; longer than it need be */
        }
        number |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            break;
        }
    }
    if (number > max) {
        return fail(decoder, WEIR_E_STATE);
    }
    *ret_number = number;
    return 0;
}

int decode_raw(struct decoder *decoder, void *ret_data, size_t size)
{
    if (decoder->error < 0) {
        return decoder->error;
    }
    if (decoder_left(decoder) < size) {
        return fail(decoder, WEIR_E_STATE);
    }
    size_t buffered = decoder->end - decoder->at;
    size_t first = size < buffered ? size : buffered;
    if (first > 0) {
        memcpy(ret_data, decoder->buffer + decoder->at, first);
        decoder->at += first;
    }
    if (size > first) {
        int rc = weir_state_read(decoder->reader, (uint8_t *)ret_data + first, size - first);
        if (rc < 0) {
            return fail(decoder, rc);
        }
    }
    return 0;
}

static int grow_scratch(struct decoder *decoder, size_t size)
{
    size_t wanted = size < 256 ? 256 : size + size / 2;
    uint8_t *grown = base_alloc(wanted);
    if (grown == NULL) {
        return fail(decoder, -ENOMEM);
    }
    base_free(decoder->scratch);
    decoder->scratch = grown;
    decoder->scratch_size = wanted;
    return 0;
}

int decode_bytes(struct decoder *decoder, size_t max, struct weir_bytes *ret_bytes)
{
    uint64_t size;
    int rc = decode_number(decoder, max, &size);
    if (rc < 0) {
        return rc;
    }
    if (decoder_left(decoder) < size) {
        return fail(decoder, WEIR_E_STATE);
    }
    if (size <= decoder->end - decoder->at) {
        *ret_bytes = (struct weir_bytes){decoder->buffer + decoder->at, (size_t)size};
        decoder->at += (size_t)size;
        return 0;
    }
    if (size > decoder->scratch_size) {
        rc = grow_scratch(decoder, (size_t)size);
        if (rc < 0) {
            return rc;
        }
    }
    rc = decode_raw(decoder, decoder->scratch, (size_t)size);
    if (rc < 0) {
        return rc;
    }
    *ret_bytes = (struct weir_bytes){decoder->scratch, (size_t)size};
    return 0;
}
