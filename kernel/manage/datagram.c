/* SPDX-License-Identifier: MIT */
/*
 * BearSSL's own HMAC calls its hash through a table, which the hypervisor's
 * rule against indirect branches forbids: so RFC 2104 stands here, over
 * BearSSL's SHA-256.  In the hypervisor, callers hold the FPU.
 */
#include <mullion/datagram.h>
#include <string.h>

#define BLOCK 64 /* bytes of SHA-256's */
#define INNER 0x36
#define OUTER 0x5c

static void begin(br_sha256_context *hash, const uint8_t bytes[MULL_KEY_SIZE],
		  uint8_t pad)
{
	uint8_t block[BLOCK];

	memset(block, pad, sizeof block);
	for (size_t i = 0; i < MULL_KEY_SIZE; i++)
		block[i] ^= bytes[i];
	br_sha256_init(hash);
	br_sha256_update(hash, block, sizeof block);
}

void datagram_set_key(struct datagram_key *key,
		      const uint8_t bytes[MULL_KEY_SIZE])
{
	static_assert(MULL_KEY_SIZE <= BLOCK, "a longer key would be hashed");
	begin(&key->inner, bytes, INNER);
	begin(&key->outer, bytes, OUTER);
}

void datagram_mac(const struct datagram_key *key, const void *bytes,
		  size_t length, uint8_t mac[br_sha256_SIZE])
{
	br_sha256_context hash = key->inner;

	br_sha256_update(&hash, bytes, length);
	br_sha256_out(&hash, mac);
	hash = key->outer;
	br_sha256_update(&hash, mac, br_sha256_SIZE);
	br_sha256_out(&hash, mac);
}

size_t datagram_seal(const struct datagram_key *key,
		     struct mull_datagram *header, const void *data,
		     size_t length, uint8_t *wire)
{
	uint8_t mac[br_sha256_SIZE];
	size_t sealed = sizeof *header + length;

	header->magic = MULL_DATAGRAM_MAGIC;
	header->length = (uint16_t)length;
	memcpy(wire, header, sizeof *header);
	if (length)
		memcpy(wire + sizeof *header, data, length);
	datagram_mac(key, wire, sealed, mac);
	memcpy(wire + sealed, mac, MULL_SEAL_SIZE);
	return sealed + MULL_SEAL_SIZE;
}

/* Looks at all bytes, whatever the first ones are. */
static bool is_same(const uint8_t *a, const uint8_t *b, size_t length)
{
	volatile uint8_t differs = 0;

	for (size_t i = 0; i < length; i++)
		differs |= a[i] ^ b[i];
	return !differs;
}

const uint8_t *datagram_open(const struct datagram_key *key,
			     const uint8_t *wire, size_t length,
			     struct mull_datagram *header)
{
	uint8_t mac[br_sha256_SIZE];
	size_t sealed;

	if (length < sizeof *header + MULL_SEAL_SIZE ||
	    length > MULL_DATAGRAM_MAX)
		return NULL;
	memcpy(header, wire, sizeof *header);
	sealed = sizeof *header + header->length;
	if (header->magic != MULL_DATAGRAM_MAGIC ||
	    sealed + MULL_SEAL_SIZE != length)
		return NULL;
	datagram_mac(key, wire, sealed, mac);
	return is_same(mac, wire + sealed, MULL_SEAL_SIZE) ?
		       wire + sizeof *header :
		       NULL;
}
