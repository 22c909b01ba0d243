/* SPDX-License-Identifier: MIT */
/* Ethernet and IPv4 as they are on a wire: for the files of kernel/net/. */
#ifndef NET_WIRE_H
#define NET_WIRE_H

#include <stddef.h>
#include <stdint.h>

#define ETHER_TYPE 12
#define TYPE_IP4 0x0800
#define TYPE_ARP 0x0806

/* RFC 791 */
#define IP4_SIZE 20
#define IP4_LENGTH 2
#define IP4_ID 4
#define IP4_FRAGMENT 6
#define IP4_TTL 8
#define IP4_PROTOCOL 9
#define IP4_SUM 10
#define IP4_ADDRESSES 12

static inline uint32_t get_16(const uint8_t *at)
{
	return (uint32_t)at[0] << 8 | at[1];
}

static inline void put_16(uint8_t *at, uint32_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

static inline uint32_t get_32(const uint8_t *at)
{
	return get_16(at) << 16 | get_16(at + 2);
}

static inline void put_32(uint8_t *at, uint32_t value)
{
	put_16(at, value >> 16);
	put_16(at + 2, value & 0xffff);
}

/* RFC 1071, packet.c.  Adds @length bytes as 16-bit words in the machine's
 * order, eight at a time: the sum of ones' complement does not care, but for
 * its own byte order.  An odd byte must be the last of all. */
uint64_t sum_up(uint64_t sum, const uint8_t *bytes, size_t length);
/* The checksum, in that order; 0 when the sum has a right checksum in it. */
uint16_t sum_fold(uint64_t sum);
/* Puts the checksum, of which no 0 may come where 0 says that there is none. */
void sum_put(uint8_t *at, uint64_t sum);

#endif
