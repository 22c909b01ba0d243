/* SPDX-License-Identifier: MIT */
#include "listen.h"

#include <errno.h>
#include <mullion/control.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "texts.h"

/* ---- from a client ------------------------------------------------------ */

static void leave(struct listen_client *client)
{
	close(client->fd);
	client->fd = -1;
}

/* A request that comes again keeps its number on the line, so that the
 * hypervisor does once what it asks for. */
static struct listen_passed *find_passed(struct listen *listener,
					 uint64_t serial, uint32_t theirs)
{
	for (size_t i = 0; i < LISTEN_PASSED; i++)
		if (listener->passed[i].serial == serial &&
		    listener->passed[i].theirs == theirs)
			return &listener->passed[i];
	return NULL;
}

/* The run itself shows all consoles: nobody can switch them off. */
static void keep_attached(void *payload, size_t length)
{
	struct mull_request request;

	if (length < sizeof request)
		return;
	memcpy(&request, payload, sizeof request);
	if (request.command == MULL_COMMAND_ATTACH)
		request.argument = 1;
	memcpy(payload, &request, sizeof request);
}

static void from_client(void *context, const struct mull_frame_header *header,
			const void *payload, size_t length)
{
	struct listen_client *client = context;
	struct listen *listener = client->listen;
	struct listen_passed *passed = find_passed(listener, client->serial,
						   header->sequence);
	struct mull_frame_header to = *header;
	uint8_t copy[MULL_FRAME_PAYLOAD_MAX];

	if (header->type < MULL_FRAME_INPUT)
		return; /* only the hypervisor says such things */
	memcpy(copy, payload, length);
	if (header->type == MULL_FRAME_REQUEST)
		keep_attached(copy, length);
	to.sequence = passed ? passed->ours : 0;
	if (!listener->send(listener->context, &to, copy, length,
			    passed ? NULL : &to.sequence) ||
	    passed)
		return; /* without room: the client asks again */
	passed = &listener->passed[listener->passed_count++ % LISTEN_PASSED];
	*passed = (struct listen_passed){ client->serial, header->sequence,
					  to.sequence };
}

static void read_client(struct listen_client *client)
{
	uint8_t bytes[4096];
	ssize_t got = recv(client->fd, bytes, sizeof bytes, MSG_DONTWAIT);

	if (got > 0)
		frame_decode(&client->decoder, bytes, (size_t)got);
	else if (got == 0 || (errno != EAGAIN && errno != EINTR))
		leave(client);
}

static void write_client(struct listen_client *client)
{
	ssize_t done = send(client->fd, client->out, client->out_length,
			    MSG_DONTWAIT | MSG_NOSIGNAL);

	if (done <= 0)
		return; /* reading tells when it is gone */
	client->out_length -= (size_t)done;
	memmove(client->out, client->out + done, client->out_length);
}

static void take_client(struct listen *listener)
{
	int fd = accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC);
	struct listen_client *client = listener->clients;

	if (fd < 0)
		return;
	while (client->fd >= 0) {
		if (++client == listener->clients + LISTEN_CLIENTS) {
			close(fd);
			return;
		}
	}
	client->fd = fd;
	client->serial = ++listener->next_serial;
	client->listen = listener;
	client->out_length = 0;
	client->decoder = (struct frame_decoder){ .on_frame = from_client,
						  .context = client };
}

/* ---- to clients --------------------------------------------------------- */

/* Who does not read loses frames, as on a line that is too slow. */
static void to_client(struct listen_client *client,
		      const struct mull_frame_header *header,
		      const void *payload, size_t length)
{
	if (client->fd < 0 ||
	    sizeof client->out - client->out_length < FRAME_WIRE_MAX)
		return;
	client->out_length += frame_encode(header, payload, length,
					   client->out + client->out_length);
	write_client(client);
}

