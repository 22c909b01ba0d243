/* SPDX-License-Identifier: MIT */
/*
 * The management channel over UDP: what is in a datagram, and its seal.  The
 * bytes of <mullion/channel.h>'s frames go in pieces, each with its position
 * (window.h), under a key that both sides have.  docs/protocol.md, "Over UDP".
 * Pure and without allocation: compiled into hypervisor and tools.
 *
 * A seal is HMAC-SHA-256 (RFC 2104, RFC 6234), cut to its first 16 bytes, of
 * everything before it.  It says who speaks, and hides nothing.
 */
#ifndef MULLION_DATAGRAM_H
#define MULLION_DATAGRAM_H

#include <assert.h>
#include <bearssl/bearssl_hash.h>
#include <mullion/package.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MULL_DATAGRAM_MAGIC 0x31554d4d /* "MMU1": its version too */
#define MULL_SESSION_SIZE 16
#define MULL_SEAL_SIZE 16
/* With header and padding, 13 blocks of SHA-256: a step of work is no longer
 * than that on an image. */
#define MULL_DATAGRAM_DATA_MAX 768

enum mull_datagram_type {
	/* to the hypervisor */
	MULL_DATAGRAM_OPEN = 1,	 /* @session: the client's nonce */
	MULL_DATAGRAM_WRITE = 2, /* of a session: bytes, or only news */
	MULL_DATAGRAM_LEAVE = 3, /* the client ends the session */
	/* from the hypervisor */
	MULL_DATAGRAM_OFFER = 17, /* answers OPEN, with the session as data */
	MULL_DATAGRAM_BUSY = 18,  /* answers OPEN: another client is there */
	MULL_DATAGRAM_READ = 19,  /* of a session: as WRITE */
	MULL_DATAGRAM_GONE = 20,  /* there is no such session (any more) */
};

struct mull_datagram {
	uint32_t magic; /* MULL_DATAGRAM_MAGIC */
	uint8_t type;	/* enum mull_datagram_type */
	uint8_t zero;
	uint16_t length; /* of the data, which follows; then the seal */
	uint8_t session[MULL_SESSION_SIZE];
	uint64_t counter;  /* grows with each datagram of a session that a side
			      sends, from 1; what is not above the last one is
			      not taken */
	uint32_t position; /* of the first byte of data */
	uint32_t taken;	   /* all bytes before this one have come */
	uint32_t room;	   /* bytes from @taken on that can be kept */
	uint32_t zero2;
};

static_assert(sizeof(struct mull_datagram) == 48, "wire format");

#define MULL_DATAGRAM_MAX \
	(sizeof(struct mull_datagram) + MULL_DATAGRAM_DATA_MAX + MULL_SEAL_SIZE)

/* The key, with its first blocks hashed already. */
struct datagram_key {
	br_sha256_context inner, outer;
};

void datagram_set_key(struct datagram_key *key,
		      const uint8_t bytes[MULL_KEY_SIZE]);

/* HMAC-SHA-256 of @length bytes. */
void datagram_mac(const struct datagram_key *key, const void *bytes,
		  size_t length, uint8_t mac[br_sha256_SIZE]);

/*
 * datagram_seal - put a datagram together
 * @header: magic and length are filled in
 * @data: @length bytes, at most MULL_DATAGRAM_DATA_MAX
 * @wire: room for MULL_DATAGRAM_MAX bytes
 *
 * Returns its length.
 */
size_t datagram_seal(const struct datagram_key *key,
		     struct mull_datagram *header, const void *data,
		     size_t length, uint8_t *wire);

/*
 * datagram_open - look at @length bytes that came, which are hostile
 *
 * Returns the data, header->length bytes in @wire, when the seal is right; else
 * NULL.  Takes as long for each wrong seal.
 */
const uint8_t *datagram_open(const struct datagram_key *key,
			     const uint8_t *wire, size_t length,
			     struct mull_datagram *header);

#endif
