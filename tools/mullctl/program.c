/* SPDX-License-Identifier: MIT */
#include "program.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "texts.h"
#include "work.h"

char *program_find(const char *name)
{
	const char *path = getenv("PATH");
	char *all, *rest, *folder;

	if (strchr(name, '/'))
		return access(name, X_OK) ? NULL : texts_format("%s", name);
	all = texts_format("%s:/usr/sbin:/sbin", path ? path : "/usr/bin:/bin");
	rest = all;
	while ((folder = strsep(&rest, ":"))) {
		char *file = texts_format("%s/%s", *folder ? folder : ".",
					  name);

		if (!access(file, X_OK)) {
			free(all);
			return file;
		}
		free(file);
	}
	free(all);
	return NULL;
}

char *program_need(const char *name, const char *package)
{
	char *file = program_find(name);

	if (!file)
		tell("%s is not there: install the package %s", name, package);
	return file;
}

/* What the child says, up to @room bytes with the final zero. */
static void listen_to(int from, char *words, size_t room)
{
	char rest[512];
	size_t length = 0;
	ssize_t got;

	do {
		bool full = length == room - 1;

		got = read(from, full ? rest : words + length,
			   full ? sizeof rest : room - 1 - length);
		if (got > 0 && !full)
			length += (size_t)got;
	} while (got > 0 || (got < 0 && errno == EINTR));
	while (length && words[length - 1] == '\n')
		length--;
	words[length] = 0;
}

static void become(const char *const *arguments, const int *output)
{
	/* mtools would refuse file systems that are no floppy's */
	setenv("MTOOLS_SKIP_CHECK", "1", 1);
	work_in_child();
	dup2(output[1], STDOUT_FILENO);
	dup2(output[1], STDERR_FILENO);
	close(output[0]);
	close(output[1]);
	execv(arguments[0], (char *const *)(uintptr_t)arguments);
	perror(arguments[0]);
	_exit(127);
}

/* The child's wait status, or -1 after a message. */
static int run(const char *const *arguments, char *words, size_t room)
{
	int output[2], status = 0;
	pid_t child;

	if (pipe(output) || (child = fork()) < 0) {
		tell("%s: %s", arguments[0], strerror(errno));
		return -1;
	}
	if (!child)
		become(arguments, output);
	close(output[1]);
	listen_to(output[0], words, room);
	close(output[0]);
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	return status;
}

void program_ask(const char *const *arguments, char *words, size_t room)
{
	words[0] = 0;
	run(arguments, words, room);
}

bool program_run(const char *const *arguments)
{
	char words[1024];
	int status = run(arguments, words, sizeof words);

	if (status > 0 && !work_signal())
		tell("%s failed: %s", arguments[0], words);
	return status == 0;
}
