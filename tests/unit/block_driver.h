/* SPDX-License-Identifier: MIT */
/* The driver of a guest's disk that offers one request at a time, its data in
 * two parts. */
#ifndef TESTS_UNIT_BLOCK_DRIVER_H
#define TESTS_UNIT_BLOCK_DRIVER_H

#include "block_fixture.h"

#define HEADER 0x5000
#define STATUS_AT 0x6000
#define DATA 0x8000
#define DATA_SIZE KIB(20)

enum { IN = 0, OUT = 1, FLUSH = 4 };
enum { OK = 0, IO_ERROR = 1, NONE = 0xee };

static inline void work(void)
{
	for (int i = 0; i < 100; i++)
		if (!guest_pci_work(&vm))
			return;
	fail_msg("the work does not end");
}

static inline void offer(uint32_t type, uint64_t sector, uint32_t length)
{
	put_32(HEADER, type);
	put_64(HEADER + 8, sector);
	ram[STATUS_AT] = NONE;
	describe(0, HEADER, 16, NEXT, 1);
	/* They need not be of whole sectors. */
	describe(1, DATA, length / 3, NEXT | (type == OUT ? 0 : WRITE), 2);
	describe(2, DATA + length / 3, length - length / 3,
		 NEXT | (type == OUT ? 0 : WRITE), 3);
	describe(3, STATUS_AT, 1, WRITE, 0);
	make_available(0);
	notify();
	work();
}

#endif
