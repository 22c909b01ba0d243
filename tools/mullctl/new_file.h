/* SPDX-License-Identifier: MIT */
/* A file that gets its name only when it is whole. */
#ifndef MULLCTL_NEW_FILE_H
#define MULLCTL_NEW_FILE_H

#include <stdbool.h>

struct new_file {
	const char *name;
	char *new_name;
	int fd;
};

/* Each returns false after a message. */
bool new_file_open(struct new_file *file, const char *name);
/* With @keep it gets its name; else, or when that fails, it is gone. */
bool new_file_close(struct new_file *file, bool keep);
/* What errno says of it; returns false. */
bool new_file_failed(const struct new_file *file);

#endif
