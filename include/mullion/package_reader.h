/* SPDX-License-Identifier: MIT */
/* Reads the boot package, every byte of which is hostile. */
#ifndef MULLION_PACKAGE_READER_H
#define MULLION_PACKAGE_READER_H

#include <mullion/description.h>
#include <mullion/error.h>
#include <mullion/load.h>
#include <mullion/package.h>

/* A complaint about the package in words, for log, screen and VM reasons. */
typedef void package_complain(void *context, const char *words);

struct package {
	const uint8_t *bytes;
	uint64_t size;	    /* bytes that are really there */
	uint8_t sha256[32]; /* of header, VM and image records */
	struct mull_machine machine;
	uint32_t vm_count; /* 0 when the header cannot be used */
	uint32_t image_count;
	struct mull_vm
		vms[MULL_VM_MAX]; /* copies; valid where vm_words is "" */
	char vm_words[MULL_VM_MAX][MULL_COMPLAINT_MAX]; /* why it is refused */
	struct mull_image images[MULL_IMAGE_MAX];
	char image_words[MULL_IMAGE_MAX][96]; /* why it is unusable, or "" */
};

/* What the hypervisor was booted with (kernel/start.c). */
extern struct package boot_package;

/*
 * package_read - check header, records and extents, and the descriptions by
 *                the checker of description.h
 *
 * Returns ERR_NONE when the header can be used, even if every VM is refused;
 * each problem is also told to @complain, by the name of what it is about.
 * Hashes are checked when an image is loaded.
 */
enum error package_read(struct package *package, const void *bytes,
			uint64_t size, const struct mull_limits *limits,
			package_complain *complain, void *context);

/* What is wrong with the image's record by itself; NULL: nothing. */
const char *image_problem(const struct mull_image *image);

/* The image @index as the loader takes it; bytes NULL when it is unusable. */
struct load_image package_image(const struct package *package, uint32_t index);

#endif
