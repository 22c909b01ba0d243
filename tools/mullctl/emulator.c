/* SPDX-License-Identifier: MIT */
#include "emulator.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "texts.h"
#include "work.h"

#define CONNECT_SECONDS 30 /* until Bochs has connected its serial line */

static enum status cannot(const char *what)
{
	tell("%s: %s", what, strerror(errno));
	return STATUS_HOST;
}

/* In the child.  @line is its standard input and output, or -1. */
static void become(const struct emulator *emulator,
		   const struct arguments *arguments, int line)
{
	int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
	int messages = open(emulator->messages,
			    O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);

	/* Keys of the terminal are for mullctl; when that is killed, the
	 * emulator ends as well. */
	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	work_in_child();
	dup2(line < 0 ? nothing : line, STDIN_FILENO);
	dup2(line < 0 ? nothing : line, STDOUT_FILENO);
	dup2(messages < 0 ? nothing : messages, STDERR_FILENO);
	execv(arguments->list[0], arguments->list);
	perror(arguments->list[0]);
	_exit(127);
}

static enum status spawn(struct emulator *emulator,
			 const struct arguments *arguments, int line)
{
	emulator->pid = fork();
	if (emulator->pid < 0) {
		emulator->pid = 0;
		return cannot("fork");
	}
	if (!emulator->pid)
		become(emulator, arguments, line);
	return STATUS_OK;
}

/* How to start the same by hand. */
static void write_command(const struct run_plan *plan,
			  const struct arguments *arguments)
{
	char *file = texts_format("%s/command", plan->folder);
	FILE *stream = fopen(file, "we");

	for (size_t i = 0; i < arguments->count; i++) {
		if (stream)
			fprintf(stream, "%s\n", arguments->list[i]);
		if (plan->verbose)
			fprintf(stderr, "%s%s", i ? " " : "mullctl: runs ",
				arguments->list[i]);
	}
	if (plan->verbose)
		fputc('\n', stderr);
	if (stream)
		fclose(stream);
	free(file);
}

static enum status start_qemu(struct emulator *emulator,
			      const struct run_plan *plan,
			      struct arguments *arguments)
{
	enum status status = qemu_arguments(plan, arguments);
	int line[2];

	if (status != STATUS_OK)
		return status;
	write_command(plan, arguments);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, line))
		return cannot("socketpair");
	emulator->to = emulator->from = line[0];
	status = spawn(emulator, arguments, line[1]);
	close(line[1]);
	return status;
}

/* Bochs connects to a port of this computer: its serial line has no way to
 * take an open file. */
static int listen_locally(unsigned *port)
{
	struct sockaddr_in address = { .sin_family = AF_INET };
	socklen_t size = sizeof address;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, size) ||
	    listen(fd, 1) ||
	    getsockname(fd, (struct sockaddr *)&address, &size)) {
		cannot("a local port for bochs");
		if (fd >= 0)
			close(fd);
		return -1;
	}
	*port = ntohs(address.sin_port);
	return fd;
}

static enum status accept_line(struct emulator *emulator, int listener)
{
	struct pollfd waits = { .fd = listener, .events = POLLIN };
	double limit = seconds_now() + CONNECT_SECONDS;

	while (!poll(&waits, 1, 100)) {
		if (work_signal())
			return STATUS_QUIT;
		if (emulator_is_gone(emulator) || seconds_now() > limit) {
			tell("bochs did not start");
			emulator_show_messages(emulator);
			return STATUS_DIED;
		}
	}
	emulator->to = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	emulator->from = emulator->to;
	return emulator->to < 0 ? cannot("accept") : STATUS_OK;
}

static enum status start_bochs(struct emulator *emulator,
			       const struct run_plan *plan,
			       struct arguments *arguments)
{
	char *lock = texts_format("%s.lock", plan->disk);
	enum status status;
	unsigned port;
	int listener = listen_locally(&port);

	/* Left by a killed Bochs, where the folder was kept. */
	unlink(lock);
	free(lock);
	if (listener < 0)
		return STATUS_HOST;
	emulator->only_kill = true;
	status = bochs_arguments(plan, port, arguments);
	if (status == STATUS_OK) {
		write_command(plan, arguments);
		status = spawn(emulator, arguments, -1);
	}
	if (status == STATUS_OK)
		status = accept_line(emulator, listener);
	close(listener);
	return status;
}

enum status emulator_start(struct emulator *emulator,
			   const struct run_plan *plan)
{
	struct arguments arguments = { .count = 0 };
	enum status status;

	*emulator = (struct emulator){ .to = -1, .from = -1 };
	emulator->messages = texts_format("%s/emulator.log", plan->folder);
	status = plan->bochs ? start_bochs(emulator, plan, &arguments) :
			       start_qemu(emulator, plan, &arguments);
	arguments_free(&arguments);
	if (status == STATUS_OK)
		fcntl(emulator->to, F_SETFL, O_NONBLOCK);
	return status;
}

bool emulator_is_gone(struct emulator *emulator)
{
	if (emulator->pid && waitpid(emulator->pid, NULL, WNOHANG) != 0)
		emulator->pid = 0;
	return !emulator->pid;
}

void emulator_show_messages(const struct emulator *emulator)
{
	FILE *stream = fopen(emulator->messages, "re");
	char line[512];
	int lines = 0;

	while (stream && lines++ < 20 && fgets(line, sizeof line, stream))
		fprintf(stderr, "  %s%s", line, strchr(line, '\n') ? "" : "\n");
	if (stream)
		fclose(stream);
}

void emulator_stop(struct emulator *emulator)
{
	double limit = seconds_now() + 2;

	if (emulator->pid && !emulator->only_kill) {
		kill(emulator->pid, SIGTERM);
		while (!emulator_is_gone(emulator) && seconds_now() < limit)
			poll(NULL, 0, 10);
	}
	if (emulator->pid) {
		kill(emulator->pid, SIGKILL);
		waitpid(emulator->pid, NULL, 0);
		emulator->pid = 0;
	}
	if (emulator->to >= 0)
		close(emulator->to);
	free(emulator->messages);
	emulator->messages = NULL;
}
