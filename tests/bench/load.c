/* SPDX-License-Identifier: MIT */
/*
 * What a guest, the same under each hypervisor, does while count_by_side.c
 * counts: a stream to another guest or to the outside, as iperf sends one, and
 * blocks of 4 KiB to and from a disk, as fio asks for them.  Each measurement
 * stands between two marks and ends with "LOAD name units=N bytes=N"; units are
 * packets or blocks.  Each is made ROUNDS times.
 *
 *   load take                takes the streams of one sender, and ends
 *   load send ADDRESS PORT   streams of packets as large as they can be, and of
 *                            1,514 bytes
 *   load disk DEVICE NAME    random reads and writes, 1 and 32 at a time
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "mark.h"

#define ROUNDS 3
#define PORT 5001
#define CARD "eth0"
#define MIB (1ul << 20)
#define WARM_UP (2 * MIB)
#define LARGE_STREAM (64 * MIB)
#define SMALL_STREAM (16 * MIB)
#define PIECE (128ul << 10)

#define BLOCK 4096ul
#define BLOCKS 2048 /* of one measurement */
#define AREA 4096   /* blocks of the disk that are used */
#define DEPTH_MAX 32

static char piece[PIECE];

static void need(int good, const char *what)
{
	if (good)
		return;
	printf("load: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* ---- streams --------------------------------------------------------------- */

static unsigned long packets_sent(void)
{
	FILE *file = fopen("/sys/class/net/" CARD "/statistics/tx_packets",
			   "r");
	unsigned long count = 0;

	need(file && fscanf(file, "%lu", &count) == 1, "packets");
	fclose(file);
	return count;
}

/* Whether the card, or the kernel for it, cuts a stream into packets, if the
 * card can. */
static void cut_late(unsigned int yes)
{
	const unsigned int words[] = { ETHTOOL_STSO, ETHTOOL_SGSO };
	int by = socket(AF_INET, SOCK_DGRAM, 0);

	for (int i = 0; i < 2; i++) {
		struct ethtool_value value = { words[i], yes };
		struct ifreq request = { .ifr_name = CARD };

		request.ifr_data = (void *)&value;
		need(!ioctl(by, SIOCETHTOOL, &request) || errno == EOPNOTSUPP,
		     "offload");
	}
	close(by);
}

static int reach(const struct sockaddr_in *to)
{
	for (int tries = 0; tries < 300; tries++) {
		int fd = socket(AF_INET, SOCK_STREAM, 0);

		if (!connect(fd, (const void *)to, sizeof *to))
			return fd;
		close(fd);
		usleep(200000);
	}
	need(0, "connect");
	return -1;
}

static void send_bytes(int fd, unsigned long count)
{
	while (count) {
		ssize_t sent = write(fd, piece, count < PIECE ? count : PIECE);

		need(sent > 0, "write");
		count -= (unsigned long)sent;
	}
}

/* Until the other side has all of them, as it tells by closing. */
static void stream(const struct sockaddr_in *to, const char *name,
		   unsigned long count)
{
	int fd = reach(to);
	unsigned long before;
	char byte;

	send_bytes(fd, WARM_UP);
	before = packets_sent();
	MARK_HERE(MARK_BEGIN);
	send_bytes(fd, count);
	shutdown(fd, SHUT_WR);
	need(read(fd, &byte, 1) == 0, "the end");
	MARK_HERE(MARK_END);
	printf("LOAD %s units=%lu bytes=%lu\n", name, packets_sent() - before,
	       count);
	close(fd);
}

static int send_streams(const char *address, const char *port)
{
	struct sockaddr_in to = { .sin_family = AF_INET };

	to.sin_port = htons((uint16_t)atoi(port));
	need(inet_aton(address, &to.sin_addr), address);
	cut_late(1);
	for (int i = 0; i < ROUNDS; i++)
		stream(&to, "stream", LARGE_STREAM);
	cut_late(0);
	for (int i = 0; i < ROUNDS; i++)
		stream(&to, "stream-1514", SMALL_STREAM);
	return 0;
}

static int take_streams(void)
{
	struct sockaddr_in here = { .sin_family = AF_INET,
				    .sin_port = htons(PORT) };
	int on = 1, from = socket(AF_INET, SOCK_STREAM, 0);

	setsockopt(from, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	need(!bind(from, (void *)&here, sizeof here), "bind");
	need(!listen(from, 1), "listen");
	for (int i = 0; i < 2 * ROUNDS; i++) {
		int fd = accept(from, NULL, NULL);

		need(fd >= 0, "accept");
		while (read(fd, piece, PIECE) > 0)
			;
		close(fd);
	}
	return 0;
}

/* ---- blocks ---------------------------------------------------------------- */

static char *blocks;
static unsigned int seed;

/* All over the area; each run asks for the same ones. */
static void ask(struct iocb *request, int fd, int opcode, int slot)
{
	seed = seed * 1103515245 + 12345;
	*request = (struct iocb){
		.aio_fildes = (uint32_t)fd,
		.aio_lio_opcode = (uint16_t)opcode,
		.aio_buf = (uintptr_t)(blocks + (unsigned long)slot * BLOCK),
		.aio_nbytes = BLOCK,
		.aio_offset = (long long)((seed >> 8) % AREA * BLOCK),
		.aio_data = (unsigned int)slot,
	};
}

/* @depth requests are on their way as long as there are some left. */
static void rounds(int fd, int opcode, int depth, int left)
{
	struct iocb requests[DEPTH_MAX], *list[DEPTH_MAX];
	struct io_event events[DEPTH_MAX];
	aio_context_t context = 0;
	int flying = 0;

	need(!syscall(SYS_io_setup, DEPTH_MAX, &context), "io_setup");
	for (int i = 0; i < depth; i++)
		events[i].data = (unsigned int)i;
	for (int free = depth; left || flying;) {
		int count = free < left ? free : left;

		for (int i = 0; i < count; i++) {
			int slot = (int)events[i].data;

			ask(&requests[slot], fd, opcode, slot);
			list[i] = &requests[slot];
		}
		for (int i = 0; i < count;) {
			long gone = syscall(SYS_io_submit, context,
					    (long)(count - i), list + i);

			need(gone > 0, "io_submit");
			i += (int)gone;
		}
		left -= count;
		flying += count;
		free = (int)syscall(SYS_io_getevents, context, 1L, (long)depth,
				    events, NULL);
		need(free > 0, "io_getevents");
		for (int i = 0; i < free; i++)
			need(events[i].res == (long long)BLOCK, "a block");
		flying -= free;
	}
	syscall(SYS_io_destroy, context);
}

static void measure_blocks(int fd, const char *disk, int opcode, int depth)
{
	seed = 1;
	rounds(fd, opcode, depth, BLOCKS / 16);
	MARK_HERE(MARK_BEGIN);
	rounds(fd, opcode, depth, BLOCKS);
	MARK_HERE(MARK_END);
	printf("LOAD %s-%s-%d units=%d bytes=%lu\n", disk,
	       opcode == IOCB_CMD_PREAD ? "read" : "write", depth, BLOCKS,
	       BLOCKS * BLOCK);
}

static int use_disk(const char *path, const char *name)
{
	int fd = open(path, O_RDWR | O_DIRECT);

	need(fd >= 0, path);
	blocks = aligned_alloc(BLOCK, DEPTH_MAX * BLOCK);
	need(blocks != NULL, "memory");
	memset(blocks, 0x5a, DEPTH_MAX * BLOCK);
	/* So that no block is written for the first time later. */
	for (unsigned long at = 0; at < AREA; at += DEPTH_MAX)
		need(pwrite(fd, blocks, DEPTH_MAX * BLOCK,
			    (off_t)(at * BLOCK)) == DEPTH_MAX * BLOCK,
		     "first write");
	for (int i = 0; i < ROUNDS; i++)
		for (int depth = 1; depth <= DEPTH_MAX; depth *= DEPTH_MAX) {
			measure_blocks(fd, name, IOCB_CMD_PREAD, depth);
			measure_blocks(fd, name, IOCB_CMD_PWRITE, depth);
		}
	return 0;
}

int main(int count, char **words)
{
	setbuf(stdout, NULL);
	if (count == 2 && !strcmp(words[1], "take"))
		return take_streams();
	if (count == 4 && !strcmp(words[1], "send"))
		return send_streams(words[2], words[3]);
	if (count == 4 && !strcmp(words[1], "disk"))
		return use_disk(words[2], words[3]);
	puts("load: take | send ADDRESS PORT | disk DEVICE NAME");
	return 2;
}
