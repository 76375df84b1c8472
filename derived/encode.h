/*
 * Numbers and byte strings to a state file and back, through a buffer.
 *
 *     struct encoder encoder;
 *     encoder_init(&encoder, writer);
 *     encode_number(&encoder, count);
 *     encode_bytes(&encoder, text);                 // size, then the bytes
 *     return encoder_finish(&encoder);              // the first error
 *
 * What is decoded has valid checksums and may lie all the same: a decoder never believes a length
 * before it has compared it with what is left. The first error stays: all later calls give it.
 */
#ifndef DERIVED_ENCODE_H
#define DERIVED_ENCODE_H

#include <weir/engine.h>
#include <weir/state.h>

#define ENCODE_BUFFER 8192

struct encoder {
    struct weir_state_writer *writer;
    int error;
    size_t used;
    uint8_t buffer[ENCODE_BUFFER];
};

void encoder_init(struct encoder *encoder, struct weir_state_writer *writer);
/* 1 to 10 bytes: 7 bits each, the lowest first. */
void encode_number(struct encoder *encoder, uint64_t number);
/* As they are. */
void encode_raw(struct encoder *encoder, const void *data, size_t size);
/* The size as a number, then the bytes. */
void encode_bytes(struct encoder *encoder, struct weir_bytes bytes);
/* Hands the rest to the writer: 0, or the first error. */
int encoder_finish(struct encoder *encoder);

struct decoder {
    struct weir_state_reader *reader;
    int error;
    size_t at, end;   /* what of the buffer is still to come */
    uint8_t *scratch; /* for byte strings; grows */
    size_t scratch_size;
    uint8_t buffer[ENCODE_BUFFER];
};

void decoder_init(struct decoder *decoder, struct weir_state_reader *reader);
/* Frees its scratch: 0, or the first error; WEIR_E_STATE when bytes are left over. */
int decoder_finish(struct decoder *decoder);
/* Frees its scratch, after an error. */
void decoder_free(struct decoder *decoder);

/* All: 0; WEIR_E_STATE (fewer bytes are left, a number in more bytes than it needs or beyond the
 * limit); -ENOMEM; what the reader said. */
int decode_number(struct decoder *decoder, uint64_t max, uint64_t *ret_number);
int decode_raw(struct decoder *decoder, void *ret_data, size_t size);
/* Lent until the next call. */
int decode_bytes(struct decoder *decoder, size_t max, struct weir_bytes *ret_bytes);
/* Bytes that are left: no count of things of one byte or more can be greater. */
uint64_t decoder_left(const struct decoder *decoder);

#endif