static bool pass_reply(struct listen *listener,
		       const struct mull_frame_header *header,
		       const void *payload, size_t length)
{
	const struct listen_passed *passed = NULL;
	uint8_t copy[MULL_FRAME_PAYLOAD_MAX];
	struct mull_reply reply;

	if (length < sizeof reply)
		return false;
	memcpy(&reply, payload, sizeof reply);
	for (size_t i = 0; i < LISTEN_PASSED; i++)
		if (listener->passed[i].serial &&
		    listener->passed[i].ours == reply.sequence)
			passed = &listener->passed[i];
	if (!passed)
		return false;
	reply.sequence = passed->theirs;
	memcpy(copy, payload, length);
	memcpy(copy, &reply, sizeof reply);
	for (size_t i = 0; i < LISTEN_CLIENTS; i++)
		if (listener->clients[i].serial == passed->serial)
			to_client(&listener->clients[i], header, copy, length);
	return true;
}

bool listen_frame(struct listen *listener,
		  const struct mull_frame_header *header, const void *payload,
		  size_t length)
{
	if (listener->fd < 0)
		return false;
	if (header->type == MULL_FRAME_REPLY ||
	    header->type == MULL_FRAME_PENDING)
		return pass_reply(listener, header, payload, length);
	for (size_t i = 0; i < LISTEN_CLIENTS; i++)
		to_client(&listener->clients[i], header, payload, length);
	return false;
}

/* ---- the socket --------------------------------------------------------- */

void listen_polls(const struct listen *listener, struct pollfd *waits)
{
	waits[0] = (struct pollfd){ .fd = listener->fd, .events = POLLIN };
	for (size_t i = 0; i < LISTEN_CLIENTS; i++) {
		const struct listen_client *client = &listener->clients[i];

		waits[i + 1] = (struct pollfd){
			.fd = listener->fd < 0 ? -1 : client->fd,
			.events = client->out_length ? POLLIN | POLLOUT :
						       POLLIN,
		};
	}
}

void listen_serve(struct listen *listener, const struct pollfd *waits)
{
	for (size_t i = 0; i < LISTEN_CLIENTS; i++) {
		struct listen_client *client = &listener->clients[i];

		if (waits[i + 1].fd < 0)
			continue;
		if (waits[i + 1].revents & POLLOUT)
			write_client(client);
		if (waits[i + 1].revents & ~POLLOUT)
			read_client(client);
	}
	if (waits[0].fd >= 0 && waits[0].revents)
		take_client(listener);
}

static bool say_no(struct listen *listener, const char *path)
{
	tell("--listen %s: %s", path, strerror(errno));
	if (listener->fd >= 0)
		close(listener->fd);
	listener->fd = -1;
	return false;
}

static bool is_served(const struct sockaddr_un *name)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	bool refused = connect(fd, (const struct sockaddr *)name,
			       sizeof *name) &&
		       errno == ECONNREFUSED;

	close(fd);
	return !refused;
}

bool listen_start(struct listen *listener, const char *address,
		  listen_send *send, void *context)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	struct stat status;

	listener->fd = -1;
	listener->send = send;
	listener->context = context;
	for (size_t i = 0; i < LISTEN_CLIENTS; i++)
		listener->clients[i].fd = -1;
	if (!address)
		return true;
	if (strncmp(address, "unix:", 5) != 0 ||
	    strlen(address + 5) >= sizeof name.sun_path || !address[5]) {
		tell("--listen takes unix:PATH with at most %zu bytes",
		     sizeof name.sun_path - 1);
		return false;
	}
	strcpy(name.sun_path, address + 5);
	/* One that a killed run has left; nothing but a socket is removed, and
	 * none that is served. */
	if (!lstat(name.sun_path, &status) && S_ISSOCK(status.st_mode) &&
	    !is_served(&name))
		unlink(name.sun_path);
	listener->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	/* The sticky bit tells clients that several are served. */
	if (listener->fd < 0 ||
	    bind(listener->fd, (struct sockaddr *)&name, sizeof name) ||
	    chmod(name.sun_path, S_ISVTX | S_IRUSR | S_IWUSR) ||
	    listen(listener->fd, LISTEN_CLIENTS))
		return say_no(listener, address + 5);
	listener->path = address + 5;
	return true;
}

void listen_stop(struct listen *listener)
{
	if (listener->fd < 0)
		return;
	for (size_t i = 0; i < LISTEN_CLIENTS; i++)
		if (listener->clients[i].fd >= 0)
			leave(&listener->clients[i]);
	close(listener->fd);
	unlink(listener->path);
	listener->fd = -1;
}
