/* SPDX-License-Identifier: MIT */
#include "gdb_line.h"

#include <errno.h>
#include <limits.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "texts.h"
#include "work.h"

#define SEND_MILLISECONDS 5000 /* for a gdb that does not read */

static void watch(const struct gdb_line *line, int fd)
{
	struct epoll_event event = { .events = EPOLLIN };

	epoll_ctl(line->any, EPOLL_CTL_ADD, fd, &event);
}

/* ---- opening ------------------------------------------------------------ */

static int listen_at(const char *host, const char *port)
{
	struct addrinfo wanted = { .ai_socktype = SOCK_STREAM,
				   .ai_flags = AI_PASSIVE };
	struct addrinfo *found;
	int error = getaddrinfo(host, port, &wanted, &found);
	int fd = -1, yes = 1;

	if (error) {
		tell("%s:%s: %s", host, port, gai_strerror(error));
		return -1;
	}
	fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
	if (fd >= 0 &&
	    (bind(fd, found->ai_addr, found->ai_addrlen) || listen(fd, 1))) {
		close(fd);
		fd = -1;
	}
	freeaddrinfo(found);
	if (fd < 0)
		tell("%s:%s: %s (give another port: --listen tcp:%s:PORT)",
		     host, port, strerror(errno), host);
	return fd;
}

static void tell_port(int fd, const char *host)
{
	char port[8] = "?";
	struct sockaddr_storage name;
	socklen_t length = sizeof name;

	if (!getsockname(fd, (struct sockaddr *)&name, &length))
		getnameinfo((struct sockaddr *)&name, length, NULL, 0, port,
			    sizeof port, NI_NUMERICSERV);
	tell("in gdb: target remote %s:%s", host, port);
}

static bool open_port(struct gdb_line *line, const char *address)
{
	const char *colon = strrchr(address, ':');
	char host[256];

	if (strncmp(address, "tcp:", 4) != 0 || colon < address + 5 ||
	    (size_t)(colon - address) >= sizeof host) {
		tell("--listen is tcp:HOST:PORT, not \"%s\"", address);
		return false;
	}
	memcpy(host, address + 4, (size_t)(colon - address) - 4);
	host[colon - address - 4] = 0;
	line->listener = listen_at(host, colon + 1);
	if (line->listener < 0)
		return false;
	tell_port(line->listener, host);
	watch(line, line->listener);
	return true;
}

bool gdb_line_open(struct gdb_line *line, const char *address)
{
	*line = (struct gdb_line){ .in = -1, .out = -1, .listener = -1 };
	line->any = epoll_create1(EPOLL_CLOEXEC);
	watch(line, work_signal_fd());
	if (address)
		return open_port(line, address);
	line->in = STDIN_FILENO;
	line->out = STDOUT_FILENO;
	watch(line, line->in);
	return true;
}

void gdb_line_close(struct gdb_line *line)
{
	if (line->listener >= 0)
		close(line->listener);
	if (line->in > STDOUT_FILENO)
		close(line->in);
	close(line->any);
}

bool gdb_line_accept(struct gdb_line *line)
{
	struct pollfd wait = { .fd = line->listener, .events = POLLIN };
	int yes = 1;

	if (line->in >= 0)
		return true;
	if (poll(&wait, 1, 0) <= 0)
		return false;
	line->in = line->out = accept4(line->listener, NULL, NULL,
				       SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (line->in < 0)
		return false;
	setsockopt(line->in, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
	close(line->listener); /* one at a time */
	line->listener = -1;
	watch(line, line->in);
	return true;
}

/* ---- bytes -------------------------------------------------------------- */

enum gdb_input gdb_line_read(struct gdb_line *line)
{
	struct pollfd wait = { .fd = line->in, .events = POLLIN };

	for (;;) {
		ssize_t got;

		while (line->taken < line->count) {
			enum gdb_input input = gdb_parse(
				&line->parser, line->bytes[line->taken++]);

			if (input != GDB_NOTHING)
				return input;
		}
		if (line->gone || poll(&wait, 1, 0) <= 0)
			return GDB_NOTHING;
		got = read(line->in, line->bytes, sizeof line->bytes);
		line->gone = got <= 0;
		line->taken = 0;
		line->count = got > 0 ? (size_t)got : 0;
	}
}

static void send_bytes(struct gdb_line *line, const char *bytes, size_t length)
{
	struct pollfd wait = { .fd = line->out, .events = POLLOUT };

	while (length && !line->gone) {
		/* So many a pipe takes that takes any. */
		size_t piece = length < PIPE_BUF ? length : PIPE_BUF;
		ssize_t done = -1;

		if (poll(&wait, 1, SEND_MILLISECONDS) > 0)
			done = write(line->out, bytes, piece);
		line->gone = done < 0;
		if (done > 0) {
			bytes += done;
			length -= (size_t)done;
		}
	}
}

void gdb_line_send(struct gdb_line *line, const char *data, size_t length)
{
	line->last_length = gdb_encode(data, length, line->last);
	send_bytes(line, line->last, line->last_length);
}

void gdb_line_send_again(struct gdb_line *line)
{
	send_bytes(line, line->last, line->last_length);
}

void gdb_line_put(struct gdb_line *line, char byte)
{
	send_bytes(line, &byte, 1);
}
