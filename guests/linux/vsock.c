/* SPDX-License-Identifier: MIT */
/*
 * Sockets between partitions, and with the host:
 *   vsock echo PORT            sends back whatever comes, from any
 *   vsock talk CID PORT BYTES  has that many sent back, and compares
 *   vsock refused CID PORT     is not let in, and at once
 *   vsock end CID PORT         sends now and then, until that fails
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <linux/vm_sockets.h>

#define SECONDS 60 /* that are waited for somebody who listens */

static struct sockaddr_vm address(const char *cid, const char *port)
{
	return (struct sockaddr_vm){
		.svm_family = AF_VSOCK,
		.svm_cid = (unsigned)strtoul(cid, NULL, 10),
		.svm_port = (unsigned)strtoul(port, NULL, 10),
	};
}

/* A socket that is connected, or -1. */
static int reach(const char *cid, const char *port)
{
	struct sockaddr_vm to = address(cid, port);
	int fd = socket(AF_VSOCK, SOCK_STREAM, 0);

	if (!connect(fd, (struct sockaddr *)&to, sizeof to))
		return fd;
	close(fd);
	return -1;
}

static int reach_soon(const char *cid, const char *port)
{
	int fd = -1;

	for (int i = 0; i < SECONDS && fd < 0; i++) {
		fd = reach(cid, port);
		if (fd < 0)
			sleep(1);
	}
	return fd;
}

static int echo(const char *port)
{
	struct sockaddr_vm own = address("4294967295", port);
	int listener = socket(AF_VSOCK, SOCK_STREAM, 0);

	signal(SIGCHLD, SIG_IGN);
	if (bind(listener, (struct sockaddr *)&own, sizeof own) ||
	    listen(listener, 8))
		return 1;
	printf("LISTENS %s\n", port);
	fflush(stdout);
	for (;;) {
		static char bytes[65536];
		int fd = accept(listener, NULL, NULL);
		ssize_t length;

		if (fd < 0)
			return 1;
		if (fork()) {
			close(fd);
			continue;
		}
		while ((length = read(fd, bytes, sizeof bytes)) > 0)
			for (ssize_t done = 0, more; done < length;
			     done += more) {
				more = write(fd, bytes + done,
					     (size_t)(length - done));
				if (more <= 0)
					exit(1);
			}
		exit(0);
	}
}

static uint8_t pattern(size_t at)
{
	return (uint8_t)(at * 2654435761u >> 13);
}

static int talk(const char *cid, const char *port, size_t count)
{
	int fd = reach_soon(cid, port);
	size_t sent = 0, got = 0;

	while (fd >= 0 && got < count) {
		struct pollfd wait = { fd,
				       POLLIN | (sent < count ? POLLOUT : 0),
				       0 };
		static uint8_t bytes[65536];
		size_t piece = count - sent;
		ssize_t length;

		if (poll(&wait, 1, 60000) <= 0)
			break;
		if (wait.revents & POLLIN) {
			length = read(fd, bytes, sizeof bytes);
			if (length <= 0)
				break;
			for (ssize_t i = 0; i < length; i++)
				if (bytes[i] != pattern(got++)) {
					printf("FAIL byte %zu differs\n",
					       got - 1);
					return 1;
				}
		} else if (wait.revents & POLLOUT && sent < count) {
			if (piece > sizeof bytes)
				piece = sizeof bytes;
			for (size_t i = 0; i < piece; i++)
				bytes[i] = pattern(sent + i);
			length = send(fd, bytes, piece, MSG_DONTWAIT);
			if (length < 0 && errno != EAGAIN)
				break;
			sent += length < 0 ? 0 : (size_t)length;
		} else if (wait.revents & (POLLERR | POLLHUP)) {
			break;
		}
	}
	printf("%s %zu of %zu bytes came back from %s\n",
	       got == count ? "PASS" : "FAIL", got, count, cid);
	return got != count;
}

static int refused(const char *cid, const char *port)
{
	time_t begin = time(NULL);
	int fd = reach(cid, port), error = errno;
	int good = fd < 0 && error == ECONNRESET && time(NULL) - begin < 2;

	printf("%s %s:%s does not let it in: %s\n", good ? "PASS" : "FAIL", cid,
	       port, fd < 0 ? strerror(error) : "it did");
	return !good;
}

static int end(const char *cid, const char *port)
{
	int fd = reach_soon(cid, port);
	ssize_t length = 1;

	signal(SIGPIPE, SIG_IGN);
	printf("%s\n", fd < 0 ? "FAIL it is not let in" : "CONNECTED");
	fflush(stdout);
	while (fd >= 0 && length > 0) {
		char byte = 1;

		length = write(fd, &byte, 1);
		if (length > 0)
			length = read(fd, &byte, 1);
		if (length > 0)
			usleep(100000);
	}
	if (fd >= 0)
		printf("PASS the connection has ended: %s\n",
		       length ? strerror(errno) : "nothing more comes");
	return fd < 0;
}

int main(int argc, char **argv)
{
	const char *role = argc > 2 ? argv[1] : "";

	if (!strcmp(role, "echo"))
		return echo(argv[2]);
	if (!strcmp(role, "talk") && argc == 5)
		return talk(argv[2], argv[3], strtoul(argv[4], NULL, 10));
	if (!strcmp(role, "refused") && argc == 4)
		return refused(argv[2], argv[3]);
	if (!strcmp(role, "end") && argc == 4)
		return end(argv[2], argv[3]);
	return 2;
}
