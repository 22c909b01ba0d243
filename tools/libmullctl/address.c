/* SPDX-License-Identifier: MIT */
/* Addresses, and the lock that keeps a line for one client. */
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <termios.h>
#include <unistd.h>

#include "parts.h"

#define CONNECT_MILLISECONDS 5000

/* ---- one client a line -------------------------------------------------- */

/*
 * The lock is an abstract socket that listens: it goes with its process, leaves
 * no file behind, and whoever finds it taken can ask it for the process.  Who
 * has asked stays in its queue, since nobody accepts; one that is full tells no
 * process, and must not block.
 */
static int lock_line(struct mull *mull, const char *name)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	socklen_t size = sizeof address;
	struct ucred owner = { .pid = 0 };
	socklen_t owner_size = sizeof owner;

	snprintf(address.sun_path + 1, sizeof address.sun_path - 1,
		 "mullctl %s", name);
	mull->lock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
			    0);
	if (mull->lock < 0)
		return mull_fail(mull, MULL_UNREACHABLE, "socket: %s",
				 strerror(errno));
	if (!bind(mull->lock, (struct sockaddr *)&address, size) &&
	    !listen(mull->lock, SOMAXCONN))
		return MULL_OK;
	if (!connect(mull->lock, (struct sockaddr *)&address, size))
		getsockopt(mull->lock, SOL_SOCKET, SO_PEERCRED, &owner,
			   &owner_size);
	return mull_fail(mull, MULL_IN_USE,
			 "the line is in use by mullctl (pid %d)",
			 (int)owner.pid);
}

/* ---- kinds of streams ---------------------------------------------------- */

static int finish_connect(struct mull *mull, const char *name, int error)
{
	struct pollfd waits = { .fd = mull->fd, .events = POLLOUT };
	socklen_t size = sizeof error;

	if (error == EINPROGRESS) {
		error = ETIMEDOUT;
		if (poll(&waits, 1, CONNECT_MILLISECONDS) > 0)
			getsockopt(mull->fd, SOL_SOCKET, SO_ERROR, &error,
				   &size);
	}
	if (!error)
		return MULL_OK;
	return mull_fail(mull, MULL_UNREACHABLE, "%s: %s", name,
			 strerror(error));
}

static int open_unix(struct mull *mull, const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct stat status;
	char name[64];
	int error;

	if (!*path || strlen(path) >= sizeof address.sun_path)
		return mull_fail(mull, MULL_BAD_ADDRESS,
				 "a socket's path has 1 to %zu bytes",
				 sizeof address.sun_path - 1);
	strcpy(address.sun_path, path);
	if (stat(path, &status))
		return mull_fail(mull, MULL_UNREACHABLE, "%s: %s", path,
				 strerror(errno));
	/* Who serves several clients says so by its socket's sticky bit. */
	if (!(status.st_mode & S_ISVTX)) {
		snprintf(name, sizeof name, "%lu:%lu", status.st_dev,
			 status.st_ino);
		error = lock_line(mull, name);
		if (error)
			return error;
	}
	mull->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
			  0);
	if (connect(mull->fd, (struct sockaddr *)&address, sizeof address))
		return finish_connect(mull, path, errno);
	return MULL_OK;
}

static int open_tcp(struct mull *mull, const char *place)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *found;
	const char *colon = strrchr(place, ':');
	char host[256] = "";
	int error;

	if (!colon || colon == place || !colon[1] ||
	    (size_t)(colon - place) >= sizeof host)
		return mull_fail(mull, MULL_BAD_ADDRESS,
				 "tcp:%s: wanted is tcp:HOST:PORT", place);
	memcpy(host, place, (size_t)(colon - place));
	error = lock_line(mull, place);
	if (error)
		return error;
	error = getaddrinfo(host, colon + 1, &hints, &found);
	if (error)
		return mull_fail(mull, MULL_UNREACHABLE, "%s: %s", place,
				 gai_strerror(error));
	/* "localhost" is ::1 and 127.0.0.1, of which one may be served. */
	error = MULL_UNREACHABLE;
	for (const struct addrinfo *at = found; error && at; at = at->ai_next) {
		if (mull->fd >= 0)
			close(mull->fd);
		mull->fd = socket(at->ai_family,
				  SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
				  0);
		error = finish_connect(
			mull, place,
			connect(mull->fd, at->ai_addr, at->ai_addrlen) ? errno :
									 0);
	}
	freeaddrinfo(found);
	return error;
}

static const struct rate {
	long baud;
	speed_t speed;
} rates[] = {
	{ 9600, B9600 },     { 19200, B19200 },	  { 38400, B38400 },
	{ 57600, B57600 },   { 115200, B115200 }, { 230400, B230400 },
	{ 460800, B460800 }, { 921600, B921600 }, { 0, 0 },
};

/* 8 data bits, no parity, 1 stop bit, no flow control, nothing translated. */
static int set_line(struct mull *mull, const char *path, speed_t speed)
{
	struct termios line;

	if (tcgetattr(mull->fd, &line))
		return mull_fail(mull, MULL_UNREACHABLE, "%s: %s", path,
				 strerror(errno));
	cfmakeraw(&line);
	line.c_cflag &= ~(tcflag_t)(CSTOPB | CRTSCTS);
	line.c_cflag |= CLOCAL | CREAD;
	cfsetspeed(&line, speed);
	if (tcsetattr(mull->fd, TCSANOW, &line))
		return mull_fail(mull, MULL_UNREACHABLE, "%s: %s", path,
				 strerror(errno));
	ioctl(mull->fd, TIOCEXCL);
	return MULL_OK;
}

static int open_serial(struct mull *mull, const char *place)
{
	const char *comma = strrchr(place, ',');
	long baud = comma ? atol(comma + 1) : 115200;
	const struct rate *rate = rates;
	struct stat status;
	char path[256], name[64];
	int error;

	snprintf(path, sizeof path, "%.*s",
		 comma ? (int)(comma - place) : (int)strlen(place), place);
	while (rate->baud && rate->baud != baud)
		rate++;
	if (!rate->baud)
		return mull_fail(
			mull, MULL_BAD_ADDRESS,
			"%s: no rate of a serial line; 115200 is usual",
			comma ? comma + 1 : place);
	if (stat(path, &status))
		return mull_fail(mull, MULL_UNREACHABLE, "%s: %s", path,
				 strerror(errno));
	snprintf(name, sizeof name, "line %lu", status.st_rdev);
	error = lock_line(mull, name);
	if (error)
		return error;
	mull->fd = open(path, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	if (mull->fd < 0)
		return mull_fail(mull, MULL_UNREACHABLE, "%s: %s", path,
				 strerror(errno));
	/* ten bits a byte, and 2,000 bytes may be on their way */
	mull->patience = 1 + 2000 * 10.0 / (double)baud;
	return set_line(mull, path, rate->speed);
}

int mull_connect(struct mull *mull, const char *address)
{
	if (!strncmp(address, "unix:", 5))
		return open_unix(mull, address + 5);
	if (!strncmp(address, "tcp:", 4))
		return open_tcp(mull, address + 4);
	if (!strncmp(address, "serial:", 7))
		return open_serial(mull, address + 7);
	if (!strncmp(address, "udp:", 4))
		return mull_open_udp(mull, address + 4);
	return mull_fail(mull, MULL_BAD_ADDRESS,
			 "\"%s\" is no address: serial:/dev/ttyUSB0,115200, "
			 "unix:PATH, tcp:HOST:PORT or udp:HOST:PORT,KEYFILE",
			 address);
}
